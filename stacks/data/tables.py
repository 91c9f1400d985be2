"""The DynamoDB tables: global ones, each region's replica in that region's own state, and the regional vault."""

from __future__ import annotations

from dataclasses import dataclass

from cdktf import TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.data_aws_dynamodb_table import DataAwsDynamodbTable
from cdktf_cdktf_provider_aws.dynamodb_table import (
    DynamodbTable,
    DynamodbTableAttribute,
    DynamodbTableGlobalSecondaryIndex,
    DynamodbTablePointInTimeRecovery,
    DynamodbTableServerSideEncryption,
    DynamodbTableTtl,
)
from cdktf_cdktf_provider_aws.dynamodb_table_replica import DynamodbTableReplicaA
from constructs import Construct

from shared.key import RegionalKey
from shared.site import Site


@dataclass(frozen=True)
class Index:
    """A sparse index of the keys alone: it has the items that have both attributes (of type S)."""

    name: str
    partition_key: str
    sort_key: str


class GlobalTable(Construct):
    """This region's replica of a global table (PAY-02): on demand, point-in-time recovery, streams, the region's key.

    In the primary region it is the table itself; elsewhere a replica of the table whose ARN is given. The primary's
    stack is applied first and destroyed last, and ignores replicas: they belong to their own regions' state. DynamoDB
    gives every replica the indexes of the table.
    Consistency is eventual, the last writer wins: a strongly consistent global table cannot span these regions
    (docs/decisions/eventually-consistent-global-tables.md).
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        site: Site,
        key: RegionalKey,
        thing: str,
        partition_key: str,
        owner_arn: str | None,
        expires_at: str | None = None,
        index: Index | None = None,
    ) -> None:
        super().__init__(scope, id)
        self.name = site.name(thing)
        if owner_arn is None:
            self._own(site, key, partition_key, expires_at, index)
        else:
            self._replicate(site, key, owner_arn)

    def _own(
        self, site: Site, key: RegionalKey, partition_key: str, expires_at: str | None, index: Index | None
    ) -> None:
        attributes = [partition_key, *([index.partition_key, index.sort_key] if index else [])]
        table = DynamodbTable(
            self,
            "table",
            name=self.name,
            billing_mode="PAY_PER_REQUEST",
            hash_key=partition_key,
            attribute=[DynamodbTableAttribute(name=name, type="S") for name in attributes],
            global_secondary_index=[_of_keys(index)] if index else None,
            stream_enabled=True,
            stream_view_type="NEW_AND_OLD_IMAGES",
            point_in_time_recovery=DynamodbTablePointInTimeRecovery(enabled=True),
            server_side_encryption=DynamodbTableServerSideEncryption(enabled=True, kms_key_arn=key.arn),
            ttl=_time_to_live(expires_at),
            deletion_protection_enabled=site.production,
            lifecycle=TerraformResourceLifecycle(ignore_changes=["replica"]),
        )
        self.arn = table.arn
        self.stream_arn = table.stream_arn

    def _replicate(self, site: Site, key: RegionalKey, owner_arn: str) -> None:
        replica = DynamodbTableReplicaA(
            self,
            "replica",
            global_table_arn=owner_arn,
            kms_key_arn=key.arn,
            point_in_time_recovery=True,
            deletion_protection_enabled=site.production,
        )
        # The replica resource does not give its stream.
        table = DataAwsDynamodbTable(self, "table", name=self.name, depends_on=[replica])
        self.arn = replica.arn
        self.stream_arn = table.stream_arn


class VaultTable(Construct):
    """The personal data of payments whose home is this region (PAY-22).

    Regional and never replicated, encrypted with a key that nothing else uses; entries expire. The payment itself, its
    events and its receipt only say which region keeps it.
    """

    def __init__(self, scope: Construct, id: str, *, site: Site, key: RegionalKey) -> None:
        super().__init__(scope, id)
        self.name = site.name("vault")
        table = DynamodbTable(
            self,
            "table",
            name=self.name,
            billing_mode="PAY_PER_REQUEST",
            hash_key="payment_id",
            attribute=[DynamodbTableAttribute(name="payment_id", type="S")],
            point_in_time_recovery=DynamodbTablePointInTimeRecovery(enabled=True),
            server_side_encryption=DynamodbTableServerSideEncryption(enabled=True, kms_key_arn=key.arn),
            ttl=_time_to_live("expires_at"),
            deletion_protection_enabled=site.production,
        )
        self.arn = table.arn


def _of_keys(index: Index) -> DynamodbTableGlobalSecondaryIndex:
    return DynamodbTableGlobalSecondaryIndex(
        name=index.name, hash_key=index.partition_key, range_key=index.sort_key, projection_type="KEYS_ONLY"
    )


def _time_to_live(attribute: str | None) -> DynamodbTableTtl | None:
    return DynamodbTableTtl(enabled=True, attribute_name=attribute) if attribute else None
