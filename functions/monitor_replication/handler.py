"""What S3 cannot replicate becomes an alert of the region."""

from __future__ import annotations

from typing import Any

from functions.monitor_replication.logic import alert
from functions.monitor_replication.settings import AlertSettings
from functions.monitor_replication.topic import SnsTopic
from functions.payments import aws
from functions.payments.settings import load
from functions.payments.telemetry import instrumented
from functions.sessions import container


@instrumented
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    settings = load(AlertSettings)
    topic = SnsTopic(aws.client("sns", settings.aws_region), settings.alert_topic_arn)
    return {"alerts": alert(event, topic=topic, sessions=container.sessions(), quiet_s=settings.alert_quiet_s)}
