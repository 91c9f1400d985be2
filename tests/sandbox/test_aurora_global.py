"""An Aurora global database over three regions: its endpoint, its writer, and the keys of its instances.

Every probe runs against the sandbox, where it must hold, and against the emulator as shipped, where it must not.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.clients import ACCOUNT, AWAY, HOME, Clients

Probe = Callable[[Clients], bool]
FAR = "ap-southeast-1"
KEY = f"arn:aws:kms:{HOME}:{ACCOUNT}:key/k"


def database(aws: Clients) -> tuple[str, dict[str, str]]:
    """A global database with a cluster in each of three regions: its name, and the clusters' ARNs by region."""
    name, arns = f"g-{uuid.uuid4().hex[:8]}", {}
    aws("rds").create_global_cluster(GlobalClusterIdentifier=name, Engine="aurora-mysql")
    for region in (HOME, AWAY, FAR):
        credential = {"MasterUsername": "admin", "MasterUserPassword": "not-a-secret"} if region == HOME else {}
        made = aws("rds", region).create_db_cluster(
            DBClusterIdentifier=name, Engine="aurora-mysql", GlobalClusterIdentifier=name, **credential
        )
        arns[region] = made["DBCluster"]["DBClusterArn"]
    return name, arns


def shown(aws: Clients, name: str, region: str = HOME) -> dict[str, Any]:
    (found,) = aws("rds", region).describe_global_clusters(GlobalClusterIdentifier=name)["GlobalClusters"]
    return dict(found)


def writer(aws: Clients, name: str) -> str:
    (arn,) = [one["DBClusterArn"] for one in shown(aws, name)["GlobalClusterMembers"] if one["IsWriter"]]
    return str(arn)


def switchover_among_three(aws: Clients) -> bool:
    name, arns = database(aws)
    aws("rds", AWAY).switchover_global_cluster(GlobalClusterIdentifier=name, TargetDbClusterIdentifier=arns[AWAY])
    there = writer(aws, name)
    aws("rds", HOME).switchover_global_cluster(GlobalClusterIdentifier=name, TargetDbClusterIdentifier=arns[HOME])
    return (there, writer(aws, name)) == (arns[AWAY], arns[HOME])


def endpoint_that_stays(aws: Clients) -> bool:
    """The same in every region, and the same when another region writes."""
    name, arns = database(aws)
    before = shown(aws, name)["Endpoint"]
    aws("rds", AWAY).failover_global_cluster(
        GlobalClusterIdentifier=name, TargetDbClusterIdentifier=arns[AWAY], AllowDataLoss=True
    )
    assert writer(aws, name) == arns[AWAY]
    after = {shown(aws, name, region)["Endpoint"] for region in (HOME, AWAY, FAR)}
    return before.startswith(f"{name}.global-") and after == {before}


def cluster_with_an_instance(aws: Clients) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The cluster without and with its instance, and the instance."""
    name, databases = f"c-{uuid.uuid4().hex[:8]}", aws("rds")
    made = databases.create_db_cluster(
        DBClusterIdentifier=name, Engine="aurora-mysql", MasterUsername="admin", MasterUserPassword="not-a-secret"
    )["DBCluster"]
    databases.create_db_instance(
        DBInstanceIdentifier=f"{name}-0",
        DBClusterIdentifier=name,
        DBInstanceClass="db.serverless",
        Engine="aurora-mysql",
        EnablePerformanceInsights=True,
        PerformanceInsightsKMSKeyId=KEY,
    )
    (cluster,) = databases.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"]
    (instance,) = databases.describe_db_instances(DBInstanceIdentifier=f"{name}-0")["DBInstances"]
    return made, cluster, instance


def insights_key(aws: Clients) -> bool:
    _, _, instance = cluster_with_an_instance(aws)
    return bool(instance["PerformanceInsightsKMSKeyId"] == KEY)


def cluster_endpoints_that_stay(aws: Clients) -> bool:
    made, cluster, _ = cluster_with_an_instance(aws)
    return all(made[name] == cluster[name] for name in ("Endpoint", "ReaderEndpoint", "Port"))


PROBES: list[Probe] = [switchover_among_three, endpoint_that_stays, cluster_endpoints_that_stay, insights_key]


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.__name__)
def test_the_sandbox_does(aws: Clients, probe: Probe) -> None:
    assert probe(aws)


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.__name__)
def test_upstream_still_does_not(plain_aws: Clients, probe: Probe) -> None:
    try:
        holds = probe(plain_aws)
    except (ClientError, KeyError):
        holds = False
    assert not holds


def test_the_writer_stays_while_others_are_members(aws: Clients) -> None:
    """As on AWS: secondaries leave first, so they are destroyed first."""
    name, arns = database(aws)
    with pytest.raises(ClientError, match="InvalidGlobalClusterStateFault"):
        aws("rds").remove_from_global_cluster(GlobalClusterIdentifier=name, DbClusterIdentifier=arns[HOME])
