"""How traffic spreads over the regions, and over the rest when one of them is down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isclose

from shared.errors import UsageError


class ShareError(UsageError):
    """The shares are not those of the environment's regions, or not shares."""


def equal(regions: Iterable[str]) -> dict[str, float]:
    """The same share for each region; they sum to 1."""
    names = list(regions)
    return {name: 1 / len(names) for name in names}


def checked(shares: Mapping[str, float], regions: Iterable[str]) -> dict[str, float]:
    """Shares by region, in the order of the regions.

    Raises
    ------
    ShareError
        When a region is missing or unknown, a share is not between 0 and 1, or they do not sum to 1.
    """
    names = list(regions)
    if set(shares) != set(names):
        raise ShareError(f"share_by_region = {sorted(shares)}: must name exactly {', '.join(names)}")
    if len(names) == 1:
        if shares[names[0]] != 1:
            raise ShareError(f"share_by_region.{names[0]} = {shares[names[0]]}: must be 1, it is the only region")
        return dict(shares)
    for name, share in shares.items():
        if not 0 <= share < 1:
            raise ShareError(f"share_by_region.{name} = {share}: must be at least 0 and below 1")
    if not isclose(sum(shares.values()), 1, abs_tol=1e-9):
        raise ShareError(f"share_by_region = {sum(shares.values())} in total: must sum to 1")
    return {name: shares[name] for name in names}


def without(shares: Mapping[str, float], down: str) -> dict[str, float]:
    """The others' shares while one region is down: its share goes to them in proportion to theirs. They sum to 1."""
    rest = 1 - shares[down]
    return {name: share / rest for name, share in shares.items() if name != down}


def peak(shares: Mapping[str, float]) -> dict[str, float]:
    """The most that each region carries, whichever one of the others is down (N-1); an only region carries all."""
    if len(shares) == 1:
        return dict(shares)
    return {name: max(without(shares, down)[name] for down in shares if down != name) for name in shares}
