"""What the data layer promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shared.contracts import Need, Outputs, StackSpec, Where
from stacks.network.contract import ApplicationTierOutputs, NetworkOutputs


@dataclass(frozen=True, kw_only=True)
class DataOutputs(Outputs):
    """A region's keys, its replicas of the global tables, its vault, and its receipts bucket."""

    stack: ClassVar[str] = "data"

    key_arn: str
    payments_table_name: str
    payments_table_arn: str
    payments_stream_arn: str
    sessions_table_name: str
    sessions_table_arn: str
    # Personal data of payments whose home is this region; never replicated.
    vault_table_name: str
    vault_table_arn: str
    vault_key_arn: str
    # The simulated card processor's record; empty where a real processor is configured.
    processor_table_name: str
    processor_table_arn: str
    receipts_bucket_name: str
    receipts_bucket_arn: str
    access_logs_bucket_name: str


@dataclass(frozen=True, kw_only=True)
class UploadsOutputs(Outputs):
    """Where merchants of a region put their files."""

    stack: ClassVar[str] = "data"
    capabilities: ClassVar[tuple[str, ...]] = ("processing",)

    uploads_bucket_name: str
    uploads_bucket_arn: str


DATA = StackSpec(
    name="data",
    layer="data",
    owner="team-data",
    publishes=DataOutputs,
    also=(UploadsOutputs,),
    # The primary owns the global tables: it is first to come and last to go.
    needs=(Need(DataOutputs, Where.PRIMARY),),
    factory="stacks.data.stack:DataStack",
)


@dataclass(frozen=True, kw_only=True)
class DataLinksOutputs(Outputs):
    """Where a region's receipts are replicated to."""

    stack: ClassVar[str] = "data-links"

    receipts_replicated_to: list[str]


DATA_LINKS = StackSpec(
    name="data-links",
    layer="data",
    owner="team-data",
    publishes=DataLinksOutputs,
    # Replication needs every bucket to exist with versioning on.
    needs=(Need(DataOutputs), Need(DataOutputs, Where.OTHERS), Need(UploadsOutputs)),
    factory="stacks.data.links:DataLinksStack",
)


# What the store is called: its clusters, in every region, and the global database over them.
RELATIONAL_STORE = "relational"


@dataclass(frozen=True, kw_only=True)
class RelationalOutputs(Outputs):
    """A region's cluster of the relational store, and the global database that it is a member of."""

    stack: ClassVar[str] = "relational"
    capabilities: ClassVar[tuple[str, ...]] = ("relational",)

    cluster_identifier: str
    cluster_arn: str
    # Only the cluster that writes answers at its writer endpoint; the global endpoint follows it.
    writer_endpoint: str
    reader_endpoint: str
    global_cluster_identifier: str
    global_endpoint: str
    port: str
    database_name: str
    security_group_id: str
    key_arn: str
    secret_name: str


RELATIONAL = StackSpec(
    name="relational",
    layer="data",
    owner="team-data",
    publishes=RelationalOutputs,
    # The primary region's stack has the global database: it is first to come and last to go.
    needs=(Need(NetworkOutputs), Need(ApplicationTierOutputs), Need(RelationalOutputs, Where.PRIMARY)),
    capabilities=("relational",),
    factory="stacks.data.relational.stack:RelationalStack",
)
