"""AWS managed keys exist under their `alias/aws/<service>` names, in every region.

Upstream: `alias/aws/dynamodb` and its like resolve to nothing, so Terraform can't tell whether a
table uses the default key, and `aws_dynamodb_table_replica` fails.

AWS: "if you specify a predefined AWS alias (an AWS alias with no key ID), KMS associates the alias
with an AWS managed key and returns its KeyId and Arn" (KMS API reference, DescribeKey). Such a key
has `KeyManager` AWS and is rotated every year.

Patched: `_resolve_key` makes the key of a predefined alias when it is first asked for;
`_key_metadata` says who manages it; DynamoDB's default key is named by its ARN.
"""

from __future__ import annotations

import functools
import json
import re
from typing import Any

from rollout.sandbox.emulator import module

_PREDEFINED = re.compile(r"^(?:arn:aws:kms:(?P<region>[\w-]+):\d{12}:)?(?P<alias>alias/aws/[\w-]+)$")
_MANAGED = "_tripoint_aws_managed"


def apply() -> None:
    keys, tables = module("services.kms"), module("services.dynamodb")
    resolve, metadata = keys._resolve_key, keys._key_metadata

    @functools.wraps(resolve)
    def resolve_predefined(reference: Any) -> Any:
        found = resolve(reference)
        if found is not None or not isinstance(reference, str):
            return found
        named = _PREDEFINED.match(reference)
        if named is None or named["region"] not in (None, keys.get_region()):
            return None
        return _make(keys, named["alias"])

    @functools.wraps(metadata)
    def metadata_with_manager(record: Any) -> Any:
        described = metadata(record)
        return described | {"KeyManager": "AWS"} if record.get(_MANAGED) else described

    keys._resolve_key, keys._key_metadata = resolve_predefined, metadata_with_manager

    describe = tables._sse_description_from_spec

    @functools.wraps(describe)
    def describe_by_key_arn(specification: Any) -> Any:
        described = describe(specification)
        if described and str(described.get("KMSMasterKeyArn", "")).endswith("alias/aws/dynamodb"):
            described["KMSMasterKeyArn"] = managed_key_arn("dynamodb")
        return described

    tables._sse_description_from_spec = describe_by_key_arn


def managed_key_arn(service: str) -> str:
    """ARN of a service's AWS managed key in the current region, made when needed."""
    return str(module("services.kms")._resolve_key(f"alias/aws/{service}")["Arn"])


def _make(keys: Any, alias: str) -> Any:
    service = alias.removeprefix("alias/aws/")
    created = json.loads(
        keys._create_key({"Description": f"Default key that protects my {service} data when no other key is defined"})[
            2
        ]
    )
    record = keys._keys[created["KeyMetadata"]["KeyId"]]
    record[_MANAGED] = True
    record["KeyRotationEnabled"] = True
    alias_arn = keys._alias_arn(alias)
    keys._aliases[alias_arn] = record["KeyId"]
    keys._stamp_alias(alias_arn, created=True)
    return record
