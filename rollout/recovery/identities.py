"""How a resource is called where it is imported, by type: "Import" on each resource's page of the AWS provider."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any

# Making these again just writes the same once more; nothing has to be known of what is there.
REWRITTEN = frozenset(
    {
        "aws_acm_certificate_validation",
        "aws_api_gateway_account",
        "aws_api_gateway_gateway_response",
        "aws_api_gateway_integration",
        "aws_api_gateway_method_settings",
        "aws_autoscaling_policy",
        "aws_cloudwatch_composite_alarm",
        "aws_cloudwatch_dashboard",
        "aws_cloudwatch_event_bus_policy",
        "aws_cloudwatch_event_rule",
        "aws_cloudwatch_event_target",
        "aws_cloudwatch_log_metric_filter",
        "aws_cloudwatch_metric_alarm",
        "aws_default_security_group",
        "aws_iam_role_policy",
        "aws_lambda_function_event_invoke_config",
        "aws_s3_bucket_lifecycle_configuration",
        "aws_s3_bucket_logging",
        "aws_s3_bucket_metric",
        "aws_s3_bucket_notification",
        "aws_s3_bucket_ownership_controls",
        "aws_s3_bucket_policy",
        "aws_s3_bucket_public_access_block",
        "aws_s3_bucket_replication_configuration",
        "aws_s3_bucket_server_side_encryption_configuration",
        "aws_s3_bucket_versioning",
        "aws_s3_object",
        "aws_sns_topic",
        "aws_sns_topic_policy",
        "aws_sns_topic_subscription",
        "aws_sqs_queue",
    }
)

# Where the import asks for another name than the resource's id. `id` is that id.
_BY_ID = {
    "aws_api_gateway_deployment": "{rest_api_id}/{id}",
    "aws_api_gateway_request_validator": "{rest_api_id}/{id}",
    "aws_api_gateway_resource": "{rest_api_id}/{id}",
    "aws_cloudtrail": "{name}",
}

# What follows from the resource's own settings, so that it is known before anybody has told an id.
_BY_NAME = {
    "aws_api_gateway_base_path_mapping": "{domain_name}/{base_path}",
    "aws_api_gateway_domain_name": "{domain_name}",
    "aws_api_gateway_method": "{rest_api_id}/{resource_id}/{http_method}",
    "aws_api_gateway_model": "{rest_api_id}/{name}",
    "aws_api_gateway_stage": "{rest_api_id}/{stage_name}",
    "aws_athena_workgroup": "{name}",
    "aws_autoscaling_group": "{name}",
    "aws_cloudtrail": "{name}",
    "aws_cloudwatch_event_bus": "{name}",
    "aws_cloudwatch_log_delivery_destination": "{name}",
    "aws_cloudwatch_log_delivery_source": "{name}",
    "aws_cloudwatch_log_group": "{name}",
    "aws_db_subnet_group": "{name}",
    "aws_dynamodb_table": "{name}",
    "aws_iam_instance_profile": "{name}",
    "aws_iam_role": "{name}",
    "aws_kms_alias": "{name}",
    "aws_lambda_function": "{function_name}",
    "aws_lambda_permission": "{function_name}/{statement_id}",
    "aws_rds_cluster": "{cluster_identifier}",
    "aws_rds_cluster_instance": "{identifier}",
    "aws_rds_cluster_parameter_group": "{name}",
    "aws_rds_global_cluster": "{global_cluster_identifier}",
    "aws_route": "{route_table_id}_{destination_cidr_block}",
    "aws_route_table_association": "{subnet_id}/{route_table_id}",
    "aws_s3_bucket": "{bucket}",
}


def import_id(type: str, settings: Mapping[str, Any], id: str | None) -> str | None:
    """How an import names a resource; None when that can't be told yet.

    Parameters
    ----------
    settings
        What is known of the resource's planned attributes.
    id
        Its id, where the provider has told it.
    """
    known = {name: value for name, value in settings.items() if isinstance(value, str) and value}
    if type in _BY_NAME:
        return _filled(_BY_NAME[type], known)
    if id is None:
        return None
    return _filled(_BY_ID.get(type, "{id}"), {**known, "id": id})


def _filled(form: str, known: Mapping[str, str]) -> str | None:
    names = [name for _, name, _, _ in string.Formatter().parse(form) if name]
    return form.format(**known) if all(name in known for name in names) else None
