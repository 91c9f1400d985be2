"""Totals over the summaries of uploads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from functions.analyze_uploads.storage import Summaries
from functions.payments.telemetry import logger
from functions.uploads import PROCESSED
from functions.uploads.errors import InvalidUploadRequestError
from functions.uploads.summary import Status, Total, from_json

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class Query:
    """Which uploads: those whose name after `incoming/` starts with `prefix`, uploaded on `day` (UTC); all if empty."""

    prefix: str = ""
    day: str = ""


def asked(event: Mapping[str, Any]) -> Query:
    """The query of an event with `prefix`, `day`, both or none, or InvalidUploadRequestError."""
    prefix, day = event.get("prefix", ""), event.get("day", "")
    if not event.keys() <= {"prefix", "day"} or not isinstance(prefix, str) or not isinstance(day, str):
        raise InvalidUploadRequestError("only prefix and day, both text")
    if day and not _DAY.fullmatch(day):
        raise InvalidUploadRequestError("day: a date such as 2025-03-01")
    return Query(prefix, day)


def analyze(query: Query, *, summaries: Summaries) -> dict[str, Any]:
    """Sum up what the query is about. What is no summary is counted as unreadable."""
    counts = {"processed": 0, "refused": 0, "unreadable": 0, "accepted_lines": 0, "refused_lines": 0}
    totals: dict[str, Total] = {}
    for listed in summaries.list(PROCESSED + query.prefix):
        # A summary is written after its upload: what is older need not be read.
        body = summaries.read(listed.key) if listed.written_on >= query.day else None
        if body is None:
            continue
        try:
            summary = from_json(body)
        except ValueError:
            counts["unreadable"] += 1
            logger.warning("no summary")
            continue
        if not summary.uploaded_at.startswith(query.day):
            continue
        counts["processed" if summary.status is Status.PROCESSED else "refused"] += 1
        counts["accepted_lines"] += summary.accepted
        counts["refused_lines"] += summary.refused
        for currency, total in summary.totals.items():
            totals[currency] = totals.get(currency, Total()) + total
    return {
        **counts,
        "totals": {
            currency: {"records": one.records, "amount": one.amount} for currency, one in sorted(totals.items())
        },
    }
