"""A folder of saved plans: what was reviewed, and everything that it was planned from.

The folder holds one Terraform plan file per stack that may be applied (``<stack>.tfplan``), ``manifest.json``, and,
once it is being applied, ``applied.json``. Terraform's plan files contain the configuration and the prior state with
all sensitive values in the open: the folder is made for its owner alone (0700, files 0600), and wants the same care
wherever it is carried.

``manifest.json`` (times in ISO 8601, UTC; every hash is SHA-256 in hex)::

    schema          2
    digest          of everything else in here: what is edited by hand is not applied
    created_at, expires_at
    environment, suffix, target     which environment it is for
    config          path, hash of the configuration file
    versions        terraform (name and version), provider (AWS provider), tripoint
    functions       function -> hash of its zip
    stacks          one object each, producers first:
        (everything that `tripoint diff --json` says of a stack, see rollout/plans/document.py)
        plan, hash      the plan file and its hash; absent where there is nothing to apply or it may not be applied
        synthesized     hash of the stack's Terraform JSON
        state           serial, lineage; null where the stack had no state
        outputs         upstream stack -> hash of all its outputs; null where it had none
        taken_up        names what an earlier run that was cut off had left and the plan takes in; empty for nothing
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rollout.plans.document import stack_document
from rollout.project import Project
from rollout.state import DeployedStack
from rollout.terraform import aws_provider_version
from rollout.versions import own_version
from rollout.workspace import STACK_FILE
from shared.contracts import StackId
from shared.errors import TripointError, UsageError

if TYPE_CHECKING:
    from rollout.engine.run import Run

SCHEMA = 2
MANIFEST = "manifest.json"
JOURNAL = "applied.json"


class SavedPlanError(TripointError):
    """Saved plans can't be applied.

    Attributes
    ----------
    causes
        Every reason, a line each.
    """

    remedy = "nothing was applied; plan again: tripoint diff --out FOLDER"

    def __init__(self, causes: Iterable[str]) -> None:
        self.causes = list(causes)
        super().__init__("; ".join(self.causes))


@dataclass(frozen=True)
class PlanFolder:
    """A folder to save plans into, or to read them from.

    Attributes
    ----------
    path
        Where.
    valid_for
        How long what is saved now may be applied.
    """

    path: Path
    valid_for: timedelta = timedelta(hours=24)

    # -- saving -----------------------------------------------------------------------------------

    def check_free(self) -> None:
        """Refuse a folder with something else in it: plans of different runs must not mix.

        Raises
        ------
        UsageError
            Naming the folder.
        """
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise UsageError(f"--out {self.path}: must be a new or an empty folder")

    def make(self) -> None:
        """Make the folder, for its owner alone."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.path.chmod(0o700)
        except OSError as error:
            raise UsageError(f"--out {self.path}: {error.strerror}") from error

    def keep(self, stack: StackId, plan: Path) -> None:
        """Save a plan file of Terraform's."""
        _write(self.plan(stack), plan.read_bytes())

    def plan(self, stack: StackId) -> Path:
        """The plan file of a stack."""
        return self.path / f"{stack}.tfplan"

    def write(self, run: Run, deployed: Mapping[StackId, DeployedStack]) -> None:
        """Write the manifest; plans that turned out not to be applicable are dropped."""
        results = [result for result in run.report.stacks if result.diff is not None]
        for result in results:
            assert result.diff is not None
            if result.diff.refusal:
                self.plan(result.stack).unlink(missing_ok=True)
        now = datetime.now(UTC)
        states = {stack: run.project.store.read(stack) for stack in (result.stack for result in results)}
        stacks = []
        for result in results:
            entry = stack_document(result)
            path = self.plan(result.stack)
            entry["taken_up"] = result.diff.taken_up if result.diff else ""
            if path.exists():
                entry |= {"plan": path.name, "hash": hash_of(path)}
            if result.stack in run.project.graph.needs:
                entry |= fingerprint(run.project, result.stack, states[result.stack], deployed)
            stacks.append(entry)
        manifest = {
            "schema": SCHEMA,
            "created_at": _iso(now),
            "expires_at": _iso(now + self.valid_for),
            **facts(run, [result.stack for result in results]),
            "stacks": stacks,
        }
        _write(self.path / MANIFEST, (json.dumps(sealed(manifest), indent=2) + "\n").encode())

    # -- reading ----------------------------------------------------------------------------------

    def read(self) -> dict[str, Any]:
        """The manifest.

        Raises
        ------
        UsageError
            When there is none, or it isn't one.
        SavedPlanError
            When it is not as it was saved.
        """
        path = self.path / MANIFEST
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"--plan {self.path}: no saved plans there ({MANIFEST}: {error.strerror})") from error
        except ValueError as error:
            raise UsageError(f"{path}: not valid JSON: {error}") from error
        if not isinstance(found, dict) or found.get("schema") != SCHEMA:
            shown = found.get("schema") if isinstance(found, dict) else None
            raise UsageError(f"{path}: schema = {shown!r}: must be {SCHEMA}")
        if found.get("digest") != sealed(found)["digest"]:
            raise SavedPlanError([f"{MANIFEST} is not as it was saved"])
        return found

    def journal(self) -> dict[str, Any]:
        """What of the plans has been begun and applied: stack -> ``begun_at`` and, when it was finished, ``state``."""
        path = self.path / JOURNAL
        if not path.exists():
            return {}
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"{path}: cannot be read: {error}") from error
        if not isinstance(found, dict) or not all(isinstance(noted, dict) for noted in found.values()):
            raise UsageError(f"{path}: must hold an object per stack")
        return found

    def note(self, journal: Mapping[str, Any]) -> None:
        """Write the journal, in one step."""
        draft = self.path / f"{JOURNAL}.draft"
        _write(draft, (json.dumps(journal, indent=2) + "\n").encode())
        draft.replace(self.path / JOURNAL)


def facts(run: Run, stacks: Iterable[StackId]) -> dict[str, Any]:
    """What the plans of these stacks depend on as a whole, as the manifest has it."""
    project = run.project
    environment = project.environment
    folder = project.workspace.functions
    zips = sorted(folder.glob("*.zip")) if folder.is_dir() else []
    return {
        "environment": environment.environment,
        "suffix": environment.suffix,
        "target": run.report.target,
        "config": {"path": project.workspace.shown(project.config), "hash": hash_of(project.config)},
        "versions": {
            "terraform": f"{run.tool.name} {run.tool.version}",
            "provider": aws_provider_version([project.workspace.stack(stack) for stack in stacks]),
            "tripoint": own_version(),
        },
        "functions": {path.stem: hash_of(path) for path in zips},
    }


def fingerprint(
    project: Project, stack: StackId, state: DeployedStack | None, deployed: Mapping[StackId, DeployedStack]
) -> dict[str, Any]:
    """What the plan of one stack depends on, as the manifest has it."""
    upstream = {need: deployed.get(need) for need in project.graph.needs[stack]}
    return {
        "synthesized": hash_of(project.workspace.stack(stack) / STACK_FILE),
        "state": state_document(state),
        "outputs": {
            str(need): None if found is None else hashlib.sha256(_canonical(found.outputs)).hexdigest()
            for need, found in upstream.items()
        },
    }


def sealed(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest with the digest of everything else in it."""
    content = {name: value for name, value in manifest.items() if name != "digest"}
    return content | {"digest": hashlib.sha256(_canonical(content)).hexdigest()}


def state_document(state: DeployedStack | None) -> dict[str, Any] | None:
    return None if state is None else {"serial": state.serial, "lineage": state.lineage}


def hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _write(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, from its first byte on."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
