"""Take a region out of service, and back: the switch that its `/health` answers to, and with it DNS.

The switch is an item of the payments table, `payment_id = "region#<region>"`. `/health` reads it in its own region's
replica: one consistent read exercises the table and tells whether the region is drained. Writing needs any replica; the
table carries the switch to the region itself, so a region that doesn't answer can be drained from another one.

Draining stops nothing: the API still accepts, so that callers with an old DNS answer are served, and payments in flight
finish. Who takes over follows from Route 53's records; `rollout.dns` can tell.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NoAnswerError
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import httpx
from botocore.exceptions import BotoCoreError, ClientError

from rollout.outputs import OutputMissingError, api_url
from rollout.target import Target, one_line
from shared.config import Environment
from shared.errors import TripointError, UsageError

SWITCH = "region#"
# A region that doesn't answer in this time is passed over; boto3 alone would try for minutes.
ANSWER_WITHIN_S = 10.0
# How long resolvers may keep an alias record of API Gateway (Route 53 Developer Guide, alias records).
ALIAS_TTL_S = 60
_REQUEST_TIMEOUT_S = 10.0
_PAUSE_S = 0.5

State = Literal["ok", "draining", "unavailable", "unreachable"]


class DrainRefusedError(UsageError):
    """The region can't be drained or restored; nothing was changed."""


class SwitchUnreachableError(TripointError):
    """No region's table answers."""


class HealthTimeoutError(TripointError):
    """A region's `/health` doesn't answer as wanted in time."""


@dataclass(frozen=True)
class Drained:
    """A region that is drained: why, and since when (UTC)."""

    region: str
    reason: str
    since: str


@dataclass(frozen=True)
class SwitchResult:
    """What `drain` or `restore` did.

    Attributes
    ----------
    region, drained
        The region, and whether it is drained now.
    changed
        False when it was so before; then nothing was written.
    written_in
        The region whose replica took the write, or answered.
    takers
        The regions that are not drained, in the order of the configuration: DNS sends callers to the nearest of them.
    leaves_after_s
        How long it takes at most until resolvers send no caller to a drained region (or some to a restored one).
    """

    region: str
    drained: bool
    changed: bool
    written_in: str
    takers: tuple[str, ...]
    leaves_after_s: int

    @property
    def lines(self) -> list[str]:
        """What was done and what happens next, for people."""
        state = "drained" if self.drained else "in service"
        done = [f"{self.region} is {state}" if self.changed else f"{self.region} was {state} already"]
        if self.changed and self.written_in != self.region:
            done.append(f"{self.region} did not answer; {self.written_in} took the switch and replicates it")
        takers = ", ".join(self.takers)
        if not self.drained:
            done.append(f"DNS sends callers to it again within {self.leaves_after_s} s; in service: {takers}")
        elif self.takers:
            done.append(f"DNS leaves it within {self.leaves_after_s} s; its callers go to the nearest of: {takers}")
            done.append("payments in flight there finish there; nothing is stopped")
        else:
            done.append("every region is drained: Route 53 then treats all of them as healthy and leaves none")
        return done


def drain(
    environment: Environment,
    region: str,
    outputs: Mapping[str, Any],
    *,
    target: Target,
    reason: str,
    force: bool = False,
) -> SwitchResult:
    """Turn a region's `/health` to 503, so that DNS leaves it.

    Parameters
    ----------
    outputs
        The flat outputs.
    reason
        Kept with the switch.
    force
        Drain the last region in service too. Two drains at the same time from two places can still end with none in
        service: the switches of different regions have no common lock. Route 53 then serves all of them.

    Raises
    ------
    DrainRefusedError
        When the region is unknown, or the last one in service.
    SwitchUnreachableError
        When no region's table answers.
    """
    switches = _Switches(environment, target, outputs)
    switches.check(region)
    drained = switches.read_all()
    in_service = [other for other in environment.regions if other not in drained]
    if in_service == [region] and not force:
        how = f"restore another one first ({', '.join(drained)}), or" if drained else "there is no other,"
        raise DrainRefusedError(f"{region} is the last region in service; {how} force it")
    return switches.turn(region, drained, on=True, reason=reason)


def restore(environment: Environment, region: str, outputs: Mapping[str, Any], *, target: Target) -> SwitchResult:
    """Put a drained region back into service.

    Raises
    ------
    DrainRefusedError
        When the region is unknown.
    SwitchUnreachableError
        When no region's table answers.
    """
    switches = _Switches(environment, target, outputs)
    switches.check(region)
    return switches.turn(region, switches.read_all(), on=False, reason="")


def drained_regions(environment: Environment, outputs: Mapping[str, Any], *, target: Target) -> dict[str, Drained]:
    """The regions that are drained, each as its own replica has it, or the next one where it doesn't answer."""
    return _Switches(environment, target, outputs).read_all()


# -- health ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Health:
    """What a region's `/health` said. ``status`` is the HTTP status, 0 when nothing answered."""

    region: str
    state: State
    status: int
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.region}: {self.state}" + (f" ({self.status})" if self.status else f" ({self.detail})")


