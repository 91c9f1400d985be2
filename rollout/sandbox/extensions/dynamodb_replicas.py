"""A replica of a global table has its own key, class and protection, and follows shared settings.

Upstream: a replica takes over the owner's encryption, `KMSMasterKeyId` of a replica update is
ignored and not described, later changes of the owner's indexes and capacity mode don't reach the
replicas, and AWS/DynamoDB ReplicationLatency doesn't exist.

AWS: each replica names its own key in its region, without one it uses the AWS managed key, and
DescribeTable returns it as `Replicas[].KMSMasterKeyId` (API reference,
CreateReplicationGroupMemberAction and ReplicaDescription); indexes and the capacity mode are
synchronized, deletion protection, tags and point-in-time recovery are each replica's own
(Developer Guide, "How DynamoDB global tables work").

Patched: `_apply_replica_updates`, `_table_description`, `_update_table`, `_replicate_write`.
Replication itself stays synchronous here: the latency recorded is the time that the copy really
took.
"""

from __future__ import annotations

import copy
import functools
import time
from typing import Any

from rollout.sandbox.emulator import module
from rollout.sandbox.extensions.kms_managed_keys import managed_key_arn

_SYNCHRONIZED = ("AttributeDefinitions", "BillingModeSummary", "ProvisionedThroughput")


def apply() -> None:
    tables = module("services.dynamodb")
    _apply_own_settings(tables)
    _describe_own_settings(tables)
    _synchronize_shared_settings(tables)
    _record_latency(tables)


def _apply_own_settings(tables: Any) -> None:
    update = tables._apply_replica_updates

    @functools.wraps(update)
    def update_with_settings(name: str, table: Any, updates: Any) -> Any:
        refused = update(name, table, updates)
        if refused is not None:
            return refused
        account = tables.get_account_id()
        for change in updates:
            action = next(iter(change))
            settings = change[action] or {}
            region = settings.get("RegionName", "")
            replica = tables._tables.get_scoped(account, region, name)
            if replica is None or action == "Delete":
                continue
            with tables.request_scope(account, region):
                _configure(tables, replica, settings, encrypted=bool(table.get("SSEDescription")))
        return None

    tables._apply_replica_updates = update_with_settings


def _configure(tables: Any, replica: Any, settings: Any, *, encrypted: bool) -> None:
    key = settings.get("KMSMasterKeyId")
    if key:
        specification = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
        replica["SSEDescription"] = tables._sse_description_from_spec(specification)
        replica["_replica_key"] = key
    elif encrypted and "_replica_key" not in replica:
        replica["SSEDescription"] = {
            "Status": "ENABLED",
            "SSEType": "KMS",
            "KMSMasterKeyArn": managed_key_arn("dynamodb"),
        }
    if settings.get("TableClassOverride"):
        replica["TableClassSummary"] = {"TableClass": settings["TableClassOverride"]}
        replica["_replica_class"] = settings["TableClassOverride"]
    if "DeletionProtectionEnabled" in settings:
        replica["DeletionProtectionEnabled"] = settings["DeletionProtectionEnabled"]


def _describe_own_settings(tables: Any) -> None:
    describe = tables._table_description

    @functools.wraps(describe)
    def describe_with_settings(name: str) -> Any:
        described = describe(name)
        for entry in described.get("Replicas", []):
            replica = tables._tables.get_scoped(tables.get_account_id(), entry["RegionName"], name)
            if replica is None:
                continue
            encryption = replica.get("SSEDescription") or {}
            if encryption.get("KMSMasterKeyArn"):
                entry["KMSMasterKeyId"] = encryption["KMSMasterKeyArn"]
            if replica.get("_replica_class"):
                entry["ReplicaTableClassSummary"] = {"TableClass": replica["_replica_class"]}
        return described

    tables._table_description = describe_with_settings


def _synchronize_shared_settings(tables: Any) -> None:
    update = tables._update_table

    @functools.wraps(update)
    def update_everywhere(data: Any) -> Any:
        answer = update(data)
        name = tables._normalize_table_name(data.get("TableName"))
        table = tables._tables.get(name)
        if answer[0] == 200 and table is not None:
            for region in tables._replica_group(table):
                replica = tables._tables.get_scoped(tables.get_account_id(), region, name)
                if replica is not None and replica is not table:
                    _follow(tables, table, replica)
        return answer

    tables._update_table = update_everywhere


def _follow(tables: Any, owner: Any, replica: Any) -> None:
    for setting in _SYNCHRONIZED:
        if setting in owner:
            replica[setting] = copy.deepcopy(owner[setting])
    indexes = copy.deepcopy(owner.get("GlobalSecondaryIndexes", []))
    for index in indexes:
        index["IndexArn"] = f"{replica['TableArn']}/index/{index['IndexName']}"
    if [i["IndexName"] for i in indexes] != [i["IndexName"] for i in replica.get("GlobalSecondaryIndexes", [])]:
        replica.pop(tables._INDEX_MEMBERS, None)
    replica["GlobalSecondaryIndexes"] = indexes


def _record_latency(tables: Any) -> None:
    replicate, metrics = tables._replicate_write, module("services.cloudwatch")

    @functools.wraps(replicate)
    def replicate_and_record(table: Any, event: Any, old: Any, new: Any) -> None:
        started = time.perf_counter()
        replicate(table, event, old, new)
        elapsed_ms = (time.perf_counter() - started) * 1000.0
        for region in tables._replica_group(table):
            if region != tables.get_region():
                metrics.record_metric(
                    "AWS/DynamoDB",
                    "ReplicationLatency",
                    elapsed_ms,
                    "Milliseconds",
                    {"TableName": table["TableName"], "ReceivingRegion": region},
                )

    tables._replicate_write = replicate_and_record
