"""Environments to measure in: the default configuration with so many regions, each in a sandbox of its own."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rollout import plugins
from rollout.benchmarks.measure import BenchmarkError
from rollout.project import DEFAULT_CONFIG, Project
from rollout.synthesis import build_functions, synthesize
from rollout.terraform import aws_provider_version
from rollout.toolchain import find_tool
from rollout.workspace import Workspace, project_root
from shared.contracts import StackId
from shared.errors import UsageError

REGIONS = (
    "us-east-1", "eu-west-1", "ap-southeast-1", "us-west-2", "eu-central-1", "ap-northeast-1", "ca-central-1",
    "sa-east-1", "ap-southeast-2",
)  # fmt: skip
SUFFIX = "bench"
# In the default configuration; another value changes the log groups of the compute and edge layers.
RETENTION = "retention_days = 7"
OTHER_RETENTION = "retention_days = 14"


@dataclass(frozen=True)
class Place:
    """An environment with a running, empty sandbox.

    Attributes
    ----------
    folder
        Everything that belongs to it.
    config
        Its configuration.
    changed
        The same with other log retention, for a deployment that changes something.
    project
        It as the engine sees it.
    variables
        For commands: a machine that can reach nothing but the sandbox, and the provider's mirror.
    """

    folder: Path
    config: Path
    changed: Path
    project: Project
    variables: dict[str, str]

    @property
    def regions(self) -> int:
        return len(self.project.environment.regions)

    def stacks(self, layers: Sequence[str]) -> list[StackId]:
        """The stacks of these layers, producers first; of all layers when none is named."""
        chosen = {stack for layer in layers for stack in self.project.select(layer)}
        return [stack for stack in self.project.graph.order if not layers or stack in chosen]

    def synthesis(self, config: Path, out: Path, stacks: Sequence[StackId]) -> dict[str, str]:
        """The variables of `python -m stacks`."""
        return {
            **self.variables,
            "TRIPOINT_CONFIG": str(config),
            "TRIPOINT_FUNCTIONS": str(self.project.workspace.functions),
            "TRIPOINT_STACKS": ",".join(map(str, stacks)),
            "CDKTF_OUTDIR": str(out),
        }


def configuration(text: str, regions: int, port: int) -> str:
    """The default configuration with other regions, in a sandbox at another port.

    Raises
    ------
    UsageError
        When it cannot have so many.
    """
    if not 1 <= regions <= len(REGIONS):
        raise UsageError(f"regions is {regions}; allowed: 1 to {len(REGIONS)}")
    common = text[: text.index("\n[regions.")]
    common = re.sub(r"^suffix = .*$", f'suffix = "{SUFFIX}"', common, flags=re.MULTILINE)
    common = re.sub(r"^endpoint = .*$", f'endpoint = "http://127.0.0.1:{port}"', common, flags=re.MULTILINE)
    blocks = []
    for number, region in enumerate(REGIONS[:regions], start=1):
        primary = ["primary = true"] if number == 1 else []
        blocks.append("\n".join([f"[regions.{region}]", *primary, f'cidr = "10.{10 * number}.0.0/16"', ""]))
    return "\n".join([common, *blocks])


@contextmanager
def place(folder: Path, regions: int, port: int) -> Iterator[Place]:
    """A new environment with its sandbox started, the functions built and the provider ready, none of which is part of
    what is measured. Stops the sandbox in the end; the files stay."""
    root = project_root()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config, changed = folder / "config.toml", folder / "changed.toml"
    text = configuration((root / DEFAULT_CONFIG).read_text(encoding="utf-8"), regions, port)
    if RETENTION not in text:
        raise BenchmarkError(f"{DEFAULT_CONFIG} has no `{RETENTION}`, which a single layer's deployment would change")
    config.write_text(text, encoding="utf-8")
    changed.write_text(text.replace(RETENTION, OTHER_RETENTION), encoding="utf-8")
    workspace = Workspace(root, folder / "home", SUFFIX, folder / "flat-outputs.json")
    project = replace(Project.open(config), workspace=workspace)
    build_functions(workspace)
    scratch = replace(workspace, base=folder / "scratch")
    shutil.copytree(workspace.functions, scratch.functions)
    first = project.graph.order[:1]
    synthesize(scratch, config, first)
    found = plugins.prepare(scratch, find_tool(), aws_provider_version([scratch.stack(first[0])]))
    variables = {
        **project.target.child_environment(),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(root),
        "TRIPOINT_HOME": str(workspace.base),
        "TRIPOINT_OUTPUTS": str(workspace.outputs),
        "TF_CLI_CONFIG_FILE": str(found.cli_config),
        "CHECKPOINT_DISABLE": "1",
    }
    project.start_sandbox()
    try:
        project.store.create_buckets()
        yield Place(folder, config, changed, project, variables)
    finally:
        project.stop_sandbox()
