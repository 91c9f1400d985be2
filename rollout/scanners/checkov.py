"""Checkov over the joined stacks, and the suppressions that stand beside the resources."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rollout.scanners.joined import Placed, document
from shared.suppressions import KEY

# Nothing is sent or fetched, and a run that could not read a file has no result.
OPTIONS = ("--framework", "terraform_json", "--skip-download", "--compact", "--output", "json")


class ScanError(Exception):
    """A scanner did not come to a result."""


@dataclass(frozen=True)
class Finding:
    """A check that a resource does not pass; ``reason`` why that is right, empty when nobody says so."""

    configuration: str
    where: str
    check: str
    name: str
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.configuration}: {self.where}: {self.check} {self.name}"


@dataclass
class Report:
    """What the checks found, and the suppressions (check, reason) that no finding needs."""

    passed: int = 0
    failed: list[Finding] = field(default_factory=list)
    suppressed: list[Finding] = field(default_factory=list)
    needless: list[tuple[str, str]] = field(default_factory=list)

    @property
    def reasons(self) -> dict[tuple[str, str], int]:
        """How many findings each check and reason accepts."""
        found: dict[tuple[str, str], int] = {}
        for one in self.suppressed:
            found[one.check, one.reason] = found.get((one.check, one.reason), 0) + 1
        return dict(sorted(found.items()))


def scan(joined: Mapping[str, Mapping[str, Placed]], python: Path, folder: Path) -> Report:
    """All configurations in one run: starting checkov takes longer than its checks.

    Parameters
    ----------
    joined
        The joined stacks by the configuration's name.
    python
        The scanners' interpreter.
    folder
        Where the joined documents are written for checkov.

    Raises
    ------
    ScanError
        When checkov fails, or could not read one of the documents.
    """
    for name, stacks in joined.items():
        (folder / name).mkdir(parents=True)
        # Line by line, because checkov reports lines.
        (folder / name / "stacks.tf.json").write_text(json.dumps(document(stacks), indent=1))
    found = _run(python, folder)
    if set(_configurations(found)) != set(joined):
        raise ScanError(f"checkov read {sorted(_configurations(found))} of {sorted(joined)}")
    return judge(joined, found["passed_checks"], found["failed_checks"])


def judge(
    joined: Mapping[str, Mapping[str, Placed]],
    passed: list[dict[str, Any]],
    failed: list[dict[str, Any]],
) -> Report:
    """Checkov's records against the suppressions of the resources that they are about."""
    report = Report(passed=len(passed))
    named = {
        name: {address.rpartition(".")[2]: one for address, one in stacks.items()} for name, stacks in joined.items()
    }
    for record in failed:
        configuration, name = _place(record)
        placed = named[configuration][name]
        reason = _suppressions(placed).get(record["check_id"], "")
        finding = Finding(configuration, placed.where, record["check_id"], record["check_name"], reason)
        (report.suppressed if reason else report.failed).append(finding)
    written = {
        (check, reason)
        for stacks in joined.values()
        for placed in stacks.values()
        for check, reason in _suppressions(placed).items()
    }
    report.needless = sorted(written - set(report.reasons))
    return report


def _suppressions(placed: Placed) -> dict[str, str]:
    found: dict[str, str] = placed.block.get("//", {}).get(KEY, {})
    return found


def _run(python: Path, folder: Path) -> dict[str, Any]:
    environment = {**os.environ, "LOG_LEVEL": "ERROR", "CHECKOV_RUN_SCA_PACKAGE_SCAN": "false"}
    done = subprocess.run(
        [python, "-P", "-m", "checkov.main", "--directory", folder, *OPTIONS],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        report = json.loads(done.stdout)
        results = report["results"]
    except (ValueError, KeyError, TypeError):
        raise ScanError(f"checkov gave no report: {done.stderr.strip()[-500:]}") from None
    if report["summary"]["parsing_errors"] or "Failed to parse" in done.stderr:
        raise ScanError(f"checkov could not read everything: {done.stderr.strip()[-500:]}")
    return {"passed_checks": [], "failed_checks": [], **results}


def _configurations(found: Mapping[str, Any]) -> set[str]:
    return {_place(record)[0] for key in ("passed_checks", "failed_checks") for record in found[key]}


def _place(record: Mapping[str, Any]) -> tuple[str, str]:
    """The configuration and the name of what a record is about."""
    return Path(record["file_path"]).parent.name, record["resource"].rpartition(".")[2]
