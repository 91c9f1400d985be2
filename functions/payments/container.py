"""What a container holds between invocations: adapters, made once at first use.

Each is imported when it is asked for: a function of the workflow needs one or two of them, and Lambda compiles what it
imports at every cold start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from functions.payments import aws
from functions.payments.settings import (
    HeartbeatSettings,
    LedgerSettings,
    RegionSettings,
    VaultSettings,
    WorkflowSettings,
    load,
)

if TYPE_CHECKING:
    from functions.payments.executions import StepFunctionsWorkflow
    from functions.payments.ledger import DynamoLedger
    from functions.payments.open_payments import DynamoOpenPayments
    from functions.payments.regions import DynamoRegions
    from functions.payments.vault import DynamoVault


def region() -> str:
    """The region this container runs in."""
    settings: RegionSettings = load(RegionSettings)
    return settings.aws_region


def ledger() -> DynamoLedger:
    """The ledger of this region."""
    from functions.payments.ledger import DynamoLedger

    settings = load(LedgerSettings)
    return DynamoLedger(aws.client("dynamodb", settings.aws_region), settings.payments_table)


def open_payments() -> DynamoOpenPayments:
    """The index of open payments in this region."""
    from functions.payments.open_payments import DynamoOpenPayments

    settings = load(LedgerSettings)
    return DynamoOpenPayments(aws.client("dynamodb", settings.aws_region), settings.payments_table)


def region_items() -> DynamoRegions:
    """What this region's replica says about the regions."""
    from functions.payments.regions import DynamoRegions

    settings = load(HeartbeatSettings)
    client = aws.client("dynamodb", settings.aws_region)
    return DynamoRegions(client, settings.payments_table, down_after_s=settings.down_after_s)


def workflow() -> StepFunctionsWorkflow:
    """The payment workflow of this region."""
    from functions.payments.executions import StepFunctionsWorkflow

    settings = load(WorkflowSettings)
    return StepFunctionsWorkflow(aws.client("stepfunctions", settings.aws_region), settings.state_machine_arn)


def vault() -> DynamoVault:
    """The vault of this region."""
    from functions.payments.vault import DynamoVault

    settings = load(VaultSettings)
    client = aws.client("dynamodb", settings.aws_region)
    return DynamoVault(client, settings.vault_table, settings.vault_retention_days)
