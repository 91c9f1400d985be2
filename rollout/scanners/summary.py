"""The scanners' section of docs/security.md."""

from __future__ import annotations

import re

from rollout.scanners.checkov import Report
from rollout.scanners.parliament import ACCEPTED, Analysis

BEGIN, END = "<!-- scanners: written by `make scan` -->", "<!-- scanners: end -->"
_SECTION = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)


def counts(report: Report, analysis: Analysis) -> str:
    """One line each."""
    ran = report.passed + len(report.failed) + len(report.suppressed)
    return (
        f"checkov: {ran} checks of resources, {report.passed} passed, {len(report.failed)} failed, "
        f"{len(report.suppressed)} suppressed for {len(report.reasons)} reasons\n"
        f"parliament: {analysis.documents} policy documents, {len(analysis.above_low)} findings above low, "
        f"{len(analysis.remarks) - len(analysis.above_low)} low, {len(analysis.accepted)} the analyser's own"
    )


def section(report: Report, analysis: Analysis) -> str:
    """The counts, and every suppression with its reason."""
    rows = "\n".join(f"| {check} | {number} | {reason} |" for (check, reason), number in report.reasons.items())
    accepted = "\n".join(f"- {issue} on `{type}`: {reason}" for (issue, type), reason in ACCEPTED.items())
    return (
        f"{BEGIN}\n\n```\n{counts(report, analysis)}\n```\n\n"
        f"| check | findings | why it does not apply |\n| --- | ---: | --- |\n{rows}\n\n"
        f"Findings of parliament that are its own:\n\n{accepted}\n\n{END}"
    )


def put(page: str, report: Report, analysis: Analysis) -> str:
    """The page with its section brought up to date."""
    return _SECTION.sub(lambda _: section(report, analysis), page)


def written(page: str) -> str:
    """The section as the page has it."""
    found = _SECTION.search(page)
    return found[0] if found else ""
