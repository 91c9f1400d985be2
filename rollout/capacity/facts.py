"""Published quotas and prices, and assumptions: `facts.toml`, typed.

Pure but for reading that file. Every number tells whether it is assumed, so that whatever is computed from it can say
so too.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from shared.errors import TripointError

FILE = Path(__file__).with_name("facts.toml")
NONE_FOUND = "none found"


class FactError(TripointError):
    """The data file lacks a fact, or one is incomplete."""


@dataclass(frozen=True)
class Value:
    """A number and whether it is assumed rather than published."""

    amount: float
    assumed: bool


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A quota or a price of one service.

    Attributes
    ----------
    seen
        "page": read in a copy of the page; "quoted": read where others quote it.
    elsewhere
        What holds in regions that `by_region` does not name; assumed where `elsewhere_assumed`.
    adjustable, remedy
        Of quotas: whether AWS raises it on request, and what to do where it does not hold.
    """

    id: str
    service: str
    title: str
    unit: str
    elsewhere: float
    elsewhere_assumed: bool
    source: str
    url: str
    seen: str
    read: date
    by_region: Mapping[str, float] = field(default_factory=dict)
    adjustable: bool = False
    remedy: str = ""

    def __post_init__(self) -> None:
        if self.seen not in ("page", "quoted") and self.source != NONE_FOUND:
            raise FactError(f"{self.id}: seen = {self.seen!r} is not allowed; allowed: page, quoted")
        if self.source != NONE_FOUND and not self.url.startswith("https://"):
            raise FactError(f"{self.id}: a source needs its https URL")

    def at(self, region: str) -> Value:
        """The number of a region."""
        unfounded = self.source == NONE_FOUND
        if region in self.by_region:
            return Value(self.by_region[region], unfounded)
        return Value(self.elsewhere, unfounded or self.elsewhere_assumed)


@dataclass(frozen=True, kw_only=True)
class Assumption:
    """A number that no source gives, or a choice; `why` says which."""

    id: str
    title: str
    unit: str
    value: float
    why: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything of the data file, by id."""

    quotas: Mapping[str, Fact]
    prices: Mapping[str, Fact]
    assumptions: Mapping[str, Assumption]

    def quota(self, id: str, region: str) -> Value:
        """The default quota of a region."""
        return self._of(self.quotas, id).at(region)

    def price_usd(self, id: str, region: str) -> Value:
        """The list price of a region, USD per whatever the price's unit says."""
        return self._of(self.prices, id).at(region)

    def assume(self, id: str) -> float:
        """An assumption's value."""
        if id not in self.assumptions:
            raise FactError(f"no assumption {id!r} in {FILE.name}")
        return self.assumptions[id].value

    def latency_ms(self, call: str) -> float:
        """How long a call takes to answer (`dynamodb.PutItem`), ms; assumed."""
        id = f"latency.{call}"
        return self.assume(id if id in self.assumptions else "latency.other")

    @staticmethod
    def _of(facts: Mapping[str, Fact], id: str) -> Fact:
        if id not in facts:
            raise FactError(f"no fact {id!r} in {FILE.name}")
        return facts[id]


@cache
def load(path: Path = FILE) -> Facts:
    """Read the data file.

    Raises
    ------
    FactError
        When an entry is incomplete or gives neither a source nor says that none was found.
    """
    return parse(tomllib.loads(path.read_text(encoding="utf-8")))


def parse(document: Mapping[str, Any]) -> Facts:
    """Facts from the data file's document."""
    return Facts(
        quotas={id: _fact(id, entry) for id, entry in document["quota"].items()},
        prices={id: _fact(id, entry) for id, entry in document["price"].items()},
        assumptions={
            id: Assumption(id=id, **{**entry, "value": float(entry["value"])})
            for id, entry in document["assumption"].items()
        },
    )


def _fact(id: str, entry: Mapping[str, Any]) -> Fact:
    try:
        return Fact(id=id, **entry)
    except TypeError as error:
        raise FactError(f"{id}: {error}") from None
