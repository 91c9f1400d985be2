"""The static edge's promises, on the synthesized stacks and on plain data."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.config import Environment, parse
from shared.contracts import StackId
from shared.site import Site
from stacks.catalogue import graph_of
from stacks.edge.contract import AssetsOutputs
from stacks.observability.alarms.region import region_alarms
from stacks.observability.capabilities.assets import assets_alarms, assets_widgets
from stacks.observability.capabilities.readings import Readings
from stacks.observability.metrics import Metric
from stacks.synth import synthesize
from tests.stacks.conftest import Synthesized
from tests.stacks.test_observability import AWS_METRICS

US_EAST_1 = "us-east-1"
SANDBOX = tomllib.loads(Path("config/sandbox.toml").read_text())
# The primary is not where CloudFront has its certificates, nor first in the order of failover.
ELSEWHERE = {
    "ap-southeast-1": {"cidr": "10.10.0.0/16"},
    "eu-west-1": {"cidr": "10.20.0.0/16", "primary": True},
    "sa-east-1": {"cidr": "10.30.0.0/16"},
}


def environment(regions: dict[str, Any] | None = None, **assets: Any) -> Environment:
    """The sandbox with the static edge, maybe in other regions."""
    raw = {**SANDBOX, "assets": {"enabled": True, **assets}}
    return parse({**raw, "regions": regions} if regions else raw, source="test")


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """The edge of an environment without us-east-1."""
    found = environment(ELSEWHERE)
    out = tmp_path_factory.mktemp("elsewhere")
    only = [f"edge-{region}" for region in ELSEWHERE]
    synthesize(found, out=out, functions=Path(".tripoint/functions"), only=only)
    return Synthesized(found, out)


@pytest.fixture(params=["full", "elsewhere"])
def edge(request: pytest.FixtureRequest, synthesis: Callable[[str], Synthesized]) -> Synthesized:
    found: Synthesized = (
        synthesis("sandbox-full.toml") if request.param == "full" else request.getfixturevalue("elsewhere")
    )
    return found


@pytest.fixture
def full(synthesis: Callable[[str], Synthesized]) -> Synthesized:
    return synthesis("sandbox-full.toml")


def of_assets(found: Synthesized, region: str, type: str) -> list[dict[str, Any]]:
    """The static edge's resources of a type in a region's edge stack."""
    return [
        resource for name, resource in found.resources(f"edge-{region}", type).items() if name.startswith("assets_")
    ]


def bucket(found: Synthesized, region: str, thing: str = "assets") -> str:
    return Site(found.environment, region).bucket_name(thing)


def primary_edge(found: Synthesized) -> str:
    return f"edge-{found.environment.primary}"


def distribution(found: Synthesized) -> dict[str, Any]:
    return found.only(primary_edge(found), "aws_cloudfront_distribution")


def admitting(policies: list[dict[str, Any]], principal: str) -> list[dict[str, Any]]:
    """The statements that name a service principal."""
    return [
        statement
        for policy in policies
        for statement in json.loads(policy["policy"])["Statement"]
        if statement.get("Principal", {}).get("Service") == principal
    ]


# -- the buckets -----------------------------------------------------------------------------------


def test_every_region_has_its_own_bucket_and_key(edge: Synthesized) -> None:
    """OPT-03: S3 static assets bucket; PAY-19: encrypted with a key of its region's own, made for it alone."""
    for region in edge.environment.regions:
        names = [found["bucket"] for found in of_assets(edge, region, "aws_s3_bucket")]
        assert bucket(edge, region) in names
        (key,) = of_assets(edge, region, "aws_kms_key")
        assert key["enable_key_rotation"] is True
        for encryption in of_assets(edge, region, "aws_s3_bucket_server_side_encryption_configuration"):
            by_default = encryption["rule"][0]["apply_server_side_encryption_by_default"]
            assert by_default["sse_algorithm"] == "aws:kms"
            assert by_default["kms_master_key_id"].startswith("${aws_kms_key.assets_")


