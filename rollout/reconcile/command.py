"""The command `tripoint reconcile`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from functions.payments.ids import is_payment_id
from rollout.operations import ConfigOption
from rollout.project import Project
from rollout.reconcile import report
from rollout.reconcile.reading import Wanted
from rollout.reconcile.times import written
from shared.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(reconcile)


def reconcile(
    *,
    settle_within: Annotated[
        float | None,
        typer.Option("--settle-within", min=0, help="Seconds a payment may take; younger ones are only counted."),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Only payments accepted from this time on (ISO 8601).")
    ] = None,
    merchant: Annotated[str | None, typer.Option("--merchant", help="Only this merchant's payments.")] = None,
    accepted: Annotated[
        Path | None,
        typer.Option(
            "--accepted", help="A payment id a line that callers were told of, and after it the regions that did."
        ),
    ] = None,
    first: Annotated[int, typer.Option("--first", min=0, help="How many breaches of each invariant to show.")] = 20,
    sizes: Annotated[
        bool, typer.Option("--sizes", help="Compare the receipts' sizes only: a request each is saved in every region.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write figures and all breaches to this file.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Compare the processor's record, all tables, receipts, events and vaults. Exit code 1 when anything differs."""
    from rollout.reconcile.reconciler import reconcile as run

    project = Project.open(config)
    environment = project.environment
    if merchant is not None and merchant not in environment.merchants:
        allowed = ", ".join(environment.merchants) or "none is configured"
        raise UsageError(f"--merchant {merchant}: allowed: {allowed}")
    told = read_accepted(accepted, tuple(environment.regions)) if accepted else {}
    if told and (since or merchant):
        raise UsageError("--accepted: not with --since or --merchant, which leave payments out")
    wanted = Wanted(since=_time(since) if since else "", merchant=merchant or "", accepted=told, bodies=not sizes)
    project.target.verify_account()
    begun = time.monotonic()
    verdict = run(
        environment,
        project.read_outputs(),
        project.target,
        wanted=wanted,
        settle_within_s=settle_within,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    if json_file is not None:
        json_file.write_text(json.dumps(verdict.as_dict(), indent=2) + "\n", encoding="utf-8")
    for line in report.lines(verdict, first=first):
        print(line)
    print(report.sentence(verdict, time.monotonic() - begun))
    if not verdict.ok:
        raise typer.Exit(1)


def read_accepted(path: Path, regions: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """The payments that callers were told of: an id a line, and after it the regions that answered, as far as known.

    Raises
    ------
    UsageError
        Naming file, line and what is allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--accepted {path}: cannot be read: {error}") from error
    found: dict[str, list[str]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        if not is_payment_id(words[0]) or not set(words[1:]) <= set(regions):
            allowed = f"a payment id, and after it any of {', '.join(regions)}"
            raise UsageError(f"--accepted {path}, line {number}: {line.strip()!r} is not allowed; allowed: {allowed}")
        found.setdefault(words[0], []).extend(words[1:])
    return found


def _time(text: str) -> str:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--since {text}: allowed: a time such as 2025-03-01T12:00:00Z") from None
    return written(time if time.tzinfo else time.replace(tzinfo=UTC))
