"""A run as JUnit XML, one test case per stack: what GitHub, GitLab and Jenkins show of a job. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

# XML 1.0 has no way to write these, not even escaped.
_UNWRITABLE = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FAILED = ("failed", "interrupted")
_NOT_RUN = ("blocked", "skipped", "waiting")


def junit(report: Mapping[str, Any]) -> str:
    """The JUnit XML of a run.

    A stack that failed or was interrupted is a failure with its error; one that did not run is skipped, with the
    reason; payments of a smoke test are test cases, too. What failed beside the stacks is a test case "the run".

    Parameters
    ----------
    report
        As the JSON report has it, see :mod:`rollout.report`.
    """
    name = f"tripoint {report['command']} {report['environment']}"
    stacks, payments = report["stacks"], report["smoke"]
    failures = sum(stack["status"] in _FAILED for stack in stacks) + sum(_unsettled(one) for one in payments)
    beside = 1 if report["error"] else 0
    failures += beside
    totals = {
        "tests": str(len(stacks) + len(payments) + beside),
        "failures": str(failures),
        "errors": "0",
        "skipped": str(sum(stack["status"] in _NOT_RUN for stack in stacks)),
        "time": _seconds(report["seconds"]),
    }
    root = ElementTree.Element("testsuites", {"name": _clean(name), **totals})
    suite = ElementTree.SubElement(
        root, "testsuite", {"name": _clean(name), **totals, "timestamp": str(report["started_at"])[:19]}
    )
    for stack in stacks:
        _stack(suite, stack)
    for payment in payments:
        _payment(suite, payment)
    if beside:
        case = ElementTree.SubElement(suite, "testcase", {"classname": "run", "name": "the run", "time": "0.000"})
        kind, lines = "interrupted" if report["interrupted"] else "failed", report["error"]
        ElementTree.SubElement(case, "failure", {"type": kind, "message": _clean(lines[0])}).text = _clean(
            "\n".join(lines)
        )
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _stack(suite: ElementTree.Element, stack: Mapping[str, Any]) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        {
            "classname": _clean(f"{stack['region']}.{stack['name']}"),
            "name": _clean(stack["stack"]),
            "time": _seconds(stack["seconds"]),
        },
    )
    status = str(stack["status"])
    if status in _FAILED:
        lines = stack["error"] or [status]
        failure = ElementTree.SubElement(case, "failure", {"type": status, "message": _clean(lines[0])})
        failure.text = _clean("\n".join([*lines, f"log: {stack['log']}"]))
    elif status in _NOT_RUN:
        why = stack.get("note") or stack.get("reason") or status
        ElementTree.SubElement(case, "skipped", {"message": _clean(f"{status}: {why}" if why != status else status)})
    else:
        done = f"{status}: {stack['added']} added, {stack['changed']} changed, {stack['destroyed']} destroyed"
        ElementTree.SubElement(case, "system-out").text = _clean(done)


def _payment(suite: ElementTree.Element, payment: Mapping[str, Any]) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        {
            "classname": "smoke",
            "name": _clean(f"payment in {payment['region']}"),
            "time": _seconds(payment.get("seconds", 0)),
        },
    )
    if _unsettled(payment):
        ElementTree.SubElement(case, "failure", {"type": "smoke", "message": _clean(str(payment.get("status")))})


def _unsettled(payment: Mapping[str, Any]) -> bool:
    return payment.get("status") != "SETTLED"


def _seconds(value: Any) -> str:
    return f"{float(value):.3f}"


def _clean(text: str) -> str:
    return _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)
