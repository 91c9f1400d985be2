"""What a sweep has done, in CloudWatch's embedded metric format."""

from __future__ import annotations

from enum import StrEnum

from functions.payments.telemetry import Metric
from functions.sweep_payments.logic import Outcome, Sweep


class SweepMetric(StrEnum):
    """The dashboards and alarms name them. Each is written every minute, 0 when there was nothing."""

    RESUMED = "PaymentsResumed"
    RECOVERED = "PaymentsTakenOverLostEvent"
    TAKEN_OVER = "PaymentsTakenOverRegionDown"
    STUCK = "PaymentsStuck"
    NOT_SWEPT = "PaymentsNotSwept"
    OLDEST = "OldestOpenPayment"
    REGIONS_DOWN = "RegionsDown"
    DURATION = "SweepDuration"


def count(found: Sweep, *, duration_ms: float) -> None:
    """Write the metrics of one run."""
    from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

    counts = found.counts
    numbers = {
        SweepMetric.RESUMED: counts[Outcome.RESUMED],
        SweepMetric.RECOVERED: counts[Outcome.RECOVERED],
        SweepMetric.TAKEN_OVER: counts[Outcome.TAKEN_OVER],
        SweepMetric.STUCK: counts[Outcome.STUCK],
        SweepMetric.NOT_SWEPT: counts[Outcome.FAILED] + counts[Outcome.UNABLE],
        SweepMetric.REGIONS_DOWN: len(found.down),
        Metric.PAYMENTS_HANDED_OVER: counts[Outcome.HANDED_OVER],
    }
    metrics = EphemeralMetrics()
    for metric, number in numbers.items():
        metrics.add_metric(name=metric.value, unit=MetricUnit.Count, value=number)
    metrics.add_metric(name=SweepMetric.OLDEST.value, unit=MetricUnit.Seconds, value=found.oldest_s)
    metrics.add_metric(name=SweepMetric.DURATION.value, unit=MetricUnit.Milliseconds, value=duration_ms)
    metrics.flush_metrics()
