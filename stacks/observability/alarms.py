"""The alarms of a region."""

from __future__ import annotations

from cdktf_cdktf_provider_aws.cloudwatch_metric_alarm import (
    CloudwatchMetricAlarm,
    CloudwatchMetricAlarmMetricQuery,
    CloudwatchMetricAlarmMetricQueryMetric,
)
from constructs import Construct

from shared.site import Site
from stacks.observability.metrics import FAILURE_RATE, FINAL, SERVICE


class FailureRateAlarm(Construct):
    """More than 0.1 % of the region's payments ended FAILED or REFUNDED (PAY-12)."""

    def __init__(self, scope: Construct, id: str, *, site: Site, topic_arn: str) -> None:
        super().__init__(scope, id)
        settings = site.settings.alarms
        self.name = site.name("failure-rate")
        CloudwatchMetricAlarm(
            self,
            "alarm",
            alarm_name=self.name,
            alarm_description=(
                f"More than {settings.failure_rate_percent} % of the payments in {site.region} failed for a reason "
                "that is not a decline. Start with the failed executions of the payment workflow."
            ),
            comparison_operator="GreaterThanThreshold",
            threshold=settings.failure_rate_percent,
            evaluation_periods=settings.evaluation_periods,
            # No payments at all is not a failure of payments.
            treat_missing_data="notBreaching",
            alarm_actions=[topic_arn],
            ok_actions=[topic_arn],
            metric_query=[
                CloudwatchMetricAlarmMetricQuery(
                    id="rate", expression=FAILURE_RATE, label="Failed payments, %", return_data=True
                ),
                *(
                    CloudwatchMetricAlarmMetricQuery(
                        id=id,
                        metric=CloudwatchMetricAlarmMetricQueryMetric(
                            namespace=site.metrics_namespace,
                            metric_name=metric,
                            dimensions={"service": SERVICE},
                            period=settings.period_s,
                            stat="Sum",
                        ),
                        return_data=False,
                    )
                    for id, metric in FINAL.items()
                ),
            ],
        )
