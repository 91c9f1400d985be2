"""Resources that hold what cannot be made again: destroying one loses data, or what others rely on by its identity."""

from __future__ import annotations

# Terraform types. Not only stores: who replaces a key can no longer read what it encrypted, a new hosted zone has other
# name servers, a new queue has none of the old one's messages.
STATEFUL = frozenset(
    {
        "aws_backup_vault",
        "aws_cloudwatch_event_archive",
        "aws_cloudwatch_log_group",
        "aws_cloudwatch_log_stream",
        "aws_cognito_user_pool",
        "aws_db_instance",
        "aws_dynamodb_global_table",
        "aws_dynamodb_table",
        "aws_dynamodb_table_replica",
        "aws_ebs_volume",
        "aws_ecr_repository",
        "aws_efs_file_system",
        "aws_elasticache_replication_group",
        "aws_kinesis_stream",
        "aws_kms_key",
        "aws_kms_replica_key",
        "aws_opensearch_domain",
        "aws_rds_cluster",
        "aws_rds_cluster_instance",
        "aws_rds_global_cluster",
        "aws_route53_zone",
        "aws_s3_bucket",
        "aws_secretsmanager_secret",
        "aws_secretsmanager_secret_version",
        "aws_sqs_queue",
        "aws_ssm_parameter",
    }
)


def is_stateful(resource_type: str) -> bool:
    """Whether losing a resource of this Terraform type loses more than the time to make it again."""
    return resource_type in STATEFUL
