"""Every function: what it is for, what it is told by its environment, and what it may do.

Pure data for the infrastructure, which makes one function and one role of each entry. Tests hold
it to the code: the settings that the code reads, and the AWS calls that it makes.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Literal

ProcessorKind = Literal["simulator", "http"]
Trigger = Literal["api", "workflow", "stream", "event", "schedule", "object", "call"]

SERVICE_NAME = "payments"
"""POWERTOOLS_SERVICE_NAME of every function: the `service` dimension of the metrics. One value
for all, so that failures counted by one function divide by receipts counted by another."""

METRICS = (
    "PaymentsReceived",
    "PaymentsSettled",
    "PaymentsDeclined",
    "PaymentsFailed",
    "PaymentsRefunded",
)
UPLOAD_METRICS = ("UploadsProcessed", "UploadsRefused")
"""Merchants' uploads, by what became of them."""

SWEEP_METRICS = (
    "PaymentsResumed",
    "PaymentsTakenOverLostEvent",
    "PaymentsTakenOverRegionDown",
    "PaymentsStuck",
    "PaymentsNotSwept",
    "OldestOpenPayment",
    "RegionsDown",
    "SweepDuration",
)
"""What `sweep_payments` writes each minute: counts, an age in seconds, and a duration in milliseconds."""

HANDED_OVER_METRIC = "PaymentsHandedOver"
"""Payments that their region could not finish and gave to the next one. No outcome: it has one there."""

ALL_REGIONS_SERVICE_NAME = "payments-all-regions"
"""The `service` dimension of the same metrics summed over all regions, by `aggregate_outcomes`."""

UNREADABLE_METRIC = "RegionsUnreadable"
"""With ALL_REGIONS_SERVICE_NAME: how many regions a sum lacks. Written every minute, 0 when all is well."""

OPEN_PAYMENTS_INDEX = "open"
"""The payments table's index by `open_in` and `created_at`: what is not finished (`payments.open_payments`)."""

EVENT_SOURCE = "tripoint.payments"
HANDED_OVER = "PaymentHandedOver"
"""The detail type whose `detail.next_region` says to which region's bus it goes and which takes it."""

LAUNCH_HOOK, TERMINATE_HOOK = "serving", "drained"
"""The lifecycle hooks of the web tier's group: what `register_targets` sees to before an instance serves, and goes."""

EVENT_DETAIL_TYPES = (
    "PaymentReceived",
    "PaymentAuthorized",
    "PaymentSettled",
    "PaymentDeclined",
    "PaymentFailed",
    "PaymentRefunded",
    HANDED_OVER,
)


class Env(StrEnum):
    """An environment variable that the infrastructure sets."""

    PAYMENTS_TABLE = "PAYMENTS_TABLE"
    RECEIPTS_BUCKET = "RECEIPTS_BUCKET"
    RECEIPTS_KEY_ARN = "RECEIPTS_KEY_ARN"
    STATE_MACHINE_ARN = "STATE_MACHINE_ARN"
    EVENT_BUS_NAME = "EVENT_BUS_NAME"
    MERCHANT_ROLES = "MERCHANT_ROLES"
    VAULT_TABLE = "VAULT_TABLE"
    VAULT_RETENTION_DAYS = "VAULT_RETENTION_DAYS"
    FAILOVER_ORDER = "FAILOVER_ORDER"
    DOWN_AFTER_S = "DOWN_AFTER_S"
    STALE_AFTER_S = "STALE_AFTER_S"
    METRICS_REGIONS = "METRICS_REGIONS"
    AUTO_SCALING_GROUP = "AUTO_SCALING_GROUP"
    TARGET_GROUP_ARN = "TARGET_GROUP_ARN"
    SESSIONS_TABLE = "SESSIONS_TABLE"
    UPLOADS_BUCKET = "UPLOADS_BUCKET"
    UPLOADS_KEY_ARN = "UPLOADS_KEY_ARN"
    UPLOADS_MAX_MB = "UPLOADS_MAX_MB"
    ALERT_TOPIC_ARN = "ALERT_TOPIC_ARN"
    ALERT_QUIET_S = "ALERT_QUIET_S"
    PROCESSOR_KIND = "PROCESSOR_KIND"
    PROCESSOR_TABLE = "PROCESSOR_TABLE"
    PROCESSOR_URL = "PROCESSOR_URL"
    PROCESSOR_SECRET_ID = "PROCESSOR_SECRET_ID"
    PROCESSOR_TIMEOUT_MS = "PROCESSOR_TIMEOUT_MS"
    LOG_LEVEL = "LOG_LEVEL"
    POWERTOOLS_SERVICE_NAME = "POWERTOOLS_SERVICE_NAME"
    POWERTOOLS_METRICS_NAMESPACE = "POWERTOOLS_METRICS_NAMESPACE"


