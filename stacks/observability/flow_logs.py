"""The record of the VPC's traffic.

It belongs to the network but lives in this layer: its log group is encrypted with the region's key, and the data
layer, which owns the key, may itself need the network (docs/decisions/flow-logs-in-observability.md).
"""

from __future__ import annotations

from cdktf_cdktf_provider_aws.flow_log import FlowLog
from constructs import Construct

from shared.grants import Grant
from shared.logs import log_group
from shared.role import service_role
from shared.site import Site


class FlowLogs(Construct):
    """All accepted and rejected traffic of the VPC, to an encrypted log group."""

    def __init__(self, scope: Construct, id: str, *, site: Site, vpc_id: str, key_arn: str) -> None:
        super().__init__(scope, id)
        logs = log_group(self, "logs", site=site, name=f"/aws/vpc/{site.name('flow-logs')}", key_arn=key_arn)
        role = service_role(
            self,
            site=site,
            thing="flow-logs",
            service="vpc-flow-logs.amazonaws.com",
            source_arn=site.arn("ec2", "vpc-flow-log/*"),
            does="write-logs",
            grants=[
                Grant(
                    "WriteFlowLogs",
                    ("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"),
                    (f"{logs.arn}:*",),
                )
            ],
        )
        FlowLog(
            self,
            "flow-log",
            vpc_id=vpc_id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=logs.arn,
            iam_role_arn=role.arn,
            max_aggregation_interval=60,
            tags={"Name": site.name("flow-logs")},
        )
