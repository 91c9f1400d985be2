"""The regions' sweepers, at the drill's pace.

At pace 1 nothing is done: they run by their schedule, each minute, with the deployed limits. A rehearsal that cannot
wait minutes divides the limits by the pace in the functions' environment, runs the sweepers itself that much more
often, and leaves everything as it was.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from botocore.exceptions import BotoCoreError, ClientError

from rollout.project import Project
from rollout.target import one_line
from shared.errors import TripointError
from shared.site import Site

FUNCTION = "sweep-payments"
EVERY_S = 60.0
_LIMITS = ("STALE_AFTER_S", "DOWN_AFTER_S")


class SweeperError(TripointError):
    """A sweeper's settings cannot be read or changed."""


class Sweepers:
    """The sweepers of an environment while a drill goes on."""

    def __init__(self, project: Project, pace: float) -> None:
        self._target = project.target
        self._pace = pace
        self._names = {
            region: Site(project.environment, region).name(FUNCTION) for region in project.environment.regions
        }
        self._before: dict[str, dict[str, str]] = {}
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        if self._pace > 1:
            for region in self._names:
                found = self._call(region, "get_function_configuration")["Environment"]["Variables"]
                self._before[region] = found
                faster = {name: str(max(1, round(int(found[name]) / self._pace))) for name in _LIMITS}
                self._call(region, "update_function_configuration", Environment={"Variables": found | faster})
            self._threads = [threading.Thread(target=self._run, args=(region,), daemon=True) for region in self._names]
            for thread in self._threads:
                thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(timeout=EVERY_S)
        for region, variables in self._before.items():
            self._call(region, "update_function_configuration", Environment={"Variables": variables})

    def _run(self, region: str) -> None:
        while not self._over.wait(EVERY_S / self._pace):
            try:
                self._call(region, "invoke", Payload=b"{}")
            except SweeperError:
                continue  # the region is down, or the last run is still busy: the next one comes

    def _call(self, region: str, operation: str, **arguments: Any) -> Mapping[str, Any]:
        try:
            answer: Mapping[str, Any] = getattr(self._target.client("lambda", region), operation)(
                FunctionName=self._names[region], **arguments
            )
        except (BotoCoreError, ClientError) as error:
            raise SweeperError(f"{self._names[region]} in {region}: {one_line(error)}") from error
        return answer
