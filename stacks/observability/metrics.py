"""What can be measured of a region, and the expressions over it that alarms and dashboards share.

No I/O and no Terraform. Metrics are addressed by the names that things have in every region (shared/site.py), so a
dashboard shows another region without reading that region's state, and an alarm can be written before the thing that
it watches exists. ``tests/stacks/test_observability.py`` holds the names to the ones that the layers synthesize.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from functions.catalogue import (
    ALL_REGIONS_SERVICE_NAME,
    FUNCTIONS,
    HANDED_OVER_METRIC,
    SERVICE_NAME,
    SWEEP_METRICS,
    UNREADABLE_METRIC,
    WORKFLOW_FUNCTIONS,
)
from functions.catalogue import Grant as Verb
from shared.site import Site
from stacks.compute.contract import COMPUTE
from stacks.data.contract import DataOutputs

SERVICE = SERVICE_NAME
# What `aggregate_outcomes` writes: the sum over all regions (docs/decisions/alarm-over-all-regions.md).
ALL_REGIONS = ALL_REGIONS_SERVICE_NAME

RECEIVED = "PaymentsReceived"
SETTLED = "PaymentsSettled"
DECLINED = "PaymentsDeclined"
FAILED = "PaymentsFailed"
REFUNDED = "PaymentsRefunded"
HANDED_OVER = HANDED_OVER_METRIC

# Final states, by the id they have in expressions. A decline is an answer, not a failure.
FINAL = {"settled": SETTLED, "declined": DECLINED, "failed": FAILED, "refunded": REFUNDED}

# Percent. FILL and IF: without them the ratio has no value in a quiet minute and the alarm never clears.
FAILURE_RATE = (
    "IF(FILL(settled, 0) + FILL(declined, 0) + FILL(failed, 0) + FILL(refunded, 0) > 0, "
    "100 * (FILL(failed, 0) + FILL(refunded, 0)) / "
    "(FILL(settled, 0) + FILL(declined, 0) + FILL(failed, 0) + FILL(refunded, 0)), 0)"
)


@dataclass(frozen=True)
class Metric:
    """One CloudWatch metric and how it is summed up over a period (``Sum``, ``Maximum``, ``p99``)."""

    namespace: str
    name: str
    stat: str
    dimensions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Formula:
    """Metric math over metrics of one region; ``inputs`` are the metrics by their ids in the expression."""

    expression: str
    inputs: Mapping[str, Metric]

    def prefixed(self, prefix: str) -> Formula:
        """The same formula with other ids, so that several fit into one graph."""
        ids = re.compile(rf"\b({'|'.join(map(re.escape, self.inputs))})\b")
        return Formula(
            ids.sub(lambda match: prefix + match[0], self.expression),
            {prefix + id: metric for id, metric in self.inputs.items()},
        )


def percent_of(part: Sequence[str], whole: Sequence[str]) -> str:
    """The expression "percent of the whole", 0 where there is no whole. Arguments are ids."""
    parts, wholes = (" + ".join(f"FILL({id}, 0)" for id in ids) for ids in (part, whole))
    return f"IF({wholes} > 0, 100 * ({parts}) / ({wholes}), 0)"


def total(metrics: Sequence[Metric]) -> Metric | Formula:
    """The sum of metrics; one without a data point counts 0."""
    return _together(metrics, " + ".join("FILL({}, 0)" for _ in metrics))


def highest(metrics: Sequence[Metric]) -> Metric | Formula:
    """The highest of metrics, where any has a data point. Percentiles don't add up; the highest is one's own."""
    return _together(metrics, f"MAX([{', '.join('{}' for _ in metrics)}])")


def _together(metrics: Sequence[Metric], template: str) -> Metric | Formula:
    if len(metrics) == 1:
        return metrics[0]
    inputs = {f"m{number}": metric for number, metric in enumerate(metrics)}
    return Formula(template.format(*inputs), inputs)


# -- payments -------------------------------------------------------------------------------------


def payments(site: Site, name: str, service: str = SERVICE) -> Metric:
    """Payments that reached a state, in a minute. Written by the functions in CloudWatch's embedded metric format:
    once each, and summed up over all regions one value a minute. That value may be written twice, because a schedule's
    event may come twice: so the highest counts, not their sum.
    """
    return Metric(site.metrics_namespace, name, "Maximum" if service == ALL_REGIONS else "Sum", {"service": service})


def failure_rate(site: Site, service: str = SERVICE) -> Formula:
    """Percent of the payments that ended FAILED or REFUNDED."""
    return Formula(FAILURE_RATE, {id: payments(site, name, service) for id, name in FINAL.items()})


def unreadable_regions(site: Site) -> Metric:
    """How many regions the sums over all regions lack; written every minute."""
    return Metric(site.metrics_namespace, UNREADABLE_METRIC, "Maximum", {"service": ALL_REGIONS})


def swept(site: Site, name: str, stat: str) -> Metric:
    """What the region's sweeper has found or done; written every minute."""
    if name not in SWEEP_METRICS:
        raise ValueError(f"{name!r} is not written by the sweeper; allowed: {', '.join(SWEEP_METRICS)}")
    return Metric(site.metrics_namespace, name, stat, {"service": SERVICE})


