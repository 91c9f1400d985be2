"""The vault: the personal data of payers, in the region that accepted the payment and nowhere else.

A table of this region that is not replicated, under a key of its own. One item per payment:
`payment_id` (S, partition key), `payer` (M of S: `name`, `email`, `address`, as far as given),
`created_at` (S), `expires_at` (N, epoch seconds: the table's TTL attribute). The ledger, the
workflow, the events and the receipts know of it only which region has it: `payer_region`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, Protocol

from functions.payments import aws
from functions.payments.errors import VaultUnavailableError


@dataclass(frozen=True)
class Payer:
    """Who pays, as far as the merchant has told. Its `repr` tells nothing: it may end up in a log."""

    name: str = field(default="", repr=False)
    email: str = field(default="", repr=False)
    address: str = field(default="", repr=False)

    def to_document(self) -> dict[str, str]:
        """The fields that are known."""
        return {one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name)}


class Vault(Protocol):
    """What the logic asks of a vault."""

    def keep(self, payment_id: str, payer: Payer, *, at: str) -> None:
        """Keep the payer of a payment; the one that is there already stays."""
        ...

    def get(self, payment_id: str, *, at: str) -> Payer | None:
        """The payer of a payment, unless none is kept or its time is over."""
        ...


class DynamoVault:
    """The vault table of this region."""

    def __init__(self, client: Any, table: str, retention_days: int) -> None:
        self._client = client
        self._table = table
        self._retention = timedelta(days=retention_days)

    def keep(self, payment_id: str, payer: Payer, *, at: str) -> None:
        """See `Vault.keep`."""
        item = {
            "payment_id": {"S": payment_id},
            "payer": {"M": {name: {"S": value} for name, value in payer.to_document().items()}},
            "created_at": {"S": at},
            "expires_at": {"N": str(_epoch_seconds(at) + int(self._retention.total_seconds()))},
        }
        try:
            with _translated():
                self._client.put_item(
                    TableName=self._table, Item=item, ConditionExpression="attribute_not_exists(payment_id)"
                )
        except self._client.exceptions.ConditionalCheckFailedException:
            return

    def get(self, payment_id: str, *, at: str) -> Payer | None:
        """See `Vault.get`. DynamoDB deletes what has expired within days, not at once."""
        with _translated():
            answer = self._client.get_item(
                TableName=self._table, Key={"payment_id": {"S": payment_id}}, ConsistentRead=True
            )
        item = answer.get("Item")
        if not item or int(item["expires_at"]["N"]) <= _epoch_seconds(at):
            return None
        return Payer(**{name: value["S"] for name, value in item["payer"]["M"].items()})


def _epoch_seconds(at: str) -> int:
    return int(datetime.fromisoformat(at).timestamp())


def _translated() -> Any:
    return aws.translated(throttled=VaultUnavailableError, unavailable=VaultUnavailableError)
