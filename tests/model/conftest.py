"""How long to search, and a sweeper that needs no threads of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase

from functions.sweep_payments import logic

_ALWAYS: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck), "stateful_step_count": 50}
# The same each time, so that a change is to blame when it fails; and another each time, to find what nobody has seen.
settings.register_profile("model", max_examples=1000, derandomize=True, database=None, **_ALWAYS)
settings.register_profile(
    "search",
    max_examples=20_000,
    derandomize=False,
    database=DirectoryBasedExampleDatabase(".hypothesis/examples"),
    print_blob=True,
    **_ALWAYS,
)


class Inline:
    """A pool that does the work at once."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def __enter__(self) -> Inline:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def map(self, work: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        return iter([work(item) for item in items])


@pytest.fixture(autouse=True, scope="session")
def inline() -> Iterator[None]:
    """The sweeper's threads would make its steps come in another order each time."""
    patch = pytest.MonkeyPatch()
    patch.setattr(logic, "ThreadPoolExecutor", Inline)
    patch.setattr(logic, "shards", lambda: ("",))
    yield
    patch.undo()
