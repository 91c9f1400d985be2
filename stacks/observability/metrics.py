"""The payment metrics, and the expressions over them that alarms and dashboards share.

The functions write them in CloudWatch's embedded metric format (functions/), once per final state of a payment.
"""

from __future__ import annotations

SERVICE = "payments"

RECEIVED = "PaymentsReceived"
SETTLED = "PaymentsSettled"
DECLINED = "PaymentsDeclined"
FAILED = "PaymentsFailed"
REFUNDED = "PaymentsRefunded"

# Final states, by the id they have in expressions. A decline is an answer, not a failure.
FINAL = {"settled": SETTLED, "declined": DECLINED, "failed": FAILED, "refunded": REFUNDED}

# Percent. FILL and IF: without them the ratio has no value in a quiet minute and the alarm never clears.
FAILURE_RATE = (
    "IF(FILL(settled, 0) + FILL(declined, 0) + FILL(failed, 0) + FILL(refunded, 0) > 0, "
    "100 * (FILL(failed, 0) + FILL(refunded, 0)) / "
    "(FILL(settled, 0) + FILL(declined, 0) + FILL(failed, 0) + FILL(refunded, 0)), 0)"
)
