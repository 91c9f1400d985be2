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
_WRITES_TABLES = (
    'DynamoDB names it among what it may need in the caller\'s name ("Encryption at rest: how it works"); that it is '
    "needed to reach a table is documented nowhere, and every recorded access takes kms:Decrypt only"
)
_NO_TAGS = "receipts have no tags; S3 replicates an object with tags without them when this is missing"
_TWICE = "two statements allow it on the same key: either would do"

# (role, statement, action) -> reason. Roles are called as they are by `site.role_name`.
REASONS: dict[tuple[str, str, str], str] = {
    **{
        ("apigateway-logs", "WriteApiLogs", f"logs:{verb}"): _API_LOGS
        for verb in ("CreateLogGroup", "DescribeLogGroups", "DescribeLogStreams", "FilterLogEvents", "GetLogEvents")
    },
    (EVERY_FUNCTION, "UseRegionalKey", "kms:GenerateDataKey"): _WRITES_TABLES,
    ("payments-api", "UseVaultKey", "kms:GenerateDataKey"): _WRITES_TABLES,
    ("issue-receipt", "UseRegionalKey", "kms:GenerateDataKey"): _TWICE,
    ("issue-receipt", "ReceiptsEncrypt", "kms:GenerateDataKey"): _TWICE,
}

# (resource, action) -> reason, for what a resource's policy allows to a service.
RESOURCE_REASONS: dict[tuple[str, str], str] = {}


def reason_for(holder: str, sid: str, action: str) -> str:
    """Why a role has an action that no call proves; empty when nothing is written down."""
    kind = EVERY_FUNCTION if holder in _FUNCTIONS else holder
    return REASONS.get((holder, sid, action)) or REASONS.get((kind, sid, action), "")
