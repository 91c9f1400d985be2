"""Counts in sentences: "1 stack", "3 stacks"."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """A count and what it counts, such as `1 resource`; the noun is given in the singular."""
    return f"{count} {plural(count, noun)}"


def plural(count: int, noun: str) -> str:
    """A regular noun as it stands behind a count, for where the count is shown apart."""
    return noun if count == 1 else f"{noun}s"
