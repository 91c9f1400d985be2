"""An object is replicated to every destination that a rule names, under the destination's key.

Upstream: only the first matching rule is followed, so of several destinations one gets the object; a replica
keeps the source's KMS key; there are no AWS/S3 replication metrics, and nobody is told of a failure.

AWS: "the rules are evaluated per destination bucket; of several for one destination the highest priority
counts" ("Replication configuration file elements", S3 User Guide); `ReplicaKmsKeyID` encrypts the replica, and
objects under a KMS key are replicated only if `SseKmsEncryptedObjects` is enabled ("Replicating encrypted
objects"); latency and pending operations are published in the destination's region, failures in the source's
("Using S3 Replication metrics"); with metrics enabled on the rule, a bucket's notifications tell of what failed
("Receiving replication failure events with Amazon S3 Event Notifications").

With IAM enforced the role of the configuration must allow reading, writing and both keys ("Setting up permissions
for live replication"); an object that may not be replicated is FAILED.

Patched: `_replication_rule_for`, `_maybe_replicate`, `_maybe_replicate_delete_marker`, `_fire_s3_event_async`.
Replication is synchronous: nothing is ever pending, and nothing is late.
"""

from __future__ import annotations

import logging
import time
from contextvars import ContextVar
from typing import Any

from rollout.sandbox.emulator import module, wrap
from rollout.sandbox.extensions.iam_record import default_key
from rollout.sandbox.iam import Question, key_refusal, role_refusal

Rule = dict[str, Any]

SERVICE = "s3.amazonaws.com"

logger = logging.getLogger("tripoint.replication")

FAILED_EVENT = "s3:Replication:OperationFailedReplication"

_ALGORITHM = "x-amz-server-side-encryption"
_KEY = "x-amz-server-side-encryption-aws-kms-key-id"

# The rule whose destination is being written to.
_chosen: ContextVar[Rule | None] = ContextVar("tripoint_replication_rule", default=None)


def apply() -> None:
    storage = module("services.s3")
    # What failed and is to be told of once the object has its version.
    failed: dict[tuple[str, str], list[Rule]] = {}

    def rule_for(original: Any, bucket: str, key: str, tags: Any) -> Any:
        chosen = _chosen.get()
        if chosen is None:
            return original(bucket, key, tags)
        return chosen, _role(storage, bucket)

    def replicate(original: Any, bucket: str, key: str, record: Any, *written: Any) -> None:
        tags, states = written[1] if len(written) > 1 else None, []
        for rule in _rules(storage, bucket, key, tags or {}):
            if _stays(storage, rule, record):
                continue
            started, token = time.time(), _chosen.set(rule)
            refused = _refusal(storage, bucket, key, rule, tagged=bool(tags))
            try:
                if not refused:
                    original(bucket, key, record, *written)
            finally:
                _chosen.reset(token)
            states.append("FAILED" if refused else record["replication_status"])
            if states[-1] == "COMPLETED":
                _encrypt(storage, rule, key)
            elif _measured(rule):
                failed.setdefault((bucket, key), []).append(rule)
            _measure(storage, bucket, rule, failed=states[-1] == "FAILED", seconds=time.time() - started)
        if states:
            record["replication_status"] = "FAILED" if "FAILED" in states else "COMPLETED"

    def replicate_marker(_: Any, bucket: str, key: str) -> None:
        for rule in _rules(storage, bucket, key, {}):
            enabled = (rule.get("DeleteMarkerReplication") or {}).get("Status") == "Enabled"
            if "Filter" in rule and (storage._replication_rule_tags(rule) or not enabled):
                continue
            target = storage._replication_destination(bucket, key, rule, _role(storage, bucket))
            if target is not None and not _marker_refusal(storage, bucket, key, rule):
                name, account, destination = target
                with storage._in_account(account):
                    storage._record_delete_marker(name, key, destination["objects"].get(key))
                    destination["objects"].pop(key, None)

    def fire(original: Any, bucket: str, key: str, event: str, *more: Any, **options: Any) -> None:
        original(bucket, key, event, *more, **options)
        if event.startswith("s3:ObjectCreated:"):
            for rule in failed.pop((bucket, key), []):
                told = {"replicationEventData": _failure(storage, rule)}
                original(bucket, key, FAILED_EVENT, *more, **{**options, "record_extra": told})

    wrap(storage, "_fire_s3_event_async", fire)
    wrap(storage, "_replication_rule_for", rule_for)
    wrap(storage, "_maybe_replicate", replicate)
    wrap(storage, "_maybe_replicate_delete_marker", replicate_marker)


def _rules(storage: Any, bucket: str, key: str, tags: dict[str, str]) -> list[Rule]:
    """The rule of each destination that covers an object: the one of highest priority."""
    configuration = storage._bucket_replication.get(bucket)
    if not configuration or storage._bucket_versioning.get(bucket) != "Enabled":
        return []
    covering = [
        rule
        for rule in configuration.get("Rules", [])
        if rule.get("Status") == "Enabled"
        and key.startswith(storage._replication_rule_prefix(rule))
        and all(tags.get(name) == value for name, value in storage._replication_rule_tags(rule).items())
    ]
    covering.sort(key=lambda rule: int(rule.get("Priority") or 0))
    return list({_destination(rule): rule for rule in covering}.values())


