"""Terraform's remote state: the buckets it lives in, what it says is deployed, and who holds its locks (LAY-06).

One bucket per region, so that one region's outage doesn't stop work on the others. The engine reads the state objects
itself: that takes milliseconds where `terraform show` takes seconds.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from rollout.target import Target, one_line
from shared.config import Environment
from shared.contracts import StackId
from shared.errors import TripointError, UsageError
from shared.site import PARTITION, Site, state_key

LAYER = "state"
# Answers to a conditional write: somebody was faster.
_TAKEN = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")
_LOCK_ATTEMPTS = 5
_ABSENT = ("NoSuchKey", "NoSuchBucket", "404", "NotFound")
# One DeleteObjects request takes at most this many keys.
_DELETE_BATCH = 1000


class StateError(TripointError):
    """The remote state can't be read or prepared."""


@dataclass(frozen=True)
class DeployedStack:
    """What the state of a stack says.

    ``resources`` counts managed resource instances; ``outputs`` holds strings and lists.
    """

    stack: StackId
    serial: int
    changed_at: datetime
    resources: int
    outputs: dict[str, Any]
    terraform_version: str
    lineage: str = ""

    @property
    def is_deployed(self) -> bool:
        """A destroyed stack leaves a state behind, with nothing in it."""
        return self.resources > 0 or bool(self.outputs)


@dataclass(frozen=True)
class StateLock:
    """Who holds the lock of a stack's state."""

    stack: StackId
    id: str
    who: str
    operation: str
    created: str

    def __str__(self) -> str:
        operation = self.operation.removeprefix("OperationType").lower() or "an operation"
        return f"{self.stack}: state is locked by {self.who} since {self.created} ({operation}, lock id {self.id})"

    @property
    def remedy(self) -> str:
        return f"if that run is dead, release it with: tripoint unlock {self.stack} --id {shlex.quote(self.id)}"


