"""IAM statements as verbs: what a role may do, on exactly which resource (PAY-13).

A grant is a statement; a policy is a list of grants. No action is a wildcard, and a resource is one only where the
service has no resource-level permission for the action (the grant says so).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Grant:
    """One Allow statement.

    Attributes
    ----------
    sid
        Says in CamelCase what is granted.
    actions, resources
        Exact actions, ARNs.
    conditions
        Operator -> key -> value.
    """

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def statement(self) -> dict[str, Any]:
        """The statement as an IAM policy document has it."""
        found: dict[str, Any] = {
            "Sid": self.sid,
            "Effect": "Allow",
            "Action": list(self.actions),
            "Resource": list(self.resources),
        }
        if self.conditions:
            found["Condition"] = {operator: dict(keys) for operator, keys in self.conditions.items()}
        return found


def policy(grants: Sequence[Grant]) -> str:
    """An identity policy document, as JSON."""
    return document([grant.statement() for grant in grants])


def document(statements: Sequence[Mapping[str, Any]]) -> str:
    """A policy document of ready statements, as JSON."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


# EC2 assumes an instance profile's role without saying for which account: under a condition on that the instance would
# have no credentials. Nobody needs it: a role is put on an instance by who may pass it, in its own account
# (IAM User Guide, "Grant a user permissions to pass a role to an AWS service").
NAMES_NO_SOURCE = frozenset({"ec2.amazonaws.com"})


def trust(service: str, account_id: str, source_arn: str | None = None) -> str:
    """A trust policy: one service may assume the role, for this account only (no confused deputy).

    ``source_arn`` narrows it further to one resource, or a pattern where the resource does not exist yet.
    """
    statement: dict[str, Any] = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    if service not in NAMES_NO_SOURCE:
        statement["Condition"] = {"StringEquals": {"aws:SourceAccount": account_id}}
        if source_arn is not None:
            statement["Condition"]["ArnLike"] = {"aws:SourceArn": source_arn}
    return document([statement])


def use_key(key_arn: str, sid: str = "UseRegionalKey") -> Grant:
    """Encrypt and decrypt with one key."""
    return Grant(sid, ("kms:Decrypt", "kms:GenerateDataKey"), (key_arn,))


def decrypt_with_key(key_arn: str, sid: str = "DecryptWithRegionalKey") -> Grant:
    """Decrypt, and nothing else, with one key: what reading and writing a table under it takes too."""
    return Grant(sid, ("kms:Decrypt",), (key_arn,))


def write_logs(log_group_arn: str) -> Grant:
    """Write to one log group; the group itself is made by Terraform."""
    return Grant("WriteLogs", ("logs:CreateLogStream", "logs:PutLogEvents"), (f"{log_group_arn}:*",))


def send_traces() -> Grant:
    """Send X-Ray segments. X-Ray has no resource-level permission for these actions."""
    return Grant("SendTraces", ("xray:PutTraceSegments", "xray:PutTelemetryRecords"), ("*",))


def attach_to_vpc(ec2: Callable[[str], str]) -> list[Grant]:
    """Let Lambda manage the function's network interfaces. The describing actions work on all resources only, the
    others need all interfaces of the account and region (Lambda Developer Guide, "Giving Lambda functions access to
    resources in an Amazon VPC").

    ``ec2`` gives the ARN of EC2's resources of this account and region.
    """
    interfaces = ec2("network-interface/*")
    return [
        Grant("AttachToVpc", ("ec2:CreateNetworkInterface",), (interfaces, ec2("security-group/*"), ec2("subnet/*"))),
        Grant(
            "KeepNetworkInterfaces",
            ("ec2:AssignPrivateIpAddresses", "ec2:DeleteNetworkInterface", "ec2:UnassignPrivateIpAddresses"),
            (interfaces,),
        ),
        Grant("FindNetworkInterfaces", ("ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"), ("*",)),
    ]


def invoke(function_arns: Sequence[str]) -> Grant:
    """Invoke exactly these functions."""
    return Grant("InvokeFunctions", ("lambda:InvokeFunction",), tuple(function_arns))


def send_to_queue(queue_arn: str) -> Grant:
    """Send messages to one queue."""
    return Grant("SendToQueue", ("sqs:SendMessage",), (queue_arn,))
