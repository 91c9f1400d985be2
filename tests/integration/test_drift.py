"""Somebody changes what is deployed, by hand: `tripoint drift` names the resource and the attribute."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.integration.conftest import Deployment

REGION = "eu-west-1"
Change = Callable[[], None]


def drift(deployment: Deployment, layer: str) -> tuple[int, dict[str, dict[str, Any]], str]:
    """Exit code, what was found by address, and what was said to people."""
    run = deployment.run("drift", layer, "--region", REGION, "--json")
    found = json.loads(run.stdout)
    resources = {one["address"]: one for stack in found["stacks"] for one in stack["resources"]}
    assert found["drift"] == bool(resources)
    return run.returncode, resources, run.stderr


@pytest.fixture
def table(deployment: Deployment) -> Iterator[Any]:
    """A client and the ARN of a table whose tag somebody changes, and changes back."""
    client = deployment.client("dynamodb", REGION)
    arn = deployment.outputs[f"data-{REGION}.vault_table_arn"]
    [tag] = [tag for tag in client.list_tags_of_resource(ResourceArn=arn)["Tags"] if tag["Key"] == "Owner"]
    yield client, arn, tag["Value"]
    client.tag_resource(ResourceArn=arn, Tags=[tag])


@pytest.fixture
def queue(deployment: Deployment) -> Iterator[Any]:
    client = deployment.client("sqs", REGION)
    url = client.get_queue_url(QueueName=deployment.outputs[f"compute-{REGION}.changes_dlq_name"])["QueueUrl"]
    before = client.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
    yield client, url, int(before["VisibilityTimeout"])
    client.set_queue_attributes(QueueUrl=url, Attributes=before)


def test_nothing_is_named_while_nobody_has_changed_anything(deployment: Deployment) -> None:
    code, resources, said = drift(deployment, f"data-{REGION}")
    assert (code, resources) == (0, {}), said


def test_a_changed_tag_is_named(deployment: Deployment, table: Any) -> None:
    client, arn, owner = table
    client.tag_resource(ResourceArn=arn, Tags=[{"Key": "Owner", "Value": "somebody"}])
    code, resources, said = drift(deployment, f"data-{REGION}")
    assert code == 3, said
    [(address, found)] = resources.items()
    assert address.startswith("aws_dynamodb_table.vault")
    assert found["attributes"] == [{"path": "tags.Owner", "before": owner, "after": "somebody"}]
    assert f'  tags.Owner: "{owner}" -> "somebody"' in said.splitlines()


def test_a_changed_attribute_is_named(deployment: Deployment, queue: Any) -> None:
    client, url, seconds = queue
    client.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": str(seconds + 47)})
    code, resources, said = drift(deployment, f"compute-{REGION}")
    assert code == 3, said
    [(address, found)] = resources.items()
    assert address.startswith("aws_sqs_queue.changes-dlq")
    assert found["attributes"] == [{"path": "visibility_timeout_seconds", "before": seconds, "after": seconds + 47}]