# -- functions ------------------------------------------------------------------------------------

CHANGES_FUNCTION = "publish_changes"
API_FUNCTION = "payments_api"
DECLINING_FUNCTION = "authorize"


def function(site: Site, function: str, name: str, stat: str) -> Metric:
    """A metric of one function of `functions/catalogue.py`."""
    return Metric("AWS/Lambda", name, stat, {"FunctionName": site.name(function.replace("_", "-"))})


def function_groups() -> dict[str, tuple[str, ...]]:
    """The functions, as on-call thinks of them: the workflow's steps together, every other one by itself.

    An alarm's expression takes ten metrics at most (PutMetricAlarm), of which two are wanted for the whole, so a group
    has eight functions at most.
    """
    steps = {
        f"steps-{start // 8 + 1}" if start else "steps": WORKFLOW_FUNCTIONS[start : start + 8]
        for start in range(0, len(WORKFLOW_FUNCTIONS), 8)
    }
    rest = {spec.name.replace("_", "-"): (spec.name,) for spec in FUNCTIONS if spec.name not in WORKFLOW_FUNCTIONS}
    return {**rest, **steps}


def error_rate(site: Site, names: Sequence[str]) -> Formula:
    """Percent of a function's invocations that ended in an error; of a group of steps, errors per hundred executions.

    A step tells the workflow of a decline by an error of that name (`authorize`): declines are answers, and are taken
    off.
    """
    inputs = {f"errors{number}": function(site, name, "Errors", "Sum") for number, name in enumerate(names)}
    errors = " + ".join(f"FILL({id}, 0)" for id in inputs)
    if DECLINING_FUNCTION in names:
        inputs["declined"] = payments(site, DECLINED)
        errors += " - FILL(declined, 0)"
    if set(names) <= set(WORKFLOW_FUNCTIONS):
        inputs["whole"] = workflow(site, "ExecutionsStarted", "Sum")
    else:
        (name,) = names
        inputs["whole"] = function(site, name, "Invocations", "Sum")
    return Formula(f"IF(FILL(whole, 0) > 0, 100 * ({errors}) / FILL(whole, 0), 0)", inputs)


def every_function(site: Site, name: str) -> Metric | Formula:
    """The sum of a metric over all functions. For graphs: an alarm takes ten metrics at most."""
    return total([function(site, spec.name, name, "Sum") for spec in FUNCTIONS])


def gigabyte_seconds(site: Site) -> Formula:
    """What Lambda bills: duration times memory."""
    gigabytes = site.settings.functions.memory_mb / 1024
    inputs = {f"ms{n}": function(site, spec.name, "Duration", "Sum") for n, spec in enumerate(FUNCTIONS)}
    summed = " + ".join(f"FILL({id}, 0)" for id in inputs)
    return Formula(f"({summed}) / 1000 * {gigabytes:g}", inputs)


# -- the API --------------------------------------------------------------------------------------


def api(site: Site, name: str, stat: str) -> Metric:
    """A metric of the region's REST API."""
    return Metric("AWS/ApiGateway", name, stat, {"ApiName": site.name("payments")})


def payments_route(site: Site, method: str, resource: str, name: str, stat: str) -> Metric:
    """A metric of one route. Answers 5XX of `/health` are meant when a region is drained, so alarms look at routes."""
    dimensions = {"ApiName": site.name("payments"), "Stage": "v1", "Resource": resource, "Method": method}
    return Metric("AWS/ApiGateway", name, stat, dimensions)


