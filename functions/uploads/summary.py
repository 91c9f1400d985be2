"""The summary of an upload: sums and line numbers, nothing that a line said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple


class Status(StrEnum):
    """What became of an upload."""

    PROCESSED = "processed"
    REFUSED = "refused"


class Reason(StrEnum):
    """Why an upload was refused altogether; another attempt would end the same."""

    TOO_LARGE = "too_large"
    VANISHED = "vanished"
    EMPTY = "empty"
    NO_VALID_LINE = "no_valid_line"


class LineReason(StrEnum):
    """Why a line was refused."""

    NOT_JSON = "not_json"
    NOT_A_RECORD = "not_a_record"
    PAYMENT_ID = "payment_id"
    AMOUNT = "amount"
    CURRENCY = "currency"


class RefusedLine(NamedTuple):
    """A line by its number, counted from 1."""

    line: int
    reason: LineReason


@dataclass(frozen=True)
class Total:
    """Records of one currency, and their `amount` in its minor unit."""

    records: int = 0
    amount: int = 0

    def __add__(self, other: Total) -> Total:
        return Total(self.records + other.records, self.amount + other.amount)


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What one version of an upload came to.

    `size` is in bytes, `refused_lines` are the first of the `refused` lines. The same version gives the same summary,
    byte for byte.
    """

    status: Status
    version: str
    uploaded_at: str = ""
    size: int = 0
    reason: Reason | None = None
    accepted: int = 0
    refused: int = 0
    refused_lines: tuple[RefusedLine, ...] = ()
    totals: Mapping[str, Total] = field(default_factory=dict)

    def to_json(self) -> str:
        """The summary as JSON, always the same text."""
        document = {
            "status": self.status,
            "version": self.version,
            "uploaded_at": self.uploaded_at,
            "size": self.size,
            "reason": self.reason,
            "accepted": self.accepted,
            "refused": self.refused,
            "refused_lines": [{"line": one.line, "reason": one.reason} for one in self.refused_lines],
            "totals": {
                currency: {"records": one.records, "amount": one.amount} for currency, one in self.totals.items()
            },
        }
        return json.dumps(document, sort_keys=True)


def from_json(text: str | bytes) -> Summary:
    """A summary from its JSON.

    Raises
    ------
    ValueError
        When it is none.
    """
    try:
        found: dict[str, Any] = json.loads(text)
        return Summary(
            status=Status(found["status"]),
            version=str(found["version"]),
            uploaded_at=str(found["uploaded_at"]),
            size=int(found["size"]),
            reason=Reason(found["reason"]) if found["reason"] else None,
            accepted=int(found["accepted"]),
            refused=int(found["refused"]),
            refused_lines=tuple(RefusedLine(one["line"], LineReason(one["reason"])) for one in found["refused_lines"]),
            totals={name: Total(int(one["records"]), int(one["amount"])) for name, one in found["totals"].items()},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no summary: {type(error).__name__}") from error
