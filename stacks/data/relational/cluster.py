"""The global database, and one region's cluster of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cdktf import Fn, TerraformResourceLifecycle, Token
from cdktf_cdktf_provider_aws.data_aws_subnet import DataAwsSubnet
from cdktf_cdktf_provider_aws.db_subnet_group import DbSubnetGroup
from cdktf_cdktf_provider_aws.rds_cluster import RdsCluster, RdsClusterServerlessv2ScalingConfiguration
from cdktf_cdktf_provider_aws.rds_cluster_instance import RdsClusterInstance
from cdktf_cdktf_provider_aws.rds_global_cluster import RdsGlobalCluster
from constructs import Construct

from shared.key import RegionalKey
from shared.site import Site
from shared.suppressions import suppress
from stacks.data.relational.group import PORT, StoreGroup
from stacks.data.relational.logs import LOGS, ClusterLogs, ClusterParameters

ENGINE = "aurora-mysql"
SERVERLESS = "db.serverless"
# What Performance Insights keeps without a charge, in days.
INSIGHTS_DAYS = 7


class GlobalDatabase(Construct):
    """What the regions' clusters are members of. The engine's version is set here: an upgrade goes to all of them."""

    def __init__(self, scope: Construct, id: str, *, site: Site, name: str) -> None:
        super().__init__(scope, id)
        database = RdsGlobalCluster(
            self,
            "database",
            global_cluster_identifier=name,
            engine=ENGINE,
            engine_version=site.settings.relational.engine_version,
            database_name=site.settings.relational.database,
            storage_encrypted=True,
            deletion_protection=site.production,
        )
        self.id: str = database.id
        self.endpoint: str = database.endpoint


class RegionalCluster(Construct):
    """One region's cluster: serverless instances over the zones, encrypted with the region's own key.

    The primary region's is made as the writer and takes the master password; the others join it and take over its
    users and data. Which one writes may change later (`tripoint promote`): nothing here depends on it.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        site: Site,
        name: str,
        global_id: str,
        password: str | None,
        subnet_ids: list[str],
        group: StoreGroup,
        key: RegionalKey,
        logs: ClusterLogs,
        parameters: ClusterParameters,
    ) -> None:
        super().__init__(scope, id)
        settings = site.settings.relational
        subnets = DbSubnetGroup(
            self,
            "subnets",
            name=name,
            description="The relational store: the private subnets",
            subnet_ids=subnet_ids,
        )
        self.cluster = RdsCluster(
            self,
            "cluster",
            cluster_identifier=name,
            global_cluster_identifier=global_id,
            engine=ENGINE,
            engine_mode="provisioned",
            engine_version=_version(site),
            serverlessv2_scaling_configuration=RdsClusterServerlessv2ScalingConfiguration(
                min_capacity=settings.min_acu, max_capacity=settings.max_acu
            ),
            port=PORT,
            db_subnet_group_name=subnets.name,
            vpc_security_group_ids=[group.id],
            db_cluster_parameter_group_name=parameters.name,
            enabled_cloudwatch_logs_exports=list(LOGS),
            storage_encrypted=True,
            kms_key_id=key.arn,
            iam_database_authentication_enabled=True,
            backup_retention_period=settings.backup_days,
            copy_tags_to_snapshot=True,
            deletion_protection=site.production,
            delete_automated_backups=not site.production,
            skip_final_snapshot=not site.production,
            final_snapshot_identifier=site.name("relational-final") if site.production else None,
            # Else what a deployment has changed would be a difference until the next maintenance window.
            apply_immediately=True,
            lifecycle=TerraformResourceLifecycle(
                # Both as the provider's documentation asks for in a global database: an upgrade comes through the
                # global cluster, and a member shows its source, which changes when another one becomes the writer.
                ignore_changes=["engine_version", "replication_source_identifier"]
            ),
            depends_on=logs.groups,
            **_credentials(site, password),
        )
        suppress(self.cluster, "CKV2_AWS_8", "Aurora's own backups are continuous, for relational.backup_days")
        suppress(self.cluster, "CKV_AWS_326", "A global database cannot have it (Aurora User Guide, 'Backtracking')")
        if not site.production:
            suppress(self.cluster, "CKV_AWS_139", "Outside of production everything can be destroyed (PAY-16)")
        self._add_instances(site, subnet_ids, key)

    def _add_instances(self, site: Site, subnet_ids: list[str], key: RegionalKey) -> None:
        zones = self._zones(subnet_ids, site.settings.network.zones)
        for number in range(site.settings.relational.instances):
            instance = RdsClusterInstance(
                self,
                f"instance-{number}",
                identifier=site.name(f"relational-{number}"),
                cluster_identifier=self.cluster.id,
                engine=ENGINE,
                engine_version=self.cluster.engine_version,
                instance_class=SERVERLESS,
                availability_zone=zones[number % len(zones)],
                # The next writer is as large as the writer only in tiers 0 and 1 (Aurora User Guide, "Choosing the
                # promotion tier for an Aurora Serverless v2 reader").
                promotion_tier=number,
                publicly_accessible=False,
                performance_insights_enabled=True,
                performance_insights_kms_key_id=key.arn,
                performance_insights_retention_period=INSIGHTS_DAYS,
                # Versions come through the global cluster alone.
                auto_minor_version_upgrade=False,
                apply_immediately=True,
            )
            suppress(
                instance, "CKV_AWS_118", "Performance Insights is on; the system under a serverless instance is AWS's"
            )
            suppress(instance, "CKV_AWS_226", "Versions come through the global cluster (relational.engine_version)")

    def _zones(self, subnet_ids: list[str], count: int) -> Sequence[str]:
        """The zone of each private subnet."""
        return [
            DataAwsSubnet(
                self, f"subnet-{number}", id=Token.as_string(Fn.element(subnet_ids, number))
            ).availability_zone
            for number in range(count)
        ]


def _version(site: Site) -> str:
    """The global database's; the same in every region, whatever a region's own section says."""
    return site.at(site.environment.primary).settings.relational.engine_version


def _credentials(site: Site, password: str | None) -> dict[str, Any]:
    settings = site.settings.relational
    if password is None:
        # An encrypted source is read with a request that is signed for its region.
        return {"source_region": site.environment.primary}
    return {
        "database_name": settings.database,
        "master_username": settings.username,
        "master_password_wo": password,
        "master_password_wo_version": settings.password_version,
    }
