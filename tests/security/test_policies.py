"""What holds for every policy document of every stack of every configuration."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from rollout.scanners.environments import Joined
from rollout.scanners.joined import Placed
from rollout.scanners.parliament import Analysis, actions_of, listed
from rollout.scanners.policies import Policy
from shared.grants import NAMES_NO_SOURCE

WILD = re.compile(r"[*?]")


def policies(environments: list[Joined]) -> Iterator[tuple[Policy, str]]:
    """(document, account) of all of them."""
    for one in environments:
        for policy in one.policies():
            yield policy, one.environment.target.account_id


def allowed(environments: list[Joined]) -> Iterator[tuple[Policy, dict[str, Any], str]]:
    """(document, statement, account) of everything that is allowed."""
    for policy, account in policies(environments):
        for statement in policy.statements:
            if statement["Effect"] == "Allow":
                yield policy, statement, account


def of_type(environments: list[Joined], type: str) -> Iterator[tuple[Joined, str, Placed]]:
    for one in environments:
        for address, placed in one.resources.items():
            if placed.type == type and not address.startswith("data."):
                yield one, address, placed


def conditions(statement: dict[str, Any]) -> dict[str, list[str]]:
    """Condition key, in lower case -> its values, of all operators that have to match."""
    return {
        key.lower(): listed(values)
        for operator, keys in statement.get("Condition", {}).items()
        if not operator.endswith("IfExists") and "Not" not in operator
        for key, values in keys.items()
    }


def test_every_kind_of_policy_is_seen(environments: list[Joined]) -> None:
    """PAY-13: roles' own and trust policies, and those of keys, buckets, queues, topics, buses and endpoints."""
    seen = {policy.type for policy, _ in policies(environments)}
    assert seen >= {
        "aws_iam_role",
        "aws_iam_role_policy",
        "aws_kms_key",
        "aws_s3_bucket_policy",
        "aws_sqs_queue",
        "aws_sns_topic_policy",
        "aws_cloudwatch_event_bus_policy",
        "aws_cloudwatch_log_resource_policy",
        "aws_vpc_endpoint",
    }


def test_no_allowed_action_is_a_wildcard(environments: list[Joined]) -> None:
    """PAY-13: no wildcard actions anywhere, and none by exclusion."""
    for policy, statement, _ in allowed(environments):
        assert not statement.keys() & {"NotAction", "NotResource", "NotPrincipal"}, policy.where
        assert not [action for action in actions_of(statement) if WILD.search(action)], policy.where


def test_what_is_denied_is_denied_to_everybody(environments: list[Joined]) -> None:
    """PAY-19: the one thing that is denied is access without TLS; there a wildcard is the safe side."""
    for policy, _ in policies(environments):
        for statement in policy.statements:
            if statement["Effect"] != "Allow":
                assert statement["Sid"] == "TlsOnly", policy.where
                assert statement["Principal"] == {"AWS": "*"}, policy.where
                assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}, policy.where


def test_every_action_exists(environments: list[Joined], analysis: Analysis) -> None:
    """PAY-13: AWS takes a misspelt action without a word, and it allows nothing."""
    for policy, statement, _ in allowed(environments):
        assert set(actions_of(statement)) <= analysis.resource_types.keys(), policy.where


def test_no_statement_is_about_nothing(environments: list[Joined]) -> None:
    """PAY-13: IAM refuses an empty list; it is what a list of the other regions becomes where there is one region."""
    empty = ([], {}, "", None)
    for policy, statement, _ in allowed(environments):
        operators = statement.get("Condition", {}).values()
        values = [*statement.values(), *(value for operator in operators for value in operator.values())]
        assert not [value for value in values if value in empty], f"{policy.where}: {statement}"


def test_no_resource_is_a_wildcard_where_the_service_can_name_it(
    environments: list[Joined], analysis: Analysis
) -> None:
    """PAY-13: which actions have resource-level permission, AWS's Service Authorization Reference says."""
    for policy, statement, _ in allowed(environments):
        if policy.holder:  # a role's trust and a key's policy are about their holder
            assert listed(statement.get("Resource", "*")) == ["*"], policy.where
        elif any(_names_nothing(resource) for resource in listed(statement["Resource"])):
            nameable = [action for action in actions_of(statement) if analysis.resource_types[action]]
            assert not nameable, f"{policy.where}: {nameable} on {statement['Resource']}"


def _names_nothing(resource: str) -> bool:
    """True for `*` and for what comes to the same: any account, any service, anything of a service."""
    parts = resource.split(":", 5)
    return len(parts) < 6 or any(WILD.search(part) for part in parts[:5]) or not parts[5].strip("*?/:")


@pytest.mark.parametrize(
    ("resource", "nothing"),
    [
        ("*", True),
        ("arn:aws:s3:::*", True),
        ("arn:aws:s3:::*/*", True),
        ("arn:aws:sqs:*:123456789012:dlq", True),
        ("arn:aws:sqs:eu-west-1:*:dlq", True),
        ("arn:aws:s3:::tripoint-code/*", False),
        ("arn:aws:ec2:eu-west-1:123456789012:network-interface/*", False),
    ],
)
def test_what_counts_as_a_wildcard(resource: str, nothing: bool) -> None:
    assert _names_nothing(resource) is nothing


