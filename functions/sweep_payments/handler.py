"""Each minute: finishes the payments that nobody works on any more."""

from __future__ import annotations

import time
from typing import Any

from functions.payments import container
from functions.payments.settings import load
from functions.payments.telemetry import instrumented, logger
from functions.sweep_payments.counts import count
from functions.sweep_payments.logic import Rules, Sweeper
from functions.sweep_payments.settings import SweepSettings

# The next run comes a minute after this one; the last batch and the answer need some time too.
LONGEST_RUN_S = 45
SPARE_S = 5


@instrumented
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    settings = load(SweepSettings)
    begun = time.monotonic()
    end = begun + min(LONGEST_RUN_S, context.get_remaining_time_in_millis() / 1000 - SPARE_S)
    sweeper = Sweeper(
        Rules(
            region=settings.aws_region,
            order=settings.regions,
            stale_after_s=settings.stale_after_s,
            down_after_s=settings.down_after_s,
        ),
        regions=container.region_items(),
        open_payments=container.open_payments(),
        ledger=container.ledger(),
        workflow=container.workflow(),
        time_is_up=lambda: time.monotonic() >= end,
    )
    found = sweeper.run()
    count(found, duration_ms=(time.monotonic() - begun) * 1000)
    report = {
        **{outcome.value.replace(" ", "_"): number for outcome, number in found.counts.items()},
        "oldest_s": round(found.oldest_s, 3),
        "down": list(found.down),
        "complete": found.complete,
        "healthy": found.healthy,
    }
    logger.info("swept", sweep=report)
    return report
