"""Granted actions that no recorded call proves, and why each is granted all the same.

The integration tests hold this list to the deployed roles: what is on it must be granted and unused, and nothing else
may be. An action that comes to be used, or is no longer granted, leaves the list.
"""

from __future__ import annotations

from functions.catalogue import EVERY_FUNCTION as CATALOGUE

EVERY_FUNCTION = "every function"
_FUNCTIONS = frozenset(spec.name.replace("_", "-") for spec in CATALOGUE)

_API_LOGS = (
    "API Gateway asks for the actions of AmazonAPIGatewayPushToCloudWatchLogs when the account's role is set and names "
    'no smaller set ("Permissions for CloudWatch logging", API Gateway Developer Guide); access logs use two of them'
)
# (role, statement, action) -> reason. Roles are called as they are by `site.role_name`.
REASONS: dict[tuple[str, str, str], str] = {
    ("apigateway-logs", "FindLogGroups", "logs:DescribeLogGroups"): _API_LOGS,
    **{
        ("apigateway-logs", "WriteApiLogs", f"logs:{verb}"): _API_LOGS
        for verb in ("CreateLogGroup", "DescribeLogStreams", "FilterLogEvents", "GetLogEvents")
    },
}

# (resource, action) -> reason, for what a resource's policy allows to a service.
RESOURCE_REASONS: dict[tuple[str, str], str] = {}


def reason_for(holder: str, sid: str, action: str) -> str:
    """Why a role has an action that no call proves; empty when nothing is written down."""
    kind = EVERY_FUNCTION if holder in _FUNCTIONS else holder
    return REASONS.get((holder, sid, action)) or REASONS.get((kind, sid, action), "")