def test_everything_named_is_of_this_account(environments: list[Joined]) -> None:
    """PAY-13: no grant reaches into another account."""
    for policy, statement, account in allowed(environments):
        for resource in listed(statement.get("Resource", "*")):
            owner = resource.split(":")[4] if resource != "*" else account
            # Buckets have no account in their ARN but one in their name; CloudFront's and IAM's are global.
            assert owner == account or (owner == "" and f"-{account}-" in resource), f"{policy.where}: {resource}"


def test_nobody_is_everybody(environments: list[Joined]) -> None:
    """PAY-13: a principal `*` only together with this account."""
    for policy, statement, account in allowed(environments):
        principal = statement.get("Principal", {})
        if principal == "*" or "*" in listed(principal.get("AWS", [])):
            keys = conditions(statement)
            assert [account] in (keys.get("aws:principalaccount"), keys.get("kms:calleraccount")), policy.where


def test_principals_are_of_this_account(environments: list[Joined]) -> None:
    """PAY-13: nobody of another account is let in, but to act as one merchant and with that one's external id."""
    for policy, statement, account in allowed(environments):
        principal = statement.get("Principal", {})
        assert isinstance(principal, str) or set(principal) <= {"AWS", "Service"}, policy.where
        named = [] if isinstance(principal, str) else listed(principal.get("AWS", []))
        if policy.type == "aws_iam_role" and conditions(statement).get("sts:externalid"):
            assert actions_of(statement) == ["sts:AssumeRole"], policy.where
            assert "*" not in named, policy.where
        else:
            assert all(one == "*" or f":{account}:" in one for one in named), policy.where


def test_services_are_trusted_for_this_account_only(environments: list[Joined]) -> None:
    """PAY-13: no confused deputy: what a trusted service does is for a resource of this account."""
    for policy, statement, account in allowed(environments):
        principal = statement.get("Principal", {})
        services = listed(principal.get("Service", [])) if isinstance(principal, dict) else []
        # EventBridge is documented to say which rule it acts for when it writes, not when it makes the empty stream
        # ("Using resource-based policies for Amazon EventBridge", CloudWatch Logs permissions).
        if actions_of(statement) == ["logs:CreateLogStream"] and policy.type == "aws_cloudwatch_log_resource_policy":
            assert f":{account}:log-group:/aws/events/" in listed(statement["Resource"])[0], policy.where
        elif set(services) - NAMES_NO_SOURCE:
            assert _for_account(statement, account), f"{policy.where}: {statement}"


def _for_account(statement: dict[str, Any], account: str) -> bool:
    keys = conditions(statement)
    sources = keys.get("aws:sourcearn", []) + keys.get("kms:encryptioncontext:aws:logs:arn", [])
    named = bool(sources) and all(f":{account}:" in one for one in sources)
    return named or keys.get("aws:sourceaccount") == [account]


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ({}, False),
        ({"StringEquals": {"aws:SourceAccount": "1"}}, False),
        ({"StringEquals": {"aws:SourceAccount": ["123456789012", "1"]}}, False),
        ({"StringNotEquals": {"aws:SourceAccount": "123456789012"}}, False),
        ({"StringEqualsIfExists": {"aws:SourceAccount": "123456789012"}}, False),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::anybodys"}}, False),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:sns:eu-west-1:123456789012:*"}}, True),
        ({"StringEquals": {"aws:SourceAccount": "123456789012"}}, True),
    ],
)
def test_what_counts_as_for_this_account(condition: dict[str, Any], kept: bool) -> None:
    assert _for_account({"Condition": condition}, "123456789012") is kept


def test_functions_are_invoked_for_one_resource(environments: list[Joined]) -> None:
    """PAY-13: each permission of a service to invoke names the resource, and the account where its ARN does not."""
    seen = 0
    for one, address, placed in of_type(environments, "aws_lambda_permission"):
        block = placed.block
        assert block["action"] == "lambda:InvokeFunction", address
        assert re.fullmatch(r"[a-z0-9]+\.amazonaws\.com", block["principal"]), address
        source = block["source_arn"]
        ours = re.match(r"\$\{(aws_\w+)\.\w+\.(arn|execution_arn)\}", source)
        account = one.environment.target.account_id
        assert ours or f":{account}:" in source, f"{placed.where}: {source}"
        if ours and ours[1] == "aws_s3_bucket":
            assert block["source_account"] == account, placed.where
        seen += 1
    assert seen > 10


@pytest.mark.parametrize(
    ("type", "policy_type", "reference"),
    [
        ("aws_s3_bucket", "aws_s3_bucket_policy", "bucket"),
        ("aws_sns_topic", "aws_sns_topic_policy", "arn"),
        ("aws_sqs_queue", "aws_sqs_queue", None),
    ],
)
def test_buckets_queues_and_topics_are_reached_over_tls_only(
    environments: list[Joined], type: str, policy_type: str, reference: str | None
) -> None:
    """PAY-19: TLS in transit, demanded by the resource and not left to the caller."""
    safe = {
        (one.name, placed.block[reference] if reference else f"${{{address}.id}}")
        for one, address, placed in of_type(environments, policy_type)
        if any(_denies_plain_http(statement) for statement in json.loads(placed.block["policy"])["Statement"])
    }
    seen = 0
    for one, address, placed in of_type(environments, type):
        assert {(one.name, f"${{{address}.{attribute}}}") for attribute in ("id", "arn")} & safe, placed.where
        seen += 1
    assert seen >= 2 * len(environments)


def _denies_plain_http(statement: dict[str, Any]) -> bool:
    return (
        statement["Effect"] == "Deny"
        and statement["Principal"] == {"AWS": "*"}
        and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    )
