"""What an apply of a stack goes by, and whether that is still what its last apply went by. Pure, no I/O.

An apply depends on the synthesized JSON (which pins the functions' zips by their hashes and the provider by its
version), on the outputs that the stack reads of others, and on the versions of Terraform and of this engine. What
somebody changed outside of all that, drift, is not among it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rollout.state import DeployedStack
from shared.site import state_key

SCHEMA = 1
_MAPS = ("outputs", "ground", "tools")

# Data sources whose answer follows from their arguments, or from what other stacks of ours have made. With any other
# one, only a plan can tell whether something is to be done.
_FIXED_SOURCES = frozenset(
    {
        "terraform_remote_state",
        "aws_availability_zones",
        "aws_caller_identity",
        "aws_iam_policy_document",
        "aws_partition",
        "aws_region",
    }
)
_OUR_SOURCES = frozenset({"aws_dynamodb_table", "aws_subnet"})
_READ = re.compile(r"data\.terraform_remote_state\.([\w-]+)(?:\.outputs\.(\w+))?")


@dataclass(frozen=True)
class Reads:
    """What a synthesized stack reads of others.

    Attributes
    ----------
    outputs
        The other stack's name -> the outputs read, in order; None means all of them.
    sources
        Types of data sources that look at what other stacks have made.
    unknown
        Types of data sources whose answer nobody can foresee.
    """

    outputs: Mapping[str, tuple[str, ...] | None]
    sources: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inputs:
    """What an apply goes by. Values are digests: an output may be long, and the record needs none of them.

    Attributes
    ----------
    document
        Of the synthesized JSON.
    outputs
        ``<stack>.<output>`` -> of its value.
    ground
        Stack -> when something of it that this stack may hold on to was last made anew or changed.
    tools
        ``terraform``, ``tripoint`` -> version.
    """

    document: str
    outputs: Mapping[str, str]
    ground: Mapping[str, str]
    tools: Mapping[str, str]

    def differences(self, last: Inputs) -> list[str]:
        """What is not as it was, for people."""
        found = ["the synthesized JSON changed"] if self.document != last.document else []
        found += [f"{name} changed" for name in _changed(self.outputs, last.outputs)]
        found += [f"resources of {stack} changed" for stack in _changed(self.ground, last.ground)]
        found += [
            f"{name} {last.tools.get(name, 'unknown')} then, {self.tools.get(name, 'unknown')} now"
            for name in _changed(self.tools, last.tools)
        ]
        return found


@dataclass(frozen=True)
class ApplyRecord:
    """The last successful apply of a stack by this engine, kept beside its state.

    Attributes
    ----------
    lineage, serial
        Of the state that the apply left. A state that is another one by now was changed by somebody else.
    applied_at
        ISO 8601, UTC.
    rebuilt, changed
        ``<lineage>:<serial>`` of the last apply that destroyed or replaced a resource, and of the last that changed
        any.
    """

    lineage: str
    serial: int
    applied_at: str
    rebuilt: str
    changed: str
    inputs: Inputs

    def of(self, state: DeployedStack) -> bool:
        """Whether this is the record of that state."""
        return (self.lineage, self.serial) == (state.lineage, state.serial)

    def render(self) -> bytes:
        return json.dumps({"schema": SCHEMA, **asdict(self)}, indent=2, sort_keys=True).encode() + b"\n"


def parse_record(body: bytes) -> ApplyRecord | None:
    """A record that was written before; None when it is not one that this engine understands."""
    try:
        found = json.loads(body)
        if found["schema"] != SCHEMA:
            return None
        return ApplyRecord(
            lineage=str(found["lineage"]),
            serial=int(found["serial"]),
            applied_at=str(found["applied_at"]),
            rebuilt=str(found["rebuilt"]),
            changed=str(found["changed"]),
            inputs=_inputs(found["inputs"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _inputs(found: Mapping[str, Any]) -> Inputs:
    return Inputs(
        document=str(found["document"]),
        **{name: {str(key): str(value) for key, value in found[name].items()} for name in _MAPS},
    )


def reads_of(document: bytes) -> Reads:
    """What a synthesized stack reads, from its JSON."""
    text = document.decode("utf-8")
    data = json.loads(text).get("data", {})
    producers = {
        name: str(source["config"]["key"]).removesuffix(state_key(""))
        for name, source in data.get("terraform_remote_state", {}).items()
    }
    wanted: dict[str, set[str] | None] = {stack: set() for stack in producers.values()}
    for name, output in _READ.findall(text):
        stack = producers.get(name, name)
        names = wanted.setdefault(stack, set())
        if not output:
            wanted[stack] = None
        elif names is not None:
            names.add(output)
    return Reads(
        outputs={stack: None if names is None else tuple(sorted(names)) for stack, names in sorted(wanted.items())},
        sources=tuple(sorted(data.keys() & _OUR_SOURCES)),
        unknown=tuple(sorted(data.keys() - _OUR_SOURCES - _FIXED_SOURCES)),
    )


def inputs_of(
    document: bytes,
    reads: Reads,
    *,
    states: Mapping[str, DeployedStack],
    records: Mapping[str, ApplyRecord],
    tools: Mapping[str, str],
) -> Inputs:
    """What an apply would go by now.

    Parameters
    ----------
    document, reads
        The synthesized JSON, and :func:`reads_of` it.
    states, records
        The stacks that it reads, by name, as they are now.
    """
    outputs: dict[str, str] = {}
    ground: dict[str, str] = {}
    for stack, names in reads.outputs.items():
        state = states.get(stack)
        values: Mapping[str, Any] = state.outputs if state else {}
        for name in sorted(values) if names is None else names:
            outputs[f"{stack}.{name}"] = digest(values.get(name))
        ground[stack] = _ground(state, records.get(stack), own_sources=bool(reads.sources))
    return Inputs(document=hashlib.sha256(document).hexdigest(), outputs=outputs, ground=ground, tools=dict(tools))


def record_of(
    inputs: Inputs,
    *,
    before: DeployedStack | None,
    last: ApplyRecord | None,
    after: DeployedStack,
    applied_at: str,
    removed: bool,
    changed: bool,
) -> ApplyRecord:
    """The record of an apply.

    Parameters
    ----------
    before, last
        The state before the apply, and the record that was there; without a record, anything may have happened.
    after
        The state that it left.
    removed, changed
        Whether it destroyed or replaced resources, and whether it changed any.
    """
    now = f"{after.lineage}:{after.serial}"
    known = last if last is not None and before is not None and last.of(before) else None
    return ApplyRecord(
        lineage=after.lineage,
        serial=after.serial,
        applied_at=applied_at,
        rebuilt=now if known is None or removed else known.rebuilt,
        changed=now if known is None or changed else known.changed,
        inputs=inputs,
    )


def digest(value: Any) -> str:
    """A short name for a value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _ground(state: DeployedStack | None, record: ApplyRecord | None, *, own_sources: bool) -> str:
    """A table made anew under the old name has the old ARN, and yet its replicas are gone."""
    if state is None:
        return "absent"
    if record is None or not record.of(state):
        return f"{state.lineage}:{state.serial}"
    return record.changed if own_sources else record.rebuilt


def _changed(now: Mapping[str, str], then: Mapping[str, str]) -> list[str]:
    return [name for name in sorted({*now, *then}) if now.get(name) != then.get(name)]
