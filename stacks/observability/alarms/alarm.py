"""What an alarm is, and how one becomes a Terraform resource."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cdktf_cdktf_provider_aws.cloudwatch_metric_alarm import (
    CloudwatchMetricAlarm,
    CloudwatchMetricAlarmMetricQuery,
    CloudwatchMetricAlarmMetricQueryMetric,
)
from constructs import Construct

from shared.config import AlarmSettings
from shared.site import Site
from stacks.observability.metrics import Formula, Metric


class Missing(StrEnum):
    """What a period without data means (CloudWatch User Guide, "Configuring how alarms treat missing data")."""

    # Nothing was counted: counters of trouble have data only when there is trouble.
    IS_GOOD = "notBreaching"
    # Something that reports every minute has stopped.
    IS_BAD = "breaching"
    # Nothing is known: keep the state. AWS does this with every alarm on AWS/DynamoDB metrics, so the definition says
    # so too.
    SAYS_NOTHING = "ignore"


@dataclass(frozen=True)
class Patience:
    """How many of the newest periods must breach: ``datapoints`` of ``periods``."""

    datapoints: int
    periods: int


def at_once(settings: AlarmSettings) -> Patience:
    """The first breach counts.

    Never 1 of 1: metrics come late, and FILL makes a 0 of a late minute, so that an alarm on the newest minute alone
    could miss what arrives a moment later (CloudWatch User Guide, "Using metric math", FILL).
    """
    return Patience(settings.datapoints_to_alarm, settings.evaluation_periods)


def at_once_when_late(settings: AlarmSettings, late_periods: int) -> Patience:
    """The first breach counts, of something that is known only some periods later."""
    return Patience(settings.datapoints_to_alarm, settings.evaluation_periods + late_periods)


def sustained(settings: AlarmSettings) -> Patience:
    """For what retries heal: it must last."""
    return Patience(settings.sustained_datapoints, settings.sustained_periods)


def unbroken(settings: AlarmSettings) -> Patience:
    """For what a single quiet or late minute may look like: every period of the longer range."""
    return Patience(settings.sustained_periods, settings.sustained_periods)


@dataclass(frozen=True, kw_only=True)
class AlarmSpec:
    """One alarm: it is raised while ``what`` is above ``above``.

    Attributes
    ----------
    thing
        Its name within the environment.
    says
        What has happened and where to look first, for who is woken by it.
    what
        The metric or formula.
    label
        What the value is, with its unit.
    vital
        Whether the region is unwell when this is raised.
    period_s
        Over which values are put together; the configured one unless the metric allows only this.
    """

    thing: str
    says: str
    what: Metric | Formula
    label: str
    above: float
    missing: Missing
    patience: Patience
    vital: bool = False
    period_s: int | None = None


class Alarm(Construct):
    """One metric alarm; it tells the topic when it is raised and when it is over."""

    def __init__(self, scope: Construct, id: str, *, site: Site, spec: AlarmSpec, topic_arn: str) -> None:
        super().__init__(scope, id)
        self.name = site.name(spec.thing)
        self.arn = site.arn("cloudwatch", f"alarm:{self.name}")
        self.resource = CloudwatchMetricAlarm(
            self,
            "alarm",
            alarm_name=self.name,
            alarm_description=f"{site.region}: {spec.says}",
            comparison_operator="GreaterThanThreshold",
            threshold=spec.above,
            evaluation_periods=spec.patience.periods,
            datapoints_to_alarm=spec.patience.datapoints,
            treat_missing_data=spec.missing.value,
            alarm_actions=[topic_arn],
            ok_actions=[topic_arn],
            **_measured(spec, spec.period_s or site.settings.alarms.period_s),
        )


def _measured(spec: AlarmSpec, period_s: int) -> dict[str, Any]:
    if isinstance(spec.what, Metric):
        metric = spec.what
        return {
            "namespace": metric.namespace,
            "metric_name": metric.name,
            "dimensions": dict(metric.dimensions),
            "period": period_s,
            **({"extended_statistic": metric.stat} if metric.stat.startswith("p") else {"statistic": metric.stat}),
        }
    return {"metric_query": _queries(spec.what.expression, spec.label, spec.what.inputs, period_s)}


def _queries(
    expression: str, label: str, inputs: Mapping[str, Metric], period_s: int
) -> Sequence[CloudwatchMetricAlarmMetricQuery]:
    return [
        CloudwatchMetricAlarmMetricQuery(id="result", expression=expression, label=label, return_data=True),
        *(
            CloudwatchMetricAlarmMetricQuery(
                id=id,
                metric=CloudwatchMetricAlarmMetricQueryMetric(
                    namespace=metric.namespace,
                    metric_name=metric.name,
                    dimensions=dict(metric.dimensions),
                    period=period_s,
                    stat=metric.stat,
                ),
                return_data=False,
            )
            for id, metric in inputs.items()
        ),
    ]
