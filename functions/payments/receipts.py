"""Receipts in S3: one object per payment.

Two executions may make the receipt of a payment, in two regions that replicate to each other. Key and
bytes are the same then, because they follow only from what was asked for and what the processor answered:
not from when or where the platform accepted it.
"""

from __future__ import annotations

import json
from typing import Any, Protocol

from functions.payments import aws
from functions.payments.errors import ReceiptsUnavailableError
from functions.payments.model import Payment


class Receipts(Protocol):
    """What the logic asks of the archive of receipts."""

    def put(self, key: str, body: bytes) -> None:
        """Keep a receipt; one that is there already stays."""
        ...


class S3Receipts:
    """Receipts in this region's bucket, encrypted with this region's key."""

    def __init__(self, client: Any, bucket: str, key_arn: str) -> None:
        self._client = client
        self._bucket = bucket
        self._key_arn = key_arn

    def put(self, key: str, body: bytes) -> None:
        """See `Receipts.put`. A repetition makes no second version to replicate."""
        from botocore.exceptions import ClientError

        try:
            with aws.translated(throttled=ReceiptsUnavailableError, unavailable=ReceiptsUnavailableError):
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=body,
                    ContentType="application/json",
                    ServerSideEncryption="aws:kms",
                    SSEKMSKeyId=self._key_arn,
                    IfNoneMatch="*",
                )
        except ClientError as error:
            code = aws.error_code(error)
            if code == "ConditionalRequestConflict":  # another put of this key is under way
                raise ReceiptsUnavailableError(code) from error
            if code != "PreconditionFailed":
                raise


def receipt_key(payment: Payment) -> str:
    """Where the receipt of a payment lies: by two characters of its id, then by the day it was captured.

    The id is random where the day is not: S3 splits its partitions by key prefix, and a prefix that is new each
    midnight would start unsplit, at 3,500 writes per second (S3 user guide, "Optimizing Amazon S3 performance").
    """
    spread = payment.payment_id.removeprefix("pay_")[:2]
    return f"receipts/{spread}/{payment.captured_at[:10].replace('-', '/')}/{payment.payment_id}.json"


def receipt_body(payment: Payment) -> bytes:
    """The receipt of a captured payment: the same bytes whenever it is made again."""
    document = {
        "payment_id": payment.payment_id,
        "merchant_id": payment.merchant_id,
        "amount": payment.amount,
        "currency": payment.currency,
        "authorization_id": payment.authorization_id,
        "capture_id": payment.capture_id,
        "captured_at": payment.captured_at,
    }
    return json.dumps(document, sort_keys=True).encode()
