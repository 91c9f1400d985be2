"""The data layer of one region."""

from __future__ import annotations

from constructs import Construct

from shared.site import Site
from shared.stack import BuildInputs, LayerStack
from stacks.data.buckets import ReceiptsBucket
from stacks.data.contract import DATA, DataOutputs
from stacks.data.key import RegionalKey
from stacks.data.tables import GlobalTable


class DataStack(LayerStack):
    """The payment store of one region: its key, its replicas of the global tables, its receipts bucket."""

    spec = DATA

    def __init__(self, scope: Construct, site: Site, inputs: BuildInputs) -> None:
        super().__init__(scope, site, inputs)
        owner = None if site.is_primary else self.consume(DataOutputs, site.environment.primary)
        key = RegionalKey(self, "key", site=site)
        payments = GlobalTable(
            self,
            "payments",
            site=site,
            key=key,
            thing="payments",
            partition_key="payment_id",
            owner_arn=owner.payments_table_arn if owner else None,
        )
        processor = None
        if site.environment.processor.kind == "simulator":
            processor = GlobalTable(
                self,
                "processor",
                site=site,
                key=key,
                thing="processor",
                partition_key="operation_key",
                owner_arn=owner.processor_table_arn if owner else None,
            )
        receipts = ReceiptsBucket(self, "receipts", site=site, key=key)
        self.publish(
            DataOutputs(
                key_arn=key.arn,
                payments_table_name=payments.name,
                payments_table_arn=payments.arn,
                payments_stream_arn=payments.stream_arn,
                processor_table_name=processor.name if processor else "",
                processor_table_arn=processor.arn if processor else "",
                receipts_bucket_name=receipts.name,
                receipts_bucket_arn=receipts.arn,
            )
        )
