"""Finishing what was left open: in this region, on the way here, and in regions that are down.

A payment is worked on by its workflow. What none works on any more, because the request died before
it started one, an event got lost, or a region went away, is found here: each region's sweeper runs
each minute over the index of open payments and acts on those that nobody has written for too long.

- at home here, for longer than a run of its workflow takes: started anew, up to `RESUMES` times;
  then handed over to a region that has not had it. Where none is left, it is started again after
  pauses that grow, and told as stuck;
- handed over to here, for `LOST_AFTER_S`: taken over, for the event got lost;
- a region's that is down, for as long as that takes to be known: taken over by that region's heir.

Every change is one conditional write before a start, so whatever runs twice, a schedule's event or
two regions that disagree about who is alive, moves a payment once in each replica. Two regions that
take over at the same time are twins of one acceptance, for which the processor charges once.

A region beats while it can read and write its table and start workflows. One that cannot falls
silent, and the others finish what it has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from heapq import merge
from itertools import islice

from functions.payments import clock as clocks
from functions.payments.clock import before, seconds_between
from functions.payments.errors import PaymentError, WorkflowThrottledError, WorkflowUnavailableError
from functions.payments.executions import Workflow
from functions.payments.failover import Standing, heir, next_region, to_avoid
from functions.payments.homes import take_home
from functions.payments.ledger import Ledger
from functions.payments.model import RESUMES, Payment
from functions.payments.open_payments import READ_AT_ONCE, Open, OpenPayments, shards
from functions.payments.regions import Regions
from functions.payments.telemetry import logger

LOST_AFTER_S = 60
LONGEST_PAUSE_S = 3600
WORKERS = 32


class Outcome(StrEnum):
    """What became of a payment that the sweep has looked at."""

    LEFT = "left"  # somebody works on it, or has finished it
    RESUMED = "resumed"
    HANDED_OVER = "handed over"
    RECOVERED = "recovered"  # taken over though the event got lost
    TAKEN_OVER = "taken over"  # from a region that is down
    STUCK = "stuck"  # every region has had it; started again or to be started again
    UNABLE = "unable"  # this region's workflow did not start
    FAILED = "failed"  # an error that the log tells


STARTED = (Outcome.RESUMED, Outcome.RECOVERED, Outcome.TAKEN_OVER)
"""Those for which a workflow was started."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """When the sweeper acts, as the configuration has it."""

    region: str
    order: Sequence[str]
    stale_after_s: int
    down_after_s: int


@dataclass(kw_only=True)
class Sweep:
    """What a run has seen and done."""

    counts: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    oldest_s: float = 0.0  # age of the oldest payment that this region has to see to
    down: Sequence[str] = ()
    complete: bool = True  # False when time was up first
    healthy: bool = True


class Sweeper:
    """One run.

    Parameters
    ----------
    time_is_up
        Looked at between batches of payments; the next minute's run goes on with the oldest.
    """

    def __init__(
        self,
        rules: Rules,
        *,
        regions: Regions,
        open_payments: OpenPayments,
        ledger: Ledger,
        workflow: Workflow,
        clock: clocks.Clock = clocks.now,
        time_is_up: Callable[[], bool] = lambda: False,
    ) -> None:
        self._rules = rules
        self._regions = regions
        self._open = open_payments
        self._ledger = ledger
        self._workflow = workflow
        self._clock = clock
        self._time_is_up = time_is_up
        self._standings: Mapping[str, Standing] = {}
        self._started_at = clock()

    def run(self) -> Sweep:
        """Look after this region's payments, show that this region is alive, and look after those of
        the regions that are not.

        Raises
        ------
        LedgerThrottledError, LedgerUnavailableError
            When the table of this region does not answer: then this region falls silent.
        """
        rules, found = self._rules, Sweep()
        standings = dict(self._regions.standings(rules.order, at=self._started_at))
        here = Standing.DRAINED if standings.get(rules.region) is Standing.DRAINED else Standing.ALIVE
        self._standings = standings | {rules.region: here}
        with ThreadPoolExecutor(WORKERS) as pool:
            self._look_after(rules.region, self._arriving, LOST_AFTER_S, found, pool, arriving=(True,))
            self._look_after(rules.region, self._own, rules.stale_after_s, found, pool, arriving=(False,))
            found.healthy = not found.counts[Outcome.UNABLE] or any(found.counts[one] for one in STARTED)
            if found.healthy:
                self._regions.beat(rules.region, at=self._clock())
            found.down = [one for one in rules.order if not self._standings.get(one, Standing.UNKNOWN).works]
            for region in found.down if found.healthy else ():
                self._look_after(region, self._left_behind, rules.down_after_s, found, pool, arriving=(False, True))
        return found

    # -- which payments ----------------------------------------------------------------------

    def _look_after(
        self,
        region: str,
        act: Callable[[Payment], Outcome],
        untouched_s: int,
        found: Sweep,
        pool: ThreadPoolExecutor,
        *,
        arriving: Iterable[bool],
    ) -> None:
        """Act on what a region has open and nobody has written for some time, oldest first."""
        limit = before(self._started_at, untouched_s)
        parts = [(shard, one) for one in arriving for shard in shards()]
        # The first page of every part at once; later pages as they are needed.
        entries = list(pool.map(lambda part: self._first(region, *part, limit=limit), parts))
        waiting = merge(*entries)
        while batch := list(islice(waiting, READ_AT_ONCE)):
            if self._time_is_up():
                found.complete = False
                return
            found.oldest_s = max(found.oldest_s, seconds_between(batch[0].created_at, self._started_at))
            payments, unreadable = self._open.read([entry.payment_id for entry in batch])
            found.counts[Outcome.FAILED] += len(unreadable)
            for payment_id in unreadable:
                logger.error("open payment is unreadable", payment_id=payment_id)
            unfinished = [one for one in payments if not one.status.is_final]
            untouched = [one for one in unfinished if one.updated_at < limit]
            outcomes = Counter(pool.map(lambda payment: self._tried(act, payment), untouched))
            # Between two starts it is as stuck as before.
            outcomes[Outcome.STUCK] += sum(one.resumed > RESUMES for one in unfinished if one.updated_at >= limit)
            for outcome, count in outcomes.items():
                found.counts[outcome] += count
            if outcomes[Outcome.UNABLE] > sum(outcomes[one] for one in STARTED):
                return  # most did not start: the others would not either

    def _first(self, region: str, shard: str, arriving: bool, *, limit: str) -> Iterator[Open]:
        entries = self._open.oldest(region, shard, arriving=arriving, before=limit)
        first = next(entries, None)
        return iter(()) if first is None else _chained(first, entries)

    def _tried(self, act: Callable[[Payment], Outcome], payment: Payment) -> Outcome:
        """One payment's error is its own: the others are looked after all the same."""
        try:
            return act(payment)
        except (WorkflowThrottledError, WorkflowUnavailableError) as error:
            logger.error("workflow not started", payment_id=payment.payment_id, error=type(error).__name__)
            return Outcome.UNABLE
        except PaymentError as error:
            logger.warning("not swept", payment_id=payment.payment_id, error=type(error).__name__)
            return Outcome.FAILED
        except Exception:
            logger.exception("not swept", payment_id=payment.payment_id)
            return Outcome.FAILED

    # -- what is done ------------------------------------------------------------------------

    def _own(self, payment: Payment) -> Outcome:
        """Start its workflow anew; after some times, give it to a region that has not had it."""
        rules = self._rules
        if payment.owner != rules.region or payment.next_region:
            return Outcome.LEFT  # the index was behind
        stuck = False
        if payment.resumed >= RESUMES:
            tried = payment.regions_tried
            to = next_region(rules.order, rules.region, tried, to_avoid(self._standings))
            if to is not None:
                handed = payment.changed(at=self._clock(), next_region=to)
                return self._unless_moved(handed, payment, Outcome.HANDED_OVER)
            stuck = True
            pause = min(rules.stale_after_s * 2 ** (payment.resumed - RESUMES), LONGEST_PAUSE_S)
            if payment.updated_at >= before(self._started_at, pause):
                return Outcome.STUCK
        resumed = payment.changed(at=self._clock(), resumed=payment.resumed + 1)
        outcome = self._unless_moved(resumed, payment, Outcome.STUCK if stuck else Outcome.RESUMED)
        if outcome is not Outcome.LEFT:
            self._workflow.start(resumed)
        return outcome

    def _arriving(self, payment: Payment) -> Outcome:
        """Take over what was handed over to this region."""
        if payment.next_region != self._rules.region:
            return Outcome.LEFT
        return self._take(payment, Outcome.RECOVERED)

    def _left_behind(self, payment: Payment) -> Outcome:
        """Take over what a region that is down has, if this region is its heir."""
        dead = payment.owner
        if self._standings.get(dead, Standing.UNKNOWN).works:
            return Outcome.LEFT
        if heir(self._rules.order, dead, payment.regions_tried, self._standings) != self._rules.region:
            return Outcome.LEFT
        return self._take(payment, Outcome.TAKEN_OVER)

    def _take(self, payment: Payment, outcome: Outcome) -> Outcome:
        taken, done = take_home(self._ledger, payment, self._rules.region, clock=self._clock)
        if done:
            self._workflow.start(taken)
        return outcome if done else Outcome.LEFT

    def _unless_moved(self, after: Payment, known: Payment, outcome: Outcome) -> Outcome:
        return outcome if self._ledger.update(after, expected=known) is None else Outcome.LEFT


def _chained(first: Open, rest: Iterator[Open]) -> Iterator[Open]:
    yield first
    yield from rest
