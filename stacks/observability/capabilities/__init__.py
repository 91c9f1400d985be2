"""What on-call sees of the optional capabilities: a module per capability, its alarms and its part of the dashboards.

No I/O and no Terraform, like the alarms and dashboards that every environment has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from shared.contracts import Outputs
from shared.site import Site
from stacks.compute.contract import WebComputeOutputs
from stacks.edge.contract import AssetsOutputs, WebOutputs
from stacks.observability.alarms.alarm import AlarmSpec
from stacks.observability.capabilities.activity import activity_alarms, activity_widgets
from stacks.observability.capabilities.assets import assets_alarms, assets_widgets
from stacks.observability.capabilities.audit import audit_alarms, audit_widgets
from stacks.observability.capabilities.flow_logs import flow_log_alarms, flow_log_widgets
from stacks.observability.capabilities.processing import processing_alarms, processing_widgets
from stacks.observability.capabilities.readings import Readings
from stacks.observability.capabilities.relational import relational_alarms, relational_widgets
from stacks.observability.capabilities.web import web_alarms, web_widgets


@dataclass(frozen=True)
class Watch:
    """One capability's alarms, and its widgets on the dashboard of a region (`dashboards/widgets.py`).

    Both are given the outputs of ``reads``, contracts that the observability stack's spec declares as needs.
    """

    alarms: Callable[[Site, Readings], Sequence[AlarmSpec]]
    widgets: Callable[[Site, Readings], Sequence[Mapping[str, Any]]]
    reads: tuple[type[Outputs], ...] = ()


WATCHES: Mapping[str, Watch] = MappingProxyType(
    {
        "activity": Watch(activity_alarms, activity_widgets),
        "assets": Watch(assets_alarms, assets_widgets, reads=(AssetsOutputs,)),
        "audit": Watch(audit_alarms, audit_widgets),
        "flow_logs": Watch(flow_log_alarms, flow_log_widgets),
        "relational": Watch(relational_alarms, relational_widgets),
        "processing": Watch(processing_alarms, processing_widgets),
        "web": Watch(web_alarms, web_widgets, reads=(WebComputeOutputs, WebOutputs)),
    }
)


def contracts_to_read(site: Site) -> list[type[Outputs]]:
    """The contracts that the capabilities that are on need for their alarms and widgets, each once."""
    return list(dict.fromkeys(contract for watch in _on(site) for contract in watch.reads))


def capability_alarms(site: Site, read: Readings) -> list[AlarmSpec]:
    """The alarms of the capabilities that are on."""
    return [spec for watch in _on(site) for spec in watch.alarms(site, read)]


def capability_widgets(site: Site, read: Readings) -> list[Mapping[str, Any]]:
    """What the capabilities that are on show of a region."""
    return [widget for watch in _on(site) for widget in watch.widgets(site, read)]


def _on(site: Site) -> list[Watch]:
    return [watch for name, watch in WATCHES.items() if name in site.environment.capabilities]
