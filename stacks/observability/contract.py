"""What the observability layer promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shared.contracts import Need, Outputs, StackSpec
from stacks.data.contract import DataOutputs
from stacks.edge.contract import EdgeOutputs
from stacks.network.contract import NetworkOutputs


@dataclass(frozen=True, kw_only=True)
class ObservabilityOutputs(Outputs):
    """A region's alert topic, on-call queue, dashboard and alarms."""

    stack: ClassVar[str] = "observability"

    alert_topic_arn: str
    oncall_queue_url: str
    oncall_queue_arn: str
    dashboard_name: str
    failure_rate_alarm_name: str


OBSERVABILITY = StackSpec(
    name="observability",
    layer="observability",
    owner="team-sre",
    publishes=ObservabilityOutputs,
    needs=(Need(NetworkOutputs), Need(DataOutputs), Need(EdgeOutputs)),
    factory="stacks.observability.stack:ObservabilityStack",
)
