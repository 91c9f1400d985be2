"""The trail itself, and the log group in which its alarms count."""

from __future__ import annotations

from cdktf_cdktf_provider_aws.cloudtrail import (
    Cloudtrail,
    CloudtrailAdvancedEventSelector,
    CloudtrailAdvancedEventSelectorFieldSelector,
)
from cdktf_cdktf_provider_aws.cloudwatch_log_metric_filter import (
    CloudwatchLogMetricFilter,
    CloudwatchLogMetricFilterMetricTransformation,
)
from constructs import Construct

from shared.grants import Grant
from shared.logs import log_group
from shared.role import service_role
from shared.site import Site
from shared.suppressions import suppress
from stacks.observability.audit.bucket import SERVICE, TRAIL, TrailBucket, trail_arn
from stacks.observability.audit.suspicions import SUSPICIONS, audit_namespace

# Their items are worth knowing the readers of: the payments, and the personal data (PAY-22). CloudTrail records the
# keys of items, never their other values (DynamoDB Developer Guide, "Logging DynamoDB operations by using AWS
# CloudTrail").
RECORDED_TABLES = ("payments", "vault")


class Trail(Construct):
    """Every region's management events, and who read or wrote receipts, payments and personal data.

    Log files are validated: a digest every hour, signed and chained, shows that none was changed or is missing.
    Insights are left out: they find unusual rates of calls, at a price per event that the functions' ordinary calls
    would run up; what must not happen at all is told by the alarms.
    """

    def __init__(self, scope: Construct, id: str, *, site: Site, files: TrailBucket, logs_key_arn: str) -> None:
        super().__init__(scope, id)
        logs = TrailLogs(self, "logs", site=site, key_arn=logs_key_arn) if site.settings.audit.cloudwatch else None
        trail = Cloudtrail(
            self,
            "trail",
            name=site.name(TRAIL),
            s3_bucket_name=files.bucket.name,
            kms_key_id=files.key.arn,
            is_multi_region_trail=True,
            include_global_service_events=True,
            enable_log_file_validation=True,
            cloud_watch_logs_group_arn=f"{logs.group.arn}:*" if logs else None,
            cloud_watch_logs_role_arn=logs.role.arn if logs else None,
            advanced_event_selector=_selectors(site),
            depends_on=[files.bucket.policy, *([logs.role.granted] if logs else [])],
        )
        suppress(
            trail, "CKV_AWS_252", "What the trail shows raises alarms; a message for each of its files tells nothing"
        )


class TrailLogs(Construct):
    """The trail in a log group, and a metric for each suspicion."""

    def __init__(self, scope: Construct, id: str, *, site: Site, key_arn: str) -> None:
        super().__init__(scope, id)
        self.group = log_group(self, "group", site=site, name=log_group_name(site), key_arn=key_arn)
        self.role = service_role(
            self,
            site=site,
            thing="audit-logs",
            service=SERVICE,
            source_arn=trail_arn(site),
            does="write-logs",
            grants=[
                Grant(
                    "WriteTrail",
                    ("logs:CreateLogStream", "logs:PutLogEvents"),
                    (f"{self.group.arn}:log-stream:{site.account_id}_CloudTrail_{site.region}*",),
                )
            ],
        )
        for suspicion in SUSPICIONS:
            CloudwatchLogMetricFilter(
                self,
                suspicion.thing,
                name=site.name(suspicion.thing),
                log_group_name=self.group.name,
                pattern=suspicion.pattern,
                metric_transformation=CloudwatchLogMetricFilterMetricTransformation(
                    namespace=audit_namespace(site), name=suspicion.metric, value="1", unit="Count"
                ),
            )


def log_group_name(site: Site) -> str:
    """The name of the trail's log group."""
    return f"/aws/cloudtrail/{site.name(TRAIL)}"


def _selectors(site: Site) -> list[CloudtrailAdvancedEventSelector]:
    everywhere = [site.at(region) for region in site.environment.regions]
    receipts = [f"{at.bucket_arn('receipts')}/" for at in everywhere]
    tables = [at.arn("dynamodb", f"table/{at.name(thing)}") for at in everywhere for thing in RECORDED_TABLES]
    field = CloudtrailAdvancedEventSelectorFieldSelector
    return [
        CloudtrailAdvancedEventSelector(
            name="Management events", field_selector=[field(field="eventCategory", equal_to=["Management"])]
        ),
        CloudtrailAdvancedEventSelector(
            name="Receipts",
            field_selector=[
                field(field="eventCategory", equal_to=["Data"]),
                field(field="resources.type", equal_to=["AWS::S3::Object"]),
                field(field="resources.ARN", starts_with=receipts),
            ],
        ),
        CloudtrailAdvancedEventSelector(
            name="Payments and personal data",
            field_selector=[
                field(field="eventCategory", equal_to=["Data"]),
                field(field="resources.type", equal_to=["AWS::DynamoDB::Table"]),
                field(field="resources.ARN", equal_to=tables),
            ],
        ),
    ]
