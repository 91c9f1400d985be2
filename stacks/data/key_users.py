"""Who else uses the region's key where optional capabilities are on."""

from __future__ import annotations

from collections.abc import Mapping

from shared.site import PARTITION, Site

AUTO_SCALING_ROLE = "role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"


def key_users(site: Site) -> list[Mapping[str, object]]:
    """Statements of the key's policy besides those that every environment has."""
    return _auto_scaling(site) if site.settings.web.enabled else []


def _auto_scaling(site: Site) -> list[Mapping[str, object]]:
    """EC2 Auto Scaling starts instances on encrypted volumes ("Required AWS KMS key policy for use with encrypted
    volumes", EC2 Auto Scaling User Guide).

    Its service-linked role is named in a condition: KMS refuses a policy whose principal does not exist, and AWS makes
    this role with the account's first Auto Scaling group.
    """
    role = f"arn:{PARTITION}:iam::{site.account_id}:{AUTO_SCALING_ROLE}"
    only_it = {"StringEquals": {"aws:PrincipalArn": role, "kms:CallerAccount": site.account_id}}
    return [
        {
            "Sid": "AutoScalingVolumes",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": [
                "kms:Decrypt",
                "kms:DescribeKey",
                "kms:Encrypt",
                "kms:GenerateDataKey",
                "kms:GenerateDataKeyWithoutPlaintext",
                "kms:ReEncryptFrom",
                "kms:ReEncryptTo",
            ],
            "Resource": "*",
            "Condition": only_it,
        },
        {
            "Sid": "AutoScalingGrants",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": ["kms:CreateGrant"],
            "Resource": "*",
            "Condition": {**only_it, "Bool": {"kms:GrantIsForAWSResource": "true"}},
        },
    ]
