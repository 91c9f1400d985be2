"""A settlement file: JSON Lines, one record per line with `payment_id`, `amount` (minor units), `currency`."""

from __future__ import annotations

import json
from collections.abc import Iterable

from functions.payments import ids
from functions.payments.errors import InvalidPaymentError
from functions.payments.money import check_amount, check_currency
from functions.uploads.summary import LineReason, Reason, RefusedLine, Status, Summary, Total

FIELDS = {"payment_id", "amount", "currency"}

# So that a summary stays far below the 400 KB of a DynamoDB item, whatever was uploaded.
MAX_REFUSED_LINES = 100


def summarize(lines: Iterable[bytes], *, version: str, uploaded_at: str, size: int) -> Summary:
    """Sum up the records of a file; what is no record is noted by line number. Blank lines are none."""
    totals: dict[str, Total] = {}
    noted: list[RefusedLine] = []
    accepted = refused = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        found = check(line)
        if isinstance(found, LineReason):
            refused += 1
            if len(noted) < MAX_REFUSED_LINES:
                noted.append(RefusedLine(number, found))
        else:
            currency, amount = found
            accepted += 1
            totals[currency] = totals.get(currency, Total()) + Total(1, amount)
    reason = None if accepted else Reason.NO_VALID_LINE if refused else Reason.EMPTY
    return Summary(
        status=Status.REFUSED if reason else Status.PROCESSED,
        reason=reason,
        version=version,
        uploaded_at=uploaded_at,
        size=size,
        accepted=accepted,
        refused=refused,
        refused_lines=tuple(noted),
        totals=totals,
    )


def check(line: bytes) -> tuple[str, int] | LineReason:
    """Currency and amount of a record, or why it is none."""
    try:
        record = json.loads(line.decode())
    except (ValueError, RecursionError):
        return LineReason.NOT_JSON
    # Nothing besides the three: a further field could be anything, a name for instance.
    if not isinstance(record, dict) or record.keys() != FIELDS:
        return LineReason.NOT_A_RECORD
    if not (isinstance(record["payment_id"], str) and ids.is_payment_id(record["payment_id"])):
        return LineReason.PAYMENT_ID
    try:
        return check_currency(record["currency"]), check_amount(record["amount"])
    except InvalidPaymentError as error:
        return LineReason(error.field)
