"""The static edge, on the deployed resources: what is put in a region is served to everybody."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from tests.integration.conftest import Deployment

US_EAST_1 = "us-east-1"
BODY = b"<!doctype html><title>assets</title>"


def assets(full: Deployment, region: str, name: str) -> Any:
    return full.output("edge", region, name)


def put(full: Deployment, region: str, key: str, body: bytes = BODY) -> str:
    """Put an asset into a region's bucket; its version."""
    answer = full.client("s3", region).put_object(
        Bucket=assets(full, region, "assets_bucket_name"), Key=key, Body=body, ContentType="text/html"
    )
    return str(answer["VersionId"])


def found(full: Deployment, region: str, key: str) -> dict[str, Any] | None:
    try:
        answer: dict[str, Any] = full.client("s3", region).head_object(
            Bucket=assets(full, region, "assets_bucket_name"), Key=key
        )
    except ClientError:
        return None
    return answer


def everywhere(full: Deployment, key: str) -> bool:
    return all(found(full, region, key) for region in full.regions)


def get(full: Deployment, key: str, *, host: str | None = None, scheme: str = "https") -> httpx.Response:
    """As a viewer whom DNS has led to the distribution. The sandbox speaks plain HTTP, and is told what the viewer
    spoke."""
    host = host or assets(full, full.environment.primary, "distribution_domain_name")
    return httpx.get(
        f"{full.environment.target.endpoint}/{key}", headers={"Host": host, "X-Forwarded-Proto": scheme}, timeout=30
    )


@pytest.fixture
def key() -> str:
    return f"it-{uuid.uuid4().hex}.html"


@pytest.fixture
def distribution(full: Deployment) -> dict[str, Any]:
    """The distribution's configuration."""
    id = assets(full, full.environment.primary, "distribution_id")
    answer: dict[str, Any] = full.client("cloudfront", US_EAST_1).get_distribution_config(Id=id)
    config: dict[str, Any] = answer["DistributionConfig"]
    return config


@pytest.fixture
def another_distribution(full: Deployment, distribution: dict[str, Any]) -> Iterator[str]:
    """The domain name of a distribution of the same account with the same origins and the same access control."""
    cloudfront = full.client("cloudfront", US_EAST_1)
    config = {**distribution, "CallerReference": uuid.uuid4().hex, "Aliases": {"Quantity": 0}}
    made = cloudfront.create_distribution(DistributionConfig=config)
    yield made["Distribution"]["DomainName"]
    id = made["Distribution"]["Id"]
    answer = cloudfront.update_distribution(
        Id=id, IfMatch=made["ETag"], DistributionConfig={**config, "Enabled": False}
    )
    cloudfront.delete_distribution(Id=id, IfMatch=answer["ETag"])


def test_assets_reach_every_region(full: Deployment, key: str, eventually: Callable[..., Any]) -> None:
    """OPT-03: the other regions' buckets have what one region got, each under its own key."""
    for home in full.regions:
        put(full, home, f"{home}/{key}")
        eventually(lambda home=home: everywhere(full, f"{home}/{key}"))
        for region in full.regions:
            copy = found(full, region, f"{home}/{key}")
            assert copy is not None
            assert copy["SSEKMSKeyId"] == assets(full, region, "assets_key_arn")


