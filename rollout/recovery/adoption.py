"""Brings what was made and not recorded into a stack's state, by `import` blocks that stand there for one apply."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from rollout.recovery import search
from rollout.recovery.identities import REWRITTEN, import_id
from rollout.recovery.journal import Creation
from rollout.target import Target
from rollout.terraform import TerraformError
from shared.contracts import StackId

IMPORTS_FILE = "tripoint_imports.tf.json"
# Names are built from those of others (a route's from its table's): a round per level.
_ROUNDS = 8


class Planner(Protocol):
    """What adoption needs of Terraform."""

    def plan_document(self) -> dict[str, Any]: ...

    def refresh(self) -> None: ...


class Adoption:
    """The imports of one stack.

    Parameters
    ----------
    stack, directory
        The stack and its Terraform folder.
    target
        Where to look for what has no name.
    say
        Told what is found.
    """

    def __init__(self, stack: StackId, directory: Path, target: Target, say: Callable[[str], None]) -> None:
        self._stack = stack
        self._directory = directory
        self._target = target
        self._say = say
        self._imports: dict[str, str] = {}
        self._given_up: dict[str, str] = {}

    @contextmanager
    def prepared(self, terraform: Planner, made: Mapping[str, Creation]) -> Iterator[Mapping[str, str]]:
        """Have imports for what was made and is not in the state, while inside. Gives address -> import id."""
        wanted = {address: one for address, one in made.items() if one.type not in REWRITTEN}
        try:
            if wanted:
                self._find(terraform, wanted)
            yield dict(self._imports)
        finally:
            self._file.unlink(missing_ok=True)

    @property
    def _file(self) -> Path:
        return self._directory / IMPORTS_FILE

    def _find(self, terraform: Planner, wanted: Mapping[str, Creation]) -> None:
        refreshed = False
        for _ in range(_ROUNDS):
            document = self._plan(terraform)
            if not refreshed and _forgotten(document) & wanted.keys():
                # An import of what the state still believes in would not be one.
                terraform.refresh()
                refreshed = True
                continue
            self._drop_strangers(document)
            missing = {address: change for address, change in _to_create(document).items() if address in wanted}
            found = {
                address: name
                for address, settings in missing.items()
                if address not in self._given_up and (name := self._name(wanted[address], settings)) is not None
            }
            if not found:
                break
            self._imports |= found
        for address, why in self._given_up.items():
            self._say(f"{address} {why}")
        for address, name in self._imports.items():
            self._say(f"{address} is there ({name}) and was not recorded: taken into the state")

    def _plan(self, terraform: Planner) -> dict[str, Any]:
        """A plan with the imports; those that lead nowhere are dropped."""
        while True:
            self._write()
            try:
                return terraform.plan_document()
            except TerraformError as error:
                text = "\n".join(error.lines)
                nowhere = [address for address in self._imports if address in text]
                if not nowhere:
                    raise
                for address in nowhere:
                    del self._imports[address]
                    self._given_up[address] = "was not made yet when the run was cut off"

    def _write(self) -> None:
        blocks = [{"to": address, "id": name} for address, name in self._imports.items()]
        if blocks:
            self._file.write_text(json.dumps({"import": blocks}, indent=2), encoding="utf-8")
        else:
            self._file.unlink(missing_ok=True)

    def _drop_strangers(self, document: Mapping[str, Any]) -> None:
        """What carries other tags than ours was made by somebody else, under the same name."""
        for change in document.get("resource_changes", []):
            address, found = change["address"], change["change"]
            before, after = found.get("before") or {}, found.get("after") or {}
            if address not in self._imports or "tags_all" not in before:
                continue
            theirs, ours = before["tags_all"] or {}, after.get("tags_all") or {}
            # Tags may come a moment after the resource: then it has none yet.
            if theirs and any(theirs.get(name) != value for name, value in ours.items()):
                del self._imports[address]
                self._given_up[address] = "is there already and is not ours: its tags are others"
                self._write()

    def _name(self, made: Creation, settings: Mapping[str, Any]) -> str | None:
        name = import_id(made.type, settings, made.id)
        if name is not None or made.id is not None:
            return name
        try:
            found = search.find(made.type, settings, self._target, self._stack.region)
        except LookupError:
            return None
        if len(found) > 1:
            self._given_up[made.address] = f"is there more than once, and none is taken: {', '.join(found)}"
        return import_id(made.type, settings, found[0]) if len(found) == 1 else None


def _to_create(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Address -> what is known of the attributes, of everything that a plan would make."""
    return {
        change["address"]: change["change"].get("after") or {}
        for change in document.get("resource_changes", [])
        if change["mode"] == "managed" and change["change"]["actions"] == ["create"]
    }


def _forgotten(document: Mapping[str, Any]) -> set[str]:
    """What the state believes in and is gone."""
    return {
        drift["address"] for drift in document.get("resource_drift", []) if drift["change"]["actions"] == ["delete"]
    }
