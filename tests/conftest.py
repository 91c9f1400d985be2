"""Order and grouping of the whole suite.

The integration tests come first: their deployment mostly waits, and other workers (pytest-xdist, `--dist loadgroup`)
run everything else meanwhile. Tests that share an expensive fixture of the session stay in one worker.
"""

from __future__ import annotations

from pathlib import Path

import pytest

FIRST = "integration"
# The last of the integration tests: they change or end the deployment, or make another. `capabilities` is a folder.
LAST = ("test_least_privilege", "capabilities", "test_drain", "test_teardown", "test_reference_trio")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_suite(item)))
    items.sort(key=_place)


def _suite(item: pytest.Item) -> str:
    parts = Path(str(item.fspath)).relative_to(item.config.rootpath).parts
    return parts[1] if len(parts) > 2 else "tests"


def _place(item: pytest.Item) -> tuple[bool, int]:
    path = Path(str(item.fspath))
    place = next((number for number, name in enumerate(LAST, start=1) if name in (path.stem, path.parent.name)), 0)
    return (_suite(item) != FIRST, place)
