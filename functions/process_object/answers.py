"""What `POST /process` answers."""

from __future__ import annotations

import json
from typing import Any

from functions.payments import gateway
from functions.payments.errors import TransientError
from functions.payments.gateway import Answer
from functions.payments.telemetry import logger
from functions.uploads import summary_key
from functions.uploads.errors import (
    ClaimLostError,
    InvalidUploadRequestError,
    SummaryConflictError,
    UploadBusyError,
    UploadNotFoundError,
    UploadSupersededError,
)
from functions.uploads.summary import Reason, Summary

_CONFLICTS = (UploadBusyError, UploadSupersededError, SummaryConflictError, ClaimLostError)


def summarized(key: str, summary: Summary) -> Answer:
    """200 with the summary, refused lines and all; 404 and 413 where nothing was read."""
    if summary.reason is Reason.VANISHED:
        return _error(404, "not_found", "no such object")
    if summary.reason is Reason.TOO_LARGE:
        return _error(413, "too_large", f"the object has {summary.size} bytes, more than is processed")
    return _answer(200, {"key": key, "summary_key": summary_key(key), "summary": json.loads(summary.to_json())})


def failed(error: Exception) -> Answer:
    """The answer to any error; what is not ours to tell stays in the log."""
    if isinstance(error, InvalidUploadRequestError):
        return _error(400, "invalid_request", str(error))
    if isinstance(error, UploadNotFoundError):
        return _error(404, "not_found", str(error))
    if isinstance(error, _CONFLICTS):
        return _error(409, "busy", "another request or event works on this object; ask again in a minute")
    if isinstance(error, TransientError):
        logger.warning("downstream is not able", error=type(error).__name__, detail=str(error))
        return _error(503, "try_again", "the same request again will do no harm")
    logger.exception("request failed")
    return _error(500, "internal", "the request failed; the same request again does no harm")


def no_such_resource() -> Answer:
    """The answer to any other path or method."""
    return _error(404, "not_found", "no such resource")


def _error(status: int, code: str, message: str) -> Answer:
    return _answer(status, {"error": {"code": code, "message": message}})


def _answer(status: int, body: dict[str, Any]) -> Answer:
    return gateway.answer(status, body, {"Cache-Control": "no-store"})