class StateStore:
    """The remote state of an environment."""

    def __init__(self, environment: Environment, target: Target) -> None:
        self._environment = environment
        self._target = target

    # -- what is deployed -------------------------------------------------------------------------

    def read(self, stack: StackId) -> DeployedStack | None:
        """A stack's state, or None when it has never been deployed."""
        found = self._get(stack, state_key(str(stack)))
        return None if found is None else parse_state(stack, found["Body"].read(), found["LastModified"])

    def deployed(self, stacks: Iterable[StackId]) -> dict[StackId, DeployedStack]:
        """Those of the stacks that are deployed, in the order given."""
        with ThreadPoolExecutor(max_workers=8) as pool:
            states = pool.map(self.read, stacks)
            return {state.stack: state for state in states if state is not None and state.is_deployed}

    def within_reach(self, stacks: Iterable[StackId]) -> tuple[dict[StackId, DeployedStack], dict[StackId, StateError]]:
        """Those of the stacks that are deployed, and why of which nobody can tell."""

        def look(stack: StackId) -> DeployedStack | StateError | None:
            try:
                return self.read(stack)
            except StateError as error:
                return error

        wanted = list(stacks)
        with ThreadPoolExecutor(max_workers=8) as pool:
            found = dict(zip(wanted, pool.map(look, wanted), strict=True))
        deployed = {stack: one for stack, one in found.items() if isinstance(one, DeployedStack) and one.is_deployed}
        return deployed, {stack: one for stack, one in found.items() if isinstance(one, StateError)}

    def strays(self, known: Collection[StackId]) -> dict[StackId, DeployedStack]:
        """Stacks that are deployed in the environment's regions and are not among the known ones."""
        with ThreadPoolExecutor(max_workers=8) as pool:
            found = [stack for stacks in pool.map(self._stacks_in, self._environment.regions) for stack in stacks]
        return self.deployed(stack for stack in found if stack not in known)

    def _stacks_in(self, region: str) -> list[StackId]:
        if not self.has_bucket(region):
            return []
        try:
            pages = (
                self._target.client("s3", region).get_paginator("list_objects_v2").paginate(Bucket=self._bucket(region))
            )
            keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        except (ClientError, BotoCoreError) as error:
            raise StateError(f"state bucket {self._bucket(region)}: {one_line(error)}") from error
        ending = state_key(f"-{region}")
        return [StackId(key.removesuffix(ending), region) for key in keys if key.endswith(ending)]

    # -- documents beside the states --------------------------------------------------------------

    def read_document(self, stack: StackId, name: str) -> bytes | None:
        """A document that was put beside a stack's state; None when there is none."""
        found = self._get(stack, _beside(stack, name))
        return None if found is None else bytes(found["Body"].read())

    def write_document(self, stack: StackId, name: str, body: bytes) -> None:
        """Put a document beside a stack's state."""
        bucket = self._bucket(stack.region)
        self._call(stack.region, "put_object", Bucket=bucket, Key=_beside(stack, name), Body=body)

    def delete_document(self, stack: StackId, name: str) -> None:
        """Remove a document from beside a stack's state; it need not be there."""
        self._call(stack.region, "delete_object", Bucket=self._bucket(stack.region), Key=_beside(stack, name))

    # -- locks ------------------------------------------------------------------------------------

    def lock(self, stack: StackId) -> StateLock | None:
        """Who holds a stack's lock now."""
        found = self._get(stack, _lock_key(stack))
        return None if found is None else parse_lock(stack, found["Body"].read())

    def locks(self, stacks: Iterable[StackId]) -> list[StateLock]:
        with ThreadPoolExecutor(max_workers=8) as pool:
            return [lock for lock in pool.map(self.lock, stacks) if lock is not None]

    def acquire(self, lock: StateLock) -> StateLock | None:
        """Take the lock of a stack's state, in the way and the form of Terraform's S3 backend, which then refuses.

        Returns
        -------
        lock or None
            Who else holds it; None when it is held by this id now.
        """
        bucket, key = self._bucket(lock.stack.region), _lock_key(lock.stack)
        path = f"{bucket}/{state_key(str(lock.stack))}"
        for _ in range(_LOCK_ATTEMPTS):
            held = self.lock(lock.stack)
            if held is not None:
                return None if held.id == lock.id else held
            try:
                self._target.client("s3", lock.stack.region).put_object(
                    Bucket=bucket, Key=key, Body=render_lock(lock, path), IfNoneMatch="*"
                )
                return None
            except ClientError as error:
                if error.response["Error"]["Code"] not in _TAKEN:
                    raise StateError(f"lock of {lock.stack}: {one_line(error)}") from error
            except BotoCoreError as error:
                raise StateError(f"lock of {lock.stack}: {one_line(error)}") from error
        raise StateError(f"lock of {lock.stack}: taken and given up again faster than anybody can look")

    def release(self, lock: StateLock) -> None:
        """Give a lock back; nothing happens when somebody else has taken it away."""
        held = self.lock(lock.stack)
        if held is not None and held.id == lock.id:
            self._call(
                lock.stack.region, "delete_object", Bucket=self._bucket(lock.stack.region), Key=_lock_key(lock.stack)
            )

    def unlock(self, stack: StackId, lock_id: str) -> StateLock:
        """Release a lock that a dead run left behind, as `terraform force-unlock` does.

        Raises
        ------
        UsageError
            When the stack is not locked, or by another id: a live run may hold it.
        """
        held = self.lock(stack)
        if held is None:
            raise UsageError(f"{stack} is not locked")
        if held.id != lock_id:
            raise UsageError(f"{stack} is locked with id {held.id!r}, not {lock_id!r}; held by {held.who}")
        self._call(stack.region, "delete_object", Bucket=self._bucket(stack.region), Key=_lock_key(stack))
        return held

    # -- buckets ----------------------------------------------------------------------------------

    def create_buckets(self, regions: Collection[str] | None = None) -> list[str]:
        """Make the state buckets of these regions (default: all), or bring existing ones to what they must be. Returns
        those made new."""
        with ThreadPoolExecutor(max_workers=8) as pool:
            wanted = [region for region in self._environment.regions if regions is None or region in regions]
            made = list(pool.map(self._create_bucket, wanted))
        return [name for name in made if name is not None]

    def remove_buckets(self) -> list[str]:
        """Delete every region's state bucket with all versions of all states. Never in production.

        Returns the names of the buckets that were there.
        """
        if self._environment.protection.production:
            raise StateError("the state buckets of a production environment are never removed")
        with ThreadPoolExecutor(max_workers=8) as pool:
            gone = list(pool.map(self._remove_bucket, self._environment.regions))
        return [name for name in gone if name is not None]

    def _create_bucket(self, region: str) -> str | None:
        site = Site(self._environment, region)
        name = site.state_bucket
        new = not self.has_bucket(region)
        if new:
            place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
            self._call(region, "create_bucket", Bucket=name, **place)
        self._call(
            region,
            "put_public_access_block",
            Bucket=name,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": True,
                "RestrictPublicBuckets": True,
            },
        )
        self._call(
            region,
            "put_bucket_encryption",
            Bucket=name,
            ServerSideEncryptionConfiguration={
                "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": True}]
            },
        )
        self._call(region, "put_bucket_versioning", Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        self._call(region, "put_bucket_policy", Bucket=name, Policy=json.dumps(tls_only_policy(name)))
        tags = {**site.tags(LAYER), "ManagedBy": "tripoint"}
        self._call(
            region,
            "put_bucket_tagging",
            Bucket=name,
            Tagging={"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]},
        )
        return name if new else None

    def _remove_bucket(self, region: str) -> str | None:
        if not self.has_bucket(region):
            return None
        name = self._bucket(region)
        pages = self._target.client("s3", region).get_paginator("list_object_versions").paginate(Bucket=name)
        try:
            doomed = [
                {"Key": entry["Key"], "VersionId": entry["VersionId"]}
                for page in pages
                for entry in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            ]
        except (ClientError, BotoCoreError) as error:
            raise StateError(f"state bucket {name}: {one_line(error)}") from error
        for start in range(0, len(doomed), _DELETE_BATCH):
            batch = {"Objects": doomed[start : start + _DELETE_BATCH], "Quiet": True}
            self._call(region, "delete_objects", Bucket=name, Delete=batch)
        self._call(region, "delete_bucket", Bucket=name)
        return name

    def has_bucket(self, region: str) -> bool:
        """Whether a region's state bucket is there."""
        name = self._bucket(region)
        try:
            self._target.client("s3", region).head_bucket(
                Bucket=name, ExpectedBucketOwner=self._environment.target.account_id
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _ABSENT:
                return False
            raise StateError(f"state bucket {name}: {one_line(error)}") from error
        except BotoCoreError as error:
            raise StateError(f"state bucket {name}: {one_line(error)}") from error
        return True

    def _bucket(self, region: str) -> str:
        return Site(self._environment, region).state_bucket

    def _get(self, stack: StackId, key: str) -> Any:
        try:
            return self._target.client("s3", stack.region).get_object(Bucket=self._bucket(stack.region), Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in _ABSENT:
                return None
            raise StateError(f"state of {stack}: {one_line(error)}") from error
        except BotoCoreError as error:
            raise StateError(f"state of {stack}: {one_line(error)}") from error

    def _call(self, region: str, operation: str, **arguments: Any) -> Any:
        try:
            return getattr(self._target.client("s3", region), operation)(**arguments)
        except (ClientError, BotoCoreError) as error:
            raise StateError(f"state bucket {arguments['Bucket']}: {one_line(error)}") from error


def parse_state(stack: StackId, body: bytes, changed_at: datetime) -> DeployedStack:
    """Read a Terraform state, format version 4."""
    try:
        state = json.loads(body)
        return DeployedStack(
            stack=stack,
            serial=int(state["serial"]),
            changed_at=changed_at,
            resources=sum(
                len(resource["instances"]) for resource in state.get("resources", []) if resource["mode"] == "managed"
            ),
            outputs={name: output["value"] for name, output in state.get("outputs", {}).items()},
            terraform_version=str(state.get("terraform_version", "")),
            lineage=str(state.get("lineage", "")),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StateError(f"state of {stack} is not a Terraform state: {one_line(error)}") from error


def parse_lock(stack: StackId, body: bytes) -> StateLock:
    """Read the lock file that Terraform's S3 backend writes beside a state."""
    try:
        found = json.loads(body)
    except ValueError:
        found = {}
    if not isinstance(found, dict):
        found = {}
    return StateLock(
        stack=stack,
        id=str(found.get("ID", "")),
        who=" ".join(str(found.get("Who") or "somebody unknown").split()),
        operation=str(found.get("Operation", "")),
        created=str(found.get("Created") or "an unknown time")[:19],
    )


def render_lock(lock: StateLock, path: str) -> bytes:
    """A lock as Terraform writes it (statemgr.LockInfo), so that Terraform's refusals name the holder."""
    facts = {
        "ID": lock.id,
        "Operation": lock.operation,
        "Info": "",
        "Who": lock.who,
        "Version": "",
        "Created": lock.created,
        "Path": path,
    }
    return json.dumps(facts).encode()


def tls_only_policy(bucket: str) -> dict[str, Any]:
    """Deny every request to a bucket that doesn't come over TLS."""
    arn = f"arn:{PARTITION}:s3:::{bucket}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [arn, f"{arn}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }


def _beside(stack: StackId, name: str) -> str:
    return f"{state_key(str(stack)).rpartition('/')[0]}/{name}"


def _lock_key(stack: StackId) -> str:
    return f"{state_key(str(stack))}.tflock"