def test_the_one_distribution_is_admitted_and_no_other(edge: Synthesized) -> None:
    """OPT-03, PAY-13: origin access control; bucket and key name the distribution's ARN, reading is all it may."""
    (name,) = edge.resources(primary_edge(edge), "aws_cloudfront_distribution")
    for region in edge.environment.regions:
        arn = (
            f"${{aws_cloudfront_distribution.{name}.arn}}"
            if region == edge.environment.primary
            else f"${{data.terraform_remote_state.from-{primary_edge(edge)}.outputs.distribution_arn}}"
        )
        for type, action in (("aws_s3_bucket_policy", "s3:GetObject"), ("aws_kms_key", "kms:Decrypt")):
            (statement,) = admitting(of_assets(edge, region, type), "cloudfront.amazonaws.com")
            assert statement["Effect"] == "Allow"
            assert statement["Action"] == action
            assert statement["Condition"] == {"StringEquals": {"aws:SourceArn": arn}}
        (of_bucket,) = admitting(of_assets(edge, region, "aws_s3_bucket_policy"), "cloudfront.amazonaws.com")
        assert of_bucket["Resource"] == f"arn:aws:s3:::{bucket(edge, region)}/*"


def test_assets_are_replicated_in_all_directions(full: Synthesized) -> None:
    """OPT-03: the other region's bucket has the same assets; KMS on both ends, a rule per direction."""
    for region in full.environment.regions:
        stack = f"edge-links-{region}"
        replication = full.only(stack, "aws_s3_bucket_replication_configuration")
        others = [other for other in full.environment.regions if other != region]
        assert [rule["id"] for rule in replication["rule"]] == [f"to-{other}" for other in others]
        for rule, other in zip(replication["rule"], others, strict=True):
            remote = f"${{data.terraform_remote_state.from-edge-{other}.outputs"
            assert rule["destination"]["bucket"] == f"{remote}.assets_bucket_arn}}"
            key = rule["destination"]["encryption_configuration"]["replica_kms_key_id"]
            assert key == f"{remote}.assets_key_arn}}"
            assert rule["delete_marker_replication"] == {"status": "Enabled"}


def test_current_assets_never_expire_and_logs_do(full: Synthesized) -> None:
    """OPT-09: noncurrent versions after 90 days, logs of the distribution as other access logs."""
    for region, settings in full.environment.regions.items():
        found = full.resources(f"edge-links-{region}", "aws_s3_bucket_lifecycle_configuration")
        rules = {lifecycle["bucket"].rpartition(".")[2]: lifecycle["rule"][0] for lifecycle in found.values()}
        assets = rules.pop("assets_bucket_name}")
        assert "expiration" not in assets
        kept = assets["noncurrent_version_expiration"][0]["noncurrent_days"]
        assert kept == settings.lifecycle.noncurrent_days
        if region == full.environment.primary:
            logs = rules.pop("distribution_logs_bucket_name}")
            assert logs["expiration"] == [{"days": settings.lifecycle.access_log_days}]
        assert not rules


# -- the distribution ------------------------------------------------------------------------------


def test_one_distribution_and_it_stands_in_the_primary(edge: Synthesized) -> None:
    """OPT-03: CloudFront distribution with origin access control, one for all regions."""
    for region in edge.environment.regions:
        made = len(edge.resources(f"edge-{region}", "aws_cloudfront_distribution"))
        assert made == (1 if region == edge.environment.primary else 0)
        outputs = edge.stack(f"edge-{region}")["output"]
        assert set(AssetsOutputs.fields()) <= set(outputs)
        if region != edge.environment.primary:
            read = f"${{data.terraform_remote_state.from-{primary_edge(edge)}.outputs.distribution_id}}"
            assert outputs["distribution_id"]["value"] == read


def test_next_region_takes_over_from_the_primary(edge: Synthesized) -> None:
    """OPT-03: an origin group that fails over to the bucket of another region."""
    found = distribution(edge)
    order = edge.environment.failover_order
    primary = edge.environment.primary
    following = order[(order.index(primary) + 1) % len(order)]
    (group,) = found["origin_group"]
    assert found["default_cache_behavior"]["target_origin_id"] == group["origin_id"]
    assert [member["origin_id"] for member in group["member"]] == [primary, following]
    assert group["failover_criteria"]["status_codes"] == [403, 404, 500, 502, 503, 504]
    (access,) = edge.resources(primary_edge(edge), "aws_cloudfront_origin_access_control")
    assert {origin["origin_id"]: origin["domain_name"] for origin in found["origin"]} == {
        region: f"{bucket(edge, region)}.s3.{region}.amazonaws.com" for region in (primary, following)
    }
    for origin in found["origin"]:
        assert origin["origin_access_control_id"] == f"${{aws_cloudfront_origin_access_control.{access}.id}}"


