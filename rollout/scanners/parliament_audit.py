"""Runs in the scanners' own environment: parliament over policy documents, and AWS's actions as it knows them.

Standard input: ``{"policies": [{"where": ..., "document": ...}], "actions": ["s3:GetObject", ...]}``. Standard output:
``{"findings": [{"where", "issue", "severity", "detail"}], "resources": {action: [resource types, "" for none]}}``; an
action that AWS does not have is missing from ``resources``.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import parliament  # type: ignore[import-not-found]


def main() -> int:
    given = json.load(sys.stdin)
    findings = [found for one in given["policies"] for found in audit(one["where"], one["document"])]
    resources = {action: types for action in given["actions"] if (types := resource_types(action)) is not None}
    json.dump({"findings": findings, "resources": resources}, sys.stdout)
    return 0


def audit(where: str, document: dict[str, Any]) -> list[dict[str, str]]:
    policy = parliament.analyze_policy_string(json.dumps(document), filepath=where)
    found = [parliament.enhance_finding(one) for one in policy.findings]
    return [
        {
            "where": where,
            "issue": one.issue,
            "severity": one.severity,
            "detail": json.dumps([one.detail, one.location.get("string", "")], default=str),
        }
        for one in found
    ]


def resource_types(action: str) -> list[str] | None:
    """The types of resources that a statement with the action may name; AWS marks required ones with an asterisk."""
    prefix, _, name = action.partition(":")
    for service in parliament.iam_definition:
        if service["prefix"] == prefix:
            for privilege in service["privileges"]:
                if privilege["privilege"].lower() == name.lower():
                    return [one["resource_type"] for one in privilege["resource_types"]]
    return None


if __name__ == "__main__":
    sys.exit(main())
