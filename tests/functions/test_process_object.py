"""A settlement file becomes a summary, once per version, on a bucket and a table in memory (moto)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote_plus

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from functions import payments_api, process_object
from functions.payments import ids
from functions.process_object import logic, storage
from functions.process_object.handler import handler
from functions.process_object.logic import CLAIM_S, Upload, process, session_id
from functions.process_object.settlement import MAX_REFUSED_LINES, check, summarize
from functions.process_object.storage import S3Uploads
from functions.sessions.errors import SessionsUnavailableError
from functions.sessions.table import DynamoSessions
from functions.uploads import INCOMING, PROCESSED, summary_key
from functions.uploads.errors import (
    ClaimLostError,
    InvalidUploadRequestError,
    SummaryConflictError,
    UploadBusyError,
    UploadsUnavailableError,
    UploadSupersededError,
)
from functions.uploads.summary import LineReason, Reason, Status, Total, from_json
from tests.functions.conftest import ENVIRONMENT, Cloud
from tests.functions.fakes import REGION, Context

BUCKET = ENVIRONMENT["UPLOADS_BUCKET"]
KEY = "incoming/m-1/2025-03-01 a.jsonl"
PAYMENT = ids.payment_id("m-1", "key-1")
AT = 1_900_000_000


def line(payment_id: Any = PAYMENT, amount: Any = 1299, currency: Any = "EUR", **more: Any) -> bytes:
    return json.dumps({"payment_id": payment_id, "amount": amount, "currency": currency, **more}).encode()


FILE = b"\n".join([line(), line(amount=1), b"", line(amount=500, currency="JPY"), b"{", line(currency="XXX"), b""])


class Region:
    """A bucket and a table, and the work on them with a clock that stands still."""

    def __init__(self, cloud: Cloud) -> None:
        self.s3 = cloud.client("s3")
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        cloud.table("sessions", "session_id")
        self.sessions = DynamoSessions(cloud.dynamodb, "sessions")
        self.uploads = S3Uploads(self.s3, BUCKET, ENVIRONMENT["UPLOADS_KEY_ARN"])
        self.at = AT

    def put(self, body: bytes = FILE, key: str = KEY) -> str:
        return str(self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)["VersionId"])

    def process(self, version: str | None = None, key: str = KEY, max_bytes: int = 10_000) -> logic.Outcome:
        upload = Upload(BUCKET, key, version)
        return process(upload, uploads=self.uploads, sessions=self.sessions, max_bytes=max_bytes, clock=lambda: self.at)

    def written(self, key: str = KEY) -> bytes:
        body: bytes = self.s3.get_object(Bucket=BUCKET, Key=summary_key(key))["Body"].read()
        return body

    def summaries(self) -> list[dict[str, Any]]:
        """Every version of every summary."""
        found: list[dict[str, Any]] = self.s3.list_object_versions(Bucket=BUCKET, Prefix=PROCESSED).get("Versions", [])
        return found


@pytest.fixture
def region(cloud: Cloud) -> Region:
    return Region(cloud)


# -- lines ----------------------------------------------------------------------------------------


def test_records_are_summed_by_currency_and_other_lines_noted_by_number() -> None:
    """OPT-06."""
    summary = summarize(iter(FILE.split(b"\n")), version="v", uploaded_at="t", size=9)
    assert summary.status is Status.PROCESSED
    assert summary.totals == {"EUR": Total(2, 1300), "JPY": Total(1, 500)}
    assert (summary.accepted, summary.refused) == (3, 2)
    assert [(one.line, one.reason) for one in summary.refused_lines] == [
        (5, LineReason.NOT_JSON),
        (6, LineReason.CURRENCY),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"\xff", LineReason.NOT_JSON),
        (b"[" * 100_000, LineReason.NOT_JSON),
        (b'{"amount": ' + b"9" * 5000 + b"}", LineReason.NOT_JSON),
        (b"[]", LineReason.NOT_A_RECORD),
        (b"null", LineReason.NOT_A_RECORD),
        (line(name="Ada Lovelace"), LineReason.NOT_A_RECORD),
        (b'{"amount": 1}', LineReason.NOT_A_RECORD),
        (line(payment_id="pay_1"), LineReason.PAYMENT_ID),
        (line(payment_id=7), LineReason.PAYMENT_ID),
        (line(amount=0), LineReason.AMOUNT),
        (line(amount=True), LineReason.AMOUNT),
        (line(amount=12.5), LineReason.AMOUNT),
        (line(amount="12"), LineReason.AMOUNT),
        (line(currency="eur"), LineReason.CURRENCY),
        (line(currency=["EUR"]), LineReason.CURRENCY),
    ],
)
def test_a_line_that_is_no_record_is_told_by_its_kind_only(text: bytes, reason: LineReason) -> None:
    assert check(text) is reason


def test_a_summary_tells_nothing_that_a_line_said() -> None:
    """PAY-22: no personal data leaves the file."""
    lines = [line(name="Ada Lovelace"), line(payment_id="ada@lovelace.example"), b"Ada", line()]
    text = summarize(iter(lines), version="v", uploaded_at="t", size=9).to_json().lower()
    assert "ada" not in text
    assert "lovelace" not in text


def test_so_many_refused_lines_are_noted_and_the_others_counted() -> None:
    summary = summarize(iter([b"x"] * 5000), version="v", uploaded_at="t", size=9)
    assert (summary.refused, len(summary.refused_lines)) == (5000, MAX_REFUSED_LINES)
    assert len(summary.to_json()) < 10_000


@given(st.lists(st.binary(max_size=30) | st.builds(line, amount=st.integers(1, 10**12 - 1)), max_size=20))
def test_a_summary_survives_its_json_and_counts_every_line_once(lines: list[bytes]) -> None:
    summary = summarize(iter(lines), version="v", uploaded_at="t", size=1)
    assert from_json(summary.to_json()) == summary
    assert summary.accepted + summary.refused == sum(bool(one.strip()) for one in lines)
    assert summary.accepted == sum(total.records for total in summary.totals.values())


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"status": "processed"}', "7"])
def test_what_is_no_summary_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        from_json(text)


# -- once -----------------------------------------------------------------------------------------


def test_an_upload_has_its_summary_beside_it_under_the_regions_key(region: Region) -> None:
    """OPT-06, PAY-19."""
    version = region.put()
    summary, fresh = region.process(version)
    assert fresh
    assert from_json(region.written()) == summary
    assert (summary.version, summary.size) == (version, len(FILE))
    head = region.s3.head_object(Bucket=BUCKET, Key="processed/m-1/2025-03-01 a.jsonl.json")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", ENVIRONMENT["UPLOADS_KEY_ARN"])


def test_a_second_delivery_answers_the_same_summary_and_writes_nothing(region: Region) -> None:
    """OPT-06: idempotent by object version."""
    version = region.put()
    first = region.process(version)
    region.at += 3600
    assert region.process(version) == (first.summary, False)
    assert len(region.summaries()) == 1


def test_who_comes_while_another_works_is_sent_away(region: Region) -> None:
    version = region.put()
    region.sessions.create(session_id(Upload(BUCKET, KEY, version)), data={}, lifetime_s=CLAIM_S, at=AT)
    with pytest.raises(UploadBusyError):
        region.process(version)
    assert region.summaries() == []


def test_after_a_crash_the_claim_expires_and_the_same_bytes_are_written(region: Region) -> None:
    """OPT-06: Lambda's first retry comes a minute later."""
    version = region.put()
    region.process(version)
    before = region.written()
    # The crash came after the summary and before the result: as if only the claim were there.
    id = session_id(Upload(BUCKET, KEY, version))
    done = region.sessions.read(id, at=AT)
    assert done is not None
    region.sessions.expire(done, at=AT)
    region.sessions.create(id, data={}, lifetime_s=CLAIM_S, at=AT)
    region.at += 60
    assert CLAIM_S < 60
    assert region.process(version).fresh
    assert region.written() == before


