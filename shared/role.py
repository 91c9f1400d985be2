"""A role as every layer makes one: for one service, with one policy of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.iam_role_policy import IamRolePolicy
from constructs import Construct

from shared.grants import Grant, policy, trust
from shared.site import Site

# OPT-07: at most an hour; also IAM's default and the least that it allows.
MAX_SESSION_S = 3600


@dataclass(frozen=True)
class ServiceRole:
    """The role, and its policy: what uses the role right after it is made depends on ``granted``."""

    name: str
    arn: str
    granted: IamRolePolicy


def service_role(
    scope: Construct,
    *,
    site: Site,
    thing: str,
    service: str,
    does: str,
    grants: Sequence[Grant],
    source_arn: str | None = None,
) -> ServiceRole:
    """Make the role of a construct; its ids there are ``role`` and ``policy``.

    Parameters
    ----------
    thing
        What the role is named after.
    service, source_arn
        Who may assume it, for this account, and for one resource if given.
    does, grants
        The policy's name and what it allows.
    """
    role = IamRole(
        scope,
        "role",
        name=site.role_name(thing),
        assume_role_policy=trust(service, site.account_id, source_arn),
        max_session_duration=MAX_SESSION_S,
    )
    granted = IamRolePolicy(scope, "policy", role=role.id, name=does, policy=policy(grants))
    return ServiceRole(role.name, role.arn, granted)
