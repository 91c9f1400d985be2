"""Runs Terraform on one stack's folder and understands what it says."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from rollout.children import Children
from rollout.providers import NO_ATTACHMENT, ProviderServer
from rollout.toolchain import Tool
from shared.errors import TripointError

LOCK_TIMEOUT_S = 60
# Resources at once within a stack. Queues and DNS records make the provider wait half a minute each, so waiting, not
# computing, is what this multiplies.
PARALLELISM = 30

_LOCK_FILE = ".terraform.lock.hcl"
_LOCKED = "Error acquiring the state lock"
# Diagnostics that say that `init` must be run again.
_STALE = (
    "Backend initialization required",
    "Inconsistent dependency lock file",
    "Required plugins are not installed",
    "Provider requirements cannot be satisfied",
    "Missing required provider",
)
# Diagnostics that say that the provider died under Terraform.
_CRASHED = (
    "Plugin did not respond",
    "Request cancelled",
    "transport is closing",
    "error reading from server",
    "code = Unavailable",
    "The plugin encountered an error",
    "Reattachment process not found",
)
# Patterns of diagnostics that leave open whether AWS did what it was asked for: its answer is an excuse, or was lost.
# AWS: "Common Errors" and the services' own pages; the rest is Go's net package.
AWS_ERROR = r"ServiceUnavailable|Service Unavailable|InternalServer|InternalFailure|InternalError|StatusCode: 50[0234]"
NO_ANSWER = r"RequestTimeout|i/o timeout|Client\.Timeout"
CONNECTION_LOST = r"connection reset by peer|broken pipe|unexpected EOF|: EOF\b|http2: client connection lost"
_UNANSWERED = re.compile("|".join((AWS_ERROR, NO_ANSWER, CONNECTION_LOST)))
_KEPT_LOG_BYTES = 4_000_000
_TAIL = 12
# How much of an error goes into reports and onto consoles; the log has all of it.
_KEPT_LINES = 200
_KEPT_WIDTH = 2_000
# What comes of reading a message that is not as Terraform documents it.
MALFORMED = (KeyError, TypeError, ValueError, AttributeError)


class TerraformError(TripointError):
    """Terraform failed on a stack.

    Attributes
    ----------
    lines
        Why, in Terraform's words.
    locked
        The state's lock may be held: by another run, or by this one because it was killed.
    stale
        `init` must run again.
    cut_off
        Terraform or its provider was killed or crashed: what was being made may be there without being recorded.
    errors
        Terraform's error diagnostics, where it said them in a form for machines.
    """

    def __init__(
        self,
        phase: str,
        lines: Sequence[str],
        *,
        locked: bool = False,
        stale: bool = False,
        cut_off: bool = False,
        errors: Sequence[dict[str, Any]] = (),
    ) -> None:
        super().__init__(f"terraform {phase} failed: {lines[0] if lines else 'it said nothing'}")
        self.phase = phase
        self.lines = list(lines)
        self.locked = locked
        self.stale = stale
        self.cut_off = cut_off
        self.errors = list(errors)


@dataclass(frozen=True)
class Holding:
    """The lock on the state is held by who starts Terraform, so Terraform takes none.

    Attributes
    ----------
    journal
        Gets everything that a change says, in Terraform's own words, line by line.
    descriptor
        An open file that Terraform gets too.
    started
        Told the id of each process.
    """

    journal: Path
    descriptor: int
    started: Callable[[int], None]


@dataclass(frozen=True)
class Changes:
    """What a plan would do, or an apply has done, in resources.

    ``outputs`` counts outputs that change; ``replaced`` the addresses of resources made anew (each is also counted
    once in ``add`` and once in ``remove``); ``gone`` the resources that somebody else had deleted.
    """

    add: int = 0
    change: int = 0
    remove: int = 0
    outputs: int = 0
    replaced: tuple[str, ...] = ()
    gone: int = 0

    @property
    def none(self) -> bool:
        return not (self.add or self.change or self.remove or self.outputs)

    def __add__(self, other: Changes) -> Changes:
        """Both, one after the other."""
        return Changes(
            self.add + other.add,
            self.change + other.change,
            self.remove + other.remove,
            self.outputs + other.outputs,
            (*self.replaced, *other.replaced),
            self.gone + other.gone,
        )

    def __str__(self) -> str:
        return f"{self.add} added, {self.change} changed, {self.remove} destroyed"


@dataclass
class Transcript:
    """What Terraform's machine-readable output (`-json`) has said so far."""

    planned: int = 0
    done: int = 0
    current: str = ""
    plan: Changes = field(default_factory=Changes)
    planning_ended: bool = False
    applied: Changes | None = None
    diagnostics: list[dict[str, Any]] = field(default_factory=list)
    plain: list[str] = field(default_factory=list)
    _replaced: list[str] = field(default_factory=list)
    _outputs: int = 0
    _gone: int = 0

    def read(self, line: str) -> str:
        """Take in one line of output; returns it as a person wants to read it.

        What is no message of Terraform's, or one that it doesn't document, is text.
        """
        try:
            message = json.loads(line)
            said = str(message["@message"])
            if message.get("type") == "diagnostic":
                said = "\n".join(describe(message["diagnostic"]))
            self._note(message)
            return said
        except (*MALFORMED, RecursionError):
            if line.strip():
                self.plain.append(line.rstrip())
            return line.rstrip()

    def errors(self) -> list[dict[str, Any]]:
        return [found for found in self.diagnostics if found.get("severity") == "error"]

    def why(self) -> list[str]:
        """Why it failed, for people: the errors, else the last that was said."""
        lines = [line for error in self.errors() for line in describe(error)] or _plain_error(self.plain)
        return [line[:_KEPT_WIDTH] for line in lines[:_KEPT_LINES]]

    def _note(self, message: dict[str, Any]) -> None:
        hook = message.get("hook") or {}
        address = str((hook.get("resource") or {}).get("addr", ""))
        match message.get("type"):
            case "diagnostic":
                self.diagnostics.append(message["diagnostic"])
            case "resource_drift":
                self._gone += message["change"]["action"] == "delete"
            case "planned_change":
                change = message["change"]
                self.planned += 2 if change["action"] == "replace" else 1
                if change["action"] == "replace":
                    self._replaced.append(str(change["resource"]["addr"]))
            case "apply_start":
                self.current = address
            case "apply_complete":
                # Reading a data source during the apply isn't a change.
                if hook.get("action") != "read":
                    self.done += 1
            case "outputs":
                changed = [output for output in message["outputs"].values() if output.get("action", "noop") != "noop"]
                self._outputs += len(changed)
                self.plan = replace(self.plan, outputs=self._outputs)
            case "change_summary":
                self._summary(message["changes"])

    def _summary(self, found: dict[str, Any]) -> None:
        changes = Changes(
            add=int(found.get("add", 0)),
            change=int(found.get("change", 0)),
            remove=int(found.get("remove", 0)),
            outputs=self._outputs,
            replaced=tuple(self._replaced),
            gone=self._gone,
        )
        if found.get("operation") == "plan":
            self.plan, self.planning_ended = changes, True
        else:
            self.applied = changes