class Grant(Enum):
    """A verb on a resource, with exactly the IAM actions that the code calls, none a wildcard.

    What reaching an encrypted table takes of its KMS key is the key's policy.
    """

    LEDGER_CREATE = ("ledger: create", "payments table", ("dynamodb:PutItem",))
    LEDGER_READ = ("ledger: read", "payments table", ("dynamodb:GetItem",))
    LEDGER_READ_MANY = ("ledger: read many", "payments table", ("dynamodb:BatchGetItem",))
    LEDGER_UPDATE = ("ledger: update", "payments table", ("dynamodb:UpdateItem",))
    LEDGER_LIST_OPEN = ("ledger: list open payments", "payments table's index of open payments", ("dynamodb:Query",))
    LEDGER_STREAM = (
        "ledger: follow changes",
        "payments table's stream",
        (
            "dynamodb:DescribeStream",
            "dynamodb:GetRecords",
            "dynamodb:GetShardIterator",
        ),
    )
    LEDGER_FIND_STREAM = (
        "ledger: find the stream",
        "* (DynamoDB has no resource-level permission)",
        ("dynamodb:ListStreams",),
    )
    VAULT_PUT = ("vault: keep", "vault table", ("dynamodb:PutItem",))
    VAULT_READ = ("vault: read", "vault table", ("dynamodb:GetItem",))
    WORKFLOW_START = ("workflow: start", "state machine", ("states:StartExecution",))
    RECEIPTS_PUT = ("receipts: put", "receipts bucket's objects (receipts/*)", ("s3:PutObject",))
    RECEIPTS_ENCRYPT = ("receipts: encrypt", "receipts key", ("kms:GenerateDataKey",))
    EVENTS_PUT = ("events: publish", "event bus", ("events:PutEvents",))
    PROCESSOR_OPEN = ("simulated processor: authorize, without a look first", "processor table", ("dynamodb:PutItem",))
    PROCESSOR_ACCOUNTS = (
        "simulated processor: operate",
        "processor table",
        ("dynamodb:GetItem", "dynamodb:PutItem"),
    )
    PROCESSOR_SECRET = (
        "processor: read the API key",
        "processor secret",
        ("secretsmanager:GetSecretValue",),
    )
    METRICS_READ = (
        "metrics: read",
        "* (CloudWatch has no resource-level permission)",
        ("cloudwatch:GetMetricData",),
    )
    WEB_DESCRIBE = (
        "web tier: describe",
        "* (none of these has resource-level permission)",
        (
            "autoscaling:DescribeAutoScalingGroups",
            "ec2:DescribeInstances",
            "elasticloadbalancing:DescribeTargetHealth",
        ),
    )
    WEB_INSTANCES = (
        "web tier: end waits, replace instances",
        "Auto Scaling group",
        ("autoscaling:CompleteLifecycleAction", "autoscaling:SetInstanceHealth"),
    )
    WEB_TARGETS = (
        "web tier: register and deregister",
        "target group",
        ("elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets"),
    )
    SESSIONS_CREATE = ("sessions: create", "sessions table", ("dynamodb:PutItem",))
    SESSIONS_UPDATE = ("sessions: touch, save, expire", "sessions table", ("dynamodb:UpdateItem",))
    UPLOADS_READ = ("uploads: read", "uploads bucket's objects (incoming/*)", ("s3:GetObject",))
    # Without it S3 answers 403 for an object that is not there (S3 API reference, GetObject).
    UPLOADS_MISS = ("uploads: tell what is not there", "uploads bucket", ("s3:ListBucket",))
    # The condition on the summary that is replaced takes reading (S3 user guide, "Conditional writes").
    SUMMARIES_PUT = ("summaries: put", "uploads bucket's objects (processed/*)", ("s3:GetObject", "s3:PutObject"))
    SUMMARIES_LIST = ("summaries: list", "uploads bucket (prefix processed/)", ("s3:ListBucket",))
    SUMMARIES_READ = ("summaries: read", "uploads bucket's objects (processed/*)", ("s3:GetObject",))
    ALERTS_PUBLISH = ("alerts: publish", "alert topic", ("sns:Publish",))
    TRACES_PUT = (
        "traces: put",
        "* (X-Ray has no resources)",
        ("xray:PutTraceSegments", "xray:PutTelemetryRecords"),
    )

    def __init__(self, verb: str, resource: str, actions: tuple[str, ...]) -> None:
        self.verb = verb
        self.resource = resource
        self.actions = actions


