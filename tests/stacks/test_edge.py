"""The edge layer's promises, on the synthesized stacks."""

from __future__ import annotations

import json

from tests.stacks.conftest import Synthesized


def test_three_routes_to_one_function_validated(sandbox: Synthesized) -> None:
    """PAY-08: REST API with request validation."""
    stack = "edge-us-east-1"
    methods = sandbox.resources(stack, "aws_api_gateway_method").values()
    assert sorted(method["http_method"] for method in methods) == ["GET", "GET", "POST"]
    assert all(method["request_validator_id"] for method in methods)
    (post,) = [method for method in methods if method["http_method"] == "POST"]
    assert post["request_parameters"] == {"method.request.header.Idempotency-Key": True}
    validator = sandbox.only(stack, "aws_api_gateway_request_validator")
    assert validator["validate_request_body"] is True
    assert validator["validate_request_parameters"] is True
    assert all(i["type"] == "AWS_PROXY" for i in sandbox.resources(stack, "aws_api_gateway_integration").values())


def test_stage_logs_accesses_traces_and_throttles(sandbox: Synthesized) -> None:
    """PAY-08: access logs; throttling."""
    stage = sandbox.only("edge-us-east-1", "aws_api_gateway_stage")
    assert json.loads(stage["access_log_settings"]["format"])["requestId"] == "$context.requestId"
    assert stage["xray_tracing_enabled"] is True
    settings = sandbox.only("edge-us-east-1", "aws_api_gateway_method_settings")
    assert settings["method_path"] == "*/*"
    assert settings["settings"]["throttling_rate_limit"] == 100
    assert settings["settings"]["throttling_burst_limit"] == 200


def test_deployment_follows_the_definition(sandbox: Synthesized) -> None:
    """PAY-08: a changed API is published: the trigger changes with it, and the old deployment lives until then."""
    deployment = sandbox.only("edge-us-east-1", "aws_api_gateway_deployment")
    assert len(deployment["triggers"]["definition"]) == 64
    assert deployment["lifecycle"] == {"create_before_destroy": True}
    depends = " ".join(deployment["depends_on"])
    for kind in ("aws_api_gateway_method.", "aws_api_gateway_integration.", "aws_api_gateway_gateway_response."):
        assert kind in depends


def test_only_this_api_may_invoke_the_function(sandbox: Synthesized) -> None:
    """PAY-13: the function's permission names the API."""
    permission = sandbox.only("edge-us-east-1", "aws_lambda_permission")
    assert permission["source_arn"].startswith("${aws_api_gateway_rest_api.")


def test_where_the_api_answers_follows_from_the_target(sandbox: Synthesized, aws: Synthesized) -> None:
    """PAY-20: the published URL is the one that answers."""
    assert sandbox.stack("edge-us-east-1")["output"]["api_url"]["value"].startswith("http://127.0.0.1:4566/restapis/")
    url = aws.stack("edge-eu-west-1")["output"]["api_url"]["value"]
    assert url.startswith("https://${")
    assert url.endswith(".execute-api.eu-west-1.amazonaws.com/v1")
