"""The observability layer of one region."""

from __future__ import annotations

from constructs import Construct

from shared.site import Site
from shared.stack import BuildInputs, LayerStack
from stacks.data.contract import DataOutputs
from stacks.edge.contract import EdgeOutputs
from stacks.network.contract import NetworkOutputs
from stacks.observability.activity import RequestMetrics
from stacks.observability.alarms.payments import ALL_REGIONS_ALARM, FAILURE_RATE_ALARM
from stacks.observability.alarms.region import RegionAlarms
from stacks.observability.alerts import Alerts
from stacks.observability.audit.audit import Audit
from stacks.observability.capabilities import contracts_to_read
from stacks.observability.capabilities.readings import Readings
from stacks.observability.contract import OBSERVABILITY, FlowLogFilesOutputs, ObservabilityOutputs
from stacks.observability.dashboards.dashboard import Dashboards
from stacks.observability.flow_log_files import FlowLogFiles
from stacks.observability.flow_logs import FlowLogs


class ObservabilityStack(LayerStack):
    """What on-call sees of a region: alerts, alarms, dashboards, the VPC's flow logs.

    No GuardDuty detector is made here: there is one per account and region, and it is enabled at account level.
    """

    spec = OBSERVABILITY

    def __init__(self, scope: Construct, site: Site, inputs: BuildInputs) -> None:
        super().__init__(scope, site, inputs)
        network = self.consume(NetworkOutputs)
        data = self.consume(DataOutputs)
        edge = self.consume(EdgeOutputs)
        read = Readings(*(self.consume(contract) for contract in contracts_to_read(site)))
        alerts = Alerts(self, "alerts", site=site, key_arn=data.key_arn)
        alarms = RegionAlarms(self, "alarms", site=site, topic_arn=str(alerts.topic.arn), read=read)
        dashboards = Dashboards(
            self, "dashboards", site=site, alarms=alarms, health_check_id=edge.health_check_id, read=read
        )
        access_logs = data.access_logs_bucket_name
        if site.settings.flow_logs.cloudwatch:
            FlowLogs(self, "flow-logs", site=site, vpc_id=network.vpc_id, key_arn=data.key_arn)
        if site.settings.flow_logs.enabled:
            files = FlowLogFiles(self, "flow-log-files", site=site, vpc_id=network.vpc_id, access_logs=access_logs)
            self.publish(FlowLogFilesOutputs(flow_log_files_id=files.id, flow_logs_bucket_name=files.bucket_name))
        if site.settings.audit.enabled:
            audit = Audit(self, "audit", site=site, logs_key_arn=data.key_arn, access_logs=access_logs)
            self.publish(audit.outputs)
        if site.settings.activity.enabled:
            RequestMetrics(self, "activity", data=data)
        self.publish(
            ObservabilityOutputs(
                alert_topic_arn=alerts.topic.arn,
                oncall_queue_url=alerts.queue.url,
                oncall_queue_arn=alerts.queue.arn,
                oncall_dlq_arn=alerts.undelivered.arn,
                dashboard_name=dashboards.all_regions_name,
                region_dashboard_name=dashboards.region_name,
                failure_rate_alarm_name=alarms.alarms[FAILURE_RATE_ALARM].name,
                all_regions_failure_rate_alarm_name=alarms.alarms[ALL_REGIONS_ALARM].name,
                region_unwell_alarm_name=alarms.unwell_name,
                alarm_names=alarms.names,
            )
        )