@dataclass(frozen=True, kw_only=True)
class FunctionSpec:
    """One Lambda function. Its zip, its folder and its name here are the same word.

    `trigger` is what invokes it: the API, a state of the workflow, the ledger's stream, a rule of
    the region's event bus, a schedule, what S3 tells of an object, or somebody's call. Outside of
    the VPC (`in_vpc` False) runs only what touches no payment and needs endpoints that the VPC has
    no way to. `capability` is the optional capability that it belongs to, None for what every
    environment has. `uses` are the libraries in its zip besides `payments`, folders here. With
    `read_only` its policy holds nothing that writes or encrypts, beside its own logs and traces.
    """

    name: str
    description: str
    trigger: Trigger
    in_vpc: bool = True
    env: tuple[Env, ...] = ()
    grants: tuple[Grant, ...] = ()
    talks_to_processor: bool = False
    simulator_grant: Grant = Grant.PROCESSOR_ACCOUNTS
    counts: bool = False
    uses: tuple[str, ...] = ()
    read_only: bool = False
    capability: str | None = None

    @property
    def handler(self) -> str:
        """The handler inside the zip."""
        return f"functions.{self.name}.handler.handler"

    def env_for(self, processor: ProcessorKind) -> tuple[Env, ...]:
        """The variables it needs with a kind of processor, none besides."""
        names = self.env + (PROCESSOR_ENV[processor] if self.talks_to_processor else ())
        return names + _EVERY_ENV + (_METRICS_ENV if self.counts else ())

    def grants_for(self, processor: ProcessorKind) -> tuple[Grant, ...]:
        """The grants it needs with a kind of processor, none besides."""
        needed = {"simulator": self.simulator_grant, "http": Grant.PROCESSOR_SECRET}[processor]
        return (*self.grants, *((needed,) if self.talks_to_processor else ()), Grant.TRACES_PUT)


PROCESSOR_ENV: MappingProxyType[str, tuple[Env, ...]] = MappingProxyType(
    {
        "simulator": (Env.PROCESSOR_KIND, Env.PROCESSOR_TABLE),
        "http": (
            Env.PROCESSOR_KIND,
            Env.PROCESSOR_URL,
            Env.PROCESSOR_SECRET_ID,
            Env.PROCESSOR_TIMEOUT_MS,
        ),
    }
)
_EVERY_ENV = (Env.LOG_LEVEL, Env.POWERTOOLS_SERVICE_NAME)
_METRICS_ENV = (Env.POWERTOOLS_METRICS_NAMESPACE,)

# The functions that every environment has.
FUNCTIONS: tuple[FunctionSpec, ...] = (
    FunctionSpec(
        name="payments_api",
        description="Accepts payments and tells how they stand; answers the health check",
        trigger="api",
        env=(
            Env.PAYMENTS_TABLE,
            Env.STATE_MACHINE_ARN,
            Env.VAULT_TABLE,
            Env.VAULT_RETENTION_DAYS,
            Env.MERCHANT_ROLES,
        ),
        grants=(
            Grant.LEDGER_CREATE,
            Grant.LEDGER_READ,
            Grant.VAULT_PUT,
            Grant.VAULT_READ,
            Grant.WORKFLOW_START,
        ),
        counts=True,
    ),
    FunctionSpec(
        name="validate",
        description="Workflow: refuses what no request could have asked for",
        trigger="workflow",
    ),
    FunctionSpec(
        name="authorize",
        description="Workflow: reserves the money of a payment",
        trigger="workflow",
        env=(Env.PAYMENTS_TABLE,),
        grants=(Grant.LEDGER_UPDATE,),
        talks_to_processor=True,
        simulator_grant=Grant.PROCESSOR_OPEN,
    ),
    FunctionSpec(
        name="capture",
        description="Workflow: takes the reserved money",
        trigger="workflow",
        talks_to_processor=True,
    ),
    FunctionSpec(
        name="issue_receipt",
        description="Workflow: archives the receipt of a captured payment",
        trigger="workflow",
        env=(Env.RECEIPTS_BUCKET, Env.RECEIPTS_KEY_ARN),
        grants=(Grant.RECEIPTS_PUT, Grant.RECEIPTS_ENCRYPT),
    ),
    FunctionSpec(
        name="complete",
        description="Workflow: settles a payment",
        trigger="workflow",
        env=(Env.PAYMENTS_TABLE,),
        grants=(Grant.LEDGER_UPDATE,),
        counts=True,
    ),
    FunctionSpec(
        name="compensate",
        description="Workflow: voids or refunds what a failed payment has done",
        trigger="workflow",
        env=(Env.PAYMENTS_TABLE,),
        grants=(Grant.LEDGER_UPDATE,),
        talks_to_processor=True,
        counts=True,
    ),
    FunctionSpec(
        name="hand_over",
        description="Workflow: gives a payment that this region cannot finish to the next region",
        trigger="workflow",
        env=(Env.PAYMENTS_TABLE, Env.FAILOVER_ORDER, Env.DOWN_AFTER_S),
        grants=(Grant.LEDGER_READ_MANY, Grant.LEDGER_UPDATE),
        counts=True,
    ),
    FunctionSpec(
        name="record_failure",
        description="Workflow: records why a payment did not settle",
        trigger="workflow",
        env=(Env.PAYMENTS_TABLE,),
        grants=(Grant.LEDGER_UPDATE,),
        counts=True,
    ),
    FunctionSpec(
        name="publish_changes",
        description="Turns changes of the ledger's stream into payment events",
        trigger="stream",
        env=(Env.EVENT_BUS_NAME,),
        grants=(Grant.LEDGER_STREAM, Grant.LEDGER_FIND_STREAM, Grant.EVENTS_PUT),
    ),
    FunctionSpec(
        name="take_over",
        description="Takes over a payment that another region could not finish",
        trigger="event",
        env=(Env.PAYMENTS_TABLE, Env.STATE_MACHINE_ARN),
        grants=(Grant.LEDGER_READ, Grant.LEDGER_UPDATE, Grant.WORKFLOW_START),
    ),
    FunctionSpec(
        name="sweep_payments",
        description="Finishes payments that nobody works on any more, here and of regions that are down",
        trigger="schedule",
        env=(
            Env.PAYMENTS_TABLE,
            Env.STATE_MACHINE_ARN,
            Env.FAILOVER_ORDER,
            Env.STALE_AFTER_S,
            Env.DOWN_AFTER_S,
        ),
        grants=(Grant.LEDGER_LIST_OPEN, Grant.LEDGER_READ_MANY, Grant.LEDGER_UPDATE, Grant.WORKFLOW_START),
        counts=True,
    ),
    FunctionSpec(
        name="aggregate_outcomes",
        description="Sums up each minute's payment metrics of all regions",
        trigger="schedule",
        in_vpc=False,
        env=(Env.METRICS_REGIONS, Env.POWERTOOLS_METRICS_NAMESPACE),
        grants=(Grant.METRICS_READ,),
    ),
)

