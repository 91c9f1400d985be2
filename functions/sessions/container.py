"""The sessions of this container's region."""

from __future__ import annotations

from functions.payments import aws
from functions.payments.settings import load
from functions.sessions.settings import SessionSettings
from functions.sessions.table import DynamoSessions


def sessions() -> DynamoSessions:
    """The sessions table of this region."""
    settings = load(SessionSettings)
    return DynamoSessions(aws.client("dynamodb", settings.aws_region), settings.sessions_table)
