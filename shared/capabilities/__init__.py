"""What is optional: a settings section per capability, off until its ``enabled`` is true.

A capability is a name, the same one everywhere: its section in the configuration, the module here, ``capabilities`` of
the contracts that it publishes (`shared/contracts.py`), and the module in ``stacks/observability/capabilities``.
"""

from __future__ import annotations

from shared.capabilities.activity import ActivitySettings
from shared.capabilities.assets import AssetsSettings
from shared.capabilities.audit import AuditSettings
from shared.capabilities.flow_logs import FlowLogsSettings
from shared.capabilities.processing import ProcessingSettings
from shared.capabilities.relational import RelationalSettings
from shared.capabilities.web import WebSettings
from shared.section import Section


class Capabilities(Section):
    """The capabilities' settings in one region, a field each, named after the capability."""

    relational: RelationalSettings = RelationalSettings()
    web: WebSettings = WebSettings()
    assets: AssetsSettings = AssetsSettings()
    audit: AuditSettings = AuditSettings()
    flow_logs: FlowLogsSettings = FlowLogsSettings()
    processing: ProcessingSettings = ProcessingSettings()
    activity: ActivitySettings = ActivitySettings()

    @property
    def on(self) -> frozenset[str]:
        """The names of those that are switched on."""
        return frozenset(name for name in CAPABILITIES if getattr(self, name).enabled)


CAPABILITIES: tuple[str, ...] = tuple(Capabilities.model_fields)
