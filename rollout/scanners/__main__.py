"""`make scan`: checkov and parliament over the stacks of every configuration.

With ``--write`` the counts in docs/security.md are brought up to date.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from rollout import bootstrap
from rollout.scanners import checkov, parliament, summary
from rollout.scanners.environments import every
from shared.errors import TripointError

PAGE = Path("docs/security.md")
FUNCTIONS = Path(".tripoint/functions")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m rollout.scanners", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write the counts into {PAGE}")
    try:
        return scan(write=parser.parse_args().write)
    except (TripointError, checkov.ScanError, bootstrap.BootstrapError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def scan(*, write: bool) -> int:
    """Print what is wrong, and the counts; 1 when something is wrong."""
    python = bootstrap.scanners()
    with tempfile.TemporaryDirectory() as folder:
        environments = every(Path(folder) / "stacks", FUNCTIONS)
        joined = {one.name: one.resources for one in environments}
        report = checkov.scan(joined, python, Path(folder) / "joined")
        analysis = parliament.analyse((policy for one in environments for policy in one.policies()), python)
    for finding in report.failed:
        print(f"failed: {finding}")
    for check, reason in report.needless:
        print(f"needless: nothing fails {check} any more: {reason}")
    for remark in analysis.remarks:
        print(f"remark: {remark}")
    print(summary.counts(report, analysis))
    if write:
        PAGE.write_text(summary.put(PAGE.read_text(), report, analysis))
    return 1 if report.failed or report.needless or analysis.above_low else 0


if __name__ == "__main__":
    sys.exit(main())