def test_every_request_to_a_bucket_is_signed(edge: Synthesized) -> None:
    """OPT-03: origin access control."""
    access = edge.only(primary_edge(edge), "aws_cloudfront_origin_access_control")
    assert access["origin_access_control_origin_type"] == "s3"
    assert (access["signing_behavior"], access["signing_protocol"]) == ("always", "sigv4")


def test_failover_wraps_around(tmp_path: Path) -> None:
    """OPT-03: the last of the failover order is followed by the first."""
    raw = {**SANDBOX, "assets": {"enabled": True}, "failover": {"order": ["eu-west-1", "ap-southeast-1", "us-east-1"]}}
    found = parse(raw, source="test")
    synthesize(found, out=tmp_path, functions=Path(".tripoint/functions"), only=["edge-us-east-1"])
    (group,) = distribution(Synthesized(found, tmp_path))["origin_group"]
    assert [member["origin_id"] for member in group["member"]] == ["us-east-1", "eu-west-1"]


def test_https_only(edge: Synthesized) -> None:
    """OPT-03: HTTPS only; TLS 1.2 or later, with an issued certificate for the assets' name."""
    found = distribution(edge)
    assert found["default_cache_behavior"]["viewer_protocol_policy"] == "https-only"
    assert not found.get("ordered_cache_behavior")
    certificate = found["viewer_certificate"]
    assert certificate["minimum_protocol_version"] == "TLSv1.2_2021"
    assert certificate["ssl_support_method"] == "sni-only"
    assert certificate["acm_certificate_arn"].startswith("${aws_acm_certificate_validation.assets_")
    (headers,) = edge.resources(primary_edge(edge), "aws_cloudfront_response_headers_policy").values()
    security = headers["security_headers_config"]
    assert security["strict_transport_security"]["access_control_max_age_sec"] >= 31_536_000
    assert security["content_type_options"] == {"override": True}
    assert security["frame_options"]["frame_option"] == "DENY"
    assert security["referrer_policy"]["referrer_policy"] == "strict-origin-when-cross-origin"
    settings = edge.environment.regions[edge.environment.primary].assets
    policy = security["content_security_policy"]["content_security_policy"]
    assert policy == settings.content_security_policy
    assert "response_headers_policy_id" in found["default_cache_behavior"]


def test_what_is_served_and_how_far_is_configuration(edge: Synthesized) -> None:
    """OPT-03: name, price class; a root object, compression, the managed cache policy, reading only."""
    found = distribution(edge)
    settings = edge.environment.regions[edge.environment.primary].assets
    assert found["price_class"] == settings.price_class
    assert found["aliases"] == [f"{settings.subdomain}.{edge.environment.domain.name}"]
    assert found["default_root_object"] == "index.html"
    assert found["retain_on_delete"] is False
    behavior = found["default_cache_behavior"]
    assert behavior["cache_policy_id"] == "658327ea-f89d-4fab-a63d-7e88639e58f6"
    assert behavior["compress"] is True
    assert set(behavior["allowed_methods"]) == {"GET", "HEAD"}


def test_the_name_leads_to_the_distribution_over_ipv4_and_ipv6(edge: Synthesized) -> None:
    """OPT-03: A and AAAA, in the zone of the one name."""
    found = distribution(edge)
    assert found["is_ipv6_enabled"] is True
    records = [
        record
        for record in edge.resources(primary_edge(edge), "aws_route53_record").values()
        if record["name"] == found["aliases"][0]
    ]
    assert {record["type"] for record in records} == {"A", "AAAA"}
    for record in records:
        assert record["alias"]["name"].startswith("${aws_cloudfront_distribution.")
        assert record["alias"]["evaluate_target_health"] is False
        zone = f"edge-zone-{edge.environment.primary}"
        assert record["zone_id"] == f"${{data.terraform_remote_state.from-{zone}.outputs.hosted_zone_id}}"


