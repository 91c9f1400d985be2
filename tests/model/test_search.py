"""The search for a way in which a payment is lost, doubled, settled and given back, or told twice.

The same each time; `make search` looks longer, and elsewhere each time (HYPOTHESIS_PROFILE=search).
"""

from __future__ import annotations

import os
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.model.invariants import check
from tests.model.tasks import Task
from tests.model.walks import EVERLASTING, TOKENS, a_request, errors_at, walk
from tests.model.world import DOWN_AFTER_S, ORDER, STALE_AFTER_S, World

LONG = settings.get_profile(os.environ.get("HYPOTHESIS_PROFILE", "model"))
REGIONS = st.sampled_from(ORDER)
FEW = st.integers(0, 7)


class Regions(RuleBasedStateMachine):
    """PAY-10, PAY-11, PAY-22, PAY-23: every rule is something that can happen; at the end all comes to rest."""

    @initialize(express=st.booleans(), token=st.sampled_from(["tok_visa", *TOKENS]), region=REGIONS)
    def begin(self, express: bool, token: str, region: str) -> None:
        self.world, self.token = World(express=express), token
        self.submit("k1", region, 1299, False, "")

    @rule(
        key=st.sampled_from(["k1", "k1", "k2"]),
        region=REGIONS,
        amount=st.sampled_from([1299, 1299, 700]),
        plain=st.booleans(),
        payer=st.sampled_from(["", "Ada Lovelace", "Grace Hopper"]),
    )
    def submit(self, key: str, region: str, amount: int, plain: bool, payer: str) -> None:
        token = "tok_visa" if plain else self.token
        self.world.finish(self.world.submit(a_request(key, amount=amount, token=token, payer=payer), region))

    @rule(number=FEW, points=st.integers(1, 40))
    def go_on(self, number: int, points: int) -> None:
        task = self._task(number)
        for _ in range(points):
            if task and task.at:
                self.world.step(task)

    @rule(number=FEW, which=FEW, before=st.integers(0, 12))
    def fail(self, number: int, which: int, before: int) -> None:
        task = self._task(number)
        while task and task.at and self.world.regions[task.region].up and (before or not errors_at(task.at)):
            before = max(0, before - 1)
            self.world.step(task)
        if task and task.at and (errors := errors_at(task.at)):
            self.world.step(task, errors[which % len(errors)])

    @rule(number=FEW)
    def crash(self, number: int) -> None:
        self.world.crash(number)

    @rule(region=REGIONS, number=FEW)
    def replicate(self, region: str, number: int) -> None:
        self.world.replicate(region, number)

    @rule(region=REGIONS)
    def catch_up(self, region: str) -> None:
        for _ in self.world.regions[region].coming[:]:
            self.world.replicate(region)

    @rule(region=REGIONS, again=st.booleans(), records=st.integers(1, 5))
    def publish(self, region: str, again: bool, records: int) -> None:
        for _ in range(records):
            self.world.publish(region, again=again)

    @rule(region=REGIONS, number=FEW, again=st.booleans(), through=st.booleans())
    def deliver(self, region: str, number: int, again: bool, through: bool) -> None:
        task = self.world.deliver(region, number, again=again)
        if task and through:
            self.world.finish(task)

    @rule(region=REGIONS)
    def lose_event(self, region: str) -> None:
        self.world.lose(region)

    @rule(region=REGIONS)
    def fall_or_come_back(self, region: str) -> None:
        one = self.world.regions[region]
        one.up = not one.up

    @rule(region=REGIONS)
    def take_for_dead(self, region: str) -> None:
        self.world.suspected ^= {region}

    @rule(seconds=st.sampled_from([1, 70, DOWN_AFTER_S + 10, STALE_AFTER_S + 10]))
    def wait(self, seconds: int) -> None:
        self.world.wait(seconds)

    @rule(region=REGIONS)
    def sweep(self, region: str) -> None:
        self.world.sweep(region)

    @invariant()
    def no_region_has_accepted_what_it_does_not_know(self) -> None:
        """PAY-23."""
        world = getattr(self, "world", None)
        for payment_id, regions in world.accepted.items() if world else ():
            assert all(payment_id in world.regions[name].items for name in regions)

    def teardown(self) -> None:
        world = getattr(self, "world", None)
        if world is None:
            return
        try:
            world.settle_down()
            check(world, all_final=self.token not in EVERLASTING)
        finally:
            world.stop()

    def _task(self, number: int) -> Task | None:
        tasks = self.world.tasks
        return tasks[number % len(tasks)] if tasks else None


TestRegions = Regions.TestCase
TestRegions.settings = LONG


@LONG
@given(seed=st.integers(0, 2**32 - 1), length=st.integers(10, 150))
def test_no_walk_ends_badly(seed: int, length: int) -> None:
    """PAY-10, PAY-11, PAY-22, PAY-23: wide rather than deep; a seed makes the same walk again."""
    walk(Random(seed), length)
