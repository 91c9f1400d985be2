"""The dashboards as resources."""

from __future__ import annotations

import json
from typing import Any

from cdktf_cdktf_provider_aws.cloudwatch_dashboard import CloudwatchDashboard
from constructs import Construct

from shared.site import Site
from stacks.observability.alarms.region import RegionAlarms
from stacks.observability.capabilities.readings import Readings
from stacks.observability.dashboards.all_regions import all_regions
from stacks.observability.dashboards.one_region import one_region


class Dashboards(Construct):
    """One over all regions and one of this region (PAY-09).

    Dashboards are listed once per account, not per region, so their names carry the region that made them.
    """

    def __init__(
        self, scope: Construct, id: str, *, site: Site, alarms: RegionAlarms, health_check_id: str, read: Readings
    ) -> None:
        super().__init__(scope, id)
        self.all_regions_name = site.name(f"all-regions-{site.region}")
        self.region_name = site.name(f"region-{site.region}")
        self._dashboard("all-regions", self.all_regions_name, all_regions(site))
        self._dashboard("region", self.region_name, one_region(site, alarms.arns, health_check_id, read))

    def _dashboard(self, id: str, name: str, body: dict[str, Any]) -> None:
        CloudwatchDashboard(self, id, dashboard_name=name, dashboard_body=json.dumps(body, ensure_ascii=False))
