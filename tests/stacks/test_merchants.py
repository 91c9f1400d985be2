"""Who may call the payment API."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from shared.site import Site
from tests.stacks.conftest import Synthesized

SIGNED = {("POST", "payments"), ("GET", "payments/*"), ("GET", "payments/*/payer")}


@pytest.fixture(params=["sandbox.toml", "example-production.toml"])
def found(request: pytest.FixtureRequest, synthesis: Callable[[str], Synthesized]) -> Synthesized:
    return synthesis(request.param)


def test_every_route_but_the_health_check_wants_a_signature(found: Synthesized) -> None:
    """PAY-08, PAY-13: IAM, signature version 4; Route 53 cannot sign."""
    for region in found.environment.regions:
        methods = found.resources(f"edge-{region}", "aws_api_gateway_method")
        open_ones = [name for name, method in methods.items() if method["authorization"] == "NONE"]
        assert all("health" in name for name in open_ones)
        assert len(open_ones) == 1
        assert {method["authorization"] for method in methods.values()} == {"NONE", "AWS_IAM"}


def test_a_merchant_is_one_role_that_may_call_exactly_the_payment_routes_of_every_region(found: Synthesized) -> None:
    """PAY-13: the primary makes the role, because IAM is global; each region adds its own API."""
    environment = found.environment
    assert environment.merchants
    for region in environment.regions:
        site = Site(environment, region)
        names = {site.merchant_role_name(merchant) for merchant in environment.merchants}
        roles = {
            role["name"]: role
            for role in found.resources(f"edge-{region}", "aws_iam_role").values()
            if "merchant" in role["name"]
        }
        assert set(roles) == (names if region == environment.primary else set())
        for merchant in environment.merchants:
            (policy,) = (
                policy
                for name, policy in found.resources(f"edge-{region}", "aws_iam_role_policy").items()
                if name.startswith(f"merchants_{merchant}-calls")
            )
            (statement,) = json.loads(policy["policy"])["Statement"]
            assert statement["Action"] == ["execute-api:Invoke"]
            methods = {re.fullmatch(r"\$\{.*\.execution_arn\}/v1/([A-Z]+)/(.*)", arn) for arn in statement["Resource"]}
            assert {method.groups() for method in methods if method} == SIGNED
            assert len(methods) == len(SIGNED)


def test_only_the_configured_principals_may_act_as_a_merchant(found: Synthesized) -> None:
    """PAY-13: this account's administrators where nobody is configured; others with their external id."""
    environment = found.environment
    for role in found.resources(f"edge-{environment.primary}", "aws_iam_role").values():
        merchant = next((id for id in environment.merchants if f"merchant-{id}-" in role["name"]), None)
        if merchant is None:
            continue
        settings = environment.merchants[merchant]
        (statement,) = json.loads(role["assume_role_policy"])["Statement"]
        own = [f"arn:aws:iam::{environment.target.account_id}:root"]
        assert statement["Principal"] == {"AWS": settings.principals or own}
        wanted = {"StringEquals": {"sts:ExternalId": settings.external_id}} if settings.external_id else None
        assert statement.get("Condition") == wanted


def test_the_function_knows_merchants_by_their_roles_names(found: Synthesized) -> None:
    """The name that the edge gives a role is the one by which the function reads it."""
    for region in found.environment.regions:
        site = Site(found.environment, region)
        (function,) = (
            function
            for function in found.resources(f"compute-{region}", "aws_lambda_function").values()
            if function["function_name"] == site.name("payments-api")
        )
        template = function["environment"]["variables"]["MERCHANT_ROLES"]
        assert template.format("m-1") == site.merchant_role_name("m-1")


def test_no_answer_of_the_gateway_quotes_callers_methods_or_signatures(found: Synthesized) -> None:
    """Nothing internal in an answer: API Gateway's own texts for refused callers name ARNs."""
    for region in found.environment.regions:
        answers = {
            answer["response_type"]: answer
            for answer in found.resources(f"edge-{region}", "aws_api_gateway_gateway_response").values()
        }
        for kind in ("ACCESS_DENIED", "INVALID_SIGNATURE", "EXPIRED_TOKEN", "MISSING_AUTHENTICATION_TOKEN"):
            assert "$context" not in answers[kind]["response_templates"]["application/json"]
        for answer in answers.values():
            assert answer["response_parameters"]["gatewayresponse.header.X-Content-Type-Options"] == "'nosniff'"
