"""Stand-ins for the outputs of stacks that are not deployed, so that what builds on them can be planned.

Terraform cannot mock a remote state. So a stack with an upstream that isn't there is planned in a copy of its folder,
in which that upstream's remote state is a local file with mock outputs. What the upstream's own plan knows (names,
URLs) is taken from there; the rest is made up from the contract: of the right type, and in the shape that the output's
name says. The copy carries a guard on which everything depends: a condition that fails at every apply. Terraform
itself would refuse a plan of the copy, whoever got hold of it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rollout.workspace import STACK_FILE
from shared.contracts import StackId
from shared.site import PARTITION, state_key

GUARD = "terraform_data.planned_with_mock_outputs"

_ARN = f"arn:{PARTITION}:%s:{{region}}:{{account}}:%s"
# End of an output's name -> how such a thing is written; the first that fits counts. {thing} is the output's own name.
_SHAPES: tuple[tuple[str, str], ...] = (
    (
        "function_invoke_arn",
        f"arn:{PARTITION}:apigateway:{{region}}:lambda:path/2015-03-31/functions/"
        f"arn:{PARTITION}:lambda:{{region}}:{{account}}:function:{{thing}}/invocations",
    ),
    ("function_arn", _ARN % ("lambda", "function:{thing}")),
    ("state_machine_arn", _ARN % ("states", "stateMachine:{thing}")),
    ("event_bus_arn", _ARN % ("events", "event-bus/{thing}")),
    ("dlq_arn", _ARN % ("sqs", "{thing}")),
    ("queue_arn", _ARN % ("sqs", "{thing}")),
    ("topic_arn", _ARN % ("sns", "{thing}")),
    ("subscription_arn", _ARN % ("sns", "{thing}:{uuid}")),
    ("table_arn", _ARN % ("dynamodb", "table/{thing}")),
    ("stream_arn", _ARN % ("dynamodb", "table/{thing}/stream/2000-01-01T00:00:00.000")),
    ("bucket_arn", f"arn:{PARTITION}:s3:::{{thing}}-{{region}}"),
    ("key_arn", _ARN % ("kms", "key/{uuid}")),
    ("certificate_arn", _ARN % ("acm", "certificate/{uuid}")),
    ("load_balancer_arn", _ARN % ("elasticloadbalancing", "loadbalancer/app/{thing}/{hex16}")),
    ("target_group_arn", _ARN % ("elasticloadbalancing", "targetgroup/{thing}/{hex16}")),
    ("distribution_arn", f"arn:{PARTITION}:cloudfront::{{account}}:distribution/EMOCK{{HEX8}}"),
    ("cluster_arn", _ARN % ("rds", "cluster:{thing}")),
    ("trail_arn", _ARN % ("cloudtrail", "trail/{thing}")),
    ("arn", _ARN % ("mock", "{thing}")),
    ("vpc_id", "vpc-mock{hex8}"),
    ("subnet_id", "subnet-mock{hex8}"),
    ("security_group_id", "sg-mock{hex8}"),
    ("launch_template_id", "lt-mock{hex8}"),
    ("health_check_id", "{uuid}"),
    ("hosted_zone_id", "ZMOCK{HEX8}"),
    ("distribution_id", "EMOCK{HEX8}"),
    ("queue_url", "https://sqs.{region}.amazonaws.com/{account}/{thing}"),
    ("url", "https://{thing}.{region}.mock.invalid"),
    ("endpoint", "{thing}.{region}.mock.invalid"),
    ("domain_name", "{thing}.{region}.mock.invalid"),
    ("dns_name", "{thing}.{region}.mock.invalid"),
    ("name_server", "ns-{number}.mock.invalid"),
    ("port", "65535"),
    ("target_group_dimension", "targetgroup/{thing}/{hex16}"),
    ("dimension", "app/{thing}/{hex16}"),
    ("bucket_name", "{thing}-{region}"),
)
# How many there are of what comes in lists, unless the upstream's plan knows.
_SUBNETS = 3
_NAME_SERVERS = 4


@dataclass(frozen=True)
class MockMaker:
    """Makes up outputs of stacks of an environment; the same ones every time."""

    account: str
    regions: Sequence[str]

    def outputs(
        self, stack: StackId, promised: Mapping[str, type], known: Mapping[str, tuple[Any, Any]] | None = None
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        """All outputs that a stack's contracts promise, and the names of those that are made up, at least in part.

        Parameters
        ----------
        promised
            Output name -> ``str`` or ``list``.
        known
            What the stack's own plan says: name -> value and what of it is unknown, as
            :func:`rollout.plans.changes.planned_outputs` gives it.
        """
        values: dict[str, Any] = {}
        made_up: list[str] = []
        for name, kind in promised.items():
            value, unknown = (known or {}).get(name, (None, True))
            if not _any_unknown(unknown) and isinstance(value, kind):
                values[name] = value
                continue
            made_up.append(name)
            if kind is list and isinstance(value, list) and isinstance(unknown, list):
                values[name] = self._completed(stack, name, value, unknown)
            else:
                values[name] = self.value(stack, name, kind)
        return values, tuple(made_up)

    def value(self, stack: StackId, name: str, kind: type) -> Any:
        """A made-up value of one output."""
        if kind is list:
            return [self._text(stack, _singular(name), number) for number in range(self._length(name))]
        return self._text(stack, name, 0)

    def _completed(self, stack: StackId, name: str, value: Sequence[Any], unknown: Sequence[Any]) -> list[Any]:
        known = [*unknown, *[False] * (len(value) - len(unknown))]
        return [
            self._text(stack, _singular(name), number) if _any_unknown(known[number]) or one is None else one
            for number, one in enumerate(value)
        ]

    def _text(self, stack: StackId, name: str, number: int) -> str:
        digest = hashlib.sha256(f"{stack}/{name}/{number}".encode()).hexdigest()
        shape = next((shape for end, shape in _SHAPES if name == end or name.endswith(f"_{end}")), "{thing}")
        thing = f"mock-{name.removesuffix('_arn').removesuffix('_name').removesuffix('_url').replace('_', '-')}"
        return shape.format(
            region=stack.region,
            account=self.account,
            thing=f"{thing}-{number}" if number else thing,
            number=number,
            uuid=f"00000000-0000-4000-8000-{digest[:12]}",
            hex8=digest[:8],
            HEX8=digest[:8].upper(),
            hex16=digest[:16],
        )

    def _length(self, name: str) -> int:
        if name.endswith("subnet_ids"):
            return _SUBNETS
        if name == "name_servers":
            return _NAME_SERVERS
        # What leads to every other region; and never nothing, or what reads the first of them could not be planned.
        return max(1, len(self.regions) - 1)


@dataclass(frozen=True)
class Copy:
    """A copy of a stack's folder that is only good for looking.

    Attributes
    ----------
    folder, data
        Terraform's working directory and TF_DATA_DIR.
    """

    folder: Path
    data: Path


def copy_stack(source: Path, target: Path, outputs: Mapping[StackId, Mapping[str, Any]], *, empty_state: bool) -> Copy:
    """Copy a synthesized stack into a folder of its own, with upstream states that are local files.

    Parameters
    ----------
    source, target
        The stack's folder, and the folder where the copies of all stacks are.
    outputs
        All outputs of each upstream stack that is to be mocked.
    empty_state
        The stack isn't deployed: plan it against an empty local state, since its state bucket may not be there either.
    """
    document = json.loads((source / STACK_FILE).read_text(encoding="utf-8"))
    folder, states = target / "stacks" / source.name, target / "states" / source.name
    for made_before in (folder, states):
        shutil.rmtree(made_before, ignore_errors=True)
        made_before.mkdir(parents=True)
    for entry in source.iterdir():
        # Whatever the stack brings along, such as the functions' zips, is read where it lies.
        if entry.name != STACK_FILE and not entry.name.startswith("."):
            (folder / entry.name).symlink_to(entry.resolve())
    files = {stack: states / f"{stack}.tfstate" for stack in outputs}
    for stack, path in files.items():
        path.write_text(json.dumps(_state(outputs[stack])), encoding="utf-8")
    changed = with_mocks(document, files, states / "own.tfstate" if empty_state else None)
    (folder / STACK_FILE).write_text(json.dumps(changed), encoding="utf-8")
    return Copy(folder, target / "terraform" / source.name)


def with_mocks(document: Mapping[str, Any], states: Mapping[StackId, Path], own: Path | None) -> dict[str, Any]:
    """A stack's Terraform JSON that reads these upstream states from files, and has its own state in a file if given.

    With any upstream state mocked, everything that could be changed depends on the guard, and data sources that use a
    mocked output are not read before an apply, so never.
    """
    changed: dict[str, Any] = json.loads(json.dumps(document))
    if own is not None:
        changed["terraform"]["backend"] = {"local": {"path": str(own)}}
    files = {state_key(str(stack)): str(path) for stack, path in states.items()}
    remote = changed.get("data", {}).get("terraform_remote_state", {})
    mocked = [name for name, block in remote.items() if block["config"].get("key") in files]
    for name in mocked:
        path = files[remote[name]["config"]["key"]]
        remote[name] |= {"backend": "local", "config": {"path": path}}
    if mocked:
        _add_guard(changed, mocked)
    return changed


def _add_guard(document: dict[str, Any], mocked: Sequence[str]) -> None:
    for blocks in document.get("resource", {}).values():
        for block in blocks.values():
            block["depends_on"] = [*block.get("depends_on", ()), GUARD]
    references = [f"data.terraform_remote_state.{name}." for name in mocked]
    for kind, blocks in document.get("data", {}).items():
        for block in blocks.values():
            if kind != "terraform_remote_state" and any(reference in json.dumps(block) for reference in references):
                block["depends_on"] = [*block.get("depends_on", ()), GUARD]
    kind, name = GUARD.split(".")
    refusal = {
        # Not known before an apply, and never true in one.
        "condition": '${self.id == ""}',
        "error_message": "Planned with mock outputs of stacks that were not deployed: this plan is never applied.",
    }
    document.setdefault("resource", {}).setdefault(kind, {})[name] = {"lifecycle": {"postcondition": [refusal]}}


def _state(outputs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "version": 4,
        "terraform_version": "1.5.0",
        "serial": 1,
        "lineage": "mock",
        "outputs": {
            name: {"value": value, "type": ["list", "string"] if isinstance(value, list) else "string"}
            for name, value in outputs.items()
        },
        "resources": [],
    }


def _singular(name: str) -> str:
    return name.removesuffix("s")


def _any_unknown(unknown: Any) -> bool:
    if isinstance(unknown, list):
        return any(_any_unknown(one) for one in unknown)
    return bool(unknown)
