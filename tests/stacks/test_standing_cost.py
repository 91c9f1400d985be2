"""What the cost model says that stands is what the stacks make (rollout/capacity/standing.py)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rollout.capacity import facts, standing
from shared.capabilities import CAPABILITIES
from stacks.edge.firewall import MANAGED_RULES
from stacks.observability.audit.suspicions import SUSPICIONS
from tests.stacks.conftest import Synthesized
from tests.stacks.counting import counted, declared

CONFIGS = sorted(path.name for path in Path("config").glob("*.toml"))
FACTS = facts.load()


@pytest.mark.parametrize("name", CONFIGS)
def test_what_is_on_stands_as_often_as_the_stacks_make_it(synthesis: Callable[[str], Synthesized], name: str) -> None:
    """PAY-21: keys, endpoints, alarms by their metrics, dashboards, addresses, balancers, instances, capacity units."""
    found = synthesis(name)
    parts = [part for part in standing.of(found.environment, FACTS) if part.on]
    for region in found.environment.regions:
        assert declared(parts, region) == counted(found, region, FACTS), region


def test_numbers_that_no_configuration_shows() -> None:
    """No configuration here has a web ACL."""
    assert 1 + len(MANAGED_RULES) == standing.WAF_RULES
    assert len(SUSPICIONS) == standing.SUSPICIONS
    assert set(standing.PARTS) == {standing.CORE, *CAPABILITIES}
