"""The payment metrics of all regions as one.

CloudWatch alarms do not look into other regions, so each region's sums are read there and written
here under the same names, with a `service` of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from functions.payments.telemetry import Metric, logger

SERVICE = "payments-all-regions"
UNREADABLE = "RegionsUnreadable"

_COUNTED_AS = "payments"
_MINUTE = timedelta(minutes=1)
# From a count's line in the log to the metric takes some seconds; what comes later is never summed.
_SETTLING = timedelta(seconds=30)


class Outcomes(Protocol):
    """The payment metrics of one region."""

    def sums(self, minute: datetime) -> Mapping[str, int]:
        """What was counted in the minute that begins then, by metric; any error if that is not known."""
        ...


class PartialDataError(Exception):
    """CloudWatch answered, but not with everything it has."""


class CloudWatchOutcomes:
    """The metrics of a region in that region's CloudWatch."""

    def __init__(self, client: Any, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    def sums(self, minute: datetime) -> Mapping[str, int]:
        """See `Outcomes.sums`."""
        answer = self._client.get_metric_data(
            MetricDataQueries=[self._query(number, metric) for number, metric in enumerate(Metric)],
            StartTime=minute,
            EndTime=minute + _MINUTE,
        )
        found = {result["Id"]: result for result in answer["MetricDataResults"]}
        sums = {}
        for number, metric in enumerate(Metric):
            result = found.get(f"m{number}", {})
            if result.get("StatusCode") != "Complete":
                raise PartialDataError(f"{metric}: {result.get('StatusCode')}")
            sums[metric.value] = round(sum(result["Values"]))
        return sums

    def _query(self, number: int, metric: Metric) -> dict[str, Any]:
        name = {"Namespace": self._namespace, "MetricName": metric.value}
        dimensions = [{"Name": "service", "Value": _COUNTED_AS}]
        return {
            "Id": f"m{number}",
            "MetricStat": {"Metric": {**name, "Dimensions": dimensions}, "Period": 60, "Stat": "Sum"},
        }


def minute_before(time: datetime) -> datetime:
    """The start of the last minute that was over, and its counts had arrived, at a time."""
    return (time - _SETTLING).replace(second=0, microsecond=0) - _MINUTE


def sum_up(sources: Mapping[str, Outcomes], minute: datetime) -> tuple[dict[str, int], list[str]]:
    """The sums over all regions that can be read, and the regions that cannot.

    A region that is down must not hide what fails in the others. Where nothing was counted the sum
    is 0; where no region can be read there is none, because 0 would say that all is well.
    """
    sums = dict.fromkeys((metric.value for metric in Metric), 0)
    unreadable = []
    for region, source in sources.items():
        try:
            counted = source.sums(minute)
        except Exception as error:  # whatever it is: the others still count
            unreadable.append(region)
            logger.warning("region not readable", unreadable_region=region, error=type(error).__name__)
            continue
        for name in sums:
            sums[name] += counted[name]
    return (sums if len(unreadable) < len(sources) else {}), unreadable
