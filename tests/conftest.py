"""Order and distribution of the whole suite.

The integration tests come first: their deployment mostly waits, and other workers (pytest-xdist) run everything else
meanwhile. A suite, a folder below `tests`, stays in one worker: its tests share fixtures that are expensive to make.
"""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Properties are tried on the same examples each time, so that a change is to blame when one fails, and for as long as a
# busy machine takes. Here, because a profile holds for every file that is collected after it.
settings.register_profile(
    "tests",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tests")

# Tests make many objects that live shortly: looking through all others as often as usual costs a tenth of their time.
gc.set_threshold(100_000, 50, 100)

FIRST = "integration"
# The last of the integration tests: they change or end the deployment, or make another. `capabilities` is a folder.
LAST = ("test_least_privilege", "test_drills", "capabilities", "test_drain", "test_teardown", "test_reference_trio")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_place)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Whole suites to the workers, in the order of collection.

    Not xdist's groups (`--dist loadgroup`): it writes them into a field of the test that pytest 9.2 does not read.
    """
    from xdist.scheduler import LoadScopeScheduling

    class SuiteScheduling(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return _suite(Path(nodeid.partition("::")[0]))

    config.option.loadscopereorder = False
    return SuiteScheduling(config, log)


def _suite(path: Path) -> str:
    """The folder below `tests` that a test's file is in, by its path from the root."""
    return path.parts[1] if len(path.parts) > 2 else "tests"


def _place(item: pytest.Item) -> tuple[bool, int]:
    path = Path(str(item.fspath)).relative_to(item.config.rootpath)
    place = next((number for number, name in enumerate(LAST, start=1) if name in (path.stem, path.parent.name)), 0)
    return (_suite(path) != FIRST, place)
