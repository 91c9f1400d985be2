"""Logs, metrics and traces of every function, by AWS Lambda Powertools."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from functools import cache, wraps
from typing import Any

from aws_lambda_powertools import Logger

from functions.payments.model import Payment

Handler = Callable[[Any, Any], Any]

logger = Logger()


class Metric(StrEnum):
    """Counts of payments; the dashboard and the failure-rate alarm name them."""

    PAYMENTS_RECEIVED = "PaymentsReceived"
    PAYMENTS_SETTLED = "PaymentsSettled"
    PAYMENTS_DECLINED = "PaymentsDeclined"
    PAYMENTS_FAILED = "PaymentsFailed"
    PAYMENTS_REFUNDED = "PaymentsRefunded"
    PAYMENTS_HANDED_OVER = "PaymentsHandedOver"


def count(metric: Metric) -> None:
    """Count one payment. Written at once: a container that dies later has still counted it."""
    from aws_lambda_powertools.metrics import MetricUnit

    metrics = _metrics()
    metrics.add_metric(name=metric.value, unit=MetricUnit.Count, value=1)
    metrics.flush_metrics()


def write_sums(service: str, sums: Mapping[str, int], *, at: datetime) -> None:
    """Write counts as metrics of a service of their own, for a minute that has passed."""
    from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

    metrics = EphemeralMetrics(service=service)
    metrics.set_timestamp(at)
    for name, value in sums.items():
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)
    metrics.flush_metrics()


def about(payment: Payment) -> Payment:
    """Let every further log line of this invocation name the payment."""
    logger.append_keys(payment_id=payment.payment_id, merchant_id=payment.merchant_id)
    return payment


def instrumented(handler: Handler) -> Handler:
    """Give a handler its log context, and its trace when this invocation is sampled.

    The X-Ray SDK costs about as much to import as everything else together, so a container
    loads it with the first sampled invocation, not before.
    """
    logged: Handler = logger.inject_lambda_context(clear_state=True)(handler)

    @wraps(handler)
    def wrapper(event: Any, context: Any) -> Any:
        if "Sampled=1" in os.environ.get("_X_AMZN_TRACE_ID", ""):
            return _traced(logged)(event, context)
        return logged(event, context)

    return wrapper


@cache
def _metrics() -> Any:
    from aws_lambda_powertools.metrics import Metrics

    return Metrics()


@cache
def _traced(handler: Handler) -> Handler:
    from aws_lambda_powertools.tracing import Tracer

    tracer = Tracer(auto_patch=False)
    tracer.patch(["botocore"])
    # Answers carry payments and errors may quote requests: neither belongs in a trace.
    traced: Handler = tracer.capture_lambda_handler(handler, capture_response=False, capture_error=False)
    return traced