def test_a_failure_gives_the_claim_back(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    version = region.put()

    def refuse(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "SlowDown"}}, "PutObject")

    with monkeypatch.context() as patched:
        patched.setattr(region.s3, "put_object", refuse)
        with pytest.raises(UploadsUnavailableError):
            region.process(version)
    assert region.process(version).fresh


def test_who_was_too_slow_writes_nothing(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    version = region.put()
    open = region.uploads.open

    def slow(key: str) -> Any:
        region.at += CLAIM_S
        return open(key)

    monkeypatch.setattr(region.uploads, "open", slow)
    with pytest.raises(ClaimLostError):
        region.process(version)
    assert region.summaries() == []


def test_a_new_version_is_work_of_its_own_and_takes_the_summarys_place(region: Region) -> None:
    first, second = region.put(), region.put(line())
    with pytest.raises(UploadSupersededError):
        region.process(first)
    summary = region.process(second).summary
    assert summary.accepted == 1
    assert from_json(region.written()) == summary
    third = region.put()
    assert region.process(third).summary == from_json(region.written())
    assert region.process(second) == (summary, False)


def test_of_two_versions_at_once_the_newer_ones_summary_stays(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newer version comes, and is done, right after the older one was read."""
    first = region.put()
    newer: list[logic.Outcome] = []
    touch = region.sessions.touch

    def overtaken(*arguments: Any, **options: Any) -> Any:
        monkeypatch.undo()
        newer.append(region.process(region.put(line())))
        return touch(*arguments, **options)

    monkeypatch.setattr(region.sessions, "touch", overtaken)
    with pytest.raises(SummaryConflictError):
        region.process(first)
    assert from_json(region.written()) == newer[0].summary
    with pytest.raises(UploadSupersededError):
        region.process(first)


def test_the_session_does_not_name_the_object(region: Region, cloud: Cloud) -> None:
    """PAY-22: names that merchants give stay in their region; sessions are in every region."""
    region.process(region.put())
    assert "m-1" not in json.dumps(cloud.dynamodb.scan(TableName="sessions")["Items"])


# -- refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b"", Reason.EMPTY), (b"\n\n", Reason.EMPTY), (b"<xml/>", Reason.NO_VALID_LINE), (b"x" * 101, Reason.TOO_LARGE)],
)
def test_what_no_retry_would_mend_is_recorded_as_refused(region: Region, body: bytes, reason: Reason) -> None:
    """OPT-06."""
    version = region.put(body)
    summary = region.process(version, max_bytes=100).summary
    assert (summary.status, summary.reason) == (Status.REFUSED, reason)
    assert from_json(region.written()) == summary
    assert region.process(version) == (summary, False)


def test_what_is_too_large_is_not_read(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(body: Any) -> Iterator[bytes]:
        raise AssertionError("read")
        yield b""

    monkeypatch.setattr(storage, "_lines", read)
    assert region.process(region.put(b"x" * 101), max_bytes=100).summary.size == 101


def test_what_vanished_before_it_was_read_is_recorded_as_refused(region: Region) -> None:
    version = region.put()
    region.s3.delete_object(Bucket=BUCKET, Key=KEY)
    summary = region.process(version).summary
    assert summary.reason is Reason.VANISHED
    assert from_json(region.written()) == summary


def test_an_old_delivery_of_what_has_gone_leaves_its_summary_alone(region: Region) -> None:
    version = region.put()
    summary = region.process(version).summary
    region.s3.delete_object(Bucket=BUCKET, Key=KEY)
    region.at += logic.DONE_S
    assert region.process(version).summary.reason is Reason.VANISHED
    assert from_json(region.written()) == summary


@pytest.mark.parametrize("key", ["", "x", "processed/x.json", "incoming/", "incoming/a/", "incoming/" + "x" * 1020])
def test_only_uploads_are_processed(region: Region, key: str) -> None:
    with pytest.raises(InvalidUploadRequestError, match="incoming/"):
        region.process("v", key)


@pytest.mark.parametrize(("code", "kind"), [("AccessDenied", ClientError), ("SlowDown", UploadsUnavailableError)])
def test_what_s3_refuses_is_an_error_and_no_refusal(
    region: Region, monkeypatch: pytest.MonkeyPatch, code: str, kind: type[Exception]
) -> None:
    version = region.put()

    def refuse(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": code}}, "GetObject")

    monkeypatch.setattr(region.s3, "get_object", refuse)
    with pytest.raises(kind):
        region.process(version)
    assert region.summaries() == []


# -- the handler ----------------------------------------------------------------------------------


def told(*versions: str, key: str = KEY) -> dict[str, Any]:
    """An event of S3."""
    return {
        "Records": [
            {
                "eventName": "ObjectCreated:Put",
                "s3": {
                    "bucket": {"name": BUCKET},
                    "object": {"key": quote_plus(key, safe="/"), "versionId": version},
                },
            }
            for version in versions
        ]
    }


def asked(body: object, path: str = "/process", method: str = "POST", **event: Any) -> tuple[int, dict[str, Any]]:
    """A request as API Gateway hands it on."""
    request = {
        "httpMethod": method,
        "path": path,
        "headers": {},
        "multiValueHeaders": {},
        "body": body if isinstance(body, str) else json.dumps(body),
        "requestContext": {"path": path, "requestId": "r"},
        **event,
    }
    answer = handler(request, Context())
    return answer["statusCode"], json.loads(answer["body"])


def counted(output: str) -> list[str]:
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return [
        metric["Name"] for line in lines if "_aws" in line for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]
    ]


def test_an_event_is_worked_off_and_counted_once(region: Region, capsys: pytest.CaptureFixture[str]) -> None:
    """OPT-06."""
    old, version = region.put(b"x"), region.put()
    first, second = (handler(told(old, version), Context()) for _ in range(2))
    assert first == second == {"summaries": [json.loads(region.written())]}
    handler(told(region.put(b"", key="incoming/x"), key="incoming/x"), Context())
    output = capsys.readouterr().out
    assert counted(output) == ["UploadsProcessed", "UploadsRefused"]
    assert "m-1" not in output


def test_an_event_that_cannot_be_read_fails(region: Region) -> None:
    """Lambda retries it, then it goes to the dead-letter queue."""
    with pytest.raises(KeyError):
        handler({"Records": [{}]}, Context())


def test_over_http_the_newest_version_is_processed_and_answered(region: Region) -> None:
    """OPT-06."""
    region.put(b"old")
    version = region.put()
    status, body = asked({"key": KEY}, path="/v1/process")
    assert status == 200
    assert body["summary"] == json.loads(region.written())
    assert body["summary"]["version"] == version
    assert body["summary_key"] == summary_key(KEY)
    # The event of the same version finds it done.
    assert handler(told(version), Context())["summaries"] == [body["summary"]]
    assert len(region.summaries()) == 1


@pytest.mark.parametrize(
    "body",
    ["", "{", "[]", "[" * 100_000, {}, {"key": 1}, {"key": "processed/x"}, {"key": KEY, "more": 1}, {"key": "x"}],
)
def test_a_bad_request_is_told_what_is_allowed(region: Region, body: object) -> None:
    status, answer = asked(body)
    assert (status, answer["error"]["code"]) == (400, "invalid_request")
    assert "incoming/" in answer["error"]["message"]


def test_a_body_in_base64_is_read_or_refused(region: Region) -> None:
    region.put()
    text = base64.b64encode(json.dumps({"key": KEY}).encode()).decode()
    assert asked(text, isBase64Encoded=True)[0] == 200
    assert asked("/w==", isBase64Encoded=True)[0] == 400


def test_what_is_not_there_is_not_found_and_leaves_nothing(region: Region, cloud: Cloud) -> None:
    assert asked({"key": KEY}) == (404, {"error": {"code": "not_found", "message": "no such object"}})
    assert asked({}, path="/other")[0] == asked({}, method="GET")[0] == 404
    assert cloud.dynamodb.scan(TableName="sessions")["Count"] == 0


def test_what_is_too_large_is_413_and_recorded(region: Region) -> None:
    region.put(b"x" * (1024 * 1024 + 1))
    status, body = asked({"key": KEY})
    assert (status, body["error"]["code"]) == (413, "too_large")
    assert from_json(region.written()).reason is Reason.TOO_LARGE


@pytest.mark.parametrize(
    ("error", "status"),
    [(UploadBusyError("x"), 409), (UploadSupersededError("x"), 409), (SessionsUnavailableError("x"), 503)],
)
def test_what_the_caller_may_try_again_is_told_so(
    region: Region, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise error

    region.put()
    monkeypatch.setattr(DynamoSessions, "create", refuse)
    assert asked({"key": KEY})[0] == status


def test_any_other_error_stays_in_the_log(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise RuntimeError("arn:secret")

    monkeypatch.setattr(DynamoSessions, "create", refuse)
    region.put()
    status, body = asked({"key": KEY})
    assert status == 500
    assert "secret" not in json.dumps(body)


def test_the_base_path_is_that_of_the_api_it_shares() -> None:
    assert process_object.API_BASE_PATH == payments_api.API_BASE_PATH


def test_summaries_never_look_like_uploads() -> None:
    """What the function writes must not invoke it again."""
    assert not summary_key(KEY).startswith(INCOMING)
    assert not PROCESSED.startswith(INCOMING)
