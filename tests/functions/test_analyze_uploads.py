"""Totals over summaries, from a bucket in memory (moto)."""

from __future__ import annotations

from typing import Any

import pytest

from functions.analyze_uploads.handler import handler
from functions.analyze_uploads.logic import Query, analyze
from functions.analyze_uploads.storage import Listed, S3Summaries
from functions.uploads.errors import InvalidUploadRequestError
from functions.uploads.summary import Reason, Status, Summary, Total
from tests.functions.conftest import ENVIRONMENT, Cloud
from tests.functions.fakes import REGION, Context

BUCKET = ENVIRONMENT["UPLOADS_BUCKET"]
NOTHING = {"processed": 0, "refused": 0, "unreadable": 0, "accepted_lines": 0, "refused_lines": 0, "totals": {}}


def summary(amount: int, currency: str = "EUR", day: str = "2025-03-01", **changes: Any) -> str:
    fields = {"status": Status.PROCESSED, "accepted": 1, "totals": {currency: Total(1, amount)}, **changes}
    return Summary(version="v", uploaded_at=f"{day}T12:00:00Z", **fields).to_json()


REFUSED = summary(0, status=Status.REFUSED, reason=Reason.NO_VALID_LINE, accepted=0, refused=7, totals={})


@pytest.fixture
def bucket(cloud: Cloud) -> Any:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    objects = {
        "processed/m-1/a.json": summary(1),
        "processed/m-1/b.json": summary(10, "JPY"),
        "processed/m-1/c.json": summary(100, day="2025-03-02"),
        "processed/m-2/a.json": summary(1000),
        "processed/m-2/b.json": REFUSED,
        "processed/m-2/c.json": "no summary",
        "incoming/m-1/a": "not read",
    }
    for key, body in objects.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=body.encode())
    return s3


def call(**query: Any) -> dict[str, Any]:
    return handler(query, Context())


def test_everything_is_summed_up_by_currency(bucket: Any) -> None:
    """OPT-06."""
    assert call() == {
        "processed": 4,
        "refused": 1,
        "unreadable": 1,
        "accepted_lines": 4,
        "refused_lines": 7,
        "totals": {"EUR": {"records": 3, "amount": 1101}, "JPY": {"records": 1, "amount": 10}},
    }


@pytest.mark.parametrize(
    ("query", "amount"),
    [
        ({"prefix": "m-1/"}, 101),
        ({"day": "2025-03-01"}, 1001),
        ({"prefix": "m-1/", "day": "2025-03-02"}, 100),
    ],
)
def test_a_prefix_a_day_or_both_choose(bucket: Any, query: dict[str, str], amount: int) -> None:
    """OPT-06."""
    assert call(**query)["totals"]["EUR"]["amount"] == amount


def test_where_nothing_matches_there_is_nothing(bucket: Any) -> None:
    assert call(prefix="m-3/") == NOTHING
    # Days to come: nothing that was written before is read.
    assert call(day="2999-01-01") == NOTHING


@pytest.mark.parametrize("query", [{"day": "1.3.2025"}, {"day": 7}, {"prefix": None}, {"month": "2025-03"}])
def test_a_query_that_means_nothing_is_refused(query: dict[str, Any]) -> None:
    with pytest.raises(InvalidUploadRequestError):
        call(**query)


def test_every_page_is_read(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = bucket.list_objects_v2
    monkeypatch.setattr(bucket, "list_objects_v2", lambda **request: listed(MaxKeys=2, **request))
    assert len(list(S3Summaries(bucket, BUCKET).list("processed/"))) == 6


def test_a_summary_that_went_meanwhile_is_left_out(bucket: Any) -> None:
    class Gone(S3Summaries):
        def list(self, prefix: str) -> Any:
            return iter([Listed("processed/gone.json", "2025-03-01")])

    assert analyze(Query(), summaries=Gone(bucket, BUCKET)) == NOTHING
