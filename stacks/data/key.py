"""The region's KMS key: one per region, rotated, used by every data store of the region."""

from __future__ import annotations

from cdktf_cdktf_provider_aws.kms_alias import KmsAlias
from cdktf_cdktf_provider_aws.kms_key import KmsKey
from constructs import Construct

from shared.grants import document
from shared.site import PARTITION, Site

# Managing the key is for the account's administrators; written out, because no action may be a wildcard.
ADMINISTRATION = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:CreateGrant",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListAliases",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RetireGrant",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)
USE = ("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo")

# AWS services that write to the encrypted topic and queues of the region by themselves.
PUBLISHERS = ("cloudwatch.amazonaws.com", "events.amazonaws.com", "sns.amazonaws.com")


class RegionalKey(Construct):
    """A key with automatic rotation and the policy that says who may use it (PAY-06).

    Roles of the account use it as far as their own IAM policies go; service principals only where they act on their
    own: log groups, and publishers to the encrypted topic and queues.
    """

    def __init__(self, scope: Construct, id: str, *, site: Site) -> None:
        super().__init__(scope, id)
        self.key = KmsKey(
            self,
            "key",
            description=f"{site.name('data')} in {site.region}",
            enable_key_rotation=True,
            deletion_window_in_days=site.environment.protection.kms_deletion_window_days,
            policy=_key_policy(site),
            tags={"Name": site.name("data")},
        )
        KmsAlias(self, "alias", name=f"alias/{site.name('data')}", target_key_id=self.key.key_id)

    @property
    def arn(self) -> str:
        return str(self.key.arn)


def _key_policy(site: Site) -> str:
    account = f"arn:{PARTITION}:iam::{site.account_id}:root"
    own_account = {"StringEquals": {"aws:SourceAccount": site.account_id}}
    return document(
        [
            {
                "Sid": "AccountAdministration",
                "Effect": "Allow",
                "Principal": {"AWS": account},
                "Action": list(ADMINISTRATION),
                "Resource": "*",
            },
            {
                "Sid": "RolesWithAPolicyForIt",
                "Effect": "Allow",
                "Principal": {"AWS": account},
                "Action": list(USE),
                "Resource": "*",
            },
            {
                "Sid": "LogGroups",
                "Effect": "Allow",
                "Principal": {"Service": f"logs.{site.region}.amazonaws.com"},
                "Action": list(USE),
                "Resource": "*",
                "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": site.arn("logs", "log-group:*")}},
            },
            {
                "Sid": "Publishers",
                "Effect": "Allow",
                "Principal": {"Service": list(PUBLISHERS)},
                "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"],
                "Resource": "*",
                "Condition": own_account,
            },
        ]
    )
