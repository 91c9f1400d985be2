"""Tags that the pipeline provides."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from shared.config import parse
from shared.errors import UsageError
from shared.tags import PIPELINE_TAGS, pipeline_tags
from stacks.synth import synthesize
from tests.stacks.conftest import Synthesized

PROVIDED = {
    "TRIPOINT_OWNER": "team-checkout",
    "TRIPOINT_PROJECT": "tripoint-next",
    "TRIPOINT_REPOSITORY": "https://git.example.com/payments/tripoint.git",
    "TRIPOINT_COMMIT_AUTHOR": "Wilhelmina Quux",
}
STACK = "network-us-east-1"


def test_what_is_provided_becomes_tags() -> None:
    """OPT-10: Owner, Project, Repository and the commit's author."""
    assert pipeline_tags(PROVIDED) == {
        "Owner": "team-checkout",
        "Project": "tripoint-next",
        "Repository": "https://git.example.com/payments/tripoint.git",
        "CommitAuthor": "Wilhelmina Quux",
    }


def test_what_is_not_provided_becomes_none() -> None:
    """OPT-10: no pipeline, no tag; an empty variable is none; other variables are nobody's business."""
    assert pipeline_tags({}) == {}
    assert pipeline_tags({"TRIPOINT_OWNER": "", "TRIPOINT_PROJECT": "  ", "HOME": "/root"}) == {}
    assert pipeline_tags({"TRIPOINT_REPOSITORY": " r \n"}) == {"Repository": "r"}


@pytest.mark.parametrize("variable", PIPELINE_TAGS)
@pytest.mark.parametrize("value", ["a;b", "x" * 257, "one\ntwo", "<author@example.com>"])
def test_what_aws_does_not_take_is_refused(variable: str, value: str) -> None:
    """OPT-10: one line that names variable, value and what is allowed."""
    with pytest.raises(UsageError) as refused:
        pipeline_tags({variable: value})
    message = str(refused.value)
    assert message.startswith(f"{variable} = {value!r} ")
    assert "256 letters, digits, spaces and _ . : / = + - @" in message
    assert len(message.splitlines()) == 1
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("value", ["x" * 256, "Zoë Ångström", "a_b.c:d/e=f+g-h@i"])
def test_what_aws_takes_is_taken(value: str) -> None:
    """OPT-10: up to 256 characters, letters of any script."""
    assert pipeline_tags({"TRIPOINT_OWNER": value}) == {"Owner": value}


def synthesized(out: Path, monkeypatch: pytest.MonkeyPatch, provided: dict[str, str]) -> dict[str, str]:
    """The default tags of a stack's provider."""
    for name in PIPELINE_TAGS:
        monkeypatch.delenv(name, raising=False)
    for name, value in provided.items():
        monkeypatch.setenv(name, value)
    environment = parse(tomllib.loads(Path("config/sandbox.toml").read_text()), source="test")
    synthesize(environment, out=out, functions=Path(".tripoint/functions"), only=[STACK])
    (provider,) = Synthesized(environment, out).stack(STACK)["provider"]["aws"]
    (default,) = provider["default_tags"]
    tags: dict[str, str] = default["tags"]
    return tags


def test_the_provider_tags_everything_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OPT-10, PAY-14: they replace the configuration's own Owner and Project and leave the others."""
    before = synthesized(tmp_path / "before", monkeypatch, {})
    after = synthesized(tmp_path / "after", monkeypatch, PROVIDED)
    assert "Repository" not in before
    assert "CommitAuthor" not in before
    assert after == {**before, **pipeline_tags(PROVIDED)}
    assert after["Owner"] != before["Owner"]


def test_a_refused_tag_ends_the_synthesis_before_anything_is_written(tmp_path: Path) -> None:
    """OPT-10: exit code 2, one line, nothing on disk."""
    out = tmp_path / "out"
    run = subprocess.run(
        [sys.executable, "-m", "stacks"],
        env={
            **os.environ,
            "TRIPOINT_CONFIG": "config/sandbox.toml",
            "TRIPOINT_OWNER": "a;b",
            "TRIPOINT_STACKS": STACK,
            "CDKTF_OUTDIR": str(out),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert re.fullmatch(r"error: TRIPOINT_OWNER = 'a;b' cannot be the tag Owner: at most 256 .*\n", run.stderr)
    assert not out.exists()