class StackTerraform:
    """Terraform on one stack.

    Parameters
    ----------
    tool, children
        What to run, and who looks after the processes.
    directory
        The working directory, with the synthesized JSON.
    data
        TF_DATA_DIR.
    log
        Gets everything that Terraform says; appended to.
    environment
        The environment variables to run with.
    plugins
        Names the providers that would be used; `init` runs again when it changes.
    trust_provider
        Don't hash the provider (700 MB, 0.6 s of CPU) before every command. Fit for the sandbox only: the engine has
        compared the file's size and time with those at `init`, Terraform would compare all of its bytes.
    holding
        With it, Terraform leaves the state's lock alone.
    server
        Provides for all commands on this stack; None: Terraform starts the provider itself.
    """

    def __init__(
        self,
        *,
        tool: Tool,
        children: Children,
        directory: Path,
        data: Path,
        log: Path,
        environment: Mapping[str, str],
        plugins: str = "",
        trust_provider: bool = False,
        holding: Holding | None = None,
        server: ProviderServer | None = None,
    ) -> None:
        self._tool = tool
        self._holding = holding
        self._server = server
        self._children = children
        self._directory = directory
        self._data = data
        self._log = log
        self._plugins = plugins
        self._trust_provider = trust_provider
        self._environment = {
            # Terraform and the provider live for seconds: collecting garbage less often saves a third of their CPU
            # time (2.9 to 2.1 s for a small plan) at no cost in peak memory worth noting.
            "GOGC": "300",
            **{name: value for name, value in environment.items() if not name.startswith("TF_CLI_ARGS")},
            "TF_DATA_DIR": str(data),
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
        }

    @property
    def log(self) -> Path:
        return self._log

    def init(self) -> bool:
        """Initialize the folder, unless nothing that `init` depends on has changed. Returns whether it ran.

        Raises
        ------
        TerraformError
            When Terraform fails.
        """
        lock_file = self._directory / _LOCK_FILE
        kept_lock = self._data / "lock.hcl"
        stamp_file = self._data / "tripoint-init.json"
        stamp = self._stamp()
        if kept_lock.is_file() and stamp_file.is_file() and stamp_file.read_text() == stamp:
            lock_file.write_bytes(kept_lock.read_bytes())
            return False
        stamp_file.unlink(missing_ok=True)
        # A lock file of other versions would be an order to keep to them.
        lock_file.unlink(missing_ok=True)
        self._data.mkdir(parents=True, exist_ok=True)
        # The state never moves on its own: -reconfigure forgets an earlier backend instead of copying from it.
        self._run("init", ["init", "-reconfigure", "-input=false", "-no-color"])
        text = lock_file.read_text() if lock_file.is_file() else ""
        if self._trust_provider:
            text = without_hashes(text)
        lock_file.write_text(text)
        kept_lock.write_text(text)
        stamp_file.write_text(stamp)
        return True

    def apply(self, said: Callable[[Transcript], None] = lambda transcript: None) -> Changes:
        """Bring the stack to what is synthesized; returns what was done."""
        return self._change("apply", said)

    def destroy(self, said: Callable[[Transcript], None] = lambda transcript: None) -> Changes:
        """Destroy everything of the stack; returns what was done."""
        return self._change("destroy", said)

    def plan(self, said: Callable[[Transcript], None] = lambda transcript: None, *, out: Path | None = None) -> Changes:
        """What an apply would do. Takes no lock: looking must not stop somebody who works."""
        arguments = ["plan", "-json", "-input=false", "-lock=false", f"-parallelism={PARALLELISM}"]
        if out is not None:
            arguments.append(f"-out={out}")
        transcript = self._again_if_stale("plan", arguments, said)
        if not transcript.planning_ended:
            raise TerraformError("plan", [_untold("plan"), *transcript.why()])
        return transcript.plan

    def show(self, plan: Path) -> str:
        """A saved plan as text."""
        return "\n".join(self._run("show", ["show", "-no-color", str(plan)]).plain)

    def show_json(self, plan: Path) -> dict[str, Any]:
        """A saved plan as Terraform's JSON; not logged, since it has sensitive values in the open."""
        transcript = self._run("show", ["show", "-json", str(plan)], logged=False)
        try:
            found: dict[str, Any] = json.loads("\n".join(transcript.plain))
        except ValueError as error:
            raise TerraformError("show", [f"the plan can't be read: {error}"]) from error
        return found

    def apply_plan(self, plan: Path, said: Callable[[Transcript], None] = lambda transcript: None) -> Changes:
        """Do exactly what a saved plan says; Terraform refuses it when the state is another one by now."""
        return self._change("apply", said, str(plan))

    def refresh(self) -> None:
        """Have the state forget what is no longer there."""
        self._change("apply", _nobody, "-refresh-only")

    def apply_only(self, addresses: Sequence[str]) -> None:
        """Apply some resources and what they depend on."""
        self._change("apply", _nobody, *(f"-target={address}" for address in addresses))

    def plan_document(self) -> dict[str, Any]:
        """A plan of what an apply would do, in Terraform's JSON representation of a plan."""
        saved = self._data / "document.tfplan"
        try:
            self.plan(out=saved)
            return self.show_json(saved)
        finally:
            saved.unlink(missing_ok=True)

    def push_state(self, path: Path) -> None:
        """Save a state that an earlier Terraform could not save."""
        lock = "-lock=false" if self._holding else f"-lock-timeout={LOCK_TIMEOUT_S}s"
        self._run("state push", ["state", "push", lock, str(path)])

    def _change(self, phase: str, said: Callable[[Transcript], None], *more: str) -> Changes:
        arguments = [
            phase,
            "-json",
            "-auto-approve",
            "-input=false",
            "-lock=false" if self._holding else f"-lock-timeout={LOCK_TIMEOUT_S}s",
            f"-parallelism={PARALLELISM}",
            *more,
        ]
        transcript = self._again_if_stale(phase, arguments, said)
        if transcript.applied is None:
            # What it did is looked for, as after a kill.
            raise TerraformError(phase, [_untold(phase), *transcript.why()], cut_off=True)
        return replace(transcript.applied, outputs=transcript.plan.outputs, replaced=transcript.plan.replaced)

    def _again_if_stale(self, phase: str, arguments: list[str], said: Callable[[Transcript], None]) -> Transcript:
        try:
            return self._run(phase, arguments, said)
        except TerraformError as error:
            if not error.stale:
                raise
        (self._data / "tripoint-init.json").unlink(missing_ok=True)
        self.init()
        return self._run(phase, arguments, said)

    def _run(
        self,
        phase: str,
        arguments: list[str],
        said: Callable[[Transcript], None] = lambda transcript: None,
        *,
        logged: bool = True,
    ) -> Transcript:
        transcript = Transcript()
        command = [*self._tool.command, *arguments]
        attachment = self._server.attach() if self._server else NO_ATTACHMENT
        environment = {**self._environment, **attachment.variables}
        with self._open_log() as log:
            begin = time.monotonic()
            log.write(f"=== {_now()} {' '.join(arguments)}\n")
            with self._children.process(
                command, cwd=self._directory, env=environment, **self._kept(phase, attachment.descriptors)
            ) as child:
                for line in child.lines():
                    text = transcript.read(line)
                    if logged:
                        log.write(f"{text}\n")
                    log.flush()
                    said(transcript)
                code = child.wait()
            log.write(f"=== {_now()} exit code {code} after {time.monotonic() - begin:.1f} s\n")
        if code < 0:
            if self._server is not None:
                # It may still be at work for the one that was killed.
                self._server.stop()
            why = [f"terraform {phase} was killed by signal {-code}", *transcript.why()]
            raise TerraformError(phase, why, locked=True, cut_off=True)
        if code != 0:
            why = transcript.why() or [f"terraform {phase} ended with exit code {code} and said nothing"]
            text = "\n".join(why)
            raise TerraformError(
                phase,
                why,
                locked=_LOCKED in text,
                stale=any(stale in text for stale in _STALE),
                cut_off=crashed(text),
                errors=transcript.errors(),
            )
        return transcript

    def _kept(self, phase: str, descriptors: Sequence[int]) -> dict[str, Any]:
        """What outlives the engine of a process that is started while the state is held."""
        if self._holding is None:
            return {"keep_open": descriptors}
        kept = {"keep_open": [self._holding.descriptor, *descriptors], "started": self._holding.started}
        return {**kept, "output": self._holding.journal} if phase in ("apply", "destroy") else kept

    def _open_log(self) -> TextIO:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            if self._log.stat().st_size > _KEPT_LOG_BYTES:
                self._log.replace(self._log.with_suffix(".old.log"))
        return self._log.open("a", encoding="utf-8")

    def _stamp(self) -> str:
        """Everything that makes an earlier `init` still good."""
        settings = terraform_settings(self._directory)
        relevant = {name: settings.get(name) for name in ("backend", "required_providers", "required_version")}
        ways = [self._trust_provider, self._server is not None]
        facts = [relevant, self._plugins, self._tool.command, self._tool.version, ways]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def terraform_settings(directory: Path) -> dict[str, Any]:
    """The `terraform` block of a synthesized stack."""
    for path in sorted(directory.glob("*.tf.json")):
        try:
            found = json.loads(path.read_text(encoding="utf-8")).get("terraform")
        except (ValueError, AttributeError) as error:
            raise TripointError(f"{path} is not Terraform JSON: {error}") from error
        if isinstance(found, dict):
            return found
    return {}


