"""The cluster's logs in CloudWatch, and the parameters that have Aurora write them."""

from __future__ import annotations

from cdktf_cdktf_provider_aws.rds_cluster_parameter_group import (
    RdsClusterParameterGroup,
    RdsClusterParameterGroupParameter,
)
from constructs import Construct

from shared.key import RegionalKey
from shared.logs import log_group
from shared.site import Site

FAMILY = "aurora-mysql8.0"
LOGS = ("audit", "error", "general", "slowquery")

# Exporting a log does not write it: all but the error log are off by default (Aurora User Guide, "Publishing Amazon
# Aurora MySQL logs to Amazon CloudWatch Logs"). DML is in the general log, the audit log need not repeat it.
PARAMETERS = {
    "require_secure_transport": "ON",
    "server_audit_logging": "1",
    "server_audit_events": "CONNECT,QUERY_DCL,QUERY_DDL",
    "general_log": "1",
    "slow_query_log": "1",
    "log_output": "FILE",
}


class ClusterLogs(Construct):
    """A log group for each log, made before Aurora makes it: without retention and key."""

    def __init__(self, scope: Construct, id: str, *, site: Site, cluster: str, key: RegionalKey) -> None:
        super().__init__(scope, id)
        self.groups = [
            log_group(self, log, site=site, name=f"/aws/rds/cluster/{cluster}/{log}", key_arn=key.arn) for log in LOGS
        ]


class ClusterParameters(Construct):
    """TLS for every connection, and every log written. All of them take effect without a restart."""

    def __init__(self, scope: Construct, id: str, *, site: Site) -> None:
        super().__init__(scope, id)
        slow_s = site.settings.relational.slow_query_s
        group = RdsClusterParameterGroup(
            self,
            "group",
            name=site.name("relational"),
            family=FAMILY,
            description="The relational store: TLS only, all logs",
            parameter=[
                RdsClusterParameterGroupParameter(name=name, value=value, apply_method="immediate")
                for name, value in sorted({**PARAMETERS, "long_query_time": f"{slow_s:g}"}.items())
            ],
        )
        self.name: str = group.name
