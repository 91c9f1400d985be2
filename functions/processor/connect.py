"""The card processor that the settings choose; only its adapter is imported."""

from __future__ import annotations

from functools import cache

from functions.payments import aws
from functions.payments.errors import SecretUnavailableError
from functions.payments.settings import load
from functions.processor.protocol import CardProcessor
from functions.processor.settings import ProcessorSettings


@cache
def processor() -> CardProcessor:
    """The card processor of this container."""
    return connect(load(ProcessorSettings))


def connect(settings: ProcessorSettings) -> CardProcessor:
    """A card processor by its settings; no I/O before its first operation."""
    if settings.processor_kind == "http":
        from functions.processor.http import HttpCardProcessor

        return HttpCardProcessor(
            settings.processor_url,
            lambda: _secret(settings.processor_secret_id, settings.aws_region),
            settings.processor_timeout_ms,
        )
    from functions.processor.accounts import DynamoAccounts
    from functions.processor.simulator import CardSimulator

    accounts = DynamoAccounts(settings.processor_table, settings.aws_region)
    return CardSimulator(accounts, region=settings.aws_region)


def _secret(secret_id: str, region: str) -> str:
    with aws.translated(throttled=SecretUnavailableError, unavailable=SecretUnavailableError):
        answer = aws.client("secretsmanager", region).get_secret_value(SecretId=secret_id)
    return str(answer["SecretString"]).strip()