PAYMENT_ROUTES = {"post": ("POST", "/payments"), "get": ("GET", "/payments/{payment_id}")}


def server_error_rate(site: Site) -> Formula:
    """Percent of the requests for payments that the API answered 5XX."""
    inputs = {}
    for id, (method, resource) in PAYMENT_ROUTES.items():
        inputs[f"{id}_errors"] = payments_route(site, method, resource, "5XXError", "Sum")
        inputs[f"{id}_count"] = payments_route(site, method, resource, "Count", "Sum")
    errors, counts = ([f"{id}_{kind}" for id in PAYMENT_ROUTES] for kind in ("errors", "count"))
    return Formula(percent_of(errors, counts), inputs)


# Route 53 is global; its metrics are in this region only.
HEALTH_REGION = "us-east-1"


def health(health_check_id: str) -> Metric:
    """Whether Route 53 finds the region healthy: 1 or 0."""
    return Metric("AWS/Route53", "HealthCheckStatus", "Minimum", {"HealthCheckId": health_check_id})


# -- the workflow ---------------------------------------------------------------------------------


def workflow(site: Site, name: str, stat: str) -> Metric:
    """A metric of the payment workflow's executions."""
    machine = site.arn("states", f"stateMachine:{site.name('payment')}")
    return Metric("AWS/States", name, stat, {"StateMachineArn": machine})


def workflow_failure_rate(site: Site) -> Formula:
    """Percent of the executions that ended failed or aborted. Timed out ones have an alarm of their own."""
    names = {"succeeded": "ExecutionsSucceeded", "failed": "ExecutionsFailed", "aborted": "ExecutionsAborted"}
    return Formula(
        percent_of(["failed", "aborted"], list(names)),
        {id: workflow(site, name, "Sum") for id, name in names.items()},
    )


def workflow_cost(site: Site) -> Metric:
    """What Step Functions bills: state transitions, or the milliseconds of Express executions."""
    if site.settings.workflow.type == "EXPRESS":
        return workflow(site, "ExpressExecutionBilledDuration", "Sum")
    return Metric("AWS/States", "ConsumedCapacity", "Sum", {"ServiceMetric": "StateTransition"})


# -- the table ------------------------------------------------------------------------------------


def table(site: Site, name: str, stat: str, thing: str = "payments", **dimensions: str) -> Metric:
    """A metric of one of the region's tables; of its replica of the payments table unless told otherwise."""
    return Metric("AWS/DynamoDB", name, stat, {"TableName": site.name(thing), **dimensions})


def tables(site: Site) -> tuple[str, ...]:
    """The region's tables, as things to name: what the data layer publishes as ``<thing>_table_name``."""
    published = [name.removesuffix("_table_name") for name in DataOutputs.fields() if name.endswith("_table_name")]
    simulated = site.environment.processor.kind == "simulator"
    return tuple(thing.replace("_", "-") for thing in published if thing != "processor" or simulated)


def table_operations() -> tuple[str, ...]:
    """The operations that the functions call on the payments table."""
    verbs = (verb for verb in Verb if verb.resource == "payments table")
    return tuple(sorted({action.removeprefix("dynamodb:") for verb in verbs for action in verb.actions}))


def table_replication(site: Site, receiving: str) -> Metric:
    """How long writes of this region take to another one, ms. Published in the writing region."""
    return table(site, "ReplicationLatency", "Average", ReceivingRegion=receiving)


def table_silence(site: Site, receiving: str) -> Formula:
    """1 in a period with writes here of which none was seen to arrive there, else 0.

    A replication that stands still publishes no latency at all. Missing data alone says nothing: without writes there
    is none either, and alarms on AWS/DynamoDB metrics ignore missing data whatever they are told (PutMetricAlarm,
    TreatMissingData); FILL makes a value of it.
    """
    writes = [operation for operation in table_operations() if not operation.startswith(READS)]
    inputs = {
        f"w{number}": table(site, "SuccessfulRequestLatency", "SampleCount", Operation=operation)
        for number, operation in enumerate(writes)
    }
    written = " + ".join(f"FILL({id}, 0)" for id in inputs)
    return Formula(
        f"IF({written} > 0 AND FILL(latency, -1) < 0, 1, 0)",
        {**inputs, "latency": table_replication(site, receiving)},
    )


