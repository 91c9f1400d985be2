"""Unchanged inputs are not synthesized again; any change of them, or of the output, is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rollout import synthesized
from rollout.synthesis import RefusedSynthesisError, Synthesis, SynthesisError, synthesize
from rollout.workspace import Workspace
from shared.contracts import StackId

ONE, OTHER = StackId("network", "us-east-1"), StackId("data", "us-east-1")
# Writes what `stacks` writes, from the configuration and a shared module.
APP = """
import os, sys
from pathlib import Path
from shared import text
said = Path(os.environ["TRIPOINT_CONFIG"]).read_text()
if "refuse" in said:
    print("error: suffix: 'refuse' is refused", file=sys.stderr)
    sys.exit(2)
if "fail" in said:
    raise RuntimeError("no luck")
for name in os.environ["TRIPOINT_STACKS"].split(","):
    folder = Path(os.environ["CDKTF_OUTDIR"], "stacks", name)
    (folder / "assets").mkdir(parents=True, exist_ok=True)
    (folder / "cdk.tf.json").write_text(said + text.TEXT)
    (folder / "assets" / "code.zip").write_bytes(b"zip")
"""


class Place:
    """A project that is small enough to synthesize in no time."""

    def __init__(self, root: Path) -> None:
        self.workspace = Workspace(root=root, base=root / "home", suffix="t", outputs=root / "flat.json")
        self.config = self.file("config.toml", "a = 1")
        self.file("stacks/__main__.py", APP)
        self.file("stacks/README.md", "what it is")
        for package in ("stacks", "shared"):
            self.file(f"{package}/__init__.py", "")
        self.file("shared/text.py", "TEXT = 'x'")
        self.file("functions/catalogue.py", "")
        self.zip = self.file("home/functions/validate.zip", "zip")

    def file(self, name: str, content: str) -> Path:
        path = self.workspace.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def synthesize(self, *stacks: StackId) -> Synthesis:
        return synthesize(self.workspace, self.config, stacks or (ONE,))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_unchanged_inputs_are_not_synthesized_again(place: Place) -> None:
    first = place.synthesize()
    assert (first.written, first.unchanged) == ((ONE,), ())
    document = place.workspace.stack(ONE) / "cdk.tf.json"
    written = document.stat().st_mtime_ns
    again = place.synthesize()
    assert (again.written, again.unchanged) == ((), (ONE,))
    assert document.stat().st_mtime_ns == written
    assert again.told(0.1) == f"1 stack unchanged since the synthesis of {again.since}"


def test_a_stack_that_was_not_asked_for_before_is_synthesized_alone(place: Place) -> None:
    place.synthesize(ONE)
    found = place.synthesize(ONE, OTHER)
    assert (found.written, found.unchanged) == ((OTHER,), (ONE,))
    assert found.told(1.25) == f"1 stack synthesized in 1.2 s, 1 stack unchanged since the synthesis of {found.since}"


def _touch_terraform(place: Place) -> None:
    (place.workspace.stack(ONE) / ".terraform.lock.hcl").write_text("Terraform's own")


def test_files_that_terraform_leaves_change_nothing(place: Place) -> None:
    place.synthesize()
    _touch_terraform(place)
    assert place.synthesize().unchanged == (ONE,)


INPUTS: dict[str, Callable[[Place, pytest.MonkeyPatch], object]] = {
    "the configuration": lambda place, _: place.config.write_text("a = 2"),
    "code of the stacks": lambda place, _: place.file("stacks/__main__.py", APP + "\n"),
    "a new file of the stacks": lambda place, _: place.file("stacks/new.py", ""),
    "a file gone": lambda place, _: (place.workspace.root / "stacks" / "README.md").unlink(),
    "shared code": lambda place, _: place.file("shared/text.py", "TEXT = 'y'"),
    "the catalogue of the functions": lambda place, _: place.file("functions/catalogue.py", "A = 1"),
    "the workflow's definition": lambda place, _: place.file("functions/workflow/payment.asl.json", "{}"),
    "a function's zip": lambda place, _: place.zip.write_text("other"),
    "a new function's zip": lambda place, _: place.file("home/functions/capture.zip", "zip"),
    "a package's version": lambda _, patch: patch.setattr(synthesized, "version", lambda name: f"{name} 2"),
    "a tag of the pipeline": lambda _, patch: patch.setenv("TRIPOINT_OWNER", "somebody-else"),
    "the context of cdktf": lambda _, patch: patch.setenv("CDKTF_CONTEXT_JSON", '{"a": 1}'),
}
OUTPUTS: dict[str, Callable[[Place], object]] = {
    "the JSON changed": lambda place: (place.workspace.stack(ONE) / "cdk.tf.json").write_text("{}"),
    "the JSON deleted": lambda place: (place.workspace.stack(ONE) / "cdk.tf.json").unlink(),
    "an asset changed": lambda place: (place.workspace.stack(ONE) / "assets" / "code.zip").write_bytes(b"evil"),
    "an asset deleted": lambda place: (place.workspace.stack(ONE) / "assets" / "code.zip").unlink(),
    "the record damaged": lambda place: (place.workspace.home / "synthesized.json").write_text("{"),
    "the record of another version": lambda place: (place.workspace.home / "synthesized.json").write_text(
        json.dumps({"schema": 0, "stacks": {}})
    ),
}


@pytest.mark.parametrize("change", INPUTS)
def test_each_kind_of_input_counts(place: Place, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    place.synthesize()
    INPUTS[change](place, monkeypatch)
    assert place.synthesize().written == (ONE,)
    assert place.synthesize().unchanged == (ONE,)


@pytest.mark.parametrize("damage", OUTPUTS)
def test_output_that_was_tampered_with_is_made_anew(place: Place, damage: str) -> None:
    place.synthesize(ONE, OTHER)
    before = (place.workspace.stack(ONE) / "cdk.tf.json").read_bytes()
    OUTPUTS[damage](place)
    assert ONE in place.synthesize(ONE, OTHER).written
    assert (place.workspace.stack(ONE) / "cdk.tf.json").read_bytes() == before
    assert (place.workspace.stack(ONE) / "assets" / "code.zip").read_bytes() == b"zip"


def test_a_synthesis_that_fails_is_not_taken_for_one_that_was_done(place: Place) -> None:
    place.config.write_text("fail")
    with pytest.raises(SynthesisError, match="no luck"):
        place.synthesize()
    with pytest.raises(SynthesisError, match="no luck"):
        place.synthesize()
    place.config.write_text("refuse")
    with pytest.raises(RefusedSynthesisError, match="'refuse' is refused"):
        place.synthesize()


def test_what_is_edited_during_a_synthesis_is_synthesized_again(place: Place) -> None:
    """Whether the edit is in the output, nobody knows."""
    edit = APP + "Path('shared/text.py').write_text(\"TEXT = 'late'\")\n"
    place.file("stacks/__main__.py", edit)
    place.synthesize()
    assert place.synthesize().written == (ONE,)
    assert (place.workspace.stack(ONE) / "cdk.tf.json").read_text() == "a = 1late"
