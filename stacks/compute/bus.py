"""The region's event bus."""

from __future__ import annotations

from cdktf_cdktf_provider_aws.cloudwatch_event_bus import CloudwatchEventBus
from constructs import Construct

from shared.site import Site


class PaymentBus(Construct):
    """Where payment events are published (PAY-05)."""

    def __init__(self, scope: Construct, id: str, *, site: Site, key_arn: str) -> None:
        super().__init__(scope, id)
        self.name = site.name("payments")
        self.bus = CloudwatchEventBus(
            self,
            "bus",
            name=self.name,
            description=f"Payment events of {site.region}",
            kms_key_identifier=key_arn,
        )
        self.arn = self.bus.arn
