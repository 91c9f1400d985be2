"""A reconciliation from beginning to end: for the command, and for drills that end with one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rollout.reconcile.reading import Reader, Wanted
from rollout.reconcile.verdict import Verdict, judge
from rollout.target import Target
from shared.config import Environment


def reconcile(
    environment: Environment,
    outputs: Mapping[str, Any],
    target: Target,
    *,
    wanted: Wanted | None = None,
    settle_within_s: float | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Verdict:
    """Read everything that is deployed, and judge it.

    Parameters
    ----------
    outputs
        The flat outputs.
    wanted
        Which payments; all of them when left out.
    settle_within_s
        See `verdict.judge`.
    say
        Told now and then how far the reading is.

    Raises
    ------
    ReadError, OutputMissingError
        When something cannot be read. There is no verdict then: what is not seen may hide a breach.
    """
    evidence = Reader(environment, outputs, target, say).read(wanted or Wanted())
    return judge(evidence, settle_within_s=settle_within_s)
