"""What in the trail is worth waking somebody for, as plain data: metric filters and alarms both come from here.

The patterns are after the CIS AWS Foundations Benchmark, section "Monitoring". Events of every region are looked at,
because the trail is of all regions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.capabilities.audit import AuditSettings
from shared.site import Site
from stacks.observability.metrics import Metric


@dataclass(frozen=True)
class Suspicion:
    """A kind of event.

    Attributes
    ----------
    thing, metric
        The names of its alarm and its metric.
    pattern
        A CloudWatch Logs filter pattern over the trail's events.
    says
        What has happened and where to look first.
    threshold
        How many in a period are still no alarm.
    """

    thing: str
    metric: str
    pattern: str
    says: str
    threshold: Callable[[AuditSettings], int]


def _events(source: str, names: Sequence[str]) -> str:
    either = " || ".join(f'($.eventName = "{name}")' for name in names)
    return f'{{ ($.eventSource = "{source}.amazonaws.com") && ({either}) }}'


SUSPICIONS = (
    Suspicion(
        thing="audit-root-use",
        metric="RootUse",
        pattern='{ ($.userIdentity.type = "Root") && ($.userIdentity.invokedBy NOT EXISTS) '
        '&& ($.eventType != "AwsServiceEvent") }',
        says="the account's root was used, in whatever region. Nothing here needs it: find out who it was.",
        threshold=lambda settings: settings.root_use_per_period,
    ),
    Suspicion(
        thing="audit-trail-changed",
        metric="TrailChanged",
        pattern=_events("cloudtrail", ("StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors")),
        says="a trail was stopped, deleted or changed. If no rollout did it, start it again, then look who it was.",
        threshold=lambda settings: settings.trail_changes_per_period,
    ),
    Suspicion(
        thing="audit-keys-at-risk",
        metric="KeysAtRisk",
        pattern=_events("kms", ("DisableKey", "ScheduleKeyDeletion")),
        says="a KMS key was disabled or is going to be deleted, in whatever region, and what it encrypts with it. "
        "Cancelling the deletion is possible until it happens (`aws kms cancel-key-deletion`).",
        threshold=lambda settings: settings.keys_at_risk_per_period,
    ),
    Suspicion(
        thing="audit-denied",
        metric="Denied",
        pattern='{ ($.errorCode = "AccessDenied*") || ($.errorCode = "*UnauthorizedOperation") }',
        says="many requests were denied: somebody tries doors, or a role lacks a permission. "
        "The named query `what-was-denied` says which.",
        threshold=lambda settings: settings.denied_per_period,
    ),
)


def counted(site: Site, suspicion: Suspicion) -> Metric:
    """How many such events there were. Metrics of log filters have no dimensions here: there is one trail."""
    return Metric(audit_namespace(site), suspicion.metric, "Sum")


def audit_namespace(site: Site) -> str:
    """The CloudWatch namespace of what is counted in the trail."""
    return f"{site.metrics_namespace}/audit"
