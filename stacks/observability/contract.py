"""What the observability layer promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shared.contracts import Need, Outputs, StackSpec, Where
from stacks.data.contract import DataOutputs
from stacks.edge.contract import EdgeOutputs
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
class ObservabilityLinksOutputs(Outputs):
    """The subscriptions of the other regions' on-call queues to a region's alerts."""

    stack: ClassVar[str] = "observability-links"

    subscription_arns: list[str]


OBSERVABILITY = StackSpec(
    name="observability",
    layer="observability",
    owner="team-sre",
    publishes=ObservabilityOutputs,
    needs=(Need(NetworkOutputs), Need(DataOutputs), Need(EdgeOutputs)),
    factory="stacks.observability.stack:ObservabilityStack",
)

OBSERVABILITY_LINKS = StackSpec(
    name="observability-links",
    layer="observability",
    owner="team-sre",
    publishes=ObservabilityLinksOutputs,
    needs=(Need(ObservabilityOutputs), Need(ObservabilityOutputs, Where.OTHERS)),
    factory="stacks.observability.links:ObservabilityLinksStack",
)
