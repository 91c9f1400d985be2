"""The payment metrics of all regions as one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from functions.aggregate_outcomes.handler import handler
from functions.aggregate_outcomes.logic import CloudWatchOutcomes, PartialDataError, minute_before, sum_up
from functions.aggregate_outcomes.settings import AggregateSettings
from functions.payments import aws
from functions.payments.settings import read
from functions.payments.telemetry import Metric
from tests.functions.conftest import ENVIRONMENT, Cloud
from tests.functions.fakes import Context

REGIONS = read(AggregateSettings, ENVIRONMENT).regions
MINUTE = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=5)
NOTHING = dict.fromkeys((metric.value for metric in Metric), 0)


class Counted:
    """The metrics of a region in memory; raises when it is down."""

    def __init__(self, error: Exception | None = None, **counts: int) -> None:
        self.counts, self.error = counts, error

    def sums(self, minute: datetime) -> Mapping[str, int]:
        if self.error:
            raise self.error
        return NOTHING | self.counts


DOWN = Counted(ConnectTimeoutError(endpoint_url="https://monitoring"))


def test_the_regions_are_summed_up_metric_by_metric() -> None:
    """PAY-12."""
    sources = {"a": Counted(PaymentsFailed=1, PaymentsReceived=9), "b": Counted(PaymentsFailed=2), "c": Counted()}
    sums, unreadable = sum_up(sources, MINUTE)
    assert sums == NOTHING | {"PaymentsFailed": 3, "PaymentsReceived": 9}
    assert unreadable == []


def test_a_region_that_is_down_does_not_hide_what_fails_in_the_others() -> None:
    """PAY-12."""
    sums, unreadable = sum_up({"a": DOWN, "b": Counted(PaymentsFailed=2), "c": Counted(PartialDataError())}, MINUTE)
    assert (sums["PaymentsFailed"], unreadable) == (2, ["a", "c"])


def test_when_nothing_can_be_read_nothing_is_claimed() -> None:
    """PAY-12: a sum of 0 would say that all is well."""
    assert sum_up({"a": DOWN, "b": DOWN}, MINUTE) == ({}, ["a", "b"])


@given(st.datetimes(min_value=datetime(2025, 1, 1), max_value=datetime(2026, 1, 1)))
def test_the_minute_is_over_and_settled_and_the_next_schedule_means_the_next_one(time: datetime) -> None:
    """PAY-12: each minute is summed up once, whatever the second of the schedule is."""
    minute = minute_before(time)
    assert timedelta(seconds=30) <= time - (minute + timedelta(minutes=1)) < timedelta(seconds=90)
    assert minute_before(time + timedelta(minutes=1)) == minute + timedelta(minutes=1)
    assert (minute.second, minute.microsecond) == (0, 0)


class CloudWatch:
    """Answers GetMetricData for what it counts, or as it is told."""

    def __init__(self, status: str = "Complete", **values: list[float]) -> None:
        self.status, self.values, self.asked = status, values, list[dict[str, Any]]()

    def get_metric_data(self, **request: Any) -> dict[str, Any]:
        self.asked.append(request)
        results = []
        for query in request["MetricDataQueries"]:
            name = query["MetricStat"]["Metric"]["MetricName"]
            results.append({"Id": query["Id"], "Values": self.values.get(name, []), "StatusCode": self.status})
        return {"MetricDataResults": results[::-1]}


def test_one_call_reads_one_minute_of_a_region() -> None:
    """PAY-12, PAY-21."""
    cloudwatch = CloudWatch(PaymentsSettled=[41.0])
    assert CloudWatchOutcomes(cloudwatch, "Tripoint").sums(MINUTE) == NOTHING | {"PaymentsSettled": 41}
    (request,) = cloudwatch.asked
    assert (request["StartTime"], request["EndTime"]) == (MINUTE, MINUTE + timedelta(minutes=1))
    queries = [query["MetricStat"] for query in request["MetricDataQueries"]]
    assert {(query["Period"], query["Stat"]) for query in queries} == {(60, "Sum")}
    assert {query["Metric"]["MetricName"] for query in queries} == set(NOTHING)
    assert queries[0]["Metric"]["Namespace"] == "Tripoint"
    assert queries[0]["Metric"]["Dimensions"] == [{"Name": "service", "Value": "payments"}]


@pytest.mark.parametrize("status", ["PartialData", "InternalError", "Forbidden"])
def test_half_an_answer_is_none(status: str) -> None:
    """PAY-12."""
    with pytest.raises(PartialDataError, match=status):
        CloudWatchOutcomes(CloudWatch(status), "Tripoint").sums(MINUTE)


def written(output: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return [line for line in lines if "_aws" in line]


def test_the_sums_are_written_for_their_minute_as_a_service_of_their_own(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    """PAY-12: from the metrics of three regions to one line in this one's log."""
    for number, region in enumerate(REGIONS):
        data = {
            "MetricName": "PaymentsFailed",
            "Dimensions": [{"Name": "service", "Value": "payments"}],
            "Timestamp": MINUTE + timedelta(seconds=59),
            "Value": number + 1,
        }
        late = data | {"Timestamp": MINUTE + timedelta(seconds=60), "Value": 1000}
        cloud.client("cloudwatch", region).put_metric_data(Namespace="Tripoint", MetricData=[data, late])
    time = (MINUTE + timedelta(seconds=95)).isoformat().replace("+00:00", "Z")
    answer = handler({"time": time}, Context())
    assert answer == {"minute": MINUTE.isoformat(), "sums": NOTHING | {"PaymentsFailed": 6}, "unreadable": []}
    # An event that comes twice writes the same value twice: who reads takes the highest, not the sum.
    assert handler({"time": time}, Context()) == answer
    line, again = written(capsys.readouterr().out)
    assert again == line
    assert line["_aws"]["Timestamp"] == MINUTE.timestamp() * 1000
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], directive["Dimensions"]) == ("Tripoint", [["service"]])
    assert {metric["Name"] for metric in directive["Metrics"]} == {*NOTHING, "RegionsUnreadable"}
    assert (line["service"], line["PaymentsFailed"], line["RegionsUnreadable"]) == (
        "payments-all-regions",
        [6.0],
        [0.0],
    )


def test_an_unreadable_region_is_counted_and_logged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """PAY-12: and the metrics of this region's own payments stay apart."""
    clients = {REGIONS[0]: CloudWatch(PaymentsSettled=[5.0]), REGIONS[1]: CloudWatch("Forbidden")}
    monkeypatch.setattr(aws, "client", lambda _, region: clients.get(region, object()))
    answer = handler({}, Context())
    assert answer["unreadable"] == list(REGIONS[1:])
    (line,) = written(capsys.readouterr().out)
    assert (line["PaymentsSettled"], line["RegionsUnreadable"]) == ([5.0], [2.0])
