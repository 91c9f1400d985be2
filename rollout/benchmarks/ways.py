"""Ways to roll the same stacks out: this project's engine, a shell loop, and the cdktf CLI."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from rollout.benchmarks.manifest import DEPLOYED
from rollout.benchmarks.places import Place
from rollout.selection import restrict
from rollout.terraform import PARALLELISM
from rollout.toolchain import find_tool
from shared.contracts import StackId

SYNTHESIS = [sys.executable, "-O", "-m", "stacks"]


class Way(Protocol):
    """One of them."""

    name: str
    # How it is used, for people.
    described: str

    def command(self, place: Place, config: Path, layers: Sequence[str]) -> list[list[str]]:
        """The commands, one after the other, that bring the stacks of these layers (all when none is named) to what is
        configured."""

    def variables(self, place: Place, config: Path, layers: Sequence[str]) -> dict[str, str]:
        """What they run with."""


class Ours:
    """The engine, with its defaults."""

    name = "tripoint"
    described = "`tripoint rollout`, or `tripoint deploy LAYER`, as it comes"

    def __init__(self, parallel: int | None = None) -> None:
        self._options = ["--parallel", str(parallel)] if parallel else []

    def command(self, place: Place, config: Path, layers: Sequence[str]) -> list[list[str]]:
        ways = [["deploy", layer] for layer in layers] or [["rollout"]]
        program = [sys.executable, "-m", "rollout.cli"]
        return [[*program, *way, "--config", str(config), *self._options] for way in ways]

    def variables(self, place: Place, config: Path, layers: Sequence[str]) -> dict[str, str]:
        # It finds the provider by itself.
        return {name: value for name, value in place.variables.items() if name != "TF_CLI_CONFIG_FILE"}


class ShellLoop:
    """Plain Terraform in waves, as many stacks at once as there are in a wave."""

    name = "shell loop"
    described = (
        "synthesis of what is deployed, then per wave of the graph `xargs -P` over its stacks with "
        f"`terraform init` and `terraform apply -auto-approve -parallelism={PARALLELISM}`"
    )

    def command(self, place: Place, config: Path, layers: Sequence[str]) -> list[list[str]]:
        script = place.folder / "loop.sh"
        script.write_text(self._script(place, place.stacks(layers)), encoding="utf-8")
        return [["/bin/sh", str(script)]]

    def variables(self, place: Place, config: Path, layers: Sequence[str]) -> dict[str, str]:
        return place.synthesis(config, place.folder / "loop", place.stacks(layers))

    def _script(self, place: Place, stacks: Sequence[StackId]) -> str:
        terraform = shlex.join(find_tool().command)
        one = (
            f'cd "$CDKTF_OUTDIR/stacks/$1" && {terraform} init -input=false -no-color && '
            f"{terraform} apply -auto-approve -input=false -no-color -parallelism={PARALLELISM}"
        )
        lines = ["set -e", shlex.join(SYNTHESIS)]
        for wave in restrict(place.project.graph, stacks).waves():
            names = " ".join(map(str, wave))
            lines.append(f"printf '%s\\n' {names} | xargs -P {len(wave)} -I '{{}}' sh -c {shlex.quote(one)} sh '{{}}'")
        return "\n".join(lines) + "\n"


class CdktfCli:
    """The cdktf CLI on the same app, told what its own manifest does not say: which stack needs which."""

    name = "cdktf CLI"
    described = (
        "`cdktf deploy '*' --auto-approve --skip-provider-lock`, unlimited stacks at once, "
        f"`--terraform-parallelism {PARALLELISM}`, no shared plugin cache (the provider lies in a mirror), no update "
        "check, and the app with its fast imports"
    )

    def __init__(self, program: Path) -> None:
        self._program = program

    def command(self, place: Place, config: Path, layers: Sequence[str]) -> list[list[str]]:
        folder = self._folder(place)
        app = f"{shlex.join(SYNTHESIS)} && {shlex.join([sys.executable, '-m', 'rollout.benchmarks.manifest'])}"
        content = {"language": "python", "app": app, "projectId": "bench", "sendCrashReports": "false"}
        (folder / "cdktf.json").write_text(json.dumps(content), encoding="utf-8")
        names = [str(stack) for stack in place.stacks(layers)] if layers else ["*"]
        options = ["--auto-approve", "--skip-provider-lock", "--terraform-parallelism", str(PARALLELISM), "--no-color"]
        return [[str(self._program), "deploy", *names, *options]]

    def variables(self, place: Place, config: Path, layers: Sequence[str]) -> dict[str, str]:
        variables = place.synthesis(config, self._folder(place), [])
        # It decides by itself what to synthesize, and where: everything, always.
        for name in ("TRIPOINT_STACKS", "CDKTF_OUTDIR"):
            del variables[name]
        deployed = {DEPLOYED: ",".join(map(str, place.stacks(layers)))}
        return {**variables, **deployed, "CI": "1", "CDKTF_DISABLE_PLUGIN_CACHE_ENV": "1"}

    def _folder(self, place: Place) -> Path:
        folder = place.folder / "cdktf"
        folder.mkdir(exist_ok=True)
        return folder
