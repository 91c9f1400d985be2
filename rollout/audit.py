"""Known vulnerabilities of everything that is locked: `make audit`, which CI runs before the tests.

A vulnerability fails the build. A service for them that cannot be asked does not: it is said in one line.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rollout import bootstrap

POETRY_LOCK = bootstrap.ROOT / "poetry.lock"
ANSWER_S = 15
# Two locks of a hundred packages, a request each.
PATIENCE_S = 300


@dataclass(frozen=True)
class Outcome:
    """What the audit says: lines for a person, and the exit code."""

    lines: tuple[str, ...]
    code: int


def main() -> int:
    try:
        outcome = audit(bootstrap.scanners())
    except bootstrap.BootstrapError as error:
        outcome = Outcome((f"audit: not done: {error}",), 0)
    for line in outcome.lines:
        print(line)
    return outcome.code


def audit(python: Path) -> Outcome:
    """Ask about every package of both locks."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "locked.txt"
        wanted.write_text("\n".join(f"{name}=={version}" for name, version in sorted(locked())))
        options = ["--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json"]
        options += ["--timeout", str(ANSWER_S), "--requirement", str(wanted)]
        command = [str(python), "-P", "-m", "pip_audit", *options]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        except subprocess.TimeoutExpired:
            return Outcome((f"audit: no answer within {PATIENCE_S} s; nothing is known about vulnerabilities",), 0)
    return judge(done.stdout, done.stderr)


def locked() -> set[tuple[str, str]]:
    """(name, version) of what `poetry.lock` and the scanners' lock install.

    One package has one version for one Python; pip-audit takes one version of each at a time, so the newest stands for
    the few that have two.
    """
    packages = tomllib.loads(POETRY_LOCK.read_text())["package"]
    found = [(one["name"], one["version"]) for one in packages]
    found += re.findall(r"^([\w.-]+)==([\w.+!-]+)", bootstrap.SCANNERS_LOCK.read_text(), re.MULTILINE)
    return set(dict(sorted(((name.lower(), version) for name, version in found), key=_ordered)).items())


def judge(answer: str, complaint: str) -> Outcome:
    """From pip-audit's answer to what is said and whether the build fails."""
    try:
        dependencies: list[dict[str, Any]] = json.loads(answer)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (complaint.strip().splitlines() or ["no answer"])[-1]
        return Outcome((f"audit: not done, vulnerabilities are unknown: {last[:200]}",), 0)
    asked = [one for one in dependencies if "skip_reason" not in one]
    found = [
        f"audit: {one['name']} {one['version']}: {known['id']}, fixed in {', '.join(known['fix_versions']) or 'none'}"
        for one in asked
        for known in one.get("vulns", [])
    ]
    if not asked:
        last = f"audit: the service knows none of {len(dependencies)} packages; vulnerabilities are unknown"
    else:
        last = f"audit: {len(asked)} of {len(dependencies)} packages asked about, {len(found)} vulnerabilities"
    return Outcome((*found, last), 1 if found else 0)


def _ordered(package: tuple[str, str]) -> tuple[str, list[int]]:
    return package[0], [int(part) for part in re.findall(r"\d+", package[1])]


if __name__ == "__main__":
    sys.exit(main())