def test_what_cloudfront_takes_in_us_east_1_only_is_there(full: Synthesized, elsewhere: Synthesized) -> None:
    """OPT-03: certificate and log delivery in us-east-1, through a second provider where the primary is elsewhere."""
    types = (
        "aws_acm_certificate",
        "aws_acm_certificate_validation",
        "aws_cloudwatch_log_delivery",
        "aws_cloudwatch_log_delivery_source",
        "aws_cloudwatch_log_delivery_destination",
    )
    for found, provider in ((full, None), (elsewhere, f"aws.{US_EAST_1}")):
        primary = found.environment.primary
        for type in types:
            (resource,) = of_assets(found, primary, type)
            assert resource.get("provider") == provider, type
        for type in ("aws_route53_record", "aws_s3_bucket", "aws_kms_key", "aws_cloudfront_distribution"):
            assert not [resource for resource in of_assets(found, primary, type) if "provider" in resource]
    own, second = elsewhere.stack(primary_edge(elsewhere))["provider"]["aws"]
    assert second["alias"] == second["region"] == US_EAST_1
    assert second["default_tags"][0]["tags"] == {**own["default_tags"][0]["tags"], "Region": US_EAST_1}
    differ = {"alias", "region", "default_tags"}
    assert {key: value for key, value in own.items() if key not in differ} == {
        key: value for key, value in second.items() if key not in differ
    }
    for region in elsewhere.environment.regions:
        providers = elsewhere.stack(f"edge-{region}")["provider"]["aws"]
        assert len(providers) == (2 if region == elsewhere.environment.primary else 1)


def test_requests_are_logged_without_acls(edge: Synthesized) -> None:
    """OPT-03: standard logging v2 into a bucket that admits this one delivery, as does its key; no legacy logging."""
    assert "logging_config" not in distribution(edge)
    environment, primary = edge.environment, edge.environment.primary
    (source,) = of_assets(edge, primary, "aws_cloudwatch_log_delivery_source")
    assert source["resource_arn"].startswith("${aws_cloudfront_distribution.")
    assert source["log_type"] == "ACCESS_LOGS"
    arn = f"arn:aws:logs:{US_EAST_1}:{environment.target.account_id}:delivery-source:{source['name']}"
    expected = {"aws:SourceAccount": environment.target.account_id}
    (of_bucket,) = admitting(of_assets(edge, primary, "aws_s3_bucket_policy"), "delivery.logs.amazonaws.com")
    (of_key,) = admitting(of_assets(edge, primary, "aws_kms_key"), "delivery.logs.amazonaws.com")
    assert of_bucket["Condition"]["StringEquals"] == {**expected, "s3:x-amz-acl": "bucket-owner-full-control"}
    assert of_key["Condition"]["StringEquals"] == expected
    for statement in (of_bucket, of_key):
        assert statement["Condition"]["ArnLike"] == {"aws:SourceArn": arn}
    logs = bucket(edge, primary, "cdn-logs")
    assert of_bucket["Resource"] == f"arn:aws:s3:::{logs}/AWSLogs/{environment.target.account_id}/*"
    assert logs in [found["bucket"] for found in of_assets(edge, primary, "aws_s3_bucket")]
    (delivery,) = of_assets(edge, primary, "aws_cloudwatch_log_delivery")
    # Else AWS writes the statement itself.
    assert [name for name in delivery["depends_on"] if name.startswith("aws_s3_bucket_policy.assets_logs_")]
    for region in environment.regions:
        for ownership in of_assets(edge, region, "aws_s3_bucket_ownership_controls"):
            assert ownership["rule"] == {"object_ownership": "BucketOwnerEnforced"}


# -- order, switch, names --------------------------------------------------------------------------


def test_buckets_come_after_the_distribution_and_replication_after_all_buckets() -> None:
    """LAY-04: in whatever region the primary is."""
    for found in (environment(), environment(ELSEWHERE)):
        graph = graph_of(found)
        primary = StackId("edge", found.primary)
        edges = [StackId("edge", region) for region in found.regions]
        for region in found.regions:
            assert (primary in graph.needs[StackId("edge", region)]) is (region != found.primary)
            assert set(edges) <= set(graph.needs[StackId("edge-links", region)])


def test_off_there_is_nothing_of_it(synthesis: Callable[[str], Synthesized]) -> None:
    """OPT-03: optional, switched on by configuration."""
    off = synthesis("sandbox.toml")
    assert not [stack for stack in off.stacks if stack.startswith("edge-links-")]
    for stack, type, name, _ in off.everything():
        assert "cloudfront" not in type, stack
        assert not name.startswith("assets"), stack


