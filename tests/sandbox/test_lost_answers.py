"""A request of the Terraform provider that is sent again was answered before, and is not carried out twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.clients import Clients

TERRAFORM = "APN/1.0 HashiCorp/1.0 Terraform/1.11.4 terraform-provider-aws/5.100.0 aws-sdk-go-v2/1.36.3"
FUNCTION = "Boto3/1.40 lambda"


def sending(clients: Clients, agent: str) -> Callable[..., Any]:
    """Calls DynamoDB as this client: `call(operation, id, **request)`, with the id that its SDK gives a request."""
    dynamodb = Clients(clients.endpoint)("dynamodb")
    identity = {"User-Agent": agent}
    dynamodb.meta.events.register("before-send.dynamodb", lambda request, **_: request.headers.update(identity))

    def call(operation: str, id: str, **request: Any) -> Any:
        identity["amz-sdk-invocation-id"] = id
        return getattr(dynamodb, operation)(**request)

    return call


def table(name: str) -> dict[str, Any]:
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    }


def test_terraform_gets_the_answer_that_it_lost(aws: Clients, plain_aws: Clients) -> None:
    call = sending(aws, TERRAFORM)
    first = call("create_table", "again-1", **table("lost"))
    again = call("create_table", "again-1", **table("lost"))
    assert again["TableDescription"] == first["TableDescription"]
    with pytest.raises(ClientError, match="ResourceInUseException"):
        call("create_table", "again-2", **table("lost"))
    plain = sending(plain_aws, TERRAFORM)
    plain("create_table", "again-1", **table("lost"))
    with pytest.raises(ClientError, match="ResourceInUseException"):
        plain("create_table", "again-1", **table("lost"))


def test_what_failed_is_tried_again(aws: Clients) -> None:
    call = sending(aws, TERRAFORM)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        call("describe_table", "later", TableName="later")
    call("create_table", "later-made", **table("later"))
    assert call("describe_table", "later", TableName="later")["Table"]["TableName"] == "later"


def test_what_a_function_asks_for_again_is_done_again(aws: Clients) -> None:
    """PAY-23: the platform lives with lost answers, so the sandbox does not hide them from it."""
    call = sending(aws, FUNCTION)
    call("create_table", "function", **table("twice"))
    with pytest.raises(ClientError, match="ResourceInUseException"):
        call("create_table", "function", **table("twice"))
