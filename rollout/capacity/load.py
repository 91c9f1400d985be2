"""What an environment asks of its services at a rate: measured quantities, weighed by what payments end in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from functions.catalogue import FUNCTIONS, WORKFLOW_FUNCTIONS
from rollout.capacity.facts import Facts
from rollout.capacity.measured import READ, SETTLED, FunctionUse, Measured, Scenario
from shared.config import Environment

API = "payments_api"
PUBLISHER = "publish_changes"
FUNCTION_NAMES = tuple(spec.name for spec in FUNCTIONS)
SCHEDULED = frozenset(spec.name for spec in FUNCTIONS if spec.trigger == "schedule")
"""Functions that run by the clock, once a minute, however many payments there are."""

GLOBAL_TABLES = frozenset({"payments", "sessions"})
"""Tables whose every write is repeated in every region."""
INDEXES = frozenset({"payments.open"})
"""Indexes of global tables: written in every region too, and billed like a table's of one region (DynamoDB developer
guide, "Understanding Amazon DynamoDB billing for global tables")."""
CENTRAL_TABLES = frozenset({"processor"})
"""The simulated processor's: one record for all regions, in the primary."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """Payments per second of one environment, and what each needs.

    Two views of a payment. *Planned* is what capacity must hold: a payment that settles, or the mix where that needs
    more; what only failures need is planned for the share that may fail at once in an incident. *Average* is what is
    paid for: the mix.

    Attributes
    ----------
    tps
        Payments per second over all regions.
    shares, peak_shares
        Of each region: normally, and with the worst other region down.
    """

    environment: Environment
    tps: float
    shares: Mapping[str, float]
    peak_shares: Mapping[str, float]
    facts: Facts
    measured: Measured

    @cached_property
    def scenarios(self) -> dict[str, Scenario]:
        """What a payment may do, with the environment's kind of card processor."""
        found = self.measured.of(self.environment.processor.kind)
        return {name: scenario for name, scenario in found.items() if name != READ}

    @property
    def read(self) -> Scenario:
        """What asking for a payment's status does."""
        return self.measured.of(self.environment.processor.kind)[READ]

    @cached_property
    def mix(self) -> dict[str, float]:
        """How many payments of all end in which scenario; sums to 1."""
        others = {name: self.facts.assume(f"mix.{name}") for name in self.scenarios if name != SETTLED}
        return {SETTLED: 1 - sum(others.values()), **others}

    def peak_tps(self, region: str) -> float:
        """Payments per second that a region must carry with another one down."""
        return self.tps * self.peak_shares[region]

    def reads(self, region: str) -> int:
        """Status requests per payment."""
        return self.environment.regions[region].api.reads_per_payment

    def average(self, quantity: str) -> float:
        """A quantity of one payment, over the mix."""
        return sum(share * self.scenarios[name].quantity(quantity) for name, share in self.mix.items())

    def planned(self, quantity: str) -> float:
        """A quantity of one payment, as capacity is planned for it."""
        return max(self.scenarios[SETTLED].quantity(quantity), self.average(quantity))

    @cached_property
    def tables(self) -> tuple[str, ...]:
        """The tables that payments write to."""
        names = {name.partition(".")[2] for one in self.scenarios.values() for name in one.per_payment}
        written = {f"write_units.{name}" for name in names if name}
        return tuple(sorted(name.partition(".")[2] for name in written if self.planned(name)))

    # -- functions

    def average_invocations(self, function: str) -> float:
        """Invocations of a function per payment, over the mix, without status requests."""
        return sum(share * self.scenarios[name].invocations(function) for name, share in self.mix.items())

    def planned_invocations(self, function: str) -> float:
        """Invocations per payment that a function's concurrency must hold, without status requests."""
        if function in SCHEDULED:
            return 0.0
        failing = [scenario.invocations(function) for name, scenario in self.scenarios.items() if name != SETTLED]
        incident = self.facts.assume("incident.share")
        if not self.is_measured(function):
            return incident
        settled = self.scenarios[SETTLED].invocations(function)
        return max(settled, self.average_invocations(function), incident * max(failing, default=0.0))

    def is_measured(self, function: str) -> bool:
        """Whether any scenario invokes a function."""
        return any(scenario.invocations(function) for scenario in self.scenarios.values())

    def duration_ms(self, function: str) -> float:
        """Mean duration of an invocation in the longest scenario, ms: the code's own time, and its calls' answers."""
        uses = [one.functions[function] for one in self.scenarios.values() if function in one.functions]
        if not uses:
            id = f"duration.{function}"
            return self.facts.assume(id if id in self.facts.assumptions else "duration.other")
        return max(self.use_ms(use) for use in uses)

    def use_ms(self, use: FunctionUse) -> float:
        """The duration of one invocation: measured time of the code, assumed time of its calls, ms."""
        calls = sum(count * self.facts.latency_ms(name) for name, count in use.calls.items())
        return use.own_ms * self.facts.assume("lambda.cpu_factor") + calls

    @property
    def read_ms(self) -> float:
        """The duration of a status request, ms."""
        return self.use_ms(self.read.functions[API])

    def billed_ms(self, region: str) -> float:
        """Lambda time of all functions per payment with its status requests, over the mix, ms."""
        own = sum(
            share * use.invocations * self.use_ms(use)
            for name, share in self.mix.items()
            for use in self.scenarios[name].functions.values()
        )
        return own + self.reads(region) * self.read_ms

    @property
    def execution_ms(self) -> float:
        """How long the workflow takes over one payment, over the mix, ms."""
        steps = set(WORKFLOW_FUNCTIONS)
        working = sum(
            share * use.invocations * self.use_ms(use)
            for name, share in self.mix.items()
            for function, use in self.scenarios[name].functions.items()
            if function in steps
        )
        return working + self.average("transitions") * self.facts.assume("latency.state")
