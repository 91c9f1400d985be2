"""Counts in sentences."""

from __future__ import annotations

import pytest

from rollout.counted import counted


@pytest.mark.parametrize(("count", "said"), [(0, "0 resources"), (1, "1 resource"), (2, "2 resources")])
def test_one_is_singular_and_none_is_not(count: int, said: str) -> None:
    assert counted(count, "resource") == said
