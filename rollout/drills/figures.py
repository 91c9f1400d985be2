"""What happened in a drill: numbers from the answers and from how the payments stand. No I/O."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rollout.drills.ledger import Standing
from rollout.drills.load import Answer


@dataclass(frozen=True)
class Outage:
    """A region that was down: from when to when (seconds since the epoch), and its payments in flight at the start.

    ``finished`` says when a payment in flight was first seen final in a region that was up, by its id.
    """

    region: str
    began: float
    ended: float
    in_flight: frozenset[str]
    finished: Mapping[str, float]


def accepted(answers: Iterable[Answer]) -> dict[str, list[str]]:
    """The payments that callers were told of, and by which regions."""
    found: dict[str, list[str]] = defaultdict(list)
    for answer in answers:
        if answer.accepted and answer.region not in found[answer.payment_id]:
            found[answer.payment_id].append(answer.region)
    return dict(found)


def complaints(
    answers: Sequence[Answer],
    standings: Mapping[str, Mapping[str, Standing]],
    *,
    payments: int,
    gave_up: int,
) -> list[str]:
    """What callers may complain of: a line for each kind; none if all is well.

    Parameters
    ----------
    standings
        By region, the payments of its table.
    """
    told = accepted(answers)
    lost = sorted(id for id in told if any(not _final(ledger, id) for ledger in standings.values()))
    silent = [answer for answer in answers if answer.pushed_back and answer.retry_after is None]
    refused = [answer for answer in answers if 400 <= answer.status < 500 and answer.status != 429]
    ids = defaultdict(set)
    for answer in answers:
        if answer.accepted:
            ids[answer.number].add(answer.payment_id)
    found = []
    if payments != len(ids) or gave_up:
        found.append(f"{payments - len(ids):,} payments were never accepted")
    if lost:
        found.append(f"{len(lost):,} accepted payments have no final state in every region, such as {lost[0]}")
    if silent:
        found.append(f"{len(silent):,} answers 429 or 503 were without Retry-After")
    if refused:
        found.append(f"{len(refused):,} requests were refused, such as with {refused[0].status} {refused[0].said}")
    twice = [number for number, known in ids.items() if len(known) > 1]
    if twice:
        found.append(f"{len(twice):,} keys became more than one payment")
    return found


def general(answers: Sequence[Answer], ledger: Mapping[str, Standing]) -> dict[str, Any]:
    """The figures that every drill has. ``ledger`` is any region's after the end."""
    told = accepted(answers)
    of_run = [ledger[id] for id in told if id in ledger]
    first = {answer.payment_id: answer.at for answer in reversed(answers) if answer.accepted}
    took = sorted(one.updated_at - first[one.id] for one in of_run if one.is_final)
    seconds = max(answer.at for answer in answers) - min(answer.at for answer in answers)
    waits = sorted(answer.took_ms for answer in answers if answer.accepted)
    return {
        "payments accepted": len(told),
        **{f"of these {status}": count for status, count in sorted(Counter(one.status for one in of_run).items())},
        "requests": len(answers),
        "submitted twice": sum(1 for copies in _copies(answers).values() if len(copies) > 1),
        "answers 429 or 503, each with Retry-After": sum(answer.pushed_back for answer in answers),
        "requests without an answer, or with another 5xx": sum(
            answer.status == 0 or (answer.status >= 500 and not answer.pushed_back) for answer in answers
        ),
        "finished by a region that had not accepted it": sum(one.home not in told[one.id] for one in of_run),
        "seconds of load": round(seconds, 1),
        "accepted per second": round(len(told) / seconds, 2) if seconds else 0.0,
        "answered, median, ms": round(quantile(waits, 0.5)),
        "answered, 99 %, ms": round(quantile(waits, 0.99)),
        "final, median, s": round(quantile(took, 0.5), 2),
        "final, 99 %, s": round(quantile(took, 0.99), 2),
    }


def of_outage(outage: Outage, answers: Sequence[Answer], ledger: Mapping[str, Standing]) -> dict[str, Any]:
    """The figures of a region that was down."""
    inside = [one for one in answers if outage.began <= one.at < outage.ended]
    to_it = [one.at for one in inside if one.region == outage.region]
    known = [ledger[id] for id in outage.in_flight if id in ledger]
    elsewhere = [one for one in known if one.home != outage.region]
    until = [at - outage.began for id, at in outage.finished.items() if id in outage.in_flight and at <= outage.ended]
    return {
        "region": outage.region,
        "seconds it was down": round(outage.ended - outage.began, 1),
        "payments in flight when it went down": len(outage.in_flight),
        "finished by other regions while it was down": len(until),
        "finished with another home in the end": len(elsewhere),
        "recovery time: the last of those finished, s": round(max(until, default=0.0), 1),
        "last request sent to it, s after it went down": round(max(to_it, default=outage.began) - outage.began, 1),
        "requests that failed on it": len(to_it),
        "payments accepted by the others meanwhile": len({one.payment_id for one in inside if one.accepted}),
    }


def races(answers: Sequence[Answer], lag_s: float) -> dict[str, int]:
    """How often two regions accepted one key, and how often neither could know of the other's yet."""
    met = Counter({"keys accepted by two regions": 0, "of these within the replication lag": 0})
    for copies in _copies(answers).values():
        if len({answer.region for answer in copies}) > 1:
            met["keys accepted by two regions"] += 1
            answered = [one.at + one.took_ms / 1000 for one in copies]
            met["of these within the replication lag"] += max(answered) - min(answered) < lag_s
    return dict(met)


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that this share of the sorted values does not exceed; 0 without any."""
    return values[max(0, math.ceil(share * len(values)) - 1)] if values else 0.0


def _copies(answers: Iterable[Answer]) -> dict[int, list[Answer]]:
    found: dict[int, list[Answer]] = defaultdict(list)
    for answer in answers:
        if answer.accepted:
            found[answer.number].append(answer)
    return found


def _final(ledger: Mapping[str, Standing], id: str) -> bool:
    return id in ledger and ledger[id].is_final
