"""Step 4 of the payment workflow."""

from __future__ import annotations

from typing import Any

from functions.issue_receipt.logic import issue_receipt
from functions.issue_receipt.settings import ReceiptSettings
from functions.payments import aws
from functions.payments.model import Payment
from functions.payments.receipts import S3Receipts
from functions.payments.settings import load
from functions.payments.telemetry import about, instrumented


@instrumented
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    payment = about(Payment.from_document(event))
    settings = load(ReceiptSettings)
    receipts = S3Receipts(aws.client("s3", settings.aws_region), settings.receipts_bucket, settings.receipts_key_arn)
    return issue_receipt(payment, receipts=receipts).to_document()