READS = ("Get", "BatchGet", "Query", "Scan", "Describe", "TransactGet", "ConditionCheck")


def table_errors(site: Site) -> Metric | Formula:
    """Requests that DynamoDB answered 500."""
    return total([table(site, "SystemErrors", "Sum", Operation=operation) for operation in table_operations()])


def table_throttles(site: Site) -> Metric | Formula:
    """Reads and writes that DynamoDB throttled, over all tables of the region."""
    names = ("ReadThrottleEvents", "WriteThrottleEvents")
    return total([table(site, name, "Sum", thing) for thing in tables(site) for name in names])


def cross_region_kilobytes(site: Site) -> Formula:
    """What this region sends to the others and AWS bills as traffic between regions, at most.

    No metric counts these bytes: a write unit is 1 KB at most and goes to every other region, as does every alert.
    Receipts come on top, about 1 KB per settled payment and region.
    """
    inputs = {
        "units": table(site, "ConsumedWriteCapacityUnits", "Sum"),
        "settled": payments(site, SETTLED),
        "alerts": Metric("AWS/SNS", "PublishSize", "Sum", {"TopicName": site.name("alerts")}),
    }
    each = "FILL(units, 0) + FILL(settled, 0) + FILL(alerts, 0) / 1024"
    return Formula(f"({each}) * {len(site.other_regions)}", inputs)


def stream_age(site: Site) -> Metric:
    """How old the newest change was when its batch reached change data capture, ms."""
    return function(site, CHANGES_FUNCTION, "IteratorAge", "Maximum")


# -- replicated buckets ---------------------------------------------------------------------------


def replication(source: Site, destination: Site, thing: str, name: str, stat: str) -> Metric:
    """A metric of the replication of the bucket that is named after a thing (`shared/replication.py`).

    S3 publishes latency and pending operations in the destination's region and failures in the source's (S3 User
    Guide, "Using S3 Replication metrics").
    """
    return Metric(
        "AWS/S3",
        name,
        stat,
        {
            "SourceBucket": source.bucket_name(thing),
            "DestinationBucket": destination.bucket_name(thing),
            "RuleId": f"to-{destination.region}",
        },
    )


def receipts_replication(source: Site, destination: Site, name: str, stat: str) -> Metric:
    """A metric of the replication of receipts."""
    return replication(source, destination, "receipts", name, stat)


# -- queues and the bus ---------------------------------------------------------------------------

QUEUE_OUTPUT = "_dlq_name"
ALERTS_QUEUE, ALERTS_DLQ = "oncall", "oncall-dlq"


def dead_letter_queues(site: Site) -> tuple[str, ...]:
    """The dead-letter queues of a region, as things to name: what the compute layer publishes as ``<thing>_dlq_name``,
    and the alert topic's own."""
    published = [name for name in COMPUTE.outputs(site.environment.capabilities) if name.endswith(QUEUE_OUTPUT)]
    return (*(name.removesuffix("_name").replace("_", "-") for name in published), ALERTS_DLQ)


def requests_and_events(site: Site) -> Formula:
    """Requests to the API and payments that became events: both are billed per million."""
    return Formula(
        "FILL(requests, 0) + FILL(events, 0)",
        {"requests": api(site, "Count", "Sum"), "events": function(site, CHANGES_FUNCTION, "Invocations", "Sum")},
    )


def queue_depth(site: Site, thing: str) -> Metric:
    """Messages that wait in a queue."""
    return Metric("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", {"QueueName": site.name(thing)})


def bus_rules(site: Site) -> dict[str, str]:
    """The rules of the region's bus, as what they do -> their names: to every other region, for what arrives, and for
    the journal."""
    routes = {f"route-to-{other}": site.name(f"route-{site.region}-{other}") for other in site.other_regions}
    return {**routes, **{does: site.name(f"{does}-{site.region}") for does in ("arrivals", "journal")}}


def lost_events(site: Site, rule: str) -> Metric | Formula:
    """Events that a rule could not deliver for good, and those that not even its dead-letter queue took."""
    dimensions = {"EventBusName": site.name("payments"), "RuleName": rule}
    names = ("FailedInvocations", "InvocationsFailedToBeSentToDlq")
    return total([Metric("AWS/Events", name, "Sum", dimensions) for name in names])
