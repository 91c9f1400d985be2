"""What a container holds between invocations: adapters, made once at first use."""

from __future__ import annotations

from functions.payments import aws
from functions.payments.ledger import DynamoLedger
from functions.payments.settings import LedgerSettings, RegionSettings, load


def region() -> str:
    """The region this container runs in."""
    settings: RegionSettings = load(RegionSettings)
    return settings.aws_region


def ledger() -> DynamoLedger:
    """The ledger of this region."""
    settings = load(LedgerSettings)
    return DynamoLedger(aws.client("dynamodb", settings.aws_region), settings.payments_table)
