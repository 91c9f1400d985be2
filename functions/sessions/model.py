"""A session, and when it lives. Times are epoch seconds, as the table's TTL attribute has them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

Clock = Callable[[], int]


def now() -> int:
    """The present, in epoch seconds."""
    return int(time.time())


@dataclass(frozen=True)
class Session:
    """One session of an id.

    `instance` tells it from those that had the id before and will have it after: only who holds the
    instance can change the session. `data` is text by name and holds nothing personal, because the
    table is replicated to every region.
    """

    session_id: str
    instance: str
    expires_at: int
    data: Mapping[str, str] = field(default_factory=dict)

    def is_live(self, at: int) -> bool:
        """Whether it is there for a reader at a time, deleted or not."""
        return at < self.expires_at


class Opened(NamedTuple):
    """The live session of an id, and whether this call made it."""

    session: Session
    created: bool
