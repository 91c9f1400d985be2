"""An origin group fails over to its second member (OPT-03)."""

from __future__ import annotations

import json
import uuid

import httpx
import pytest

from tests.sandbox.clients import AWAY, HOME, Clients

FAILOVER_CODES = [403, 404, 500, 502, 503, 504]


def bucket(aws: Clients, region: str) -> str:
    name = f"b-{uuid.uuid4().hex[:12]}"
    where = {} if region == HOME else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    aws("s3", region).create_bucket(Bucket=name, **where)
    return name


def distribution(aws: Clients, buckets: dict[str, str], codes: list[int]) -> tuple[str, str]:
    """(domain name, ARN) of a distribution whose one target is the group of these buckets."""
    access = aws("cloudfront").create_origin_access_control(
        OriginAccessControlConfig={
            "Name": uuid.uuid4().hex,
            "SigningProtocol": "sigv4",
            "SigningBehavior": "always",
            "OriginAccessControlOriginType": "s3",
        }
    )["OriginAccessControl"]["Id"]
    origins = [
        {
            "Id": region,
            "DomainName": f"{name}.s3.{region}.amazonaws.com",
            "OriginAccessControlId": access,
            "S3OriginConfig": {"OriginAccessIdentity": ""},
        }
        for region, name in buckets.items()
    ]
    group = {
        "Id": "regions",
        "FailoverCriteria": {"StatusCodes": {"Quantity": len(codes), "Items": codes}},
        "Members": {"Quantity": 2, "Items": [{"OriginId": region} for region in buckets]},
    }
    made = aws("cloudfront").create_distribution(
        DistributionConfig={
            "CallerReference": uuid.uuid4().hex,
            "Comment": "",
            "Enabled": True,
            "Origins": {"Quantity": len(origins), "Items": origins},
            "OriginGroups": {"Quantity": 1, "Items": [group]},
            "DefaultCacheBehavior": {
                "TargetOriginId": "regions",
                "ViewerProtocolPolicy": "allow-all",
                "CachePolicyId": "658327ea-f89d-4fab-a63d-7e88639e58f6",
            },
        }
    )["Distribution"]
    return made["DomainName"], made["ARN"]


def admit(aws: Clients, region: str, name: str, arn: str) -> None:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "cloudfront.amazonaws.com"},
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{name}/*",
        "Condition": {"StringEquals": {"aws:SourceArn": arn}},
    }
    aws("s3", region).put_bucket_policy(
        Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )


def get(aws: Clients, host: str, key: str) -> httpx.Response:
    return httpx.get(f"{aws.endpoint}/{key}", headers={"Host": host}, timeout=60)


def served(aws: Clients, codes: list[int]) -> tuple[str, dict[str, str]]:
    """The host of a distribution over two admitted buckets, each with an object of its own, and one that both have."""
    buckets = {region: bucket(aws, region) for region in (HOME, AWAY)}
    host, arn = distribution(aws, buckets, codes)
    for region, name in buckets.items():
        admit(aws, region, name, arn)
        for key in ("both", f"only-{region}"):
            aws("s3", region).put_object(Bucket=name, Key=key, Body=region.encode())
    return host, buckets


def test_first_member_answers_while_it_can(aws: Clients) -> None:
    host, _ = served(aws, FAILOVER_CODES)
    assert get(aws, host, "both").text == HOME
    assert get(aws, host, f"only-{HOME}").text == HOME


def test_second_member_answers_what_the_first_has_not(aws: Clients) -> None:
    host, _ = served(aws, FAILOVER_CODES)
    assert get(aws, host, f"only-{AWAY}").text == AWAY
    assert get(aws, host, "nowhere").status_code == 403


def test_second_member_answers_while_the_first_refuses_or_is_gone(aws: Clients) -> None:
    host, buckets = served(aws, FAILOVER_CODES)
    aws("s3").delete_bucket_policy(Bucket=buckets[HOME])
    assert get(aws, host, "both").text == AWAY
    for key in ("both", f"only-{HOME}"):
        aws("s3").delete_object(Bucket=buckets[HOME], Key=key)
    aws("s3").delete_bucket(Bucket=buckets[HOME])
    assert get(aws, host, "both").text == AWAY


def test_only_configured_answers_fail_over(aws: Clients) -> None:
    host, _ = served(aws, [500])
    assert get(aws, host, f"only-{AWAY}").status_code == 403


def test_upstream_knows_no_groups(plain_aws: Clients) -> None:
    """When this fails, upstream has closed the gap and the addition can go."""
    host, _ = served(plain_aws, FAILOVER_CODES)
    assert get(plain_aws, host, "both").status_code == 502


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_only_reading_fails_over(aws: Clients, method: str) -> None:
    host, _ = served(aws, FAILOVER_CODES)
    asked = httpx.request(method, f"{aws.endpoint}/only-{AWAY}", headers={"Host": host}, timeout=60)
    assert asked.status_code == 403
