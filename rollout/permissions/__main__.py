"""Writes docs/iam-mutations.md from the record of a run: `python -m rollout.permissions RECORD.json`."""

from __future__ import annotations

import sys
from pathlib import Path

from rollout.permissions.record import RunRecord
from rollout.permissions.report import page
from rollout.workspace import project_root

PAGE = "docs/iam-mutations.md"


def main() -> None:
    """Read the record that `TRIPOINT_IAM_RECORD` made the integration tests keep, and write the page."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_file():
        print("error: give the record of a run, as `make mutate-iam` does", file=sys.stderr)
        raise SystemExit(2)
    target = project_root() / PAGE
    target.write_text(page(RunRecord.read(Path(sys.argv[1]))))
    print(f"{PAGE} written")


if __name__ == "__main__":
    main()
