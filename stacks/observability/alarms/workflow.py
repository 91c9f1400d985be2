"""Executions of the payment workflow that fail, time out or wait to start."""

from __future__ import annotations

from shared.site import Site
from stacks.observability.alarms.alarm import AlarmSpec, Missing, at_once, sustained
from stacks.observability.metrics import workflow, workflow_failure_rate


def workflow_alarms(site: Site) -> list[AlarmSpec]:
    """Of Step Functions. All are counters or ratios: no executions, no trouble.

    A payment that ends FAILED ends its execution as failed too, with the reason recorded; so this is a rate with its
    own threshold. An execution that times out has recorded nothing: that is one too many.
    """
    settings = site.settings.alarms
    alarms = [
        AlarmSpec(
            thing="workflow-failures",
            says=f"more than {settings.workflow_failed_percent:g} % of the workflow's executions failed or were "
            "aborted. Their last state tells whether the payment's end is recorded.",
            what=workflow_failure_rate(site),
            label="Failed executions, %",
            above=settings.workflow_failed_percent,
            missing=Missing.IS_GOOD,
            patience=at_once(settings),
        ),
        AlarmSpec(
            thing="workflow-timeouts",
            says="executions of the workflow timed out: payments stand open and money may be held. Run them again.",
            what=workflow(site, "ExecutionsTimedOut", "Sum"),
            label="Executions timed out",
            above=0,
            missing=Missing.IS_GOOD,
            patience=at_once(settings),
            vital=True,
        ),
        AlarmSpec(
            thing="workflow-throttles",
            says="Step Functions throttles the workflow: the account's quota of state transitions is used up.",
            what=workflow(site, "ExecutionThrottled", "Sum"),
            label="Throttled executions",
            above=settings.workflow_throttles_per_period,
            missing=Missing.IS_GOOD,
            patience=sustained(settings),
        ),
    ]
    # Express workflows have no state-transition quota and publish no such metric.
    return alarms if site.settings.workflow.type == "STANDARD" else alarms[:2]