def test_distribution_serves_over_https_only(full: Deployment, key: str) -> None:
    """OPT-03: HTTPS only, with headers that make browsers careful."""
    put(full, full.environment.primary, key)
    answer = get(full, key)
    assert (answer.status_code, answer.content) == (200, BODY)
    assert answer.headers["content-type"] == "text/html"
    assert "max-age=63072000" in answer.headers["strict-transport-security"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert get(full, key, scheme="http").status_code == 403


def test_root_is_the_index(full: Deployment) -> None:
    """OPT-03: the root object, not a list of the bucket."""
    put(full, full.environment.primary, "index.html", b"the index")
    assert get(full, "").content == b"the index"


def test_next_region_answers_what_the_primary_cannot(
    full: Deployment, key: str, eventually: Callable[..., Any]
) -> None:
    """OPT-03: an origin group that fails over to the bucket of another region."""
    primary = full.environment.primary
    version = put(full, primary, key)
    eventually(lambda: everywhere(full, key))
    # Deleting a version is not replicated, as deleting an object is.
    full.client("s3", primary).delete_object(
        Bucket=assets(full, primary, "assets_bucket_name"), Key=key, VersionId=version
    )
    assert found(full, primary, key) is None
    assert get(full, key).content == BODY
    assert get(full, f"nowhere-{key}").status_code == 403


def test_next_region_answers_while_the_primary_refuses(
    full: Deployment, key: str, eventually: Callable[..., Any]
) -> None:
    """OPT-03: a bucket policy gone wrong in one region is not noticed by viewers."""
    primary = full.environment.primary
    s3, bucket = full.client("s3", primary), assets(full, primary, "assets_bucket_name")
    put(full, primary, key)
    eventually(lambda: everywhere(full, key))
    policy = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    s3.delete_bucket_policy(Bucket=bucket)
    try:
        assert get(full, key).content == BODY
        order = full.environment.failover_order
        following = order[(order.index(primary) + 1) % len(order)]
        with_version = found(full, following, key)
        assert with_version is not None
        full.client("s3", following).delete_object(
            Bucket=assets(full, following, "assets_bucket_name"), Key=key, VersionId=with_version["VersionId"]
        )
        # The primary has it, but lets nobody in: what was served came from the next region.
        assert found(full, primary, key) is not None
        assert get(full, key).status_code == 403
    finally:
        s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    assert get(full, key).content == BODY


def test_another_distribution_of_the_account_is_refused(full: Deployment, key: str, another_distribution: str) -> None:
    """OPT-03, PAY-13: the buckets admit the one distribution, by its ARN."""
    put(full, full.environment.primary, key)
    assert get(full, key).status_code == 200
    assert get(full, key, host=another_distribution).status_code == 403


def test_buckets_and_keys_name_the_distribution(full: Deployment) -> None:
    """OPT-03: the same distribution in every region's bucket policy and key policy; published by every region."""
    arns = {assets(full, region, "distribution_arn") for region in full.regions}
    assert len(arns) == 1
    for region in full.regions:
        policies = (
            full.client("s3", region).get_bucket_policy(Bucket=assets(full, region, "assets_bucket_name"))["Policy"],
            full.client("kms", region).get_key_policy(KeyId=assets(full, region, "assets_key_arn"))["Policy"],
        )
        for policy in policies:
            (statement,) = (
                statement
                for statement in json.loads(policy)["Statement"]
                if statement["Principal"].get("Service") == "cloudfront.amazonaws.com"
            )
            assert {statement["Condition"]["StringEquals"]["aws:SourceArn"]} == arns


def test_distribution_is_as_it_was_declared(full: Deployment, distribution: dict[str, Any]) -> None:
    """OPT-03: origin access control, origin group, viewer policy, TLS minimum, as CloudFront has them."""
    primary = full.environment.primary
    (group,) = distribution["OriginGroups"]["Items"]
    members = [member["OriginId"] for member in group["Members"]["Items"]]
    assert members[0] == primary
    assert members[1] in full.regions
    assert set(group["FailoverCriteria"]["StatusCodes"]["Items"]) == {403, 404, 500, 502, 503, 504}
    assert distribution["DefaultCacheBehavior"]["TargetOriginId"] == group["Id"]
    assert distribution["DefaultCacheBehavior"]["ViewerProtocolPolicy"] == "https-only"
    assert distribution["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1.2_2021"
    certificate = full.client("acm", US_EAST_1).describe_certificate(
        CertificateArn=distribution["ViewerCertificate"]["ACMCertificateArn"]
    )["Certificate"]
    assert certificate["Status"] == "ISSUED"
    assert assets(full, primary, "assets_url") == f"https://{certificate['DomainName']}"
    for origin in distribution["Origins"]["Items"]:
        access = full.client("cloudfront", US_EAST_1).get_origin_access_control(Id=origin["OriginAccessControlId"])
        config = access["OriginAccessControl"]["OriginAccessControlConfig"]
        assert (config["SigningBehavior"], config["SigningProtocol"]) == ("always", "sigv4")


def test_name_leads_to_the_distribution(full: Deployment) -> None:
    """OPT-03: A and AAAA alias records."""
    primary = full.environment.primary
    records = full.client("route53", US_EAST_1).list_resource_record_sets(
        HostedZoneId=full.output("edge-zone", primary, "hosted_zone_id")
    )["ResourceRecordSets"]
    name = assets(full, primary, "assets_url").removeprefix("https://")
    leading = {record["Type"]: record["AliasTarget"]["DNSName"] for record in records if record["Name"] == f"{name}."}
    target = assets(full, primary, "distribution_domain_name")
    assert {type: to.rstrip(".") for type, to in leading.items()} == {"A": target, "AAAA": target}


def test_requests_are_logged_into_the_bucket(full: Deployment) -> None:
    """OPT-03: standard logging v2, from the distribution to its bucket."""
    logs, primary = full.client("logs", US_EAST_1), full.environment.primary
    (source,) = (
        source
        for source in logs.describe_delivery_sources()["deliverySources"]
        if assets(full, primary, "distribution_arn") in source["resourceArns"]
    )
    (delivery,) = (
        delivery
        for delivery in logs.describe_deliveries()["deliveries"]
        if delivery["deliverySourceName"] == source["name"]
    )
    (destination,) = (
        destination
        for destination in logs.describe_delivery_destinations()["deliveryDestinations"]
        if destination["arn"] == delivery["deliveryDestinationArn"]
    )
    bucket = assets(full, primary, "distribution_logs_bucket_name")
    assert destination["deliveryDestinationConfiguration"]["destinationResourceArn"] == f"arn:aws:s3:::{bucket}"


def test_errors_of_the_distribution_are_watched(full: Deployment) -> None:
    """OPT-03: by the id that it was given."""
    alarms = full.client("cloudwatch", US_EAST_1).describe_alarms()["MetricAlarms"]
    (alarm,) = (alarm for alarm in alarms if alarm.get("Namespace") == "AWS/CloudFront")
    dimensions = {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]}
    distribution_id = assets(full, full.environment.primary, "distribution_id")
    assert dimensions == {"DistributionId": distribution_id, "Region": "Global"}
