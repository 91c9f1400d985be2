"""Additions to MiniStack 1.5.33, one module per emulated service gap.

Each module says what the emulator does, what AWS does, and what `apply` replaces. An addition
never bends a correct AWS resource to the emulator; it brings the emulator closer to AWS. For each
there is a test in `tests/sandbox/` that also runs against the plain emulator and fails when
upstream closes the gap.
"""

from __future__ import annotations

from types import ModuleType

from rollout.sandbox.extensions import (
    apigateway_failures,
    apigateway_patches,
    apigateway_refusals,
    apigateway_requests,
    apigateway_settings,
    aurora_global,
    autoscaling_groups,
    cloudfront_headers_policies,
    cloudfront_origin_groups,
    cloudwatch_alarms,
    connections,
    dynamodb_metrics,
    dynamodb_replicas,
    eventbridge_logs,
    eventbridge_targets,
    fault_control,
    fault_functions,
    fault_replication,
    flow_logs,
    iam_record,
    iam_transport,
    kms_managed_keys,
    lambda_runtime,
    launch_templates,
    load_balancer_targets,
    log_metrics,
    lost_answers,
    route53_changes,
    s3_replication,
    s3_request_metrics,
    security_group_rules,
    service_roles,
    sns_redrive,
    sqs_metrics,
    stepfunctions_runs,
    stored_settings,
    stream_mappings,
    trail_delivery,
    vpc_endpoints,
    waf_logging,
)

ADDITIONS: tuple[ModuleType, ...] = (
    # Before what measures invocations: a crash on request is an invocation like any other.
    fault_functions,
    lambda_runtime,
    kms_managed_keys,
    dynamodb_replicas,
    cloudwatch_alarms,
    log_metrics,
    stored_settings,
    vpc_endpoints,
    flow_logs,
    security_group_rules,
    apigateway_settings,
    route53_changes,
    stream_mappings,
    eventbridge_targets,
    eventbridge_logs,
    stepfunctions_runs,
    apigateway_failures,
    apigateway_requests,
    sqs_metrics,
    apigateway_patches,
    apigateway_refusals,
    waf_logging,
    s3_replication,
    s3_request_metrics,
    dynamodb_metrics,
    iam_transport,
    connections,
    iam_record,
    service_roles,
    sns_redrive,
    launch_templates,
    autoscaling_groups,
    load_balancer_targets,
    aurora_global,
    cloudfront_headers_policies,
    cloudfront_origin_groups,
    trail_delivery,
    fault_replication,
    fault_control,
    # Around everything: what is answered as before was measured and recorded before.
    lost_answers,
)


def apply_all() -> None:
    """Apply every addition once, before the first request is served."""
    for addition in ADDITIONS:
        addition.apply()
    fault_functions.apply_to_api()
