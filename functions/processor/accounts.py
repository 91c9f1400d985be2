"""The simulator's own record of money: one account per payment.

An account holds all operations of its payment, so that one conditional write decides between a
capture and a void that race. In DynamoDB the partition key `operation_key` holds the part that
the operation keys of one payment share: the payment id. Attributes: `amount`, `currency`,
`payment_method`, `accepted_in`, `region`, `epoch`, `authorized`, `captured`, `refunded` (minor units),
`voided` (BOOL), `declined` (why), `version`, `attempts` and `outcomes` (JSON, by operation).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from functions.payments import aws
from functions.payments.errors import ProcessorThrottledError, ProcessorUnavailableError


@dataclass(frozen=True)
class Account:
    """What the processor knows of one payment; the amounts are in minor units."""

    payment_id: str
    amount: int
    currency: str
    payment_method: str
    accepted_in: str = ""
    region: str = ""
    epoch: int = 1
    authorized: int = 0
    captured: int = 0
    refunded: int = 0
    voided: bool = False
    declined: str = ""
    version: int = 0
    attempts: Mapping[str, int] = field(default_factory=dict)
    outcomes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class Accounts(Protocol):
    """Where accounts are kept."""

    def load(self, payment_id: str) -> Account | None:
        """The account as last written."""
        ...

    def save(self, account: Account) -> Account | None:
        """Write the successor of version `account.version - 1` (0: there is none yet).
        None when done, else the account that is there instead."""
        ...

    def all(self) -> Iterator[Account]:
        """Every account, for a reconciler."""
        ...


class InMemoryAccounts:
    """Accounts of one process, for tests."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}

    def load(self, payment_id: str) -> Account | None:
        """See `Accounts.load`."""
        return self._accounts.get(payment_id)

    def save(self, account: Account) -> Account | None:
        """See `Accounts.save`."""
        current = self._accounts.get(account.payment_id)
        if (current.version if current else 0) != account.version - 1:
            return current
        self._accounts[account.payment_id] = account
        return None

    def all(self) -> Iterator[Account]:
        """See `Accounts.all`."""
        return iter(list(self._accounts.values()))


class DynamoAccounts:
    """Accounts in DynamoDB.

    `table` is a name, or the ARN of a table that may be in another region: the simulator stands
    for one processor, so all regions share one record. `client` is the container's when left out.
    """

    def __init__(self, table: str, region: str, client: Any = None) -> None:
        parts = table.split(":")
        if len(parts) == 6 and parts[0] == "arn":
            table, region = parts[5].removeprefix("table/"), parts[3]
        self._table = table
        self._client = client or aws.client("dynamodb", region)

    def load(self, payment_id: str) -> Account | None:
        """See `Accounts.load`."""
        with _translated():
            answer = self._client.get_item(
                TableName=self._table,
                Key={"operation_key": {"S": payment_id}},
                ConsistentRead=True,
            )
        return _from_item(answer["Item"]) if "Item" in answer else None

    def save(self, account: Account) -> Account | None:
        """See `Accounts.save`."""
        request: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(operation_key)"}
        if account.version > 1:
            request = {
                "ConditionExpression": "#version = :before",
                "ExpressionAttributeNames": {"#version": "version"},
                "ExpressionAttributeValues": {":before": {"N": str(account.version - 1)}},
            }
        try:
            with _translated():
                self._client.put_item(
                    TableName=self._table,
                    Item=_to_item(account),
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                    **request,
                )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            return _from_item(error.response["Item"])
        return None

    def all(self) -> Iterator[Account]:
        """See `Accounts.all`. Scans the table: no function of the platform calls this."""
        for page in self._client.get_paginator("scan").paginate(TableName=self._table):
            yield from (_from_item(item) for item in page["Items"])


def _to_item(account: Account) -> dict[str, Any]:
    numbers = ("amount", "epoch", "authorized", "captured", "refunded", "version")
    texts = ("currency", "payment_method", "accepted_in", "region", "declined")
    return {
        "operation_key": {"S": account.payment_id},
        "voided": {"BOOL": account.voided},
        "attempts": {"S": json.dumps(account.attempts)},
        "outcomes": {"S": json.dumps(account.outcomes)},
        **{name: {"S": getattr(account, name)} for name in texts},
        **{name: {"N": str(getattr(account, name))} for name in numbers},
    }


def _from_item(item: Mapping[str, Any]) -> Account:
    return Account(
        payment_id=item["operation_key"]["S"],
        amount=int(item["amount"]["N"]),
        currency=item["currency"]["S"],
        payment_method=item["payment_method"]["S"],
        accepted_in=item["accepted_in"]["S"],
        region=item["region"]["S"],
        epoch=int(item["epoch"]["N"]),
        authorized=int(item["authorized"]["N"]),
        captured=int(item["captured"]["N"]),
        refunded=int(item["refunded"]["N"]),
        voided=bool(item["voided"]["BOOL"]),
        declined=item["declined"]["S"],
        version=int(item["version"]["N"]),
        attempts=json.loads(item["attempts"]["S"]),
        outcomes=json.loads(item["outcomes"]["S"]),
    )


def _translated() -> Any:
    return aws.translated(throttled=ProcessorThrottledError, unavailable=ProcessorUnavailableError)
