"""Who may do what at the API: a merchant with its own payments, nobody else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.payments.errors import SettingsError
from functions.payments_api.caller import NotAMerchantError, merchant
from functions.payments_api.settings import CallerSettings
from tests.functions.conftest import Cloud
from tests.functions.test_payments_api import BODY, ID, call, post, signed_by

SETTINGS = CallerSettings(aws_region="eu-west-1", merchant_roles="tripoint-merchant-{}-test")
OURS = "arn:aws:sts::123456789012:assumed-role"


def event(user_arn: str | None, account: str = "123456789012") -> dict[str, Any]:
    return {"requestContext": {"accountId": account, "identity": {"userArn": user_arn}}}


def test_the_role_says_which_merchant_calls() -> None:
    assert merchant(event(signed_by("m-1")), SETTINGS) == "m-1"
    assert merchant(event(signed_by("shop.eu_2")), SETTINGS) == "shop.eu_2"


@pytest.mark.parametrize(
    "user_arn",
    [
        None,
        "",
        "arn:aws:iam::123456789012:root",
        "arn:aws:iam::123456789012:user/tripoint-merchant-m-1-test",
        "arn:aws:iam::123456789012:role/tripoint-merchant-m-1-test",
        f"{OURS}/tripoint-merchant--test/s",
        f"{OURS}/tripoint-merchant-m-1-prod/s",
        f"{OURS}/x-tripoint-merchant-m-1-test/s",
        f"{OURS}/tripoint-payments-api-us-east-1-test/tripoint-merchant-m-1-test",
        f"{OURS}/tripoint-merchant-m-1-test",
        f"{OURS}/tripoint-merchant-m-1-test/s\n",
        "arn:aws:sts::999999999999:assumed-role/tripoint-merchant-m-1-test/s",
    ],
)
def test_nobody_else_is_a_merchant(user_arn: str | None) -> None:
    """PAY-13: users, the root, other roles, other environments' roles, other accounts' roles of the same name."""
    with pytest.raises(NotAMerchantError):
        merchant(event(user_arn), SETTINGS)


@given(st.text(alphabet="abcm-1_.{}*/", max_size=20))
def test_whatever_a_role_is_called_it_is_one_merchant_or_none(middle: str) -> None:
    try:
        assert merchant(event(signed_by(middle)), SETTINGS) == middle
    except NotAMerchantError:
        assert not middle or set(middle) & set("/{}*")


@pytest.mark.parametrize("template", ["tripoint-merchant", "{}-{}"])
def test_a_role_name_without_one_place_for_the_merchant_is_refused(template: str) -> None:
    with pytest.raises(SettingsError, match=r"MERCHANT_ROLES: .* is not allowed"):
        CallerSettings(aws_region="eu-west-1", merchant_roles=template)


def test_a_merchant_pays_only_in_its_own_name(cloud: Cloud) -> None:
    """PAY-13: and what was refused is in no table."""
    refused = post(BODY | {"merchant_id": "m-2"})
    assert refused.status == 403
    assert refused.body["error"] == {"code": "forbidden", "message": "merchant_id must be the caller's own, m-1"}
    assert cloud.dynamodb.scan(TableName="payments")["Count"] == 0
    assert cloud.dynamodb.scan(TableName="vault")["Count"] == 0


def test_another_merchants_payment_is_as_good_as_none(cloud: Cloud) -> None:
    """PAY-13, PAY-22: neither the payment nor its payer; the answer is the same as for an id that never was."""
    cloud.states  # noqa: B018
    assert post(BODY | {"payer": {"name": "Ada Lovelace"}}).status == 202
    assert call("GET", f"/payments/{ID}").status == 200
    never = call("GET", f"/payments/pay_{'a' * 26}", merchant="m-2")
    for path in (f"/payments/{ID}", f"/payments/{ID}/payer"):
        other = call("GET", path, merchant="m-2")
        assert (other.status, other.body) == (404, never.body)


def test_somebody_of_the_account_who_is_no_merchant_gets_nothing(cloud: Cloud) -> None:
    """PAY-13: and is told so in one line, without an ARN."""
    context = {"path": "/", "accountId": "123456789012", "identity": {"userArn": "arn:aws:iam::123456789012:root"}}
    answers = [
        call("POST", "/payments", json.dumps(BODY), ("k",), requestContext=context),
        call("GET", f"/payments/{ID}", requestContext=context),
        call("GET", f"/payments/{ID}/payer", requestContext=context),
    ]
    assert [answer.status for answer in answers] == [403, 403, 403]
    assert "arn:" not in json.dumps([answer.raw for answer in answers])
    assert cloud.dynamodb.scan(TableName="payments")["Count"] == 0


def test_the_health_check_asks_for_no_name_and_says_nothing_else(cloud: Cloud) -> None:
    """PAY-08: Route 53 cannot sign."""
    answer = call("GET", "/health", requestContext={"path": "/health"})
    assert (answer.status, answer.body) == (200, {"status": "ok"})


def test_every_answer_says_how_browsers_must_treat_it(cloud: Cloud) -> None:
    cloud.states  # noqa: B018
    for answer in (post(), call("GET", "/payments/none"), call("GET", "/nowhere"), post(BODY | {"amount": -1})):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Strict-Transport-Security"].startswith("max-age=")
