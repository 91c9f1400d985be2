"""From the deployed dashboards of an environment to HTML files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rollout.dashboards.page import page
from rollout.dashboards.reading import Span, dashboard_body, read_widgets
from rollout.outputs import OutputMissingError
from rollout.target import Target
from shared.config import Environment

DASHBOARD_OUTPUTS = ("dashboard_name", "region_dashboard_name")


class DashboardMissingError(OutputMissingError):
    """A dashboard is to be drawn that is not deployed."""


def render(
    environment: Environment,
    outputs: Mapping[str, Any],
    out_dir: Path,
    region: str | None = None,
    minutes: int = 180,
    *,
    clients: Callable[[str], Any] | None = None,
    now: datetime | None = None,
) -> list[Path]:
    """Draw dashboards as they are deployed, with the numbers of the last minutes.

    Parameters
    ----------
    environment
        Whose dashboards.
    outputs
        The flat outputs; they name the dashboards.
    out_dir
        Where the pages go, one per dashboard, named after it.
    region
        Whose dashboards: the one over all regions as that region made it, and its own. All regions' when None.
    minutes
        How far the graphs reach back.
    clients
        Region -> CloudWatch client; the environment's own target when None.
    now
        The end of the graphs, for tests.

    Returns
    -------
    list of Path
        The pages that were written.

    Raises
    ------
    DashboardMissingError
        When a region's observability stack is not deployed.
    """
    client = clients or _clients(Target(environment))
    end = (now or datetime.now(UTC)).replace(second=0, microsecond=0) + timedelta(minutes=1)
    span = Span(end - timedelta(minutes=minutes), end)
    out_dir.mkdir(parents=True, exist_ok=True)
    written = []
    for home in [region] if region else list(environment.regions):
        for output in DASHBOARD_OUTPUTS:
            name = outputs.get(f"observability-{home}.{output}")
            if not isinstance(name, str) or not name:
                raise DashboardMissingError(
                    f"observability-{home} is not deployed, so there is no dashboard to draw; run: tripoint rollout"
                )
            widgets = read_widgets(client, dashboard_body(client(home), name), home, span)
            path = out_dir / f"{name}.html"
            path.write_text(page(name, home, span, widgets), encoding="utf-8")
            written.append(path)
    return written


def _clients(target: Target) -> Callable[[str], Any]:
    return lambda region: target.client("cloudwatch", region)
