"""Questions to IAM, answered by the emulator's evaluator: a reason for refusal in AWS's words, or an empty string.

Without enforcement everything is allowed and nothing is recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rollout.sandbox.emulator import module
from rollout.sandbox.iam.record import RECORD, Call

IDENTITY, RESOURCE = "identity", "resource"
ASSUME = "sts:AssumeRole"


def enforced() -> bool:
    """Whether this sandbox enforces IAM."""
    return bool(module("app").AUTH)


@dataclass(frozen=True)
class Question:
    """One action on one resource, with the condition keys of the request."""

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)

    @property
    def region(self) -> str:
        named = self.resource.split(":")[3:4]
        return (named[0] if named else "") or str(module("core.responses").get_region())

    @property
    def keys(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.context.items() if value}


def from_source(service: str, arn: str, account: str) -> dict[str, str]:
    """The condition keys that a service sends along when it acts for a resource."""
    return {
        "aws:SourceArn": arn,
        "aws:SourceAccount": account,
        # What older policies ask for (AWS's own default policy of a topic does).
        "aws:SourceOwner": account,
        "aws:PrincipalIsAWSService": "true",
        "aws:PrincipalServiceName": service,
    }


def trust_refusal(role_arn: str, service: str, source_arn: str) -> str:
    """Why a service can't assume a role for one of its resources."""
    if not enforced():
        return ""
    account, name = _account(role_arn), role_arn.rsplit("/", 1)[-1]
    role = module("services.iam")._roles.get_scoped(account, None, name) or {}
    asked = Question(ASSUME, role_arn, from_source(service, source_arn, account))
    allowed = _resource_allows(role.get("AssumeRolePolicyDocument"), service, asked)
    _note(service, asked, RESOURCE, service, allowed=allowed)
    return "" if allowed else f"{service} is not authorized to assume role {role_arn} for {source_arn}"


def role_refusal(role_arn: str, service: str, source_arn: str, *asked: Question) -> str:
    """Why a service that acts with a role may not do all of this; the role has to trust the service too."""
    if not enforced():
        return ""
    refused = trust_refusal(role_arn, service, source_arn)
    for question in asked:
        refused = refused or identity_refusal(role_arn, question, via=service)
    return refused


def identity_refusal(role_arn: str, question: Question, *, via: str = "") -> str:
    """Why a role's policies and the resource's own don't allow an action."""
    if not enforced():
        return ""
    iam, account = module("core.iam_evaluator"), _account(role_arn)
    name = role_arn.rsplit("/", 1)[-1]
    session = f"arn:aws:sts::{account}:assumed-role/{name}/{via.partition('.')[0] or 'function'}"
    context = iam.EvalContext(
        principal_arn=session,
        principal_type="AssumedRole",
        principal_account=account,
        action=question.action,
        resource_arn=question.resource,
        region=question.region,
        service_context=question.keys,
        # Conditions on aws:PrincipalArn compare with the role, not with its session (IAM User Guide, "Global keys").
        principal_keys={},
    )
    limits = iam._permissions_boundary(module("services.iam")._roles, name, account)
    decision = iam.evaluate(context, iam._gather_role_policies(name, account), *limits)
    service = question.action.partition(":")[0]
    with module("core.responses").request_scope(account, question.region):
        found = _policy_of(service, question.resource)
    if found is not None:
        required = service in iam._POLICY_REQUIRED
        decision = iam.combine_resource_policy(decision, context, *found, required=required, limits=tuple(limits))
    allowed = decision.decision == "Allow"
    _note(role_arn, question, IDENTITY, via, allowed=allowed)
    if allowed:
        return ""
    message: str = module("core.iam_actions").identity_denial_message(
        question.action, session, question.resource, decision.decision == "Deny"
    )
    return message


def _policy_of(service: str, arn: str) -> Any:
    """A resource's own policy and its owner; the evaluator knows no bus."""
    if service != "events":
        return module("core.iam_evaluator")._resource_policy(service, arn)
    policy = module("services.eventbridge")._event_bus_policies.get(arn.rpartition("/")[2])
    return (policy, _account(arn)) if policy else None


def service_refusal(service: str, policy: Any, question: Question) -> str:
    """Why a resource's policy doesn't let a service do this on its own."""
    if not enforced():
        return ""
    allowed = _resource_allows(policy, service, question)
    _note(service, question, RESOURCE, "", allowed=allowed)
    return "" if allowed else f"{service} is not authorized to perform: {question.action} on {question.resource}"


def key_refusal(
    key: str | None, actions: tuple[str, ...], context: Mapping[str, str], *, role: str = "", service: str = ""
) -> str:
    """Why a role, or a service without one, can't use the customer managed key of a resource; AWS's keys never refuse.

    `key` is a key's id, ARN or alias in its region, None for a resource without one.
    """
    record = key_record(key) if key and enforced() else None
    if record is None:
        return ""
    refused = ""
    for action in actions:
        question = Question(action, record["Arn"], context)
        if role:
            refused = refused or identity_refusal(role, question, via=service)
        else:
            refused = refused or service_refusal(service, record.get("Policy"), question)
    return refused


def key_record(key: str) -> Any:
    """A customer managed key; None for AWS's own, which admit who may use the service."""
    keys = module("services.kms")
    region = key.split(":")[3] if key.startswith("arn:") else keys.get_region()
    with module("core.responses").request_scope(keys.get_account_id(), region):
        record = keys._resolve_key(key)
    managed = record is None or record.get("_tripoint_aws_managed")
    return None if managed else record


def _resource_allows(policy: Any, service: str, question: Question) -> bool:
    iam = module("core.iam_evaluator")
    context = iam.EvalContext(
        # A service is no principal of the account: grants to the account don't admit it.
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action=question.action,
        resource_arn=question.resource,
        region=question.region,
        service_context=question.keys,
    )
    return bool(iam.evaluate_resource_policy(policy or {}, context, service=service).decision == "Allow")


def _note(principal: str, question: Question, decided_by: str, via: str, *, allowed: bool) -> None:
    context = tuple(sorted(question.keys.items()))
    RECORD.note(Call(principal, question.action, question.resource, decided_by, via, context), allowed=allowed)


def _account(arn: str) -> str:
    parts = arn.split(":")
    return parts[4] if len(parts) > 4 else ""
