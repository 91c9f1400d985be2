"""The API answers with errors, or late."""

from __future__ import annotations

from shared.site import Site
from stacks.observability.alarms.alarm import AlarmSpec, Missing, at_once, sustained
from stacks.observability.metrics import PAYMENT_ROUTES, highest, payments_route, server_error_rate


def api_alarms(site: Site) -> list[AlarmSpec]:
    """Over the payment routes only: `/health` of a drained region answers 503 on purpose."""
    settings = site.settings.alarms
    return [
        AlarmSpec(
            thing="api-errors",
            says=f"the API answers more than {settings.api_5xx_percent:g} % of the requests for payments with 5XX. "
            "`tripoint drain` takes the region out of DNS.",
            what=server_error_rate(site),
            label="5XX, % of requests",
            above=settings.api_5xx_percent,
            # No requests, no errors.
            missing=Missing.IS_GOOD,
            patience=at_once(settings),
            vital=True,
        ),
        AlarmSpec(
            thing="api-latency",
            says="the API is slow (p99). It only accepts payments: look at the table and at cold starts.",
            what=highest([payments_route(site, *route, "Latency", "p99") for route in PAYMENT_ROUTES.values()]),
            label="Latency p99, ms",
            above=settings.api_latency_p99_ms,
            missing=Missing.IS_GOOD,
            patience=sustained(settings),
        ),
    ]
