"""Make another region's cluster the writer of the relational store (OPT-01).

Planned, both regions well: a switchover; nothing is lost and the regions change places. Unplanned, the writer's region
is down: a failover, which loses what had not been replicated; Aurora takes the old writer back as a secondary when its
region is back (Aurora User Guide, "Using switchover or failover in Amazon Aurora Global Database").

Only the region that is to write is asked: the other one may be down, and with it its state bucket. So the store is
found by its name, not in any stack's outputs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from rollout.target import Target, one_line
from shared.config import Environment
from shared.errors import TripointError, UsageError
from shared.site import Site
from stacks.data.contract import RELATIONAL_STORE

# A switchover takes minutes, a failover of a large store longer.
TIMEOUT_S = 1_800.0
_PAUSE_S = 5.0
_UNDER_WAY = ("pending", "failing-over", "cancelling")


class PromotionRefusedError(UsageError):
    """The region can't be made the writer; nothing was changed."""


class PromotionError(TripointError):
    """Aurora refuses the promotion, or it isn't done in time."""


@dataclass(frozen=True)
class Promoted:
    """What a promotion did: who writes now, who did before, and where applications find the writer."""

    region: str
    before: str
    endpoint: str

    @property
    def lines(self) -> list[str]:
        """For people."""
        return [
            f"{self.region} writes now, {self.before} did before",
            f"the global endpoint follows: {self.endpoint}",
            f"back: tripoint promote {self.before} --store relational",
        ]


def promote(
    environment: Environment,
    region: str,
    *,
    target: Target,
    allow_data_loss: bool = False,
    progress: Callable[[str], None] = lambda line: None,
    timeout_s: float = TIMEOUT_S,
    pause_s: float = _PAUSE_S,
) -> Promoted:
    """Make a region's cluster the writer, and wait until it is.

    Parameters
    ----------
    allow_data_loss
        Fail over without the old writer, instead of changing places with it.
    progress
        Told of every step.

    Raises
    ------
    PromotionRefusedError
        When the region has no cluster of the store, or writes already, or another promotion is under way.
    PromotionError
        When Aurora refuses, or it isn't done in time.
    """
    store = _Store(environment, target, region)
    database = store.database()
    before = _writer(database)
    if before == region:
        raise PromotionRefusedError(f"{region} is the writer of the relational store already")
    wanted = _arn(database, region)
    moving = database.get("FailoverState") or {}
    if moving.get("Status") in _UNDER_WAY:
        if moving.get("ToDbClusterArn") != wanted:
            raise PromotionRefusedError(
                f"another promotion is under way, to {_region_of(moving['ToDbClusterArn'])}; wait until it is done"
            )
        progress(f"a promotion of {region} is under way already")
    else:
        store.switch(wanted, allow_data_loss=allow_data_loss)
        how = "failing over" if allow_data_loss else "switching over"
        progress(f"{how} from {before} to {region}")
    return Promoted(region, before, store.await_writer(progress, timeout_s, pause_s))


class _Store:
    """The relational store, as the region that is to write sees it."""

    def __init__(self, environment: Environment, target: Target, region: str) -> None:
        if "relational" not in environment.capabilities:
            raise PromotionRefusedError(f"environment {environment.environment!r} has no relational store")
        if region not in environment.regions:
            allowed = ", ".join(environment.regions)
            raise PromotionRefusedError(f"region {region!r} is not one of this environment; allowed: {allowed}")
        self._name = Site(environment, region).name(RELATIONAL_STORE)
        self._region = region
        self._databases = target.client("rds", region)

    def database(self) -> Mapping[str, Any]:
        """The global database."""
        try:
            answer = self._databases.describe_global_clusters(GlobalClusterIdentifier=self._name)
            found: Mapping[str, Any] = answer["GlobalClusters"][0]
        except (ClientError, IndexError) as error:
            if isinstance(error, ClientError) and "NotFound" not in error.response["Error"]["Code"]:
                raise PromotionError(f"{self._region}: {one_line(error)}") from error
            raise PromotionRefusedError(f"the relational store {self._name} is not deployed") from error
        except BotoCoreError as error:
            raise PromotionError(f"{self._region} does not answer: {one_line(error)}") from error
        return found

    def switch(self, arn: str, *, allow_data_loss: bool) -> None:
        """Ask Aurora for it."""
        which = {"GlobalClusterIdentifier": self._name, "TargetDbClusterIdentifier": arn}
        try:
            if allow_data_loss:
                self._databases.failover_global_cluster(**which, AllowDataLoss=True)
            else:
                self._databases.switchover_global_cluster(**which)
        except (BotoCoreError, ClientError) as error:
            hint = "" if allow_data_loss else "; if the writer's region is down: --allow-data-loss"
            raise PromotionError(f"{self._region} is not promoted: {one_line(error)}{hint}") from error

    def await_writer(self, progress: Callable[[str], None], timeout_s: float, pause_s: float) -> str:
        """Wait until the region writes; returns the global endpoint."""
        deadline = time.monotonic() + timeout_s
        told = ""
        while True:
            state, endpoint = self._state()
            if state != told:
                progress(state)
                told = state
            if endpoint is not None:
                return endpoint
            if time.monotonic() >= deadline:
                raise PromotionError(f"{self._region} does not write after {timeout_s:g} s: {state}")
            time.sleep(pause_s)

    def _state(self) -> tuple[str, str | None]:
        """How it stands, in words; and the endpoint when it is done."""
        try:
            database = self.database()
            cluster = self._databases.describe_db_clusters(DBClusterIdentifier=self._name)["DBClusters"][0]
        except (TripointError, BotoCoreError, ClientError) as error:
            # A moment's failure must not end the watch over what goes on all the same.
            return one_line(error), None
        state = f"global database {database['Status']}, writer {_writer(database)}; {self._region} {cluster['Status']}"
        done = _writer(database) == self._region and database["Status"] == cluster["Status"] == "available"
        return state, str(database.get("Endpoint") or cluster["Endpoint"]) if done else None


def _writer(database: Mapping[str, Any]) -> str:
    """The region that writes."""
    arns = [member["DBClusterArn"] for member in database["GlobalClusterMembers"] if member["IsWriter"]]
    return _region_of(arns[0]) if arns else "no region"


def _arn(database: Mapping[str, Any], region: str) -> str:
    """A region's cluster."""
    for member in database["GlobalClusterMembers"]:
        if _region_of(member["DBClusterArn"]) == region:
            return str(member["DBClusterArn"])
    raise PromotionRefusedError(f"{region} has no cluster of the relational store; run: tripoint deploy relational")


def _region_of(arn: str) -> str:
    return arn.split(":")[3]