def _destination(rule: Rule) -> str:
    return str((rule.get("Destination") or {}).get("Bucket", "")).rsplit(":", 1)[-1]


def _stays(storage: Any, rule: Rule, record: Any) -> bool:
    """Whether an object stays where it is because it's encrypted and the rule doesn't take such objects."""
    criteria = (rule.get("SourceSelectionCriteria") or {}).get("SseKmsEncryptedObjects") or {}
    encrypted = storage._stored_sse_headers(record).get(_ALGORITHM) == "aws:kms"
    return encrypted and criteria.get("Status") != "Enabled"


def _role(storage: Any, bucket: str) -> str:
    return str((storage._bucket_replication.get(bucket) or {}).get("Role", ""))


def _refusal(storage: Any, bucket: str, key: str, rule: Rule, *, tagged: bool) -> str:
    """Why the role of the configuration can't replicate an object to a rule's destination."""
    source, target = f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{_destination(rule)}"
    role = _role(storage, bucket)
    asked = [
        Question("s3:GetReplicationConfiguration", source),
        Question("s3:ListBucket", source),
        Question("s3:GetObjectVersionForReplication", f"{source}/{key}"),
        Question("s3:GetObjectVersionAcl", f"{source}/{key}"),
        Question("s3:ReplicateObject", f"{target}/{key}"),
    ]
    if tagged:
        asked += [
            Question("s3:GetObjectVersionTagging", f"{source}/{key}"),
            Question("s3:ReplicateTags", f"{target}/{key}"),
        ]
    refused = role_refusal(role, SERVICE, source, *asked)
    ends = ((default_key(bucket), "kms:Decrypt", bucket), (_replica_key(rule), "kms:Encrypt", _destination(rule)))
    for kms_key, action, end in ends:
        region = str(kms_key).split(":")[3] if str(kms_key).startswith("arn:") else storage.bucket_region(end)
        context = {"kms:ViaService": f"s3.{region}.amazonaws.com"}
        refused = refused or key_refusal(kms_key, (action,), context, role=role, service=SERVICE)
    if refused:
        logger.warning("replication of %s/%s: %s", bucket, key, refused)
    return refused


def _marker_refusal(storage: Any, bucket: str, key: str, rule: Rule) -> str:
    """Why a delete marker can't be replicated."""
    source, target = f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{_destination(rule)}"
    asked = (
        Question("s3:GetReplicationConfiguration", source),
        Question("s3:ListBucket", source),
        Question("s3:ReplicateDelete", f"{target}/{key}"),
    )
    return role_refusal(_role(storage, bucket), SERVICE, source, *asked)


def _replica_key(rule: Rule) -> str | None:
    wanted = ((rule.get("Destination") or {}).get("EncryptionConfiguration") or {}).get("ReplicaKmsKeyID")
    return str(wanted) if wanted else None


def _encrypt(storage: Any, rule: Rule, key: str) -> None:
    wanted = _replica_key(rule)
    if not wanted:
        return
    name = _destination(rule)
    current = storage._buckets[name]["objects"][key]
    versions = storage._object_versions.get((name, key)) or []
    for record in [current, *(entry for entry in versions if entry.get("is_latest"))]:
        record["preserved_headers"] = {**record.get("preserved_headers", {}), _ALGORITHM: "aws:kms", _KEY: wanted}


def _failure(storage: Any, rule: Rule) -> dict[str, str]:
    """What AWS tells of a failure, with a reason of "Amazon S3 replication failure reasons"."""
    name = _destination(rule)
    there = storage._bucket_owner_account(name) is not None
    return {
        "replicationRuleId": rule.get("ID", ""),
        "destinationBucket": f"arn:aws:s3:::{name}",
        "s3Operation": "OBJECT_PUT",
        "requestTime": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
        "failureReason": "DstBucketUnversioned" if there else "DstBucketNotFound",
    }


def _measured(rule: Rule) -> bool:
    return bool(((rule.get("Destination") or {}).get("Metrics") or {}).get("Status") == "Enabled")


def _measure(storage: Any, bucket: str, rule: Rule, *, failed: bool, seconds: float) -> None:
    if not _measured(rule):
        return
    name, account = _destination(rule), storage.get_account_id()
    dimensions = {"SourceBucket": bucket, "DestinationBucket": name, "RuleId": rule.get("ID", "")}
    record, scope = module("services.cloudwatch").record_metric, module("core.responses").request_scope
    with scope(account, storage.bucket_region(bucket)):
        record("AWS/S3", "OperationsFailedReplication", int(failed), "Count", dimensions)
    if not failed:
        with scope(account, storage.bucket_region(name)):
            record("AWS/S3", "ReplicationLatency", seconds, "Seconds", dimensions)
            record("AWS/S3", "OperationsPendingReplication", 0, "Count", dimensions)
            record("AWS/S3", "BytesPendingReplication", 0, "Bytes", dimensions)