def aws_provider_version(directories: Iterable[Path]) -> str | None:
    """The version of the AWS provider that stacks ask for; None when none does."""
    for directory in directories:
        required = terraform_settings(directory).get("required_providers") or {}
        if "aws" in required:
            return str(required["aws"]["version"]).removeprefix("=").strip()
    return None


def without_hashes(lock: str) -> str:
    """A dependency lock file that still pins versions, but has Terraform hash nothing."""
    return re.sub(r"^\s*hashes = \[.*?\]\n", "", lock, flags=re.MULTILINE | re.DOTALL)


def _untold(phase: str) -> str:
    return f"terraform {phase} ended with exit code 0 and did not say what came of it"


def crashed(text: str) -> bool:
    """Whether an error says that the provider died under Terraform."""
    return any(sign in text for sign in _CRASHED)


def unanswered(text: str) -> bool:
    """Whether an error leaves open if what was asked for was done."""
    return _UNANSWERED.search(text) is not None


def _nobody(transcript: Transcript) -> None:
    """Nobody listens."""


def describe(diagnostic: Mapping[str, Any]) -> list[str]:
    """A diagnostic as lines: what, where, why."""
    severity = str(diagnostic.get("severity", "error"))
    address = diagnostic.get("address")
    first = f"{severity}: {diagnostic.get('summary', '')}" + (f" ({address})" if address else "")
    detail = [line.rstrip() for line in str(diagnostic.get("detail") or "").splitlines() if line.strip()]
    return [first, *(f"  {line.strip()}" for line in detail)]


def _plain_error(lines: Sequence[str]) -> list[str]:
    """The error in Terraform's boxed text, else the last lines."""
    text = [line.lstrip("│╷╵").strip() for line in lines]
    text = [line for line in text if line]
    starts = [number for number, line in enumerate(text) if line.startswith("Error:")]
    return text[starts[0] :] if starts else text[-_TAIL:]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
