"""The tables and named queries as resources: a Glue database, an Athena workgroup, and where its results lie."""

from __future__ import annotations

from cdktf_cdktf_provider_aws.athena_named_query import AthenaNamedQuery
from cdktf_cdktf_provider_aws.athena_workgroup import (
    AthenaWorkgroup,
    AthenaWorkgroupConfiguration,
    AthenaWorkgroupConfigurationResultConfiguration,
    AthenaWorkgroupConfigurationResultConfigurationEncryptionConfiguration,
)
from cdktf_cdktf_provider_aws.glue_catalog_database import GlueCatalogDatabase
from cdktf_cdktf_provider_aws.glue_catalog_table import (
    GlueCatalogTable,
    GlueCatalogTablePartitionKeys,
    GlueCatalogTableStorageDescriptor,
    GlueCatalogTableStorageDescriptorColumns,
    GlueCatalogTableStorageDescriptorSerDeInfo,
)
from constructs import Construct

from shared.bucket import PrivateBucket
from shared.site import Site
from stacks.observability.audit.queries import queries
from stacks.observability.audit.tables import Table, tables

RESULTS = "queries"
GIGABYTE = 1_000_000_000


class Catalog(Construct):
    """The database with a table per kind of log and region."""

    def __init__(self, scope: Construct, id: str, *, site: Site) -> None:
        super().__init__(scope, id)
        database = GlueCatalogDatabase(
            self,
            "database",
            name=database_name(site),
            description="Logs of the audit trail, the buckets and the network",
        )
        self.name = database.name
        for table in tables(site):
            self._table(table)

    def _table(self, table: Table) -> None:
        GlueCatalogTable(
            self,
            table.name,
            database_name=self.name,
            name=table.name,
            description=table.says,
            table_type="EXTERNAL_TABLE",
            parameters=_literal(table.parameters),
            partition_keys=[
                GlueCatalogTablePartitionKeys(name=name, type=kind) for name, kind in table.partitions.items()
            ],
            storage_descriptor=GlueCatalogTableStorageDescriptor(
                location=table.folder,
                input_format=table.format.input,
                output_format=table.format.output,
                ser_de_info=GlueCatalogTableStorageDescriptorSerDeInfo(
                    serialization_library=table.format.serde, parameters=dict(table.format.options) or None
                ),
                columns=[
                    GlueCatalogTableStorageDescriptorColumns(name=name, type=kind)
                    for name, kind in table.columns.items()
                ],
            ),
        )


class Workgroup(Construct):
    """Where the questions are asked: whatever a client wishes, results are encrypted, in this bucket, and one query
    reads no more than the configuration allows."""

    def __init__(
        self, scope: Construct, id: str, *, site: Site, catalog: Catalog, key_arn: str, access_logs: str
    ) -> None:
        super().__init__(scope, id)
        results = PrivateBucket(self, "results", site=site, thing=RESULTS, key_arn=key_arn, access_logs=access_logs)
        workgroup = AthenaWorkgroup(
            self,
            "workgroup",
            name=workgroup_name(site),
            description="Questions to the audit trail",
            force_destroy=not site.production,
            configuration=AthenaWorkgroupConfiguration(
                enforce_workgroup_configuration=True,
                publish_cloudwatch_metrics_enabled=True,
                bytes_scanned_cutoff_per_query=site.settings.audit.query_limit_gb * GIGABYTE,
                result_configuration=AthenaWorkgroupConfigurationResultConfiguration(
                    output_location=f"s3://{results.name}/",
                    expected_bucket_owner=site.account_id,
                    encryption_configuration=AthenaWorkgroupConfigurationResultConfigurationEncryptionConfiguration(
                        encryption_option="SSE_KMS", kms_key_arn=key_arn
                    ),
                ),
            ),
        )
        for query in queries(site):
            AthenaNamedQuery(
                self,
                query.thing,
                name=site.name(query.thing),
                description=query.says,
                workgroup=workgroup.id,
                database=catalog.name,
                query=query.text,
            )


def database_name(site: Site) -> str:
    """The name of the Glue database; a hyphen would have to be quoted in every query."""
    return site.name("audit").replace("-", "_")


def workgroup_name(site: Site) -> str:
    """The name of the Athena workgroup."""
    return site.name("audit")


def _literal(parameters: dict[str, str]) -> dict[str, str]:
    """Athena's ``${...}`` is not Terraform's."""
    return {name: value.replace("${", "$${") for name, value in parameters.items()}
