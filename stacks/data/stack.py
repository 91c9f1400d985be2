"""The data layer of one region."""

from __future__ import annotations

from constructs import Construct

from functions.catalogue import OPEN_PAYMENTS_INDEX
from shared.key import RegionalKey
from shared.site import Site
from shared.stack import BuildInputs, LayerStack
from stacks.data.buckets import ReceiptsBucket
from stacks.data.contract import DATA, DataOutputs
from stacks.data.key_users import key_users
from stacks.data.tables import GlobalTable, Index, VaultTable
from stacks.data.uploads import UploadsBucket


class DataStack(LayerStack):
    """The payment store of one region: keys, replicas of the global tables, the vault, the receipts bucket."""

    spec = DATA

    def __init__(self, scope: Construct, site: Site, inputs: BuildInputs) -> None:
        super().__init__(scope, site, inputs)
        owner = None if site.is_primary else self.consume(DataOutputs, site.environment.primary)
        key = RegionalKey(self, "key", site=site, thing="data", for_services=True, statements=key_users(site))
        payments = GlobalTable(
            self,
            "payments",
            site=site,
            key=key,
            thing="payments",
            partition_key="payment_id",
            index=Index(OPEN_PAYMENTS_INDEX, "open_in", "created_at"),
            owner_arn=owner.payments_table_arn if owner else None,
        )
        sessions = GlobalTable(
            self,
            "sessions",
            site=site,
            key=key,
            thing="sessions",
            partition_key="session_id",
            expires_at="expires_at",
            owner_arn=owner.sessions_table_arn if owner else None,
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
        vault_key = RegionalKey(self, "vault-key", site=site, thing="vault", for_services=False)
        vault = VaultTable(self, "vault", site=site, key=vault_key)
        receipts = ReceiptsBucket(self, "receipts", site=site, key=key)
        if site.settings.processing.enabled:
            uploads = UploadsBucket(self, "uploads", site=site, key_arn=key.arn, access_logs=receipts.logs_name)
            self.publish(uploads.outputs)
        self.publish(
            DataOutputs(
                key_arn=key.arn,
                payments_table_name=payments.name,
                payments_table_arn=payments.arn,
                payments_stream_arn=payments.stream_arn,
                sessions_table_name=sessions.name,
                sessions_table_arn=sessions.arn,
                vault_table_name=vault.name,
                vault_table_arn=vault.arn,
                vault_key_arn=vault_key.arn,
                processor_table_name=processor.name if processor else "",
                processor_table_arn=processor.arn if processor else "",
                receipts_bucket_name=receipts.name,
                receipts_bucket_arn=receipts.arn,
                access_logs_bucket_name=receipts.logs_name,
            )
        )