def test_longest_names_fit() -> None:
    """PAY-15: bucket names with the longest project, region and suffix that are allowed."""
    raw = {**SANDBOX, "suffix": "abcdefghijkl", "assets": {"enabled": True}}
    raw["project"] = {**SANDBOX["project"], "name": "abcdefghijkl"}
    site = Site(parse(raw, source="test"), "ap-southeast-1")
    for thing in ("assets", "cdn-logs"):
        assert len(site.bucket_name(thing)) <= 63
    assert len(site.role_name("assets-replication")) <= 64


# -- what on-call sees -----------------------------------------------------------------------------


def readings() -> Readings:
    return Readings(AssetsOutputs(**{name: f"the-{name}" for name in AssetsOutputs.fields()}))


def test_errors_are_alarming_where_their_metric_is() -> None:
    """OPT-03: CloudFront publishes in us-east-1 only, and an alarm must be in its metric's region."""
    found = environment(error_percent=2.5)
    for region in found.regions:
        alarms = {spec.thing: spec for spec in assets_alarms(Site(found, region), readings())}
        assert ("assets-errors" in alarms) is (region == US_EAST_1)
    spec = next(spec for spec in assets_alarms(Site(found, US_EAST_1), readings()) if spec.thing == "assets-errors")
    assert isinstance(spec.what, Metric)
    assert spec.what.dimensions == {"DistributionId": "the-distribution_id", "Region": "Global"}
    assert spec.above == 2.5
    assert spec.patience.periods >= 3


def test_replication_is_watched_in_every_direction() -> None:
    """OPT-03: assets that do not reach another region, or come late."""
    found = environment(replication_s=60)
    for region in found.regions:
        site = Site(found, region)
        alarms = {spec.thing: spec for spec in assets_alarms(site, readings())}
        for other in site.other_regions:
            failed, late = alarms[f"assets-failed-to-{other}"], alarms[f"assets-lag-from-{other}"]
            assert isinstance(failed.what, Metric)
            assert isinstance(late.what, Metric)
            assert failed.what.dimensions["SourceBucket"] == site.bucket_name("assets")
            assert late.what.dimensions["DestinationBucket"] == site.bucket_name("assets")
            assert late.above == 60


def test_every_alarm_and_graph_is_of_a_metric_that_exists() -> None:
    """OPT-03: names and dimensions that AWS publishes."""
    for found in (environment(), environment(ELSEWHERE)):
        for region in found.regions:
            site = Site(found, region)
            entries = [
                entry
                for widget in assets_widgets(site, readings())
                for entry in widget["properties"].get("metrics", ())
            ]
            assert entries
            for namespace, name, *rest in entries:
                assert tuple(rest[:-1:2]) in AWS_METRICS[namespace, name]
                where = US_EAST_1 if namespace == "AWS/CloudFront" else region
                assert rest[-1]["region"] == where
            for spec in assets_alarms(site, readings()):
                assert isinstance(spec.what, Metric)
                assert tuple(spec.what.dimensions) in AWS_METRICS[spec.what.namespace, spec.what.name]


def test_a_dashboard_says_where_no_alarm_can_be() -> None:
    """OPT-03: an environment without us-east-1 has no alarm on errors, and is told so."""
    for found, told in ((environment(), False), (environment(ELSEWHERE), True)):
        title, *_ = assets_widgets(Site(found, found.primary), readings())
        assert ("no alarm" in title["properties"]["markdown"]) is told


def test_the_distribution_is_watched_by_its_deployed_id(full: Synthesized) -> None:
    """OPT-03, LAY-02: the id comes through the contract."""
    alarms = full.resources(f"observability-{US_EAST_1}", "aws_cloudwatch_metric_alarm").values()
    (alarm,) = [alarm for alarm in alarms if alarm["alarm_name"] == "tripoint-assets-errors-full"]
    read = f"${{data.terraform_remote_state.from-edge-{US_EAST_1}.outputs.distribution_id}}"
    assert alarm["dimensions"]["DistributionId"] == read
    names = {spec.thing for spec in region_alarms(Site(environment(), US_EAST_1), readings())}
    assert "assets-errors" in names
