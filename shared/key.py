"""A KMS key as every layer makes one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    """A key with automatic rotation, an alias, and a policy that says who may use it (PAY-06, PAY-19).

    Roles of the account use it as far as their own IAM policies go. Service principals use it only with
    ``for_services``, where they act on their own: log groups, and publishers to the encrypted topic, queues and bus;
    and where ``statements`` of the key policy say so.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        site: Site,
        thing: str,
        for_services: bool,
        statements: Sequence[Mapping[str, object]] = (),
    ) -> None:
        super().__init__(scope, id)
        name = site.name(thing)
        self.key = KmsKey(
            self,
            "key",
            description=f"{name} in {site.region}",
            enable_key_rotation=True,
            deletion_window_in_days=site.environment.protection.kms_deletion_window_days,
            policy=document([*_for_roles(site), *(_for_services(site) if for_services else []), *statements]),
            tags={"Name": name},
        )
        KmsAlias(self, "alias", name=f"alias/{name}", target_key_id=self.key.key_id)

    @property
    def arn(self) -> str:
        return str(self.key.arn)


def _for_roles(site: Site) -> list[dict[str, object]]:
    account = f"arn:{PARTITION}:iam::{site.account_id}:root"
    return [
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
    ]


def log_groups(site: Site, names: str = "*") -> dict[str, object]:
    """CloudWatch Logs may use the key for log groups of the region whose names match."""
    return {
        "Sid": "LogGroups",
        "Effect": "Allow",
        "Principal": {"Service": f"logs.{site.region}.amazonaws.com"},
        # Describing a key has no encryption context: under this condition it would be granted to nobody.
        "Action": [action for action in USE if action != "kms:DescribeKey"],
        "Resource": "*",
        "Condition": {"StringLike": {"kms:EncryptionContext:aws:logs:arn": site.arn("logs", f"log-group:{names}")}},
    }


def _for_services(site: Site) -> list[dict[str, object]]:
    return [
        log_groups(site),
        {
            "Sid": "Publishers",
            "Effect": "Allow",
            "Principal": {"Service": list(PUBLISHERS)},
            "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"],
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:SourceAccount": site.account_id}},
        },
    ]
