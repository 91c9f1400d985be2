"""The observability layer of one region."""

from __future__ import annotations

from constructs import Construct

from shared.site import Site
from shared.stack import BuildInputs, LayerStack
from stacks.data.contract import DataOutputs
from stacks.edge.contract import EdgeOutputs
from stacks.network.contract import NetworkOutputs
from stacks.observability.alarms import FailureRateAlarm
from stacks.observability.alerts import Alerts
from stacks.observability.contract import OBSERVABILITY, ObservabilityOutputs
from stacks.observability.dashboard import GlobalDashboard
from stacks.observability.flow_logs import FlowLogs


class ObservabilityStack(LayerStack):
    """What on-call sees of a region: alerts, alarms, the dashboard over all regions, the VPC's flow logs.

    No GuardDuty detector is made here: there is one per account and region, and it is enabled at account level.
    """

    spec = OBSERVABILITY

    def __init__(self, scope: Construct, site: Site, inputs: BuildInputs) -> None:
        super().__init__(scope, site, inputs)
        network = self.consume(NetworkOutputs)
        data = self.consume(DataOutputs)
        edge = self.consume(EdgeOutputs)
        alerts = Alerts(self, "alerts", site=site, key_arn=data.key_arn)
        failure_rate = FailureRateAlarm(self, "failure-rate", site=site, topic_arn=alerts.topic.arn)
        dashboard = GlobalDashboard(self, "dashboard", site=site, api_name=edge.api_name)
        FlowLogs(self, "flow-logs", site=site, vpc_id=network.vpc_id, key_arn=data.key_arn)
        self.publish(
            ObservabilityOutputs(
                alert_topic_arn=alerts.topic.arn,
                oncall_queue_url=alerts.queue.url,
                oncall_queue_arn=alerts.queue.arn,
                dashboard_name=dashboard.name,
                failure_rate_alarm_name=failure_rate.name,
            )
        )
