"""Which region is next. No I/O.

The regions stand in a circle, in the configured order. A payment that its home cannot finish goes
on to the next one that has not had it. Each region that takes it over is tried from then on, so
every region gets a payment once at most, and after the last one there is none left: no payment
can go in circles, whatever the order is and however it changes meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence


def next_region(order: Sequence[str], home: str, tried: Sequence[str]) -> str | None:
    """The region to take over from `home`; None when none is left.

    Examples
    --------
    >>> next_region(["a", "b", "c"], "b", ["a", "b"])
    'c'
    >>> next_region(["a", "b", "c"], "c", ["b", "c"])
    'a'
    """
    start = order.index(home) + 1 if home in order else 0
    untried = (region for region in (*order[start:], *order[:start]) if region != home and region not in tried)
    return next(untried, None)
