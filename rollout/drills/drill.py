"""One drill from beginning to end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rollout.drills import figures
from rollout.drills.faults import SandboxFaults
from rollout.drills.figures import Outage
from rollout.drills.ledger import Ledgers, Standing
from rollout.drills.load import Answer, Load
from rollout.drills.scenarios import Scenario
from rollout.drills.sweepers import Sweepers
from rollout.outputs import api_url
from rollout.payments import Order, PaymentApi
from rollout.project import Project
from rollout.reconcile.reading import Wanted
from rollout.reconcile.reconciler import reconcile
from rollout.reconcile.times import written
from rollout.reconcile.verdict import Verdict
from rollout.smoke import run_smoke
from shared.errors import TripointError

LOOK_EVERY_S = 1.0
TELL_EVERY_S = 10.0
# The region goes down when this share of the payments is accepted.
DOWN_AT = 0.3
DOWN_FOR_AT_MOST_S = 900.0
QUIET_WITHIN_S = 900.0
# So many raced keys are asked for in both regions.
ASKED_AGAIN = 100
ASKED_FOR_OUTPUTS = 20

Say = Callable[[str], None]


@dataclass
class Result:
    """What a drill found. ``complaints`` are a line each; ``answers`` and ``standings`` are for the charts."""

    scenario: Scenario
    payments: int
    seed: int
    pace: float
    began: float
    figures: dict[str, Any] = field(default_factory=dict)
    outage: dict[str, Any] = field(default_factory=dict)
    struck: dict[str, int] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    verdict: Verdict | None = None
    outage_span: tuple[float, float] | None = None
    answers: list[Answer] = field(default_factory=list)
    standings: Mapping[str, Standing] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return not self.complaints and self.verdict is not None and self.verdict.ok

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON, without the single answers."""
        return {
            "scenario": self.scenario.name,
            "ok": self.ok,
            "payments": self.payments,
            "seed": self.seed,
            "pace": self.pace,
            "began": datetime.fromtimestamp(self.began, UTC).isoformat(timespec="seconds"),
            "seconds": round(self.seconds, 1),
            "figures": self.figures,
            "outage": self.outage,
            "faults": dict(self.scenario.faults),
            "struck": self.struck,
            "complaints": self.complaints,
            "reconciliation": self.verdict.as_dict() if self.verdict else None,
        }


