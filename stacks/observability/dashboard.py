"""The dashboard over all regions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from cdktf_cdktf_provider_aws.cloudwatch_dashboard import CloudwatchDashboard
from constructs import Construct

from shared.site import Site
from stacks.observability.metrics import FAILURE_RATE, FINAL, RECEIVED, SERVICE

WIDTH, HEIGHT = 12, 6


class GlobalDashboard(Construct):
    """One dashboard in every region that shows all regions: whichever region is up has the whole picture (PAY-09).

    It needs nothing of the other regions' stacks: metrics have the same names everywhere.
    """

    def __init__(self, scope: Construct, id: str, *, site: Site, api_name: str) -> None:
        super().__init__(scope, id)
        self.name = site.name(f"payments-{site.region}")
        regions = list(site.environment.regions)
        widgets = [
            _widget("Payments received", [_payments(site, RECEIVED, region) for region in regions]),
            _widget(
                "Failed payments, % of all that ended",
                [line for region in regions for line in _failure_rate(site, region)],
                annotation=site.settings.alarms.failure_rate_percent,
            ),
            *(
                _widget(title, [_payments(site, metric, region) for region in regions])
                for title, metric in (("Settled", FINAL["settled"]), ("Declined", FINAL["declined"]))
            ),
            _widget(
                "API latency, ms (p50, p99)",
                [
                    ["AWS/ApiGateway", "Latency", "ApiName", api_name, _at(region, stat=stat, label=f"{region} {stat}")]
                    for region in regions
                    for stat in ("p50", "p99")
                ],
            ),
            _widget(
                "Replication of the payments table, ms",
                [
                    [
                        "AWS/DynamoDB",
                        "ReplicationLatency",
                        "TableName",
                        site.name("payments"),
                        "ReceivingRegion",
                        to,
                        _at(region, stat="Average", label=f"{region} -> {to}"),
                    ]
                    for region in regions
                    for to in regions
                    if to != region
                ],
            ),
        ]
        CloudwatchDashboard(
            self,
            "dashboard",
            dashboard_name=self.name,
            dashboard_body=json.dumps({"start": "-PT3H", "widgets": _in_two_columns(widgets, site.region)}),
        )


def _payments(site: Site, metric: str, region: str) -> list[Any]:
    return [site.metrics_namespace, metric, "service", SERVICE, _at(region, stat="Sum", label=region)]


def _failure_rate(site: Site, region: str) -> list[list[Any]]:
    """The lines of one region's failure rate: the expression, and its metrics hidden behind it."""
    prefix = "r" + region.replace("-", "")
    expression = FAILURE_RATE
    for id in FINAL:
        expression = expression.replace(f"FILL({id},", f"FILL({prefix}{id},")
    return [
        [{"expression": expression, "label": region, "id": f"{prefix}rate", "region": region}],
        *(
            [
                site.metrics_namespace,
                metric,
                "service",
                SERVICE,
                _at(region, stat="Sum", id=f"{prefix}{id}", visible=False),
            ]
            for id, metric in FINAL.items()
        ),
    ]


def _at(region: str, **options: Any) -> dict[str, Any]:
    return {"region": region, **options}


def _widget(title: str, metrics: Sequence[list[Any]], annotation: float | None = None) -> dict[str, Any]:
    properties: dict[str, Any] = {"title": title, "metrics": list(metrics), "view": "timeSeries", "period": 60}
    if annotation is not None:
        properties["annotations"] = {"horizontal": [{"label": "alarm", "value": annotation}]}
    return {"type": "metric", "properties": properties}


def _in_two_columns(widgets: Sequence[dict[str, Any]], home: str) -> list[dict[str, Any]]:
    placed = []
    for index, widget in enumerate(widgets):
        row, column = divmod(index, 2)
        widget["properties"].setdefault("region", home)
        placed.append({"x": column * WIDTH, "y": row * HEIGHT, "width": WIDTH, "height": HEIGHT, **widget})
    return placed