CAPABILITY_FUNCTIONS: tuple[FunctionSpec, ...] = (
    FunctionSpec(
        name="register_targets",
        description="Keeps the web tier's target group as its Auto Scaling group is",
        trigger="schedule",
        in_vpc=False,
        env=(Env.AUTO_SCALING_GROUP, Env.TARGET_GROUP_ARN),
        grants=(Grant.WEB_DESCRIBE, Grant.WEB_INSTANCES, Grant.WEB_TARGETS),
        capability="web",
    ),
    FunctionSpec(
        name="process_object",
        description="Sums up merchants' settlement files as they come, or one when asked",
        trigger="object",
        env=(Env.UPLOADS_BUCKET, Env.UPLOADS_KEY_ARN, Env.UPLOADS_MAX_MB, Env.SESSIONS_TABLE),
        grants=(
            Grant.UPLOADS_READ,
            Grant.UPLOADS_MISS,
            Grant.SUMMARIES_PUT,
            Grant.SESSIONS_CREATE,
            Grant.SESSIONS_UPDATE,
        ),
        counts=True,
        uses=("sessions", "uploads"),
        capability="processing",
    ),
    FunctionSpec(
        name="analyze_uploads",
        description="Totals of processed uploads, by day and name; only reads",
        trigger="call",
        env=(Env.UPLOADS_BUCKET,),
        grants=(Grant.SUMMARIES_LIST, Grant.SUMMARIES_READ),
        uses=("uploads",),
        read_only=True,
        capability="processing",
    ),
    FunctionSpec(
        name="monitor_replication",
        description="Turns what S3 could not replicate into alerts",
        trigger="object",
        in_vpc=False,
        env=(Env.ALERT_TOPIC_ARN, Env.ALERT_QUIET_S, Env.SESSIONS_TABLE),
        grants=(Grant.ALERTS_PUBLISH, Grant.SESSIONS_CREATE, Grant.SESSIONS_UPDATE),
        uses=("sessions",),
        capability="processing",
    ),
)
"""The functions of optional capabilities, deployed where their capability is on."""

EVERY_FUNCTION: tuple[FunctionSpec, ...] = FUNCTIONS + CAPABILITY_FUNCTIONS

WORKFLOW_FUNCTIONS: tuple[str, ...] = (
    "validate",
    "authorize",
    "capture",
    "issue_receipt",
    "complete",
    "hand_over",
    "compensate",
    "record_failure",
)
"""The functions that the state machine invokes, by the order of their states."""


def functions_with(capabilities: Collection[str]) -> tuple[FunctionSpec, ...]:
    """The functions of an environment with these capabilities on."""
    return tuple(spec for spec in EVERY_FUNCTION if spec.capability is None or spec.capability in capabilities)


def function(name: str) -> FunctionSpec:
    """The entry of a function; KeyError when there is none."""
    return {spec.name: spec for spec in EVERY_FUNCTION}[name]
