"""Every policy document of the joined stacks, its references filled in with ARNs as AWS would have them.

What a document refers to is a resource of some stack; its ARN follows from its type, its name and the stack's region.
An analyser can then tell whether an action and its resource fit together, which `${aws_sqs_queue.dlq.arn}` hides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rollout.scanners.joined import Placed
from shared.site import PARTITION

# What follows arn:<partition>: for a type; {} the attribute by which it is named. What AWS makes up is an example.
_REGIONAL = {
    "aws_athena_workgroup": ("athena", "workgroup/{}", "name"),
    "aws_cloudwatch_event_bus": ("events", "event-bus/{}", "name"),
    "aws_cloudwatch_event_rule": ("events", "rule/{}", "name"),
    "aws_cloudwatch_log_group": ("logs", "log-group:{}", "name"),
    "aws_dynamodb_table": ("dynamodb", "table/{}", "name"),
    "aws_kms_key": ("kms", "key/1234abcd-12ab-34cd-56ef-1234567890ab", None),
    "aws_lambda_function": ("lambda", "function:{}", "function_name"),
    "aws_lb": ("elasticloadbalancing", "loadbalancer/app/{}/50dc6c495c0c9188", "name"),
    "aws_lb_target_group": ("elasticloadbalancing", "targetgroup/{}/73e2d6bc24d8a067", "name"),
    "aws_rds_cluster": ("rds", "cluster:{}", "cluster_identifier"),
    "aws_security_group": ("ec2", "security-group/sg-0123456789abcdef0", None),
    "aws_sfn_state_machine": ("states", "stateMachine:{}", "name"),
    "aws_sns_topic": ("sns", "{}", "name"),
    "aws_sqs_queue": ("sqs", "{}", "name"),
    "aws_subnet": ("ec2", "subnet/subnet-0123456789abcdef0", None),
}
_GLOBAL = {
    "aws_cloudfront_distribution": ("cloudfront", "distribution/EDFDVBD6EXAMPLE", None),
    "aws_iam_role": ("iam", "role/{}", "name"),
}
_REFERENCE = re.compile(r"\$\{((?:data\.)?\w+\.\w+)\.(\w+)\}")
_REGION = re.compile(r"(?:^|-)([a-z]{2}(?:-gov)?-[a-z]+-\d)$")


class UnknownReferenceError(Exception):
    """A policy refers to what no rule here gives an ARN."""


@dataclass(frozen=True)
class Policy:
    """One policy document.

    Attributes
    ----------
    where
        The configuration, the construct's path and the attribute.
    type, attribute
        Of the resource that holds it: ``aws_iam_role``, ``assume_role_policy``.
    document
        The document, filled in.
    holder
        The ARN of that resource, where the document is about it alone: a role's trust, a key's policy. They name it as
        `*` or not at all.
    """

    where: str
    type: str
    attribute: str
    document: dict[str, Any]
    holder: str

    @property
    def is_identity(self) -> bool:
        """True for what a role may do; the others say who may do something to a resource."""
        return self.type in ("aws_iam_policy", "aws_iam_role_policy")

    @property
    def explicit(self) -> dict[str, Any]:
        """The document with its holder named where it only says `*` or nothing."""
        if not self.holder:
            return self.document
        return {**self.document, "Statement": [{**one, "Resource": self.holder} for one in self.statements]}

    @property
    def statements(self) -> list[dict[str, Any]]:
        found = self.document["Statement"]
        return found if isinstance(found, list) else [found]


def policies(joined: Mapping[str, Placed], account: str, configuration: str) -> Iterator[Policy]:
    """Every policy document, wherever it stands in a resource."""
    fill = _Arns(joined, account)
    for placed in joined.values():
        for attribute, text in _texts(placed.block):
            if attribute.startswith("//") or '"Statement"' not in text:
                continue
            yield Policy(
                where=f"{configuration}: {placed.where}:{attribute}",
                type=placed.type,
                attribute=attribute,
                document=json.loads(fill(text)),
                holder=fill.arn(placed) if placed.type in ("aws_iam_role", "aws_kms_key") else "",
            )


def _texts(value: Any, at: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _texts(one, f"{at}.{key}" if at else key)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one, at)
    elif isinstance(value, str):
        yield at, value


def _region(placed: Placed) -> str:
    found = _REGION.search(placed.stack)
    return found[1] if found else ""


class _Arns:
    def __init__(self, joined: Mapping[str, Placed], account: str) -> None:
        self._joined = joined
        self._account = account

    def __call__(self, text: str) -> str:
        return _REFERENCE.sub(lambda found: self._of(found[1], found[2]), text)

    def _of(self, address: str, attribute: str) -> str:
        placed = self._joined.get(address)
        if placed is None:
            raise UnknownReferenceError(f"{address}.{attribute}: no such resource")
        if attribute == "stream_arn":
            return f"{self._of(address, 'arn')}/stream/2026-01-01T00-00-00"
        if attribute == "execution_arn":
            return f"arn:{PARTITION}:execute-api:{_region(placed)}:{self._account}:a1b2c3d4e5"
        if attribute != "arn":
            given = placed.block.get(attribute)
            if isinstance(given, str):
                return self(given)
            raise UnknownReferenceError(f"{address}.{attribute}: known only once it is made")
        return self.arn(placed)

    def arn(self, placed: Placed) -> str:
        return f"arn:{PARTITION}:{self._tail(placed)}"

    def _tail(self, placed: Placed) -> str:
        type, block = placed.type, placed.block
        here = _region(placed)
        if type == "aws_s3_bucket":
            return f"s3:::{self(block['bucket'])}"
        if type == "aws_dynamodb_table_replica":
            # The same table, in another region.
            table = self(block["global_table_arn"]).rpartition(":")[2]
            return f"dynamodb:{here}:{self._account}:{table}"
        if type in _GLOBAL:
            service, form, name = _GLOBAL[type]
            here = ""
        elif type in _REGIONAL:
            service, form, name = _REGIONAL[type]
        else:
            raise UnknownReferenceError(f"{placed.where}: what the ARN of {type} looks like is not said here")
        return f"{service}:{here}:{self._account}:{form.format(self(block[name]) if name else '')}"
