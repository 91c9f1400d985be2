"""The edge layer's promises, on the synthesized stacks."""

from __future__ import annotations

import copy
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.config import parse
from shared.contracts import StackId
from stacks.catalogue import graph_of
from stacks.synth import synthesize
from tests.stacks.conftest import Synthesized

HOME, ZONE = "edge-us-east-1", "edge-zone-us-east-1"
SANDBOX = tomllib.loads(Path("config/sandbox.toml").read_text())
AWS = tomllib.loads(Path("config/example-aws.toml").read_text())
# Primary second, by name and by place in the file.
ODD_PRIMARY = {
    "us-east-1": {"cidr": "10.10.0.0/16"},
    "us-east-2": {"cidr": "10.20.0.0/16", "primary": True},
    "eu-west-1": {"cidr": "10.30.0.0/16"},
}
TWO_REGIONS = {"eu-west-1": {"cidr": "10.10.0.0/16"}, "sa-east-1": {"cidr": "10.20.0.0/16", "primary": True}}

Edges = Callable[..., Synthesized]


def regional(found: Synthesized) -> list[str]:
    """The edge stacks of all regions, without the zone's."""
    return [f"edge-{region}" for region in found.environment.regions]


def zone_of(found: Synthesized) -> str:
    return f"edge-zone-{found.environment.primary}"


@pytest.fixture(scope="module")
def edges(tmp_path_factory: pytest.TempPathFactory) -> Edges:
    """Synthesize the edge stacks of a configuration after changes (`a/b/c` -> value), once for each."""
    known: dict[str, Synthesized] = {}

    def of(raw: dict[str, Any], changes: dict[str, Any] | None = None, *, fresh: bool = False) -> Synthesized:
        raw = copy.deepcopy(raw)
        for key, value in (changes or {}).items():
            *path, last = key.split("/")
            section = raw
            for part in path:
                section = section.setdefault(part, {})
            section[last] = value
        label = json.dumps(raw, sort_keys=True)
        if fresh or label not in known:
            environment = parse(raw, source="test.toml")
            out = tmp_path_factory.mktemp("edge")
            only = [*(f"edge-{region}" for region in environment.regions), f"edge-zone-{environment.primary}"]
            synthesize(environment, out=out, functions=Path(".tripoint/functions"), only=only)
            known[label] = Synthesized(environment, out)
        return known[label]

    return of


@pytest.fixture(scope="module")
def sandbox(edges: Edges) -> Synthesized:
    return edges(SANDBOX)


@pytest.fixture(scope="module")
def aws(edges: Edges) -> Synthesized:
    return edges(AWS)


@pytest.fixture(params=["sandbox", "aws", "odd primary", "two regions"])
def every(request: pytest.FixtureRequest, edges: Edges) -> Synthesized:
    """Three regions, a given zone, another primary, two regions."""
    match request.param:
        case "sandbox":
            return edges(SANDBOX)
        case "aws":
            return edges(AWS)
        case "odd primary":
            return edges(SANDBOX, {"regions": ODD_PRIMARY})
        case _:
            return edges(SANDBOX, {"regions": TWO_REGIONS})


# -- the API ---------------------------------------------------------------------------------------


def test_every_route_goes_to_one_function_validated(sandbox: Synthesized) -> None:
    """PAY-08: REST API with request validation."""
    methods = sandbox.resources(HOME, "aws_api_gateway_method").values()
    assert sorted(method["http_method"] for method in methods) == ["GET", "GET", "GET", "POST"]
    assert all(method["request_validator_id"] for method in methods)
    (post,) = [method for method in methods if method["http_method"] == "POST"]
    assert post["request_parameters"] == {"method.request.header.Idempotency-Key": True}
    validator = sandbox.only(HOME, "aws_api_gateway_request_validator")
    assert validator["validate_request_body"] is True
    assert validator["validate_request_parameters"] is True
    assert all(i["type"] == "AWS_PROXY" for i in sandbox.resources(HOME, "aws_api_gateway_integration").values())


def test_stage_logs_accesses_and_traces(sandbox: Synthesized) -> None:
    """PAY-08: access logs."""
    stage = sandbox.only(HOME, "aws_api_gateway_stage")
    assert json.loads(stage["access_log_settings"]["format"])["requestId"] == "$context.requestId"
    assert stage["xray_tracing_enabled"] is True


