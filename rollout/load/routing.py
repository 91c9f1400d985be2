"""Where callers are sent: the deployed latency records and health checks, over time, by Route 53's rules.

A health check asks its endpoint once per interval and changes its state after `failure_threshold` answers in a row
(`rollout.dns`). A caller keeps an answer for as long as resolvers keep one. `pace` makes both go faster, for a
rehearsal that cannot wait minutes; 1 is as deployed.
(AWS asks from several places, each at the interval; here it is one.)
"""

from __future__ import annotations

import time
from collections.abc import Callable

from rollout.dns import DeployedName, DnsError, HealthCheck, choose, nearest_first, record_health

TTL_S = 60.0
"""How long resolvers may keep an alias record of API Gateway (Route 53 Developer Guide, alias records)."""


class Routes:
    """The answers that callers get now.

    Parameters
    ----------
    probe
        Asks a check's endpoint once and tells whether it passed.
    """

    def __init__(
        self,
        name: DeployedName,
        probe: Callable[[HealthCheck], bool],
        *,
        pace: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not name.records:
            raise DnsError("the name has no latency records, so nothing answers; run: tripoint rollout")
        self._name = name
        self._probe = probe
        self._pace = pace
        self._clock = clock
        self._passed = dict.fromkeys(name.checks, True)
        self._against = dict.fromkeys(name.checks, 0)
        self._kept: dict[str, tuple[str, float]] = {}

    @property
    def interval_s(self) -> float:
        """How often `check` is to be called."""
        return min((check.interval_s for check in self._name.checks.values()), default=30) / self._pace

    def check(self) -> dict[str, bool]:
        """Ask every endpoint once; which regions are healthy then."""
        for id, check in self._name.checks.items():
            passed = self._probe(check)
            self._against[id] = 0 if passed is self._passed[id] else self._against[id] + 1
            if self._against[id] >= check.failure_threshold:
                self._passed[id], self._against[id] = passed, 0
        return self.healthy

    @property
    def healthy(self) -> dict[str, bool]:
        """Whether each region's record is healthy."""
        return {
            record.region: record_health(record, check_healthy=self._state(record.health_check_id), target_healthy=True)
            for record in self._name.records
        }

    def region_for(self, caller: str) -> str:
        """The region that a caller's resolver leads to: its last answer until that expires."""
        kept = self._kept.get(caller)
        if kept and self._clock() < kept[1]:
            return kept[0]
        region = self.fresh(caller)[0]
        self._kept[caller] = (region, self._clock() + TTL_S / self._pace)
        return region

    def fresh(self, caller: str) -> list[str]:
        """All regions, by what Route 53 would answer now: the first, the next without the first, and so on."""
        left, found, healthy = list(self._name.records), [], self.healthy
        while left:
            record = choose(left, nearest_first(caller, healthy), lambda one: healthy[one.region])
            found.append(record.region)
            left.remove(record)
        return list(dict.fromkeys(found))

    def _state(self, id: str | None) -> bool:
        check = self._name.checks.get(id or "")
        if check is None or check.disabled:
            return True
        return self._passed[check.id] is not check.inverted
