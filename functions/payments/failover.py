"""Which region is next. No I/O.

The regions stand in a circle, in the configured order. A payment that its home cannot finish goes
on to the next one that has not had it. Each region that takes it over is tried from then on, so
no payment that is handed over goes in circles, whatever the order is and however it changes
meanwhile.

What a region leaves behind that is down goes to its `heir`. There a region may get a payment
twice: better than a payment that nobody works on, and it takes another region's death each time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum


class Standing(StrEnum):
    """What the other regions know of a region."""

    ALIVE = "alive"
    DRAINED = "drained"  # it works, and traffic is to leave it
    DOWN = "down"
    UNKNOWN = "unknown"  # it has never shown itself: not deployed yet, or a minute ago

    @property
    def works(self) -> bool:
        """Whether it is known to do its work."""
        return self in (Standing.ALIVE, Standing.DRAINED)


def next_region(order: Sequence[str], home: str, tried: Sequence[str], avoid: Collection[str] = ()) -> str | None:
    """The region to take over from `home`; None when none is left.

    Examples
    --------
    >>> next_region(["a", "b", "c"], "b", ["a", "b"])
    'c'
    >>> next_region(["a", "b", "c"], "c", ["b", "c"])
    'a'
    >>> next_region(["a", "b", "c"], "a", ["a"], avoid=["b"])
    'c'
    """
    untried = (one for one in _circle(order, home) if one != home and one not in tried and one not in avoid)
    return next(untried, None)


def to_avoid(standings: Mapping[str, Standing]) -> frozenset[str]:
    """The regions that nothing should be handed over to. One that has never shown itself may be about to."""
    return frozenset(one for one, standing in standings.items() if standing in (Standing.DOWN, Standing.DRAINED))


def heir(order: Sequence[str], dead: str, tried: Sequence[str], standings: Mapping[str, Standing]) -> str | None:
    """The region to finish what a region that is down has left: the first of the circle that works,
    of those that have not had the payment if there is one. One that is drained only comes last.

    Examples
    --------
    >>> up = dict.fromkeys("abc", Standing.ALIVE)
    >>> heir("abc", "b", "ab", up), heir("abc", "b", "abc", up), heir("abc", "b", "b", up | {"c": Standing.DRAINED})
    ('c', 'c', 'a')
    """
    working = [one for one in _circle(order, dead) if one != dead and standings.get(one, Standing.UNKNOWN).works]
    ranked = sorted(working, key=lambda one: (standings[one] is Standing.DRAINED, one in tried))
    return ranked[0] if ranked else None


def _circle(order: Sequence[str], home: str) -> Sequence[str]:
    start = order.index(home) + 1 if home in order else 0
    return (*order[start:], *order[:start])