def read_health(environment: Environment, region: str, outputs: Mapping[str, Any]) -> Health:
    """Ask a region's own `/health`, past DNS."""
    url = f"{api_url(outputs, region)}/health"
    try:
        # A proxy must not stand between us and the sandbox.
        answer = httpx.get(url, timeout=_REQUEST_TIMEOUT_S, trust_env=not environment.is_sandbox)
    except httpx.HTTPError as error:
        return Health(region, "unreachable", 0, one_line(error))
    return Health(region, health_state(answer.status_code, _json(answer)), answer.status_code)


def health_state(status: int, body: Any) -> State:
    """What an answer of `/health` means."""
    if status == httpx.codes.OK:
        return "ok"
    draining = isinstance(body, dict) and body.get("status") == "draining"
    return "draining" if status == httpx.codes.SERVICE_UNAVAILABLE and draining else "unavailable"


def await_health(
    environment: Environment,
    region: str,
    outputs: Mapping[str, Any],
    *,
    wanted: State,
    timeout_s: float,
    progress: Callable[[Health], None] = lambda health: None,
    pause_s: float = _PAUSE_S,
) -> Health:
    """Ask a region's `/health` until it answers as wanted: `draining` after a drain, `ok` after a restore.

    Parameters
    ----------
    progress
        Told of every answer that differs from the one before.

    Raises
    ------
    HealthTimeoutError
        When it doesn't in time; the message has its last answer.
    """
    deadline = time.monotonic() + timeout_s
    told: Health | None = None
    while True:
        health = read_health(environment, region, outputs)
        if health != told:
            progress(health)
            told = health
        if health.state == wanted:
            return health
        if time.monotonic() >= deadline:
            raise HealthTimeoutError(f"/health of {health} after {timeout_s:g} s; wanted: {wanted}")
        time.sleep(pause_s)


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


# -- the switches ----------------------------------------------------------------------------------


class _Switches:
    """The switches of all regions, in whichever replica answers."""

    def __init__(self, environment: Environment, target: Target, outputs: Mapping[str, Any]) -> None:
        self._environment = environment
        self._target = target
        self._outputs = outputs

    def check(self, region: str) -> None:
        if region not in self._environment.regions:
            allowed = ", ".join(self._environment.regions)
            raise DrainRefusedError(f"region {region!r} is not one of this environment; allowed: {allowed}")

    def read_all(self) -> dict[str, Drained]:
        regions = list(self._environment.regions)
        with ThreadPoolExecutor(max_workers=len(regions)) as pool:
            found = pool.map(self._read, regions)
            return {switch.region: switch for switch in found if switch is not None}

    def turn(self, region: str, drained: Mapping[str, Drained], *, on: bool, reason: str) -> SwitchResult:
        changed = (region in drained) != on
        written_in = region
        if changed:
            item = {
                "payment_id": {"S": SWITCH + region},
                # Written out, not deleted: a deletion says neither since when nor why.
                "drained": {"BOOL": on},
                "reason": {"S": reason},
                "changed_at": {"S": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")},
            }
            written_in, _ = self._first_answer(region, "put_item", Item=item)
        out_of_service = (set(drained) | {region}) if on else (set(drained) - {region})
        edge = self._environment.regions[region].edge
        return SwitchResult(
            region=region,
            drained=on,
            changed=changed,
            written_in=written_in,
            takers=tuple(other for other in self._environment.regions if other not in out_of_service),
            leaves_after_s=edge.health_interval_s * edge.health_failure_threshold + ALIAS_TTL_S,
        )

    def _read(self, region: str) -> Drained | None:
        key = {"payment_id": {"S": SWITCH + region}}
        _, answer = self._first_answer(region, "get_item", Key=key, ConsistentRead=True)
        item = answer.get("Item")
        if not item or not item.get("drained", {}).get("BOOL"):
            return None
        return Drained(region, item.get("reason", {}).get("S", ""), item.get("changed_at", {}).get("S", ""))

    def _first_answer(self, region: str, operation: str, **request: Any) -> tuple[str, dict[str, Any]]:
        """The region's own replica, else the next one that answers."""
        others = [other for other in self._environment.regions if other != region]
        failures = []
        for place in (region, *others):
            table = self._table(place)
            try:
                client = self._target.client("dynamodb", place)
                return place, within(ANSWER_WITHIN_S, getattr(client, operation), TableName=table, **request)
            except (BotoCoreError, ClientError, NoAnswerError) as error:
                failures.append(f"{place}: {one_line(error)}")
        raise SwitchUnreachableError(f"no region's payments table answers: {'; '.join(failures)}")

    def _table(self, place: str) -> str:
        """The table of a region. It has the same name in every region, so one region's outputs are enough."""
        for region in (place, *self._environment.regions):
            name = self._outputs.get(f"data-{region}.payments_table_name")
            if isinstance(name, str) and name:
                return name
        raise OutputMissingError("no data stack is deployed, so there is no payments table; run: tripoint rollout")


def within(seconds: float, call: Callable[..., Any], **arguments: Any) -> Any:
    """A call's result, or `NoAnswerError` when it takes longer; the call itself is left behind."""
    result: Future[Any] = Future()

    def run() -> None:
        try:
            result.set_result(call(**arguments))
        except BaseException as error:  # handed over to the caller, whatever it is
            result.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return result.result(timeout=seconds)
