"""The proof that a rollout works: a payment through every region's API, read back as settled from another region."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from rollout.payments import Order, PaymentApi
from shared.errors import TripointError

WANTED = "SETTLED"

Connect = Callable[[str], PaymentApi]
"""The API of a region, ready to be sent payments."""


@dataclass(frozen=True)
class SmokeResult:
    """One payment: sent to ``region``, read from ``read_from``. ``error`` is empty when all went well."""

    region: str
    read_from: str
    payment_id: str
    status: str
    seconds: float
    error: str = ""

    @property
    def ok(self) -> bool:
        return self.status == WANTED and not self.error

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "seconds": round(self.seconds, 2)}


def pairs(regions: Sequence[str]) -> list[tuple[str, str]]:
    """Which region pays and which one reads: each the next one's, around the circle."""
    return [(region, regions[(number + 1) % len(regions)]) for number, region in enumerate(regions)]


def run_smoke(
    regions: Sequence[str],
    *,
    order: Order,
    connect: Connect,
    say: Callable[[str], None],
    timeout_s: float = 120.0,
) -> list[SmokeResult]:
    """Pay once in every region, all at the same time.

    Parameters
    ----------
    order
        What to pay.
    connect
        Gives a region's API, for the order's merchant.
    say
        Told a line per step.
    """
    chosen = pairs(regions)
    with ThreadPoolExecutor(max_workers=len(chosen)) as pool:
        return list(
            pool.map(lambda pair: _pay(*pair, order=order, connect=connect, say=say, timeout_s=timeout_s), chosen)
        )


def _pay(
    region: str, read_from: str, *, order: Order, connect: Connect, say: Callable[[str], None], timeout_s: float
) -> SmokeResult:
    begin = time.monotonic()
    payment_id, status = "", ""
    try:
        with connect(region) as here, connect(read_from) as there:
            sent = here.send(order, timeout_s=timeout_s)
            payment_id, status = sent.id, sent.status
            say(f"smoke: {region} accepted payment {payment_id}")
            status = there.wait(payment_id, timeout_s=timeout_s).status
    except TripointError as error:
        say(f"smoke: {region} failed: {error}")
        return SmokeResult(region, read_from, payment_id, status, time.monotonic() - begin, str(error))
    seconds = time.monotonic() - begin
    say(f"smoke: {read_from} reads payment {payment_id} of {region} as {status} after {seconds:.1f} s")
    return SmokeResult(region, read_from, payment_id, status, seconds)
