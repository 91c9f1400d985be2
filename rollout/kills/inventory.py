"""What is there: in AWS, as far as the drilled layers make it, and in the states."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from rollout.project import Project
from shared.contracts import StackId
from shared.site import Site, state_key


def inventory(project: Project, stacks: Iterable[StackId]) -> Counter[str]:
    """Everything of the environment by kind and name, and every address in the states of these stacks; what is there
    twice counts two."""
    found: Counter[str] = Counter()
    for region in project.environment.regions:
        found.update(f"{region} {thing}" for thing in _in_region(project, region))
    for stack in stacks:
        found.update(f"{stack} {address}" for address in _addresses(project, stack))
    return found


def _in_region(project: Project, region: str) -> Iterable[str]:
    suffix = project.environment.suffix

    def client(service: str) -> Any:
        return project.target.client(service, region)

    filters = [{"Name": "key", "Values": ["Name"]}, {"Name": "value", "Values": [f"*-{suffix}"]}]
    for page in client("ec2").get_paginator("describe_tags").paginate(Filters=filters):
        for tag in page["Tags"]:
            yield f"{tag['ResourceType']} {tag['Value']}"
    yield from _keys(client("kms"), suffix)
    for page in client("dynamodb").get_paginator("list_tables").paginate():
        for table in page["TableNames"]:
            if table.endswith(suffix):
                yield f"table {table}"
    state_bucket = Site(project.environment, region).state_bucket
    for bucket in client("s3").list_buckets()["Buckets"]:
        if bucket["Name"].endswith(f"-{region}-{suffix}") and bucket["Name"] != state_bucket:
            yield f"bucket {bucket['Name']}"


def _keys(kms: Any, suffix: str) -> Iterable[str]:
    for page in kms.get_paginator("list_keys").paginate():
        for key in page["Keys"]:
            facts = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
            if suffix in facts.get("Description", "") and facts["KeyState"] == "Enabled":
                yield f"key {facts['Description']}"
    for page in kms.get_paginator("list_aliases").paginate():
        for alias in page["Aliases"]:
            if alias["AliasName"].endswith(suffix):
                yield f"alias {alias['AliasName']}"


def _addresses(project: Project, stack: StackId) -> Iterable[str]:
    body = project.store.read_document(stack, state_key(str(stack)).rpartition("/")[2])
    resources = json.loads(body)["resources"] if body else []
    for one in resources:
        if one["mode"] == "managed":
            for instance in one["instances"]:
                key = f"[{json.dumps(instance['index_key'])}]" if "index_key" in instance else ""
                deposed = f" deposed {instance['deposed']}" if "deposed" in instance else ""
                yield f"{one['type']}.{one['name']}{key}{deposed}"
