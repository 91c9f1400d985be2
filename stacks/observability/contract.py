"""What the observability layer promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shared.contracts import Need, Outputs, StackSpec, Where
from stacks.compute.contract import WebComputeOutputs
from stacks.data.contract import DataOutputs
from stacks.edge.contract import AssetsOutputs, EdgeOutputs, WebOutputs
from stacks.network.contract import NetworkOutputs


@dataclass(frozen=True, kw_only=True)
class ObservabilityOutputs(Outputs):
    """A region's alert topic, on-call queue, dashboards and alarms."""

    stack: ClassVar[str] = "observability"

    alert_topic_arn: str
    oncall_queue_url: str
    oncall_queue_arn: str
    oncall_dlq_arn: str
    dashboard_name: str
    region_dashboard_name: str
    failure_rate_alarm_name: str
    all_regions_failure_rate_alarm_name: str
    region_unwell_alarm_name: str
    alarm_names: list[str]


@dataclass(frozen=True, kw_only=True)
class AuditOutputs(Outputs):
    """Where the environment's one audit trail is, and where to ask it: in the primary region, the same everywhere."""

    stack: ClassVar[str] = "observability"
    capabilities: ClassVar[tuple[str, ...]] = ("audit",)

    trail_arn: str
    audit_bucket_name: str
    # Empty where the trail goes to files only.
    audit_log_group_name: str
    audit_database_name: str
    athena_workgroup_name: str
    athena_results_bucket_name: str


@dataclass(frozen=True, kw_only=True)
class FlowLogFilesOutputs(Outputs):
    """The record of a region's traffic as files."""

    stack: ClassVar[str] = "observability"
    capabilities: ClassVar[tuple[str, ...]] = ("flow_logs",)

    flow_log_files_id: str
    flow_logs_bucket_name: str


@dataclass(frozen=True, kw_only=True)
class ObservabilityLinksOutputs(Outputs):
    """The subscriptions of the other regions' on-call queues to a region's alerts."""

    stack: ClassVar[str] = "observability-links"

    subscription_arns: list[str]


OBSERVABILITY = StackSpec(
    name="observability",
    layer="observability",
    owner="team-sre",
    publishes=ObservabilityOutputs,
    also=(AuditOutputs, FlowLogFilesOutputs),
    needs=(
        Need(NetworkOutputs),
        Need(DataOutputs),
        Need(EdgeOutputs),
        Need(AssetsOutputs),
        Need(WebComputeOutputs),
        Need(WebOutputs),
    ),
    factory="stacks.observability.stack:ObservabilityStack",
)

OBSERVABILITY_LINKS = StackSpec(
    name="observability-links",
    layer="observability",
    owner="team-sre",
    publishes=ObservabilityLinksOutputs,
    needs=(
        Need(ObservabilityOutputs),
        Need(ObservabilityOutputs, Where.OTHERS),
        Need(AuditOutputs),
        Need(FlowLogFilesOutputs),
    ),
    factory="stacks.observability.links:ObservabilityLinksStack",
)