def test_new_payments_are_limited_and_the_rest_less(edges: Edges) -> None:
    """PAY-08: throttling, per route and region; limits of a method replace those of the stage, so both are complete."""
    found = edges(SANDBOX, {"api/reads_per_payment": 3, "regions/eu-west-1/api": {"rate_limit": 7, "burst_limit": 9}})
    for stack, submit, rest in ((HOME, (100, 200), (300, 600)), ("edge-eu-west-1", (7, 9), (21, 27))):
        settings = {
            entry["method_path"]: entry["settings"]
            for entry in found.resources(stack, "aws_api_gateway_method_settings").values()
        }
        assert set(settings) == {"*/*", "payments/POST"}
        for path, limits in (("payments/POST", submit), ("*/*", rest)):
            assert (settings[path]["throttling_rate_limit"], settings[path]["throttling_burst_limit"]) == limits
            assert settings[path]["metrics_enabled"] is True
            assert settings[path]["logging_level"] == "ERROR"
            assert settings[path]["data_trace_enabled"] is False


def test_limits_are_set_one_after_the_other(sandbox: Synthesized) -> None:
    """PAY-08: two updates of one stage at the same time are a ConflictException."""
    settings = sandbox.resources(HOME, "aws_api_gateway_method_settings")
    (first,) = [name for name, entry in settings.items() if entry["method_path"] == "*/*"]
    (second,) = [entry for entry in settings.values() if entry["method_path"] != "*/*"]
    assert second["depends_on"] == [f"aws_api_gateway_method_settings.{first}"]


def test_the_regions_own_host_stays_open(every: Synthesized) -> None:
    """PAY-08, PAY-23: health checks and tests of one region ask the region's own host."""
    for stack in regional(every):
        assert every.only(stack, "aws_api_gateway_rest_api")["disable_execute_api_endpoint"] is False


def test_only_this_api_may_invoke_the_function(sandbox: Synthesized) -> None:
    """PAY-13: the function's permission names the API."""
    permission = sandbox.only(HOME, "aws_lambda_permission")
    assert permission["source_arn"].startswith("${aws_api_gateway_rest_api.")


def test_where_the_api_answers_follows_from_the_target(sandbox: Synthesized, aws: Synthesized) -> None:
    """PAY-20: the published URL is the one that answers."""
    assert sandbox.stack(HOME)["output"]["api_url"]["value"].startswith("http://127.0.0.1:4566/restapis/")
    url = aws.stack("edge-eu-west-1")["output"]["api_url"]["value"]
    assert url.startswith("https://${")
    assert url.endswith(".execute-api.eu-west-1.amazonaws.com/v1")


def test_answers_that_ask_for_patience_say_how_much(sandbox: Synthesized) -> None:
    """Back-pressure: throttled by the gateway, or by a function that is throttled, fails or takes too long."""
    answers = {
        answer["response_type"]: answer
        for answer in sandbox.resources(HOME, "aws_api_gateway_gateway_response").values()
    }
    assert (answers["THROTTLED"]["status_code"], answers["DEFAULT_5XX"]["status_code"]) == ("429", "503")
    patient = {
        kind
        for kind, answer in answers.items()
        if "gatewayresponse.header.Retry-After" in answer["response_parameters"]
    }
    assert patient == {"THROTTLED", "DEFAULT_5XX"}


# -- publishing a changed API ----------------------------------------------------------------------


def trigger(found: Synthesized) -> str:
    deployment = found.only(HOME, "aws_api_gateway_deployment")
    return str(deployment["triggers"]["definition"])


def test_deployment_follows_the_definition(sandbox: Synthesized) -> None:
    """PAY-08: all of the API is there before it is published, and the old deployment lives until the new one does."""
    deployment = sandbox.only(HOME, "aws_api_gateway_deployment")
    assert len(deployment["triggers"]["definition"]) == 64
    assert deployment["triggers"]["function"].endswith(".outputs.api_function_arn}")
    assert deployment["lifecycle"] == {"create_before_destroy": True}
    snapshot = ("gateway_response", "integration", "method", "model", "request_validator", "resource", "rest_api")
    there = {
        f"aws_api_gateway_{kind}.{name}"
        for kind in snapshot
        for name in sandbox.resources(HOME, f"aws_api_gateway_{kind}")
    }
    assert len(there) > 15
    assert there == set(deployment["depends_on"])


def with_other(construct: Any, **changes: Any) -> Callable[..., Any]:
    """The construct, made with other arguments."""
    return lambda scope, id, **arguments: construct(scope, id, **(arguments | changes))


