"""Who calls: the merchant that a signed request comes from.

API Gateway has verified the signature and the caller's permission before a request comes here (authorization AWS_IAM),
and says in the event who it was. A merchant is one IAM role, and the role's name says which merchant.
"""

from __future__ import annotations

import re

from functions.payments.errors import FinalError
from functions.payments.gateway import Event
from functions.payments.settings import load
from functions.payments_api.settings import CallerSettings

_ASSUMED_ROLE = re.compile(r"arn:[\w-]+:sts::(?P<account>\d{12}):assumed-role/(?P<role>[\w+=,.@-]{1,64})/[\w+=,.@-]+")


class NotAMerchantError(FinalError):
    """The caller is somebody of the account, and no merchant."""


class ForeignMerchantError(FinalError):
    """A merchant asked for a payment in another merchant's name."""


def merchant(event: Event, settings: CallerSettings | None = None) -> str:
    """The id of the merchant that a request comes from.

    Raises
    ------
    NotAMerchantError
        When the caller is not the role of a merchant of this account.
    """
    context = event["requestContext"]
    found = _ASSUMED_ROLE.fullmatch(context["identity"].get("userArn") or "")
    before, _, after = (settings or load(CallerSettings)).merchant_roles.partition("{}")
    if found and found["account"] == context["accountId"]:
        role = found["role"]
        if role.startswith(before) and role.endswith(after) and len(role) > len(before) + len(after):
            return role[len(before) : len(role) - len(after)]
    raise NotAMerchantError("only the role of a merchant may use payments")


def check_same(caller: str, asked: str) -> None:
    """Refuse to act for another merchant.

    Raises
    ------
    ForeignMerchantError
        Naming the caller's own id, never whether the other one exists.
    """
    if asked != caller:
        raise ForeignMerchantError(f"merchant_id must be the caller's own, {caller}")
