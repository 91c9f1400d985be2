"""What the compute layer promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shared.contracts import Need, Outputs, StackSpec, Where
from stacks.data.contract import DataOutputs, UploadsOutputs
from stacks.network.contract import ApplicationTierOutputs, NetworkOutputs


@dataclass(frozen=True, kw_only=True)
class ComputeOutputs(Outputs):
    """A region's payment workflow, its functions and its event bus."""

    stack: ClassVar[str] = "compute"

    api_function_name: str
    api_function_arn: str
    api_function_invoke_arn: str
    function_names: list[str]
    state_machine_arn: str
    state_machine_name: str
    event_bus_name: str
    event_bus_arn: str
    changes_dlq_name: str
    changes_dlq_arn: str
    events_dlq_name: str
    events_dlq_arn: str
    # The log group of the final states that the region has published.
    event_journal_name: str
    code_bucket_name: str


@dataclass(frozen=True, kw_only=True)
class WebComputeOutputs(Outputs):
    """The web tier's instances, and the target group that the load balancer sends requests to."""

    stack: ClassVar[str] = "compute"
    capabilities: ClassVar[tuple[str, ...]] = ("web",)

    web_target_group_arn: str
    # How CloudWatch names it: the end of its ARN.
    web_target_group_dimension: str
    web_auto_scaling_group_name: str
    web_launch_template_id: str
    register_targets_function_name: str


@dataclass(frozen=True, kw_only=True)
class ProcessingOutputs(Outputs):
    """What works on a region's uploads, and where goes what it could not work on."""

    stack: ClassVar[str] = "compute"
    capabilities: ClassVar[tuple[str, ...]] = ("processing",)

    process_function_name: str
    process_function_arn: str
    process_function_invoke_arn: str
    analyze_function_name: str
    replication_monitor_function_name: str
    uploads_dlq_name: str
    uploads_dlq_arn: str


COMPUTE = StackSpec(
    name="compute",
    layer="compute",
    owner="team-payments",
    publishes=ComputeOutputs,
    also=(WebComputeOutputs, ProcessingOutputs),
    needs=(
        Need(NetworkOutputs),
        Need(DataOutputs),
        Need(ApplicationTierOutputs, capabilities=("web",)),
        Need(UploadsOutputs),
    ),
    factory="stacks.compute.stack:ComputeStack",
)


@dataclass(frozen=True, kw_only=True)
class ComputeLinksOutputs(Outputs):
    """Where a region's bus forwards payments to that it cannot finish."""

    stack: ClassVar[str] = "compute-links"

    routes_to: list[str]


COMPUTE_LINKS = StackSpec(
    name="compute-links",
    layer="compute",
    owner="team-payments",
    publishes=ComputeLinksOutputs,
    # A rule can only target a bus that exists, with a policy that admits it.
    needs=(Need(ComputeOutputs), Need(ComputeOutputs, Where.OTHERS)),
    factory="stacks.compute.links:ComputeLinksStack",
)
