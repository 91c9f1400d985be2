"""What a dead region, a lost event or a request that died leaves behind is finished, once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from functions.payments import ids
from functions.payments.clock import before
from functions.payments.errors import LedgerUnavailableError, WorkflowThrottledError, WorkflowUnavailableError
from functions.payments.executions import execution_name
from functions.payments.failover import Standing, heir, next_region, to_avoid
from functions.payments.ledger import DynamoLedger, to_item
from functions.payments.model import Payment, Status, partition
from functions.payments.open_payments import READ_AT_ONCE, DynamoOpenPayments, Open
from functions.payments.regions import DynamoRegions
from functions.sweep_payments.handler import handler
from functions.sweep_payments.logic import LONGEST_PAUSE_S, LOST_AFTER_S, RESUMES, Outcome, Rules, Sweep, Sweeper
from tests.functions.conftest import Cloud
from tests.functions.fakes import REGION, Context, InMemoryLedger, RecordingWorkflow, a_payment

HERE, OTHER, THIRD = REGION, "ap-southeast-1", "us-east-1"
ORDER = ("us-east-1", "eu-west-1", "ap-southeast-1")  # after HERE comes OTHER, after OTHER comes THIRD
NOW = "2025-03-01T12:00:00.000Z"
STALE_S, DOWN_S = 300, 180
ALL_UP = dict.fromkeys(ORDER, Standing.ALIVE)


class InMemoryOpen:
    """The index over a ledger in memory, complete and in order."""

    def __init__(self, ledger: InMemoryLedger) -> None:
        self.ledger = ledger
        self.unreadable: set[str] = set()
        self.reads: list[Sequence[str]] = []

    def oldest(self, region: str, shard: str, *, arriving: bool, before: str) -> Iterator[Open]:
        wanted = partition(region, shard=shard, arriving=arriving)
        found = (one for one in self.ledger.payments.values() if not one.status.is_final and one.open_in == wanted)
        yield from sorted(Open(one.created_at, one.payment_id) for one in found if one.created_at < before)

    def read(self, payment_ids: Sequence[str]) -> tuple[list[Payment], list[str]]:
        self.reads.append(payment_ids)
        bad = [one for one in payment_ids if one in self.unreadable]
        return [self.ledger.payments[one] for one in payment_ids if one not in bad], bad


class InMemoryRegions:
    """How the regions stand, and who has beaten."""

    def __init__(self, standings: Mapping[str, Standing]) -> None:
        self.given, self.beats = standings, list[str]()

    def standings(self, regions: Sequence[str], *, at: str) -> Mapping[str, Standing]:
        return self.given

    def beat(self, region: str, *, at: str) -> None:
        self.beats.append(region)


def open_payment(
    key: str = "key-1", *, ago_s: float = 3600, untouched_s: float | None = None, **changes: Any
) -> Payment:
    """A payment that was accepted here some time ago, and not written for as long unless told."""
    updated = before(NOW, ago_s if untouched_s is None else untouched_s)
    times = {"created_at": before(NOW, ago_s), "updated_at": updated}
    return a_payment(**{"payment_id": ids.payment_id("m-1", key), **times, **changes})


class Swept:
    """One run over payments, and what came of it."""

    def __init__(
        self,
        *payments: Payment,
        standings: Mapping[str, Standing] = ALL_UP,
        workflow: Any = None,
        region: str = HERE,
        **given: Any,
    ) -> None:
        self.ledger = InMemoryLedger(*payments)
        self.open = InMemoryOpen(self.ledger)
        self.regions = InMemoryRegions(standings)
        self.workflow = workflow or RecordingWorkflow()
        self.rules = Rules(region=region, order=ORDER, stale_after_s=STALE_S, down_after_s=DOWN_S)
        self.given = given

    def run(self) -> Sweep:
        adapters: dict[str, Any] = {"ledger": self.ledger, "open_payments": self.open, "regions": self.regions}
        sweeper = Sweeper(self.rules, **adapters, workflow=self.workflow, clock=lambda: NOW, **self.given)
        return sweeper.run()

    @property
    def one(self) -> Payment:
        (payment,) = self.ledger.payments.values()
        return payment


def acted(found: Sweep) -> dict[Outcome, int]:
    return {outcome: number for outcome, number in found.counts.items() if number}


# -- which region ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dead", "tried", "standings", "expected"),
    [
        (OTHER, (OTHER,), {}, THIRD),
        (OTHER, (THIRD, OTHER), {}, HERE),
        (OTHER, (HERE, THIRD, OTHER), {}, THIRD),
        (OTHER, (OTHER,), {THIRD: Standing.DOWN}, HERE),
        (OTHER, (OTHER,), {THIRD: Standing.UNKNOWN}, HERE),
        (OTHER, (OTHER,), {THIRD: Standing.DRAINED}, HERE),
        (OTHER, (HERE, OTHER), {THIRD: Standing.DRAINED}, HERE),
        (OTHER, (OTHER,), {THIRD: Standing.DRAINED, HERE: Standing.DOWN}, THIRD),
        (OTHER, (OTHER,), {THIRD: Standing.DOWN, HERE: Standing.DOWN}, None),
    ],
)
def test_the_heir_is_the_first_that_works_and_has_not_had_it(
    dead: str, tried: tuple[str, ...], standings: dict[str, Standing], expected: str | None
) -> None:
    """PAY-05: a dead region strands no payment, even if the others have had it."""
    assert heir(ORDER, dead, tried, {**ALL_UP, dead: Standing.DOWN, **standings}) == expected


def test_nothing_is_handed_over_to_a_region_that_is_down_or_drained() -> None:
    """PAY-05."""
    assert to_avoid({"a": Standing.ALIVE, "b": Standing.DOWN, "c": Standing.DRAINED, "d": Standing.UNKNOWN}) == {
        "b",
        "c",
    }
    assert next_region("abc", "a", "a", {"b"}) == "c"
    assert next_region("abc", "a", "a", {"b", "c"}) is None


# -- payments of this region -------------------------------------------------------------------


def test_a_payment_that_was_left_open_is_started_anew_under_another_name() -> None:
    """PAY-23."""
    payment = open_payment()
    swept = Swept(payment)
    found = swept.run()
    assert acted(found) == {Outcome.RESUMED: 1}
    assert (swept.one.resumed, swept.one.version, swept.one.updated_at) == (1, 2, NOW)
    assert swept.workflow.started == [swept.one]
    assert execution_name(swept.one) != execution_name(payment)
    assert (found.oldest_s, found.healthy, swept.regions.beats) == (3600, True, [HERE])
    assert acted(swept.run()) == {}  # a second event of the same minute
    assert len(swept.workflow.started) == 1


@pytest.mark.parametrize(
    "payment",
    [
        open_payment(untouched_s=STALE_S - 1),
        open_payment(status=Status.SETTLED),
        open_payment(home_region=OTHER),
        open_payment(next_region=OTHER),
    ],
    ids=["worked on", "final", "another's", "handed over"],
)
def test_what_is_worked_on_or_not_of_this_region_is_left_alone(payment: Payment) -> None:
    """PAY-23."""
    swept = Swept(payment)
    assert acted(swept.run()) == {}
    assert (len(swept.ledger.history), swept.workflow.started) == (1, [])


def test_what_does_not_end_here_goes_to_a_region_that_can_take_it() -> None:
    """PAY-05: also when it is being undone; not to one that is down or drained."""
    for compensating in ("", "ProcessorTimeoutError"):
        swept = Swept(open_payment(resumed=RESUMES, compensating=compensating))
        assert acted(swept.run()) == {Outcome.HANDED_OVER: 1}
        assert (swept.one.next_region, swept.one.home_region, swept.workflow.started) == (OTHER, HERE, [])
    swept = Swept(open_payment(resumed=RESUMES), standings={**ALL_UP, OTHER: Standing.DOWN})
    swept.run()
    assert swept.one.next_region == THIRD


def test_what_no_region_can_finish_is_told_and_tried_again_after_pauses_that_grow() -> None:
    """PAY-12, PAY-23: nothing that was accepted stays open, once its cause is gone."""
    stuck = open_payment(ago_s=90_000, untouched_s=STALE_S + 1, resumed=RESUMES, regions_tried=(OTHER, THIRD, HERE))
    swept = Swept(stuck)
    assert acted(swept.run()) == {Outcome.STUCK: 1}
    assert [one.resumed for one in swept.workflow.started] == [RESUMES + 1]
    assert acted(swept.run()) == {Outcome.STUCK: 1}  # it still is, and nothing is started
    assert len(swept.workflow.started) == 1
    pause = STALE_S * 2
    for untouched_s, starts in ((pause - 1, 0), (pause + 1, 1)):
        swept = Swept(replace(stuck, resumed=RESUMES + 1, updated_at=before(NOW, untouched_s)))
        assert acted(swept.run()) == {Outcome.STUCK: 1}
        assert len(swept.workflow.started) == starts
    swept = Swept(replace(stuck, resumed=60, updated_at=before(NOW, LONGEST_PAUSE_S + 1)))
    assert (swept.run().counts[Outcome.STUCK], len(swept.workflow.started)) == (1, 1)


# -- payments on their way here ----------------------------------------------------------------


def test_a_hand_over_whose_event_got_lost_is_taken_over() -> None:
    """PAY-05, PAY-23."""
    handed = open_payment(untouched_s=LOST_AFTER_S + 1, home_region=OTHER, regions_tried=(OTHER,), next_region=HERE)
    swept = Swept(handed)
    assert acted(swept.run()) == {Outcome.RECOVERED: 1}
    assert (swept.one.home_region, swept.one.regions_tried, swept.one.next_region) == (HERE, (OTHER, HERE), "")
    assert swept.workflow.started == [swept.one]
    soon = Swept(replace(handed, updated_at=before(NOW, LOST_AFTER_S - 1)))
    assert acted(soon.run()) == {}


# -- payments of a region that is down ---------------------------------------------------------

THIRDS: dict[str, Any] = {"home_region": THIRD, "regions_tried": (THIRD,)}


@pytest.mark.parametrize("silent", [Standing.DOWN, Standing.UNKNOWN])
@pytest.mark.parametrize("next_to", ["", THIRD], ids=["its own", "on the way to it"])
def test_what_a_dead_region_leaves_is_finished_by_its_heir_and_nobody_else(silent: Standing, next_to: str) -> None:
    """PAY-05, PAY-23: HERE follows THIRD in the order."""
    left = open_payment(**THIRDS) if not next_to else open_payment(home_region=OTHER, regions_tried=(OTHER,))
    left = replace(left, next_region=next_to, resumed=2)
    standings = {**ALL_UP, THIRD: silent}
    heirs = Swept(left, standings=standings)
    found = heirs.run()
    assert (acted(found), found.down) == ({Outcome.TAKEN_OVER: 1}, [THIRD])
    assert (heirs.one.home_region, heirs.one.next_region, heirs.one.resumed) == (HERE, "", 0)
    assert heirs.workflow.started == [heirs.one]
    others = Swept(left, standings=standings, region=OTHER)
    assert acted(others.run()) == {Outcome.LEFT: 1}
    assert (others.one, others.workflow.started) == (left, [])


def test_a_region_that_lives_keeps_its_payments() -> None:
    """PAY-05: only its own sweeper looks after them, drained or not."""
    for standing in (Standing.ALIVE, Standing.DRAINED):
        swept = Swept(open_payment(**THIRDS), standings={**ALL_UP, THIRD: standing})
        assert acted(swept.run()) == {}


def test_a_region_whose_sweeper_alone_is_dead_is_not_robbed_of_what_it_works_on() -> None:
    """PAY-05."""
    swept = Swept(open_payment(untouched_s=DOWN_S - 1, **THIRDS), standings={**ALL_UP, THIRD: Standing.DOWN})
    assert acted(swept.run()) == {}


def test_two_regions_that_disagree_move_a_payment_once_in_a_replica() -> None:
    """PAY-05: the second one meets another version."""
    left = open_payment(**THIRDS)
    swept = Swept(left, standings={**ALL_UP, THIRD: Standing.DOWN})
    swept.run()
    assert swept.ledger.update(left.taken_by(OTHER, at=NOW), expected=left) == swept.one


class Behind(InMemoryOpen):
    """An index that still lists a payment where it was before."""

    def __init__(self, ledger: InMemoryLedger, listed: Payment) -> None:
        super().__init__(ledger)
        self.listed = listed

    def oldest(self, region: str, shard: str, *, arriving: bool, before: str) -> Iterator[Open]:
        if partition(region, shard=shard, arriving=arriving) == self.listed.open_in:
            yield Open(self.listed.created_at, self.listed.payment_id)


@pytest.mark.parametrize(
    ("listed", "changes"),
    [
        (open_payment(), {"next_region": OTHER}),
        (open_payment(), {"home_region": OTHER}),
        (open_payment(home_region=OTHER, next_region=HERE), {"next_region": "", "home_region": HERE}),
        (open_payment(**THIRDS), {"home_region": OTHER}),
        (open_payment(**THIRDS), {"next_region": HERE}),
    ],
    ids=["handed over", "taken by another", "taken over", "taken by the living", "on its way here"],
)
def test_what_the_index_lists_is_looked_up_before_anything_is_done(listed: Payment, changes: dict[str, Any]) -> None:
    """PAY-23: indexes are eventually consistent."""
    now = replace(listed, **changes)
    swept = Swept(now, standings={**ALL_UP, THIRD: Standing.DOWN})
    swept.open = Behind(swept.ledger, listed)
    assert acted(swept.run()) == {Outcome.LEFT: 1}
    assert (swept.one, swept.workflow.started) == (now, [])


@pytest.mark.parametrize(
    "payment",
    [
        open_payment(),
        open_payment(resumed=RESUMES),
        open_payment(home_region=OTHER, next_region=HERE),
        open_payment(**THIRDS),
    ],
    ids=["own", "to hand over", "arriving", "left behind"],
)
def test_who_comes_second_starts_nothing(payment: Payment) -> None:
    """PAY-23: another run, an event or a step was faster between the look and the write."""

    class Faster(InMemoryLedger):
        def update(self, payment: Payment, *, expected: Payment) -> Payment | None:
            return expected.changed(at=NOW)

    swept = Swept(payment, standings={**ALL_UP, THIRD: Standing.DOWN})
    swept.ledger = swept.open.ledger = Faster(payment)
    assert acted(swept.run()) == {Outcome.LEFT: 1}
    assert swept.workflow.started == []


# -- the health of this region, time, errors ---------------------------------------------------


@pytest.mark.parametrize("error", [WorkflowThrottledError(), WorkflowUnavailableError()])
def test_a_region_that_cannot_start_workflows_falls_silent(error: Exception) -> None:
    """PAY-05: and takes nothing from others."""
    dead = open_payment("key-2", **THIRDS)
    swept = Swept(open_payment(), dead, standings={**ALL_UP, THIRD: Standing.DOWN}, workflow=RecordingWorkflow(error))
    found = swept.run()
    assert (acted(found), found.healthy, swept.regions.beats) == ({Outcome.UNABLE: 1}, False, [])
    assert swept.ledger.payments[dead.payment_id] == dead


def test_a_region_whose_table_does_not_answer_falls_silent() -> None:
    """PAY-05."""
    swept = Swept()
    swept.open.oldest = _unavailable  # type: ignore[method-assign]
    with pytest.raises(LedgerUnavailableError):
        swept.run()
    assert swept.regions.beats == []


def _unavailable(*_: Any, **__: Any) -> Any:
    raise LedgerUnavailableError


def test_one_payment_s_error_does_not_keep_the_others_from_being_swept() -> None:
    """PAY-23: poison, a bug: the region lives on."""

    class Choosy(RecordingWorkflow):
        def start(self, payment: Payment) -> None:
            if payment.payment_id == bug.payment_id:
                raise KeyError("a bug")
            super().start(payment)

    bug, poison, good = (open_payment(key) for key in ("bug", "poison", "good"))
    swept = Swept(bug, poison, good, workflow=Choosy())
    swept.open.unreadable.add(poison.payment_id)
    found = swept.run()
    assert acted(found) == {Outcome.RESUMED: 1, Outcome.FAILED: 2}
    assert (swept.regions.beats, [one.payment_id for one in swept.workflow.started]) == ([HERE], [good.payment_id])


def test_a_backlog_is_worked_off_oldest_first_until_time_is_up() -> None:
    """PAY-21: the next run goes on where this one has stopped."""
    backlog = [open_payment(f"key-{n}", ago_s=3600 + n) for n in range(3 * READ_AT_ONCE)]
    looks = iter([False, False, True, True, True])
    swept = Swept(*backlog, time_is_up=lambda: next(looks))
    found = swept.run()
    assert (found.complete, found.counts[Outcome.RESUMED]) == (False, 2 * READ_AT_ONCE)
    oldest = sorted(backlog, key=lambda one: one.created_at)[: 2 * READ_AT_ONCE]
    assert {one.payment_id for one in swept.workflow.started} == {one.payment_id for one in oldest}
    assert swept.regions.beats == [HERE]


# -- on AWS in memory --------------------------------------------------------------------------


def test_the_index_has_what_is_open_and_nothing_else(cloud: Cloud) -> None:
    """PAY-21: progress writes nothing to it; a final status takes the payment out."""
    index, ledger = DynamoOpenPayments(cloud.dynamodb, "payments"), DynamoLedger(cloud.dynamodb, "payments")
    payment = open_payment()
    shard = payment.payment_id[-1]

    def listed(region: str, *, arriving: bool = False) -> list[str]:
        return [one.payment_id for one in index.oldest(region, shard, arriving=arriving, before=NOW)]

    ledger.create(payment)
    assert listed(HERE) == [payment.payment_id]
    assert list(index.oldest(HERE, shard, arriving=False, before=payment.created_at)) == []
    known = payment
    for change, where, arriving in (
        ({"status": Status.AUTHORIZED}, HERE, False),
        ({"next_region": OTHER}, OTHER, True),
        ({"next_region": "", "home_region": OTHER, "regions_tried": (HERE, OTHER)}, OTHER, False),
    ):
        after = known.changed(at=NOW, **change)
        assert ledger.update(after, expected=known) is None
        known = after
        assert listed(where, arriving=arriving) == [payment.payment_id]
        assert listed(where, arriving=not arriving) == []
    assert listed(HERE) == []
    ledger.update(known.changed(at=NOW, status=Status.SETTLED), expected=known)
    assert listed(OTHER) == []
    ((found,), unreadable) = index.read([payment.payment_id])
    assert (found.status, unreadable) == (Status.SETTLED, [])


def test_the_pages_of_the_index_follow_each_other() -> None:
    """PAY-21."""

    class Pages:
        def __init__(self) -> None:
            self.asked: list[Any] = []

        def query(self, **request: Any) -> dict[str, Any]:
            self.asked.append(request.get("ExclusiveStartKey"))
            last = {"LastEvaluatedKey": "next"} if len(self.asked) < 3 else {}
            return {"Items": [{"created_at": {"S": NOW}, "payment_id": {"S": f"pay_{len(self.asked)}"}}], **last}

    pages = Pages()
    found = DynamoOpenPayments(pages, "t").oldest(HERE, "a", arriving=False, before=NOW)
    assert [one.payment_id for one in found] == ["pay_1", "pay_2", "pay_3"]
    assert pages.asked == [None, "next", "next"]


@pytest.mark.parametrize(
    ("seen_s", "drained", "expected"),
    [
        (None, False, Standing.UNKNOWN),
        (None, True, Standing.DOWN),
        (DOWN_S - 1, False, Standing.ALIVE),
        (DOWN_S - 1, True, Standing.DRAINED),
        (DOWN_S + 1, False, Standing.DOWN),
        (DOWN_S + 1, True, Standing.DOWN),
    ],
)
def test_a_region_stands_as_its_heartbeat_and_its_switch_say(
    cloud: Cloud, seen_s: float | None, drained: bool, expected: Standing
) -> None:
    """PAY-05."""
    regions = DynamoRegions(cloud.dynamodb, "payments", down_after_s=DOWN_S)
    if seen_s is not None:
        regions.beat(OTHER, at=before(NOW, seen_s))
    switch = {"payment_id": {"S": ids.region_item_id(OTHER)}, "drained": {"BOOL": drained}}
    cloud.dynamodb.put_item(TableName="payments", Item=switch)
    assert regions.standings(ORDER, at=NOW)[OTHER] is expected


def test_the_handler_finishes_what_a_dead_region_has_left(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """PAY-05, PAY-12: from index to item, execution and metrics, on AWS in memory."""
    monkeypatch.setenv("FAILOVER_ORDER", ",".join(ORDER))
    cloud.states  # noqa: B018
    payment = a_payment(**THIRDS)
    cloud.dynamodb.put_item(TableName="payments", Item=to_item(payment))
    answer = handler({}, Context())
    assert (answer["taken_over"], answer["healthy"], answer["down"]) == (1, True, [THIRD, OTHER])
    found = DynamoLedger(cloud.dynamodb, "payments").get(payment.payment_id)
    assert found
    assert (found.home_region, found.status) == (HERE, Status.RECEIVED)
    assert [one["name"] for one in cloud.executions()] == [execution_name(found)]
    output = capsys.readouterr().out
    assert '"PaymentsTakenOverRegionDown":[1.0]' in output
    assert handler({}, Context())["taken_over"] == 0
    assert len(cloud.executions()) == 1
    assert cloud.dynamodb.get_item(TableName="payments", Key={"payment_id": {"S": f"region#{HERE}#heartbeat"}})["Item"]
