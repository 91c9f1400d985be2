"""The payments of a run. Keys, tokens, amounts and callers follow from the seed alone: the same seed, the same plan."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Copies = Literal["", "again", "elsewhere"]

CALLERS = (
    "us-east-1",
    "us-west-2",
    "sa-east-1",
    "eu-west-1",
    "eu-central-1",
    "af-south-1",
    "ap-southeast-1",
    "ap-south-1",
)
"""Where callers are: cities, by the region of AWS that is there (`rollout.dns.PLACES`)."""

SETTLES = "tok_visa"

# Share of payments, in thousandths, by token; the rest settles. What each does: functions/processor/scenarios.py. Two
# tokens are left out, because nothing ever releases their money, so that they stay open for hours: tok_void_unavailable
# and tok_refund_unavailable.
TROUBLE: Mapping[str, int] = {
    "tok_declined": 40,
    "tok_insufficient_funds": 20,
    "tok_expired_card": 10,
    "tok_fail_once": 40,
    "tok_timeout_once": 20,
    "tok_lost_once": 20,
    "tok_capture_fail_once": 20,
    "tok_capture_declined": 20,
    "tok_void_fail_once": 10,
    "tok_capture_lost": 5,
    "tok_refund_lost_once": 5,
    "tok_unavailable": 5,
    "tok_unreachable_from_{region}": 10,
    "tok_capture_unreachable_from_{region}": 5,
}
DUPLICATES: Mapping[Copies, int] = {"again": 60, "elsewhere": 40}
"""Share of payments that are submitted twice, in thousandths: to one region, or to two regions at once."""


@dataclass(frozen=True)
class Mix:
    """What is sent: shares in thousandths by token and by kind of duplicate."""

    trouble: Mapping[str, int]
    duplicates: Mapping[Copies, int]


MIXES: Mapping[str, Mix] = {
    "everything": Mix(TROUBLE, DUPLICATES),
    "plain": Mix({"tok_declined": 50}, {"again": 50}),
    "same-key": Mix({"tok_declined": 100, "tok_lost_once": 100}, {"elsewhere": 1000}),
}


@dataclass(frozen=True)
class Planned:
    """One payment: what its caller sends, from where, and how often."""

    number: int
    key: str
    caller: str
    copies: Copies
    body: Mapping[str, Any]

    @property
    def token(self) -> str:
        return str(self.body["payment_method"])


def plan(
    count: int, seed: int, *, mix: Mix, run: str, merchants: Sequence[str], regions: Sequence[str]
) -> list[Planned]:
    """The payments of a run.

    Parameters
    ----------
    run
        Part of every idempotency key: a run repeated with the same seed makes new payments.
    merchants, regions
        Of the environment.
    """
    dice = random.Random(f"{seed}")
    planned = []
    for number in range(count):
        body = {
            "amount": dice.randint(100, 250_000),
            "currency": dice.choice(("EUR", "USD", "SGD")),
            "merchant_id": dice.choice(list(merchants)),
            "payment_method": _drawn(dice, mix.trouble, SETTLES).replace("{region}", dice.choice(list(regions))),
        }
        copies, caller = _drawn(dice, mix.duplicates, ""), dice.choice(CALLERS)
        planned.append(Planned(number=number, key=f"{run}-{seed}-{number}", caller=caller, copies=copies, body=body))
    return planned


def _drawn(dice: random.Random, shares: Mapping[Any, int], rest: Any) -> Any:
    draw = dice.randrange(1000)
    for name, share in shares.items():
        draw -= share
        if draw < 0:
            return name
    return rest
