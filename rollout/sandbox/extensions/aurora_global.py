"""An Aurora global database of any number of regions switches its writer, and shows its endpoint.

Upstream: a planned switchover of Aurora MySQL moves data between two database containers, and fails where there are
none or where the global database has more than two members. A global database has no endpoint, a cluster's endpoints
turn into the address of a container when it gets instances. An instance forgets the key of its Performance Insights.

AWS: SwitchoverGlobalCluster takes any secondary cluster as target; GlobalCluster has `Endpoint`, which follows the
writer; DBCluster's `Endpoint` and `ReaderEndpoint` are names that stay; DBInstance has `PerformanceInsightsKMSKeyId`
(RDS API reference).

Patched: `_aurora_mysql_8_replication_enabled` (no data is replicated: the sandbox runs no databases),
`_sync_cluster_endpoints`, `_global_cluster_xml`, `_create_db_instance_impl`, `_instance_xml`. A switchover is done at
once.
"""

from __future__ import annotations

from typing import Any

from rollout.sandbox.emulator import module, wrap


def apply() -> None:
    databases = module("services.rds")
    databases._aurora_mysql_8_replication_enabled = lambda cluster: False
    databases._sync_cluster_endpoints = lambda cluster: None
    wrap(databases, "_global_cluster_xml", _with_endpoint)
    _keep_insights_key(databases)


def _with_endpoint(original: Any, database: Any) -> str:
    name, unique = database["GlobalClusterIdentifier"], database["GlobalClusterResourceId"].rsplit("-", 1)[-1][:12]
    return f"{original(database)}<Endpoint>{name}.global-{unique}.global.rds.amazonaws.com</Endpoint>"


def _keep_insights_key(databases: Any) -> None:
    def create(original: Any, params: Any) -> Any:
        answer = original(params)
        instance = databases._instances.get(databases._p(params, "DBInstanceIdentifier"))
        if answer[0] == 200 and instance is not None:
            instance["PerformanceInsightsKMSKeyId"] = databases._p(params, "PerformanceInsightsKMSKeyId")
        return answer

    def instance_xml(original: Any, instance: Any) -> str:
        key = instance.get("PerformanceInsightsKMSKeyId")
        shown = f"<PerformanceInsightsKMSKeyId>{key}</PerformanceInsightsKMSKeyId>" if key else ""
        return f"{original(instance)}{shown}"

    wrap(databases, "_create_db_instance_impl", create)
    wrap(databases, "_instance_xml", instance_xml)