class Drill:
    """A drill on a deployed sandbox.

    Parameters
    ----------
    pace
        How much faster than deployed the health checks, the resolvers and the sweepers go; 1 is as deployed.
    """

    def __init__(
        self, project: Project, scenario: Scenario, *, payments: int, seed: int, pace: float, folder: Path, say: Say
    ) -> None:
        self._project = project
        self._scenario = scenario
        self._say = say
        self._faults = SandboxFaults(project, scenario.faults, seed=seed)
        self._outputs = _deployed(project)
        self._regions = list(project.environment.regions)
        for region in self._regions:
            api_url(self._outputs, region)  # not deployed: better now than in the middle
        self._ledgers = Ledgers(project, self._outputs)
        self._pace = pace
        began = time.time()
        self._load = Load(
            project,
            self._outputs,
            folder,
            payments=payments,
            seed=seed,
            mix=scenario.mix,
            run=f"{scenario.name}-{int(began)}",
        )
        self.result = Result(scenario, payments, seed, pace, began)
        self._told_at = 0.0
        self._poisoned = 0

    def run(self) -> Result:
        """Send the load, break what the scenario breaks, mend it, wait for quiet, and reconcile."""
        self._faults.end()  # what an interrupted drill may have left
        self._warm_up()
        with Sweepers(self._project, self._pace):
            outage = self._under_load()
            self._say(
                f"all sent, {len(self._load.accepted):,} payments accepted; waiting until all are final everywhere"
            )
            standings = self._quiet()
        self._judge(standings, outage)
        return self.result

    def _under_load(self) -> Outage | None:
        self._faults.begin()
        before = Counter(self._faults.state()["struck"])
        try:
            self._load.start(users=self._scenario.users, pace=self._pace)
            outage = self._with_outage() if self._scenario.outage else None
            while self._load.follow():
                self._progress()
                time.sleep(LOOK_EVERY_S)
            self.result.struck = dict(Counter(self._faults.state()["struck"]) - before)
        finally:
            self._load.stop()
            self._faults.end()
        return outage

    def _warm_up(self) -> None:
        """A payment through every region, one after the other: the sandbox's cold starts are this machine's, not AWS's,
        and all of them at once would be a drill of their own."""
        merchant = next(iter(self._project.environment.merchants), "")
        order = Order(merchant_id=merchant)
        results = [
            result
            for region in self._regions
            for result in run_smoke(
                [region],
                order=order,
                connect=lambda place: PaymentApi.of(self._outputs, place, project=self._project, merchant=merchant),
                say=self._say,
            )
        ]
        failed = [result.region for result in results if not result.ok]
        if failed:
            raise TripointError(
                f"a payment does not settle in {', '.join(failed)}: nothing to drill; see tripoint smoke"
            )

    # -- while it runs ----------------------------------------------------------------------------

    def _progress(self) -> None:
        load, payments = self._load, self.result.payments
        every = self._scenario.poison_every
        if every and len(load.accepted) // every > self._poisoned:
            self._ledgers.poison(self._regions[self._poisoned % len(self._regions)])
            self._poisoned += 1
        now = time.time()
        if now - self._told_at < TELL_EVERY_S:
            return
        self._told_at = now
        lately = sum(at > now - 30 for at in load.accepted.values()) / min(30.0, max(1.0, now - self.result.began))
        waits = sum(answer.pushed_back for answer in load.answers)
        failed = sum(answer.status == 0 or answer.status >= 500 for answer in load.answers) - sum(
            answer.status == 503 for answer in load.answers
        )
        places = " ".join(f"{region} {load.by_region[region]:,}" for region in self._regions)
        self._say(
            f"{now - self.result.began:6.0f} s  {len(load.accepted):,} of {payments:,} accepted, {lately:.1f}/s; "
            f"told to wait {waits:,}, unanswered {failed:,}; {places}"
        )

    def _with_outage(self) -> Outage | None:
        """Take the busiest region down in the middle, until the others have done what they can; then bring it back."""
        while self._load.follow() and len(self._load.accepted) < DOWN_AT * self.result.payments:
            self._progress()
            time.sleep(LOOK_EVERY_S / 4)
        region = self._load.by_region.most_common(1)[0][0]
        survivor = next(other for other in self._regions if other != region)
        # What it has in flight is seen in its own table, which nobody else can read from now on but we.
        self._faults.begin(down=(region,))
        began = time.time()
        in_flight = {one.id for one in self._ledgers.read(region).values() if one.home == region and not one.is_final}
        self._say(f"{region} is down, with {len(in_flight):,} payments in flight")
        finished: dict[str, float] = {}
        running, known = True, True
        while time.time() - began < DOWN_FOR_AT_MOST_S:
            running = self._load.follow()
            self._progress()
            there = self._ledgers.read(survivor)
            now = time.time()
            for id in in_flight - set(finished):
                if id in there and there[id].is_final:
                    finished[id] = now
            # What the others have not heard of before the region went down, they cannot finish.
            known = all(id in finished for id in in_flight if id in there)
            if known and (not running or self._left(region, began)):
                break
            time.sleep(LOOK_EVERY_S)
        if not known:
            self.result.complaints.append(
                f"payments in flight in {region} were not finished within {DOWN_FOR_AT_MOST_S:g} s"
            )
        self._faults.begin()
        ended = time.time()
        self.result.outage_span = (began, ended)
        self._say(f"{region} is back after {ended - began:.0f} s; {len(finished):,} payments were finished by others")
        return Outage(region, began, ended, frozenset(in_flight), finished)

    def _left(self, region: str, since: float) -> bool:
        """Whether callers have left a region: health checks say so, and nobody has asked it for a while."""
        healthy = [one["healthy"][region] for one in self._load.health if one["at"] > since]
        last = max((one.at for one in self._load.answers if one.region == region), default=since)
        return bool(healthy) and not healthy[-1] and time.time() - last > 20 / self._pace

    # -- afterwards -------------------------------------------------------------------------------

    def _quiet(self) -> Mapping[str, Mapping[str, Standing]]:
        deadline = time.monotonic() + QUIET_WITHIN_S
        told = figures.accepted(self._load.answers)
        said, told_at = "", 0.0
        while True:
            standings = {region: self._ledgers.read(region) for region in self._regions}
            open_ones = {
                id for id in told for ledger in standings.values() if id not in ledger or not ledger[id].is_final
            }
            replicating = self._faults.state()["replicating"]
            if not open_ones and not replicating:
                return standings
            if time.monotonic() > deadline:
                return standings  # the complaints will say which
            line = f"{len(open_ones):,} payments are not final everywhere yet, {replicating:,} writes on their way"
            if line != said or time.monotonic() - told_at > TELL_EVERY_S * 3:
                self._say(line)
                said, told_at = line, time.monotonic()
            time.sleep(5.0)

    def _judge(self, standings: Mapping[str, Mapping[str, Standing]], outage: Outage | None) -> None:
        result, load = self.result, self._load
        result.answers, result.standings = load.answers, standings[self._regions[0]]
        result.complaints += figures.complaints(load.answers, standings, payments=result.payments, gave_up=load.gave_up)
        result.figures = figures.general(load.answers, result.standings)
        if outage:
            result.outage = figures.of_outage(outage, load.answers, result.standings)
        if self._poisoned:
            result.figures["poison records"] = self._poisoned
        if self._scenario.must_push_back and not result.figures["answers 429 or 503, each with Retry-After"]:
            result.complaints.append("nobody was told to wait: the drill has shown nothing")
        if self._scenario.must_race:
            self._race()
        self._say("reconciling")
        result.verdict = reconcile(
            self._project.environment,
            self._outputs,
            self._project.target,
            # What others did to payments before is not the drill's. All that it sent was created since.
            wanted=Wanted(
                since=written(datetime.fromtimestamp(result.began, UTC)), accepted=figures.accepted(load.answers)
            ),
            say=self._say,
        )
        result.seconds = time.time() - result.began

    def _race(self) -> None:
        """Whether one key was raced for, and whether both callers read the same answer in the end."""
        result = self.result
        met = figures.races(self._load.answers, self._scenario.lag_s)
        result.figures |= met
        if not met["of these within the replication lag"]:
            result.complaints.append("no key was accepted by two regions at once: the drill has shown nothing")
        differing, asked = 0, 0
        apis: dict[tuple[str, str], PaymentApi] = {}
        for id, regions in figures.accepted(self._load.answers).items():
            if len(regions) < 2 or asked == ASKED_AGAIN:
                continue
            asked += 1
            bodies = [self._read(apis, region, id) for region in regions]
            differing += any(body is None or body != bodies[0] for body in bodies)
        for api in apis.values():
            api.__exit__()
        result.figures["raced keys asked for in both regions"] = asked
        if differing:
            result.complaints.append(f"{differing:,} payments read differently in the two regions that accepted them")

    def _read(self, apis: dict[tuple[str, str], PaymentApi], region: str, id: str) -> Mapping[str, Any] | None:
        for merchant in self._project.environment.merchants:
            if (region, merchant) not in apis:
                apis[region, merchant] = PaymentApi.of(self._outputs, region, project=self._project, merchant=merchant)
            found = apis[region, merchant].read(id)
            if found is not None:
                return found.body
        return None


def _deployed(project: Project) -> dict[str, Any]:
    """The flat outputs; a sandbox that is too busy to say that it is there is asked again."""
    outputs = project.read_outputs()
    for _ in range(ASKED_FOR_OUTPUTS):
        if outputs or not project.sandbox.status().running:
            break
        time.sleep(LOOK_EVERY_S)
        outputs = project.read_outputs()
    return outputs
