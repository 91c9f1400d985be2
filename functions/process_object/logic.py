"""Working on one version of an upload, once.

A session claims the work and later holds its result, so that a second delivery of the same event answers
the same summary. It is keyed by bucket, object and version. A crash leaves the claim to expire; the next
attempt then does the work again, to the same bytes. What fails without a crash gives its claim back.

`processed/<name>.json` belongs to the newest version of `incoming/<name>`, whatever the order in which
events come: the summary that is there is looked at first, then the upload's version, and the new summary
replaces only what was looked at. So whoever read an older version finds the summary changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from functions.payments.ids import digest
from functions.process_object.settlement import summarize
from functions.process_object.storage import Found, Uploads
from functions.sessions.model import Clock, now
from functions.sessions.table import Sessions
from functions.uploads import INCOMING
from functions.uploads.errors import (
    ClaimLostError,
    InvalidUploadRequestError,
    UploadBusyError,
    UploadNotFoundError,
    UploadSupersededError,
)
from functions.uploads.summary import Reason, Status, Summary, from_json

# Below the minute after which Lambda first retries an asynchronous event ("How Lambda handles errors and retries with
# asynchronous invocation"): the retry after a crash finds the claim expired.
CLAIM_S = 45
# S3 and Lambda deliver again within hours; after this the work would be done again, to the same bytes.
DONE_S = 7 * 24 * 3600

_SUMMARY = "summary"
_MAX_KEY_BYTES = 1024 - len("processed/.json")


class Upload(NamedTuple):
    """An object and the version of it that is meant; None for the newest."""

    bucket: str
    key: str
    version: str | None = None


class Outcome(NamedTuple):
    """The summary of an upload, and whether this call made it."""

    summary: Summary
    fresh: bool


def process(upload: Upload, *, uploads: Uploads, sessions: Sessions, max_bytes: int, clock: Clock = now) -> Outcome:
    """Make the summary of an upload, or find the one that was made.

    Raises
    ------
    InvalidUploadRequestError
        When the key is not that of an upload.
    UploadNotFoundError
        When no version was named and there is none.
    UploadSupersededError
        When the version is not the newest any more.
    UploadBusyError
        When somebody else is at it.
    """
    check_key(upload.key)
    version = upload.version or uploads.version(upload.key)
    if version is None:
        raise UploadNotFoundError("no such object")
    claim, created = sessions.create(
        session_id(upload._replace(version=version)), data={}, lifetime_s=CLAIM_S, at=clock()
    )
    if not created:
        return Outcome(_result(claim.data), False)
    try:
        there = uploads.summary_tag(upload.key)
        summary = _summarize(uploads.open(upload.key), version, max_bytes)
        # Reading may have taken longer than the claim lasts.
        if sessions.touch(claim, lifetime_s=CLAIM_S, at=clock()) is None:
            raise ClaimLostError("the claim has expired")
        # An object that has gone since it was summarized keeps its summary.
        if there is None or summary.reason is not Reason.VANISHED:
            uploads.put_summary(upload.key, summary, instead_of=there)
        sessions.save(claim, data={_SUMMARY: summary.to_json()}, lifetime_s=DONE_S, at=clock())
    except Exception:
        sessions.expire(claim, at=clock())
        raise
    return Outcome(summary, True)


def check_key(key: str) -> None:
    """Refuse a key that is not an upload's."""
    named = key.startswith(INCOMING) and not key.endswith("/")
    if not named or len(key.encode(errors="replace")) > _MAX_KEY_BYTES:
        raise InvalidUploadRequestError(f"key: a name after {INCOMING}, of {_MAX_KEY_BYTES} bytes at most")


def session_id(upload: Upload) -> str:
    """The session of a version of an upload. A digest: names that merchants give stay in their region."""
    text = "\n".join((upload.bucket, upload.key, upload.version or ""))
    return "upload#" + digest(text).hex()


def _summarize(found: Found | None, version: str, max_bytes: int) -> Summary:
    if found is None:
        return Summary(status=Status.REFUSED, reason=Reason.VANISHED, version=version)
    if found.version != version:
        raise UploadSupersededError("a newer version has come")
    if found.size > max_bytes:
        return Summary(
            status=Status.REFUSED,
            reason=Reason.TOO_LARGE,
            version=version,
            uploaded_at=found.uploaded_at,
            size=found.size,
        )
    return summarize(found.lines, version=version, uploaded_at=found.uploaded_at, size=found.size)


def _result(data: Mapping[str, str]) -> Summary:
    if _SUMMARY not in data:
        raise UploadBusyError("somebody else works on this version")
    return from_json(data[_SUMMARY])
