"""The command `tripoint drill`."""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import replace
from typing import Annotated

import typer

from rollout.operations import ConfigOption
from rollout.project import Project
from shared.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(drill)


def drill(
    name: Annotated[
        str | None, typer.Argument(metavar="[SCENARIO]", help="Which drill; all of them when left out.")
    ] = None,
    *,
    list_them: Annotated[bool, typer.Option("--list", help="Name the drills and what each does.")] = False,
    payments: Annotated[
        int | None, typer.Option("--payments", min=20, max=1_000_000, help="How many; each drill's own when left out.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="What the payments and the faults follow from.")] = 1,
    users: Annotated[
        int | None, typer.Option("--users", min=1, max=1_000, help="Callers at once; each drill's own when left out.")
    ] = None,
    pace: Annotated[
        float,
        typer.Option(
            "--pace", min=1, max=60, help="How much faster than deployed health checks, DNS and the sweepers go."
        ),
    ] = 1.0,
    write: Annotated[bool, typer.Option("--write", help="Put the result into docs/drills.md.")] = False,
    config: ConfigOption = None,
) -> None:
    """Send load to the deployed sandbox, break things, and reconcile. Exit code 1 when anything was lost or doubled."""
    from rollout.drills.drill import Drill
    from rollout.drills.page import write as write_page
    from rollout.drills.scenarios import SCENARIOS, scenario

    if list_them:
        for one in SCENARIOS:
            print(f"{one.name:<14} {one.payments:>6,} payments  {one.summary}")
        return
    if name is not None and name not in {one.name for one in SCENARIOS}:
        raise UsageError(f"drill {name!r}: allowed: {', '.join(one.name for one in SCENARIOS)}")
    project = Project.open(config)
    if len(project.environment.regions) == 1:
        raise UsageError(f"drill: {project.environment.primary} is the only region; allowed: two regions or more")
    # However it is ended, it ends the load and mends what it broke.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    failed = []
    for one in [scenario(name)] if name else SCENARIOS:
        chosen = replace(one, users=users or one.users)
        folder = project.workspace.home / "drills" / chosen.name
        number = payments or chosen.payments
        _say(f"{chosen.name}: {number:,} payments, seed {seed}: {chosen.summary}")
        result = Drill(project, chosen, payments=number, seed=seed, pace=pace, folder=folder, say=_progress).run()
        document = folder / "result.json"
        document.write_text(json.dumps(result.as_dict(), indent=2) + "\n", encoding="utf-8")
        for figure, value in {**result.figures, **result.outage}.items():
            _say(f"  {figure:<52} {value:>12,}" if isinstance(value, int | float) else f"  {figure:<52} {value:>12}")
        for complaint in result.complaints:
            _say(f"  {complaint}")
        breaches = len(result.verdict.breaches) if result.verdict else 0
        for breach in (result.verdict.breaches if result.verdict else ())[:20]:
            _say(f"  {breach.invariant}: {breach.payment_id} {breach.what}")
        told = "passed" if result.ok else f"failed: {len(result.complaints)} complaints, {breaches} breaches"
        _say(f"{chosen.name}: {told}, in {result.seconds:.0f} s (result: {project.workspace.shown(document)})")
        if write:
            for path in write_page(project.workspace.root, result):
                _say(f"wrote {project.workspace.shown(path)}")
        if not result.ok:
            failed.append(chosen.name)
    if failed:
        raise typer.Exit(1)


def _say(line: str) -> None:
    print(line, flush=True)


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
