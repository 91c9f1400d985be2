"""What on-call sees of the optional capabilities: a module per capability, its alarms and its part of the dashboards.

No I/O and no Terraform, like the alarms and dashboards that every environment has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from shared.site import Site
from stacks.observability.alarms.alarm import AlarmSpec


@dataclass(frozen=True)
class Watch:
    """One capability's alarms, and its widgets on the dashboard of a region (`dashboards/widgets.py`)."""

    alarms: Callable[[Site], Sequence[AlarmSpec]]
    widgets: Callable[[Site], Sequence[Mapping[str, Any]]]


WATCHES: Mapping[str, Watch] = MappingProxyType({})


def capability_alarms(site: Site) -> list[AlarmSpec]:
    """The alarms of the capabilities that are on."""
    return [spec for watch in _on(site) for spec in watch.alarms(site)]


def capability_widgets(site: Site) -> list[Mapping[str, Any]]:
    """What the capabilities that are on show of a region."""
    return [widget for watch in _on(site) for widget in watch.widgets(site)]


def _on(site: Site) -> list[Watch]:
    return [watch for name, watch in WATCHES.items() if name in site.environment.capabilities]
