"""Two processes synthesize half of the stacks each: one output, one exit code, nothing left over."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from shared.contracts import StackId
from stacks import halves

# Each process writes its stacks and a manifest, and does what `{second}` says if it has the second half.
PROGRAM = """
import json, os, re, sys
from pathlib import Path
from shared.contracts import StackId
from stacks.halves import in_halves

def write(stacks, folder):
    for stack in stacks:
        (folder / "stacks" / str(stack)).mkdir(parents=True)
    if "data" in map(str, (stack.name for stack in stacks)):
        {second}
    text = json.dumps({{"stacks": {{str(stack): {{"name": str(stack), "annotations": []}} for stack in stacks}},
                       "version": "0"}}, indent=2, sort_keys=True)
    (folder / "manifest.json").write_text(text)
    return 0

stacks = [StackId(layer, region) for layer in ("network", "data") for region in ("us-east-1", "eu-west-1")]
sys.exit(in_halves(stacks, Path(sys.argv[1]), write))
"""
NAMES = ["data-eu-west-1", "data-us-east-1", "network-eu-west-1", "network-us-east-1"]


def run(out: Path, second: str = "pass") -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(second=second)
    return subprocess.run([sys.executable, "-c", program, str(out)], check=False, capture_output=True, text=True)


def test_both_halves_are_in_one_folder_and_one_manifest(tmp_path: Path) -> None:
    done = run(tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["manifest.json", "stacks"]
    assert sorted(path.name for path in (tmp_path / "out" / "stacks").iterdir()) == NAMES
    assert list(json.loads((tmp_path / "out" / "manifest.json").read_text())["stacks"]) == NAMES


@pytest.mark.parametrize(
    ("second", "code", "said"),
    [
        ("print('error: data: no such key', file=sys.stderr); return 2", 2, "error: data: no such key"),
        ("raise RuntimeError('no luck')", 1, "RuntimeError: no luck"),
        ("os.kill(os.getpid(), 9)", 1, "error: the second half of the synthesis was ended by signal 9"),
    ],
)
def test_a_failure_of_the_second_half_is_the_failure_of_all(tmp_path: Path, second: str, code: int, said: str) -> None:
    done = run(tmp_path, second)
    assert done.returncode == code
    assert done.stderr.splitlines()[-1] == said
    assert not (tmp_path / ".half").exists()


def test_what_a_killed_synthesis_left_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / ".half").mkdir()
    (tmp_path / ".half" / "stacks").symlink_to("../stacks")
    (tmp_path / ".half" / "manifest.json").write_text("{")
    assert run(tmp_path).returncode == 0
    assert not (tmp_path / ".half").exists()


def test_another_layout_of_the_manifest_is_refused() -> None:
    first, second = (
        json.dumps({"stacks": {name: {"at": "x"}}, "version": "0"}, indent=2, sort_keys=True) for name in ("a", "b")
    )
    assert list(json.loads(halves.merged(first, second))["stacks"]) == ["a", "b"]
    other = re.sub("^    ", "   ", second, flags=re.MULTILINE)
    with pytest.raises(ValueError, match="lays its manifest out"):
        halves.merged(first, other)


def test_one_core_or_few_stacks_have_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    stacks = [StackId("network", f"region-{number}") for number in range(halves.WORTH)]
    monkeypatch.setattr(halves, "_cores", lambda: 2)
    assert halves.worth_halving(stacks)
    assert not halves.worth_halving(stacks[1:])
    monkeypatch.setattr(halves, "_cores", lambda: 1)
    assert not halves.worth_halving(stacks)
