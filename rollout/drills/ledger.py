"""How the payments stand: read from the payments tables, not asked of the API."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from rollout.outputs import OutputMissingError
from rollout.payments import FINAL
from rollout.project import Project
from rollout.target import one_line
from shared.errors import TripointError

_ATTRIBUTES = ("payment_id", "status", "home_region", "regions_tried", "created_at", "updated_at")


class LedgerError(TripointError):
    """A payments table cannot be read or written."""


@dataclass(frozen=True)
class Standing:
    """A payment as a region's table has it. Times are seconds since the epoch."""

    id: str
    status: str
    home: str
    regions_tried: tuple[str, ...]
    created_at: float
    updated_at: float

    @property
    def is_final(self) -> bool:
        return self.status in FINAL


class Ledgers:
    """The payments tables of all regions."""

    def __init__(self, project: Project, outputs: Mapping[str, Any]) -> None:
        self._target = project.target
        self._tables = {}
        for region in project.environment.regions:
            table = outputs.get(f"data-{region}.payments_table_name")
            if not isinstance(table, str) or not table:
                raise OutputMissingError(f"data-{region} is not deployed; run: tripoint rollout")
            self._tables[region] = table

    def read(self, region: str) -> dict[str, Standing]:
        """All payments of a region's table, by their id."""
        names = {f"#{name}": name for name in _ATTRIBUTES}
        try:
            pages = (
                self._target.client("dynamodb", region)
                .get_paginator("scan")
                .paginate(
                    TableName=self._tables[region],
                    ProjectionExpression=", ".join(names),
                    ExpressionAttributeNames=names,
                )
            )
            items = [item for page in pages for item in page["Items"]]
        except (BotoCoreError, ClientError) as error:
            raise LedgerError(f"payments table in {region}: {one_line(error)}") from error
        return {item["payment_id"]["S"]: _standing(item) for item in items if "status" in item}

    def poison(self, region: str) -> None:
        """Write what change capture cannot publish, and take it away again: its stream record stays."""
        client, table = self._target.client("dynamodb", region), self._tables[region]
        key = {"payment_id": {"S": f"poison-{uuid.uuid4().hex}"}}
        try:
            client.put_item(TableName=table, Item={**key, "home_region": {"S": region}, "version": {"S": "?"}})
            client.delete_item(TableName=table, Key=key)
        except (BotoCoreError, ClientError) as error:
            raise LedgerError(f"payments table in {region}: {one_line(error)}") from error


def _standing(item: Mapping[str, Any]) -> Standing:
    return Standing(
        id=item["payment_id"]["S"],
        status=item["status"]["S"],
        home=item["home_region"]["S"],
        regions_tried=tuple(part["S"] for part in item["regions_tried"]["L"]),
        created_at=datetime.fromisoformat(item["created_at"]["S"]).timestamp(),
        updated_at=datetime.fromisoformat(item["updated_at"]["S"]).timestamp(),
    )
