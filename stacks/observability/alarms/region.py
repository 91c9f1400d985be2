"""All alarms of a region, and the one over them."""

from __future__ import annotations

from collections.abc import Sequence

from cdktf_cdktf_provider_aws.cloudwatch_composite_alarm import CloudwatchCompositeAlarm
from constructs import Construct

from shared.site import Site
from stacks.observability.alarms.alarm import Alarm, AlarmSpec
from stacks.observability.alarms.api import api_alarms
from stacks.observability.alarms.events import event_alarms
from stacks.observability.alarms.functions import function_alarms, stream_alarms
from stacks.observability.alarms.payments import payment_alarms
from stacks.observability.alarms.queues import queue_alarms
from stacks.observability.alarms.receipts import receipt_alarms
from stacks.observability.alarms.sweeper import sweeper_alarms
from stacks.observability.alarms.table import table_alarms
from stacks.observability.alarms.workflow import workflow_alarms
from stacks.observability.capabilities import capability_alarms
from stacks.observability.capabilities.readings import NOTHING_READ, Readings

UNWELL = "region-unwell"


def region_alarms(site: Site, read: Readings = NOTHING_READ) -> list[AlarmSpec]:
    """Every metric alarm of a region; ``read`` is for those of capabilities."""
    return [
        *payment_alarms(site),
        *sweeper_alarms(site),
        *api_alarms(site),
        *workflow_alarms(site),
        *function_alarms(site),
        *stream_alarms(site),
        *table_alarms(site),
        *receipt_alarms(site),
        *queue_alarms(site),
        *event_alarms(site),
        *capability_alarms(site, read),
    ]


class RegionAlarms(Construct):
    """The region's alarms (PAY-12), and "region unwell": any of those that say that payments suffer now.

    Lags, throttles and queues wake somebody by themselves; they aren't a reason to leave the region.
    """

    def __init__(self, scope: Construct, id: str, *, site: Site, topic_arn: str, read: Readings) -> None:
        super().__init__(scope, id)
        specs = region_alarms(site, read)
        self.alarms = {spec.thing: Alarm(self, spec.thing, site=site, spec=spec, topic_arn=topic_arn) for spec in specs}
        vital = [self.alarms[spec.thing] for spec in specs if spec.vital]
        self.unwell_name = site.name(UNWELL)
        self.arns = [site.arn("cloudwatch", f"alarm:{name}") for name in (self.unwell_name, *self.names)]
        CloudwatchCompositeAlarm(
            self,
            UNWELL,
            alarm_name=self.unwell_name,
            alarm_description=(
                f"{site.region}: payments suffer. Decide whether to leave the region: `tripoint drain {site.region}`."
            ),
            alarm_rule=any_of([alarm.name for alarm in vital]),
            alarm_actions=[topic_arn],
            ok_actions=[topic_arn],
            depends_on=[alarm.resource for alarm in vital],
        )

    @property
    def names(self) -> list[str]:
        """The names of all metric alarms."""
        return [alarm.name for alarm in self.alarms.values()]


def any_of(names: Sequence[str]) -> str:
    """The rule of a composite alarm that is raised while any of these is."""
    return " OR ".join(f'ALARM("{name}")' for name in names)
