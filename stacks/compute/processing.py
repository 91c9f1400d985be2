"""Object processing: what S3 tells the functions of uploads and of failed replication (OPT-06).

A bucket has one notification configuration, so whatever else wants to hear of the receipts bucket belongs here too.
"""

from __future__ import annotations

from cdktf_cdktf_provider_aws.lambda_function_event_invoke_config import (
    LambdaFunctionEventInvokeConfig,
    LambdaFunctionEventInvokeConfigDestinationConfig,
    LambdaFunctionEventInvokeConfigDestinationConfigOnFailure,
)
from cdktf_cdktf_provider_aws.lambda_permission import LambdaPermission
from cdktf_cdktf_provider_aws.s3_bucket_notification import (
    S3BucketNotification,
    S3BucketNotificationLambdaFunction,
)
from constructs import Construct

from functions.catalogue import Env
from functions.catalogue import Grant as Verb
from functions.uploads import INCOMING, PROCESSED
from shared.grants import send_to_queue
from shared.queue import kept_queue
from shared.site import Site
from stacks.compute.contract import ProcessingOutputs
from stacks.compute.function import PaymentFunction
from stacks.compute.functions import PaymentFunctions
from stacks.data.contract import DataOutputs, UploadsOutputs

UPLOADED = ("s3:ObjectCreated:*",)
NOT_REPLICATED = ("s3:Replication:OperationFailedReplication", "s3:Replication:OperationMissedThreshold")


class Processing(Construct):
    """The functions of uploads and of replication's failures, and the queue of what they could not take, for 14 days.

    ``outputs`` is their contract.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        site: Site,
        functions: PaymentFunctions,
        data: DataOutputs,
        uploads: UploadsOutputs,
    ) -> None:
        super().__init__(scope, id)
        name = site.name("uploads-dlq")
        queue = kept_queue(self, "dlq", site=site, name=name, key_arn=data.key_arn)
        _tell(functions, site, data, uploads)
        process = functions.add("process_object", [send_to_queue(queue.arn)])
        monitor = functions.add("monitor_replication", [send_to_queue(queue.arn)])
        analyze = functions.add("analyze_uploads")
        Notifications(
            self,
            "uploads",
            site=site,
            bucket=uploads.uploads_bucket_name,
            bucket_arn=uploads.uploads_bucket_arn,
            events=UPLOADED,
            prefix=INCOMING,
            receiver=process,
            dlq_arn=queue.arn,
        )
        Notifications(
            self,
            "replication",
            site=site,
            bucket=data.receipts_bucket_name,
            bucket_arn=data.receipts_bucket_arn,
            events=NOT_REPLICATED,
            receiver=monitor,
            dlq_arn=queue.arn,
        )
        self.outputs = ProcessingOutputs(
            process_function_name=process.name,
            process_function_arn=process.arn,
            process_function_invoke_arn=process.function.invoke_arn,
            analyze_function_name=analyze.name,
            replication_monitor_function_name=monitor.name,
            uploads_dlq_name=name,
            uploads_dlq_arn=queue.arn,
        )


class Notifications(Construct):
    """What S3 tells a function of a bucket; it invokes asynchronously, and Lambda retries and keeps what fails."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        site: Site,
        bucket: str,
        bucket_arn: str,
        events: tuple[str, ...],
        receiver: PaymentFunction,
        dlq_arn: str,
        prefix: str | None = None,
    ) -> None:
        super().__init__(scope, id)
        settings = site.settings.processing
        permission = LambdaPermission(
            self,
            "permission",
            statement_id="Notifications",
            action="lambda:InvokeFunction",
            function_name=receiver.name,
            principal="s3.amazonaws.com",
            source_arn=bucket_arn,
            # A bucket's ARN has no account: a bucket of that name could be another's one day.
            source_account=site.account_id,
            depends_on=[receiver.function],
        )
        failures = LambdaFunctionEventInvokeConfig(
            self,
            "failures",
            function_name=receiver.name,
            maximum_retry_attempts=settings.retries,
            maximum_event_age_in_seconds=settings.maximum_age_s,
            destination_config=LambdaFunctionEventInvokeConfigDestinationConfig(
                on_failure=LambdaFunctionEventInvokeConfigDestinationConfigOnFailure(destination=dlq_arn)
            ),
            depends_on=[receiver.function],
        )
        S3BucketNotification(
            self,
            "notification",
            bucket=bucket,
            lambda_function=[
                S3BucketNotificationLambdaFunction(
                    id=id, lambda_function_arn=receiver.arn, events=list(events), filter_prefix=prefix
                )
            ],
            # S3 looks whether it may invoke the function when it is told to.
            depends_on=[permission, failures],
        )


def _tell(functions: PaymentFunctions, site: Site, data: DataOutputs, uploads: UploadsOutputs) -> None:
    # The observability layer makes the topic after this one; its name is known before.
    topic_arn = site.arn("sns", site.name("alerts"))
    settings = site.settings.processing
    functions.know(
        {
            Env.SESSIONS_TABLE: data.sessions_table_name,
            Env.UPLOADS_BUCKET: uploads.uploads_bucket_name,
            Env.UPLOADS_KEY_ARN: data.key_arn,
            Env.UPLOADS_MAX_MB: str(settings.max_object_mb),
            Env.ALERT_TOPIC_ARN: topic_arn,
            Env.ALERT_QUIET_S: str(settings.alert_quiet_s),
        },
        {
            Verb.SESSIONS_CREATE: data.sessions_table_arn,
            Verb.SESSIONS_UPDATE: data.sessions_table_arn,
            Verb.UPLOADS_READ: f"{uploads.uploads_bucket_arn}/{INCOMING}*",
            Verb.UPLOADS_MISS: uploads.uploads_bucket_arn,
            Verb.SUMMARIES_PUT: f"{uploads.uploads_bucket_arn}/{PROCESSED}*",
            Verb.SUMMARIES_LIST: uploads.uploads_bucket_arn,
            Verb.SUMMARIES_READ: f"{uploads.uploads_bucket_arn}/{PROCESSED}*",
            Verb.ALERTS_PUBLISH: topic_arn,
        },
    )