def changed_definition(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from stacks.edge import api
    from stacks.edge.schemas import PAYMENT_REQUEST, REFUSALS, Refusal

    match what:
        case "route":
            monkeypatch.setattr(api, "ROUTES", (*api.ROUTES, api.Route("GET", "payments")))
        case "required parameter":
            monkeypatch.setattr(api, "ROUTES", (api.Route("POST", "payments", model=api.PAYMENT), *api.ROUTES[1:]))
        case "model":
            monkeypatch.setattr(api, "PAYMENT_REQUEST", PAYMENT_REQUEST | {"required": ["amount"]})
        case "refusal":
            other = Refusal("THROTTLED", "429", "throttled", "later")
            monkeypatch.setattr(api, "REFUSALS", (*(r for r in REFUSALS if r.type != "THROTTLED"), other))
        case "validator":
            validator = with_other(api.ApiGatewayRequestValidator, validate_request_body=False)
            monkeypatch.setattr(api, "ApiGatewayRequestValidator", validator)
        case "integration":
            integration = with_other(api.ApiGatewayIntegration, timeout_milliseconds=5000)
            monkeypatch.setattr(api, "ApiGatewayIntegration", integration)
        case "authorization":
            method = with_other(api.ApiGatewayMethod, authorization="AWS_IAM")
            monkeypatch.setattr(api, "ApiGatewayMethod", method)
        case "setting of the API":
            rest_api = with_other(api.ApiGatewayRestApi, binary_media_types=["image/png"])
            monkeypatch.setattr(api, "ApiGatewayRestApi", rest_api)


@pytest.mark.parametrize(
    "what",
    [
        "route",
        "required parameter",
        "model",
        "refusal",
        "validator",
        "integration",
        "authorization",
        "setting of the API",
    ],
)
def test_whatever_a_snapshot_has_triggers_a_deployment(
    what: str, sandbox: Synthesized, edges: Edges, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PAY-08, design trap 17: an API that changed is published."""
    before = trigger(sandbox)
    changed_definition(what, monkeypatch)
    two = {"regions": {region: SANDBOX["regions"][region] for region in ("us-east-1", "eu-west-1")}}
    assert trigger(edges(SANDBOX, two, fresh=True)) != before


def test_what_a_snapshot_does_not_have_triggers_none(sandbox: Synthesized, edges: Edges) -> None:
    """PAY-08: limits, health checks and other regions belong to the stage or to DNS: nothing is published for them."""
    changes = {"api/rate_limit": 1, "edge/health_interval_s": 10, "edge/waf": True, "logs/retention_days": 14}
    assert trigger(edges(SANDBOX, changes)) == trigger(sandbox)


# -- the one name ----------------------------------------------------------------------------------


def test_one_name_in_every_region_over_tls_1_2(every: Synthesized) -> None:
    """PAY-08: a custom domain name, the same in every region, with a certificate of each region and TLS 1.2."""
    for region in every.environment.regions:
        stack = f"edge-{region}"
        domain = every.only(stack, "aws_api_gateway_domain_name")
        assert domain["domain_name"] == every.environment.domain.name
        assert domain["security_policy"] == "TLS_1_2"
        assert domain["endpoint_configuration"]["types"] == ["REGIONAL"]
        # Only an issued certificate may be used: the reference is to its validation.
        assert domain["regional_certificate_arn"].startswith("${aws_acm_certificate_validation.")
        home = region == every.environment.primary
        certificate = every.only(zone_of(every) if home else stack, "aws_acm_certificate")
        assert certificate["domain_name"] == every.environment.domain.name
        assert certificate["validation_method"] == "DNS"
        assert certificate["lifecycle"] == {"create_before_destroy": True}


def test_the_zones_stack_alone_proves_the_name(every: Synthesized) -> None:
    """PAY-08, design trap 10: ACM asks for one CNAME in all regions; were it in every state, destroying one region
    would take it from the others."""
    (proof,) = every.resources(zone_of(every), "aws_route53_record").values()
    assert proof["allow_overwrite"] is True
    (asked,) = every.resources(zone_of(every), "aws_acm_certificate")
    options = f"tolist(aws_acm_certificate.{asked}.domain_validation_options)[0]"
    assert proof["name"] == f"${{{options}.resource_record_name}}"
    assert proof["records"] == [f"${{{options}.resource_record_value}}"]
    for stack in regional(every):
        assert not [record for record in every.resources(stack, "aws_route53_record").values() if "records" in record]
        assert "validation_record_fqdns" not in every.only(stack, "aws_acm_certificate_validation")


def test_every_region_waits_for_its_own_certificate(every: Synthesized) -> None:
    """PAY-08: the primary for the one with which the zone's stack learned the proof: ACM renews what is in use. That
    stack waits for none, so that it can tell the name servers of a zone that nobody delegates to yet."""
    assert not every.resources(zone_of(every), "aws_acm_certificate_validation")
    for region, stack in zip(every.environment.regions, regional(every), strict=True):
        waited = every.only(stack, "aws_acm_certificate_validation")["certificate_arn"]
        if region == every.environment.primary:
            assert not every.resources(stack, "aws_acm_certificate")
            assert waited == f"${{data.terraform_remote_state.from-{zone_of(every)}.outputs.certificate_arn}}"
        else:
            (own,) = every.resources(stack, "aws_acm_certificate")
            assert waited == f"${{aws_acm_certificate.{own}.arn}}"


def test_same_path_by_name_and_by_region(every: Synthesized) -> None:
    """PAY-08: `/v1/payments` on the one name and on the region's own host."""
    for stack in regional(every):
        mapping = every.only(stack, "aws_api_gateway_base_path_mapping")
        assert mapping["base_path"] == every.only(stack, "aws_api_gateway_stage")["stage_name"]
        assert mapping["stage_name"].startswith("${aws_api_gateway_stage.")
        outputs = every.stack(stack)["output"]
        name = every.environment.domain.name
        assert outputs["domain_name"]["value"] == name
        assert outputs["custom_url"]["value"] == f"https://{name}/{mapping['base_path']}"


def test_one_zone_and_every_region_writes_into_it(every: Synthesized) -> None:
    """PAY-08, LAY-02: one zone for the one name, made or given, through the contract."""
    given = every.environment.domain.hosted_zone_id
    zones = every.resources(zone_of(every), "aws_route53_zone")
    assert len(zones) == (1 if given is None else 0)
    proof = every.only(zone_of(every), "aws_route53_record")
    outputs = every.stack(zone_of(every))["output"]
    assert proof["zone_id"] == outputs["hosted_zone_id"]["value"]
    assert proof["zone_id"] == (given or f"${{aws_route53_zone.{next(iter(zones), None)}.zone_id}}")
    kind = "aws_route53_zone" if given is None else "data.aws_route53_zone"
    assert outputs["name_servers"]["value"].startswith(f"${{{kind}.")
    for region, stack in zip(every.environment.regions, regional(every), strict=True):
        assert not every.resources(stack, "aws_route53_zone")
        where = {record["zone_id"] for record in every.resources(stack, "aws_route53_record").values()}
        assert where == {given or f"${{data.terraform_remote_state.from-{zone_of(every)}.outputs.hosted_zone_id}}"}
        if given is not None and region != every.environment.primary:
            # A region that can be deployed while the primary's state doesn't answer.
            assert f"from-{zone_of(every)}" not in every.stack(stack)["data"]["terraform_remote_state"]


def test_a_made_zone_can_go_except_in_production(sandbox: Synthesized, edges: Edges) -> None:
    """PAY-16: everything can be destroyed; production turns protection on."""
    assert sandbox.only(ZONE, "aws_route53_zone")["force_destroy"] is True
    assert "lifecycle" not in sandbox.only(ZONE, "aws_route53_zone")
    protected = edges(SANDBOX, {"protection/production": True}).only(ZONE, "aws_route53_zone")
    assert protected["force_destroy"] is False
    assert protected["lifecycle"] == {"prevent_destroy": True}


def test_every_edge_waits_for_the_zone_and_for_no_other_edge(every: Synthesized) -> None:
    """LAY-04: zone and proof are there before a region needs them, and go after it; the zone itself needs nothing."""
    graph = graph_of(every.environment)
    zone = StackId("edge-zone", every.environment.primary)
    assert graph.needs[zone] == ()
    for region in every.environment.regions:
        needs = graph.needs[StackId("edge", region)]
        assert zone in needs
        assert {need for need in needs if need.region != region} <= {zone}


# -- routing ---------------------------------------------------------------------------------------


def test_latency_records_watched_by_health_checks(every: Synthesized) -> None:
    """PAY-08, PAY-23: every region is one answer for the name, left out while it is unhealthy."""
    identifiers = []
    for region in every.environment.regions:
        stack = f"edge-{region}"
        (record,) = [entry for entry in every.resources(stack, "aws_route53_record").values() if "alias" in entry]
        assert record["name"] == every.environment.domain.name
        assert record["type"] == "A"
        assert record["latency_routing_policy"] == {"region": region}
        assert record["alias"]["evaluate_target_health"] is True
        assert record["alias"]["name"].endswith(".regional_domain_name}")
        assert record["alias"]["zone_id"].endswith(".regional_zone_id}")
        (check,) = every.resources(stack, "aws_route53_health_check")
        assert record["health_check_id"] == f"${{aws_route53_health_check.{check}.id}}"
        # Callers come as soon as the record is there.
        (mapping,) = every.resources(stack, "aws_api_gateway_base_path_mapping")
        assert record["depends_on"] == [f"aws_api_gateway_base_path_mapping.{mapping}"]
        identifiers.append(record["set_identifier"])
    assert identifiers == list(every.environment.regions)


def test_health_checks_ask_the_regions_own_health(every: Synthesized) -> None:
    """PAY-08, design trap 11: not the one name, which would lead the checkers to the region nearest to them."""
    for region in every.environment.regions:
        stack = f"edge-{region}"
        check = every.only(stack, "aws_route53_health_check")
        (api,) = every.resources(stack, "aws_api_gateway_rest_api")
        assert check["fqdn"] == f"${{aws_api_gateway_rest_api.{api}.id}}.execute-api.{region}.amazonaws.com"
        assert check["type"] == "HTTPS"
        assert check["port"] == 443
        stage = every.only(stack, "aws_api_gateway_stage")["stage_name"]
        assert check["resource_path"] == f"/{stage}/health"
        assert check["enable_sni"] is True
        assert check["measure_latency"] is True
        assert region in check["tags"]["Name"]
        # An interval can't be changed, only replaced: no record may point at a check that is gone.
        assert check["lifecycle"] == {"create_before_destroy": True}


def test_how_often_health_is_asked_is_configuration(edges: Edges) -> None:
    """PAY-23: how fast DNS leaves a region, for all or for one."""
    changes = {"edge/health_failure_threshold": 2, "regions/eu-west-1/edge": {"health_interval_s": 10}}
    found = edges(SANDBOX, changes)
    for stack, interval in ((HOME, 30), ("edge-eu-west-1", 10)):
        check = found.only(stack, "aws_route53_health_check")
        assert (check["request_interval"], check["failure_threshold"]) == (interval, 2)


# -- the web ACL -----------------------------------------------------------------------------------


def test_without_a_web_acl_nothing_of_it_is_there(sandbox: Synthesized, edges: Edges) -> None:
    """PAY-08: WAF is optional: off, the stacks are those of a configuration that never heard of it."""
    off = edges(SANDBOX, {"edge/waf": False, "edge/waf_rate_limit": 99})
    for stack in sandbox.stacks:
        assert sandbox.stack(stack) == off.stack(stack)
        assert not [type for type in sandbox.stack(stack)["resource"] if type.startswith("aws_wafv2")]


def test_web_acl_guards_the_stage_of_the_regions_that_ask_for_it(sandbox: Synthesized, edges: Edges) -> None:
    """PAY-08: WAF per region: a limit per address, then AWS's managed rules; everything else passes and is logged."""
    found = edges(SANDBOX, {"regions/eu-west-1/edge": {"waf": True, "waf_rate_limit": 500}})
    assert found.stack(HOME) == sandbox.stack(HOME)
    stack = "edge-eu-west-1"
    acl = found.only(stack, "aws_wafv2_web_acl")
    assert acl["scope"] == "REGIONAL"
    assert acl["default_action"] == {"allow": {}}
    assert acl["name"].endswith(f"-{found.environment.suffix}")
    rate, *managed = acl["rule"]
    assert rate["statement"] == {"rate_based_statement": {"aggregate_key_type": "IP", "limit": 500}}
    assert rate["action"] == {"block": {}}
    assert {rule["statement"]["managed_rule_group_statement"]["name"] for rule in managed} == {
        "AWSManagedRulesAmazonIpReputationList",
        "AWSManagedRulesKnownBadInputsRuleSet",
        "AWSManagedRulesCommonRuleSet",
    }
    assert all(rule["override_action"] == {"none": {}} for rule in managed)
    assert [rule["priority"] for rule in acl["rule"]] == [0, 1, 2, 3]
    association = found.only(stack, "aws_wafv2_web_acl_association")
    assert association["resource_arn"].startswith("${aws_api_gateway_stage.")
    (name, logs) = next(
        (name, group)
        for name, group in found.resources(stack, "aws_cloudwatch_log_group").items()
        if group["name"].startswith("aws-waf-logs-")
    )
    assert logs["kms_key_id"]
    logging = found.only(stack, "aws_wafv2_web_acl_logging_configuration")
    assert logging["log_destination_configs"] == [f"${{aws_cloudwatch_log_group.{name}.arn}}"]
    assert logging["redacted_fields"] == [{"single_header": {"name": "authorization"}}]
