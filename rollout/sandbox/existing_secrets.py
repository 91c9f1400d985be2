"""What a configuration calls an existing Secrets Manager entry exists in the sandbox too: made up when it starts.

The sandbox starts empty, so nobody else could have put the entries there. On an AWS account they are somebody's, and
nothing here touches one.
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

from shared.config import Environment

if TYPE_CHECKING:
    from rollout.target import Target


def make_up_secrets(environment: Environment, target: Target) -> list[str]:
    """Make the entries that are missing, with random passwords; returns the names of those that were made."""
    if not environment.is_sandbox:
        raise ValueError(f"environment {environment.environment!r} lives in an AWS account: its secrets are its own")
    made = []
    for region, name, username in _needed(environment):
        entries = target.client("secretsmanager", region)
        try:
            # Random every time, and kept when it is there.
            entries.create_secret(Name=name, SecretString=_credential(username))
        except entries.exceptions.ResourceExistsException:
            continue
        made.append(name)
    return made


def _needed(environment: Environment) -> list[tuple[str, str, str]]:
    """(region, name, user) of every entry. Only the primary region's cluster takes a master password."""
    settings = environment.regions[environment.primary].relational
    return [(environment.primary, settings.entry, settings.username)] if settings.enabled else []


def _credential(username: str) -> str:
    """As Secrets Manager keeps a database's (Secrets Manager User Guide, "JSON structure of database credentials")."""
    return json.dumps({"username": username, "password": secrets.token_urlsafe(24)})
