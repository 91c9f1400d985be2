"""The merchants' roles, and what they may call in this region."""

from __future__ import annotations

from typing import Any

from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.iam_role_policy import IamRolePolicy
from constructs import Construct

from shared.config import MerchantSettings
from shared.grants import Grant, document, policy
from shared.role import MAX_SESSION_S
from shared.site import PARTITION, Site
from shared.suppressions import suppress
from stacks.edge.api import PaymentApi


class Merchants(Construct):
    """One role per merchant, which callers assume to sign their requests (docs/decisions/callers-are-iam-roles.md).

    IAM is global: the primary's stack makes the roles, and every region's adds the permission to call its own API.
    """

    def __init__(self, scope: Construct, id: str, *, site: Site, api: PaymentApi) -> None:
        super().__init__(scope, id)
        calls = policy([Grant("CallPayments", ("execute-api:Invoke",), tuple(api.signed_methods))])
        for merchant, settings in site.environment.merchants.items():
            name = site.merchant_role_name(merchant)
            if site.is_primary:
                role = IamRole(
                    self,
                    merchant,
                    name=name,
                    description=f"Acts as merchant {merchant} at the payment API",
                    assume_role_policy=_trust(site, settings),
                    max_session_duration=MAX_SESSION_S,
                )
                if not settings.principals:
                    suppress(role, "CKV_AWS_61", "Who of the account acts as this merchant, its administrators decide")
                name = str(role.name)
            IamRolePolicy(self, f"{merchant}-calls", role=name, name=f"payments-{site.region}", policy=calls)


def _trust(site: Site, settings: MerchantSettings) -> str:
    own_account = f"arn:{PARTITION}:iam::{site.account_id}:root"
    statement: dict[str, Any] = {
        "Sid": "ActAsMerchant",
        "Effect": "Allow",
        "Principal": {"AWS": settings.principals or [own_account]},
        "Action": "sts:AssumeRole",
    }
    if settings.external_id is not None:
        statement["Condition"] = {"StringEquals": {"sts:ExternalId": settings.external_id}}
    return document([statement])
