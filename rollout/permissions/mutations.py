"""Each granted action removed, one at a time: which recorded call would have been denied?

The evaluator is the one that decided during the run (`ministack.core.iam_evaluator`), over the policies as deployed.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rollout.permissions.record import Call, RunRecord, grant_of, statements, thing_of
from rollout.sandbox.emulator import module

# What a service documents as needed and checks when a resource is made, or uses without leaving a trace: the sandbox
# asks for it because AWS's documentation says so, not because anything in the run could not go on.
DOCUMENTED = frozenset(
    {
        *(f"ec2:{verb}" for verb in ("CreateNetworkInterface", "DescribeNetworkInterfaces", "DescribeSubnets")),
        *(
            f"ec2:{verb}"
            for verb in ("DeleteNetworkInterface", "AssignPrivateIpAddresses", "UnassignPrivateIpAddresses")
        ),
        *(f"logs:{verb}LogDelivery" for verb in ("Create", "Get", "Update", "Delete")),
        *(f"logs:{verb}" for verb in ("ListLogDeliveries", "PutResourcePolicy", "DescribeResourcePolicies")),
        *("logs:DescribeLogGroups", "logs:DescribeLogStreams", "dynamodb:ListStreams"),
        *(
            "xray:PutTraceSegments",
            "xray:PutTelemetryRecords",
            "kms:DescribeKey",
            "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
        ),
    }
)
CODE, SERVICE, DOCUMENT, NOTHING = "the code", "a service", "documentation", "nothing"


@dataclass(frozen=True)
class Granted:
    """An action of a statement: of a role's policy, or of a resource's policy towards a service."""

    holder: str
    kind: str
    sid: str
    action: str


@dataclass(frozen=True)
class Mutation:
    """What the removal of an action does: the calls that it denies, none if nothing notices."""

    granted: Granted
    denied: tuple[Call, ...]

    @property
    def noticed(self) -> bool:
        return bool(self.denied)

    @property
    def evidence(self) -> str:
        """What needs the action: a function's code, a service that acts on its own, or only AWS's documentation."""
        if not self.denied:
            return NOTHING
        if self.granted.action in DOCUMENTED:
            return DOCUMENT
        by_code = any(call.decided_by != "resource" and not call.via for call in self.denied)
        return CODE if by_code or self.granted.kind == "endpoint" else SERVICE


def role_mutations(record: RunRecord) -> list[Mutation]:
    """Each action of each role's policies, over all regions: the same code makes the role of every region."""
    found: dict[Granted, list[Call]] = {}
    by_role = _by_principal(record)
    for arn, role in record.roles.items():
        policies = role["policies"]
        for name, document in policies.items():
            for number, statement in enumerate(statements(document)):
                for action in statement["Action"]:
                    granted = Granted(thing_of(arn), "role", grant_of(str(statement.get("Sid", ""))), action)
                    calls = [call for call in by_role.get(arn, ()) if call.action.lower() == action.lower()]
                    mutated = {**policies, name: without(document, number, action)}
                    denied = [call for call in calls if not _roles_policies_allow(arn, mutated, call)]
                    found.setdefault(granted, []).extend(denied)
    return [Mutation(granted, tuple(denied)) for granted, denied in sorted(found.items(), key=_place)]


def resource_mutations(record: RunRecord) -> list[Mutation]:
    """Each action that the policy of a queue, topic, function or key, or a role's trust policy, allows to a service."""
    found: dict[Granted, list[Call]] = {}
    by_resource: dict[str, list[Call]] = {}
    for call in record.calls:
        if call.allowed and call.decided_by == "resource":
            by_resource.setdefault(call.resource, []).append(call)
    trusts = {arn: role["trust"] for arn, role in record.roles.items()}
    for arn, document in {**record.resources, **trusts}.items():
        for number, statement in enumerate(statements(document or {})):
            if not _for_services(statement):
                continue
            for action in statement["Action"]:
                kind = "trust" if action == "sts:AssumeRole" else arn.split(":")[2]
                granted = Granted(_name(arn), kind, str(statement.get("Sid", "")), action)
                calls = [call for call in by_resource.get(arn, ()) if call.action.lower() == action.lower()]
                mutated = without(document, number, action)
                found.setdefault(granted, []).extend(call for call in calls if not _policy_allows(mutated, call))
    return [Mutation(granted, tuple(denied)) for granted, denied in sorted(found.items(), key=_place)]


def endpoint_mutations(record: RunRecord) -> list[Mutation]:
    """Each action that the policies of VPC endpoints let through."""
    found: dict[Granted, list[Call]] = {}
    for arn, document in record.resources.items():
        if not arn.startswith("vpce-"):
            continue
        through = [
            call
            for call in record.calls
            if call.allowed and call.decided_by == "endpoint" and call.context.get("aws:sourcevpce") == arn
        ]
        for statement in statements(document or {}):
            for action in statement["Action"]:
                granted = Granted(action.partition(":")[0], "endpoint", str(statement.get("Sid", "")), action)
                found.setdefault(granted, []).extend(call for call in through if call.action == action)
    return [Mutation(granted, tuple(denied)) for granted, denied in sorted(found.items(), key=_place)]


def without(document: Mapping[str, Any], number: int, action: str) -> dict[str, Any]:
    """A policy document less one action of one statement; the statement goes with its last action."""
    mutated = copy.deepcopy(statements(document))
    mutated[number]["Action"].remove(action)
    return {**document, "Statement": [statement for statement in mutated if statement["Action"]]}


def _by_principal(record: RunRecord) -> dict[str, list[Call]]:
    found: dict[str, list[Call]] = {}
    for call in record.calls:
        if call.allowed and call.decided_by == "identity":
            found.setdefault(call.principal, []).append(call)
    return found


def _roles_policies_allow(role: str, policies: Mapping[str, Any], call: Call) -> bool:
    iam = module("core.iam_evaluator")
    account, name = role.split(":")[4], role.rpartition("/")[2]
    context = iam.EvalContext(
        principal_arn=f"arn:aws:sts::{account}:assumed-role/{name}/session",
        principal_type="AssumedRole",
        principal_account=account,
        action=call.action,
        resource_arn=call.resource,
        region=call.resource.split(":")[3] if call.resource.startswith("arn:") else "",
        service_context=dict(call.context),
    )
    parsed = [iam.parse_policy_document(document) for document in policies.values()]
    return bool(iam.evaluate(context, parsed).decision == "Allow")


def _policy_allows(document: Mapping[str, Any], call: Call) -> bool:
    iam = module("core.iam_evaluator")
    context = iam.EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action=call.action,
        resource_arn=call.resource,
        region="",
        service_context=dict(call.context),
    )
    decision = iam.evaluate_resource_policy(dict(document), context, service=call.principal).decision
    return bool(decision == "Allow")


def _for_services(statement: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal")
    return statement.get("Effect") == "Allow" and isinstance(principal, dict) and "Service" in principal


def _name(arn: str) -> str:
    """A resource without its region, account and suffix."""
    if ":role/" in arn:
        return thing_of(arn)
    if ":kms:" in arn:
        return "keys"
    last = arn.rpartition(":")[2].partition("-")[2]
    return last.rpartition("-")[0] or arn


def _place(entry: tuple[Granted, Any]) -> tuple[str, str, str, str]:
    granted = entry[0]
    return granted.kind, granted.holder, granted.sid, granted.action
