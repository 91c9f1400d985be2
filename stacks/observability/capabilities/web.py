"""The web tier's targets, its answers, and the function that keeps the targets (OPT-08)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.site import Site
from stacks.compute.contract import WebComputeOutputs
from stacks.edge.contract import WebOutputs
from stacks.observability.alarms.alarm import AlarmSpec, Missing, sustained
from stacks.observability.alarms.functions import group_alarms
from stacks.observability.capabilities.readings import Readings
from stacks.observability.dashboards.widgets import COLOURS, Line, graph, heading
from stacks.observability.metrics import Formula, Metric, function, percent_of

REGISTRATION = "register_targets"


def of_targets(read: Readings, name: str, stat: str) -> Metric:
    """A metric of the target group behind the load balancer."""
    dimensions = {
        "TargetGroup": read[WebComputeOutputs].web_target_group_dimension,
        "LoadBalancer": read[WebOutputs].load_balancer_dimension,
    }
    return Metric("AWS/ApplicationELB", name, stat, dimensions)


def target_error_rate(read: Readings) -> Formula:
    """Percent of the requests to targets that they answered 5XX."""
    inputs = {
        "errors": of_targets(read, "HTTPCode_Target_5XX_Count", "Sum"),
        "requests": of_targets(read, "RequestCount", "Sum"),
    }
    return Formula(percent_of(["errors"], ["requests"]), inputs)


def without_healthy_host(read: Readings) -> Formula:
    """1 in a period in which no target was healthy, else 0.

    A load balancer reports as long as it has targets. One that has none at all reports nothing, and FILL makes that
    the same 0.
    """
    return Formula("IF(FILL(healthy, 0) < 1, 1, 0)", {"healthy": of_targets(read, "HealthyHostCount", "Maximum")})


def web_alarms(site: Site, read: Readings) -> list[AlarmSpec]:
    """Targets that fail their checks, none left, targets that answer errors; and of the function, as of every one."""
    settings, alarms = site.settings.web, site.settings.alarms
    return [
        AlarmSpec(
            thing="web-unhealthy-hosts",
            says=f"more than {settings.unhealthy_hosts} of the web tier's targets fail their health check. Their "
            f"instances are replaced by themselves; if it goes on, look at {site.name('register-targets')} and at "
            "what the instances run.",
            what=of_targets(read, "UnHealthyHostCount", "Maximum"),
            label="Unhealthy hosts",
            above=settings.unhealthy_hosts,
            # Nothing is reported without targets; that is the other alarm's.
            missing=Missing.IS_GOOD,
            patience=sustained(alarms),
        ),
        AlarmSpec(
            thing="web-no-healthy-host",
            says="the web tier has no healthy target: its name leads to other regions, if any is healthy. Look at the "
            "Auto Scaling group's activity and at the start of its instances.",
            what=without_healthy_host(read),
            label="Without a healthy host, 1 = yes",
            above=0,
            missing=Missing.IS_BAD,
            patience=sustained(alarms),
        ),
        AlarmSpec(
            thing="web-errors",
            says=f"the web tier's targets answer more than {settings.target_5xx_percent:g} % of the requests with 5XX.",
            what=target_error_rate(read),
            label="5XX, % of requests",
            above=settings.target_5xx_percent,
            # No requests, no errors.
            missing=Missing.IS_GOOD,
            patience=sustained(alarms),
        ),
        *group_alarms(site, REGISTRATION.replace("_", "-"), (REGISTRATION,)),
    ]


def web_widgets(site: Site, read: Readings) -> list[Mapping[str, Any]]:
    """Targets, requests and how long they take, and the function."""
    settings = site.settings.web

    def lines(**labelled: Metric | Formula) -> list[Line]:
        return [
            Line(name, what, site.region, COLOURS[n % len(COLOURS)]) for n, (name, what) in enumerate(labelled.items())
        ]

    return [
        heading("## Web tier"),
        graph(
            "Targets",
            "hosts",
            lines(
                healthy=of_targets(read, "HealthyHostCount", "Minimum"),
                unhealthy=of_targets(read, "UnHealthyHostCount", "Maximum"),
            ),
            limit=settings.unhealthy_hosts,
        ),
        graph(
            "Requests to targets",
            "per minute",
            lines(
                all=of_targets(read, "RequestCount", "Sum"),
                errors=of_targets(read, "HTTPCode_Target_5XX_Count", "Sum"),
            ),
        ),
        graph(
            "Answers of targets",
            "s",
            lines(p50=of_targets(read, "TargetResponseTime", "p50"), p99=of_targets(read, "TargetResponseTime", "p99")),
        ),
        graph(
            "Registration of targets",
            "per minute",
            lines(
                runs=function(site, REGISTRATION, "Invocations", "Sum"),
                errors=function(site, REGISTRATION, "Errors", "Sum"),
            ),
        ),
    ]
