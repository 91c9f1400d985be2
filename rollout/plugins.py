"""Gets the AWS provider ready for many stacks at once.

Wherever it comes from, in the end it lies unpacked in a folder that Terraform only reads: a mirror of the machine, or
our own below `.tripoint/plugins`. Then every `terraform init` may run at the same time, which a shared plugin cache
does not allow (terraform issue 31964), and no stack unpacks 700 MB for itself.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rollout.toolchain import (
    PROVIDER,
    TERRAFORM_HOST,
    TOFU_HOST,
    Mirror,
    Tool,
    ToolchainError,
    find_mirror,
    mirror_at,
    render_cli_config,
    user_config,
)
from rollout.workspace import Workspace


@dataclass(frozen=True)
class Plugins:
    """What a stack's Terraform needs to find its providers.

    Attributes
    ----------
    cli_config
        The CLI configuration file to run with.
    source
        Where the provider comes from, for people.
    fingerprint
        Changes when the provider that would be used does.
    executable
        The AWS provider itself; None when no stack uses it.
    """

    cli_config: Path
    source: str
    fingerprint: str
    executable: Path | None = None


def locate(workspace: Workspace, tool: Tool, wanted: str | None) -> tuple[Mirror | None, str]:
    """Where the provider would come from, without getting it; the second value says it for people."""
    own = mirror_at(workspace.plugins, [tool.registry], wanted)
    if own is not None:
        return own, f"{workspace.shown(workspace.plugins)} (got there by an earlier run)"
    hosts = [tool.registry, *(host for host in (TERRAFORM_HOST, TOFU_HOST) if host != tool.registry)]
    variables = os.environ
    config = user_config(variables, Path.home())
    if config is not None and not variables.get("TRIPOINT_PROVIDER_MIRROR"):
        return None, f"as {config} says"
    mirror = find_mirror(wanted, hosts, variables=variables, project=workspace.root, home=Path.home())
    if mirror is not None:
        return mirror, f"{'packed ' if mirror.packed else ''}mirror {mirror.path}"
    return None, f"the registry {tool.registry}"


def prepare(workspace: Workspace, tool: Tool, wanted: str | None) -> Plugins:
    """Have the provider of this version where all stacks can read it.

    Parameters
    ----------
    wanted
        The AWS provider's version; None when no stack uses it.

    Raises
    ------
    ToolchainError
        When the provider can't be had.
    """
    config = workspace.home / "terraform.tfrc"
    if wanted is None:
        return _written(config, None, "not needed", "none")
    with _exclusive(workspace.plugins):
        mirror, source = locate(workspace, tool, wanted)
        if mirror is None:
            _install(workspace, tool, wanted)
            mirror = mirror_at(workspace.plugins, [tool.registry], wanted)
        elif mirror.packed:
            mirror = _unpacked(workspace, mirror, tool)
        elif mirror.host != tool.registry:
            mirror = _linked(workspace, mirror, tool)
    if mirror is None:
        raise ToolchainError(f"provider {PROVIDER} {wanted} could not be installed from {source}")
    return _written(config, mirror, source, _fingerprint(mirror))


def _written(config: Path, mirror: Mirror | None, source: str, fingerprint: str) -> Plugins:
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(render_cli_config(mirror.path if mirror else None), encoding="utf-8")
    return Plugins(config, source, fingerprint, _executable(mirror) if mirror else None)


def _fingerprint(mirror: Mirror) -> str:
    """Names the very files that would run, without reading 700 MB."""
    files = sorted(path for path in mirror.package.iterdir() if path.is_file())
    facts = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return json.dumps([mirror.version, facts])


def _executable(mirror: Mirror) -> Path:
    found = sorted(mirror.package.glob("terraform-provider-aws*"))
    if not found:
        raise ToolchainError(f"{mirror.package} holds no terraform-provider-aws")
    return found[-1]


def _own(workspace: Workspace, tool: Tool, version: str) -> Mirror:
    return Mirror(workspace.plugins, tool.registry, version, packed=False)


def _unpacked(workspace: Workspace, packed: Mirror, tool: Tool) -> Mirror:
    own = _own(workspace, tool, packed.version)
    own.package.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=own.package.parent) as draft:
        # A name of its own below the draft, to rename into place in one step.
        folder = Path(draft) / "package"
        try:
            with zipfile.ZipFile(packed.package) as archive:
                archive.extractall(folder)
        except (OSError, zipfile.BadZipFile) as error:
            raise ToolchainError(f"provider {packed.package} can't be unpacked: {error}") from error
        for binary in folder.glob("terraform-provider-*"):
            binary.chmod(0o755)
        folder.rename(own.package)
    return own


def _linked(workspace: Workspace, other: Mirror, tool: Tool) -> Mirror:
    """The same provider under the name of the other registry: OpenTofu looks under its own."""
    own = _own(workspace, tool, other.version)
    own.package.parent.mkdir(parents=True, exist_ok=True)
    own.package.symlink_to(other.package, target_is_directory=True)
    return own


def _install(workspace: Workspace, tool: Tool, wanted: str) -> None:
    """Let Terraform itself get and verify the provider, with the user's own CLI configuration if there is one."""
    workspace.plugins.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        main = {"terraform": {"required_providers": {"aws": {"source": PROVIDER, "version": wanted}}}}
        (Path(scratch) / "main.tf.json").write_text(json.dumps(main))
        done = subprocess.run(
            [*tool.command, "init", "-input=false", "-no-color"],
            cwd=scratch,
            env=_install_environment(os.environ, workspace.plugins),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        said = " ".join(line.strip("│╷╵ ") for line in done.stderr.splitlines() if line.strip("│╷╵ "))
        raise ToolchainError(
            f"provider {PROVIDER} {wanted} could not be downloaded; set TRIPOINT_PROVIDER_MIRROR to a filesystem "
            f"mirror that holds it. Terraform said: {said[:400]}"
        )


def _install_environment(variables: Mapping[str, str], cache: Path) -> dict[str, str]:
    kept = {name: value for name, value in variables.items() if name != "TF_DATA_DIR"}
    return kept | {"TF_PLUGIN_CACHE_DIR": str(cache), "CHECKPOINT_DISABLE": "1"}


@contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    """Two commands at once must not write one mirror."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
