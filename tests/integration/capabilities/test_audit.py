"""The audit trail, on the deployed resources: what happens is in it, and where the tables look."""

from __future__ import annotations

import gzip
import json
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.site import Site
from tests.integration.conftest import Deployment

PAYER = {"name": "Ottokar Vexwood", "email": "ottokar.vexwood@example.org", "address": "3 Jyrki Row, Erewhon"}


def primary(full: Deployment) -> str:
    return full.environment.primary


def output(full: Deployment, name: str) -> Any:
    return full.output("observability", primary(full), name)


def files(full: Deployment) -> list[str]:
    """The keys of the trail's log files."""
    pages = full.client("s3", primary(full)).get_paginator("list_objects_v2")
    found = pages.paginate(Bucket=output(full, "audit_bucket_name"), Prefix="AWSLogs/")
    return [item["Key"] for page in found for item in page.get("Contents", [])]


def events(full: Deployment, **wanted: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(key of the file, event) of everything that has been delivered and has these fields."""
    s3 = full.client("s3", primary(full))
    for key in files(full):
        body = s3.get_object(Bucket=output(full, "audit_bucket_name"), Key=key)["Body"].read()
        for event in json.loads(gzip.decompress(body))["Records"]:
            if all(event[name] == value for name, value in wanted.items()):
                yield key, event


def paid(full: Deployment, region: str) -> str:
    """A settled payment with personal data."""
    payment_id: str = full.api(region).pay(f"it-{uuid.uuid4()}", payer=PAYER).json()["payment_id"]
    assert full.api(region).final(payment_id)["status"] == "SETTLED"
    return payment_id


def receipt(full: Deployment, region: str, payment_id: str) -> str | None:
    found = full.client("s3", region).list_objects_v2(Bucket=full.output("data", region, "receipts_bucket_name"))
    return next((item["Key"] for item in found.get("Contents", []) if payment_id in item["Key"]), None)


def test_trail_is_logging_in_every_region(full: Deployment) -> None:
    """OPT-04: multi-region, validated, encrypted, and on; any region tells where it is."""
    for region in full.regions:
        trail = full.client("cloudtrail", region).get_trail(Name=full.output("observability", region, "trail_arn"))
        found = trail["Trail"]
        assert found["IsMultiRegionTrail"] is True
        assert found["LogFileValidationEnabled"] is True
        assert found["KmsKeyId"].startswith(f"arn:aws:kms:{primary(full)}:")
        assert found["S3BucketName"] == full.output("observability", region, "audit_bucket_name")
    assert full.client("cloudtrail", primary(full)).get_trail_status(Name=output(full, "trail_arn"))["IsLogging"]


def test_who_read_a_receipt_is_in_the_trail_whichever_region_it_was(
    full: Deployment, eventually: Callable[..., Any]
) -> None:
    """OPT-04: paid in one region, its receipt read in another; the event lies where the table `trail` looks for it."""
    home, *others = full.regions
    payment_id = paid(full, home)
    away = others[0]
    key = eventually(lambda: receipt(full, away, payment_id))
    bucket = full.output("data", away, "receipts_bucket_name")
    full.client("s3", away).get_object(Bucket=bucket, Key=key)

    def reads() -> list[tuple[str, dict[str, Any]]]:
        found = events(full, eventName="GetObject", awsRegion=away)
        return [(file, event) for file, event in found if event["requestParameters"]["key"] == key]

    file, event = eventually(reads)[0]
    assert event["requestParameters"]["bucketName"] == bucket
    assert event["resources"][0]["ARN"] == f"arn:aws:s3:::{bucket}/{key}"

    database, glue = output(full, "audit_database_name"), full.client("glue", primary(full))
    table = glue.get_table(DatabaseName=database, Name="trail")["Table"]
    template = table["Parameters"]["storage.location.template"]
    pattern = re.escape(template).replace(r"\$\{region\}", away).replace(r"\$\{day\}", r"\d{4}/\d\d/\d\d")
    assert re.fullmatch(pattern + "/[^/]+", f"s3://{output(full, 'audit_bucket_name')}/{file}")
    head = full.client("s3", primary(full)).head_object(Bucket=output(full, "audit_bucket_name"), Key=file)
    assert head["ServerSideEncryption"] == "aws:kms"


def test_use_of_personal_data_is_in_the_trail_and_the_data_are_not(
    full: Deployment, eventually: Callable[..., Any]
) -> None:
    """OPT-04, PAY-22: each region's vault is watched; the trail's region learns keys of items, never their values."""
    for region in full.regions:
        payment_id = paid(full, region)
        assert full.api(region).get(f"/payments/{payment_id}/payer").json()["payer"] == PAYER
        vault = full.output("data", region, "vault_table_arn")

        def uses(region: str = region, vault: str = vault) -> list[dict[str, Any]]:
            found = events(full, eventSource="dynamodb.amazonaws.com", awsRegion=region)
            return [event for _, event in found if vault in {one["ARN"] for one in event["resources"]}]

        assert eventually(uses)
    everything = json.dumps([event for _, event in events(full)])
    for value in PAYER.values():
        assert value not in everything


def test_key_at_risk_in_any_region_rings(full: Deployment, eventually: Callable[..., Any]) -> None:
    """OPT-04: a key of another region is to be deleted; the alarm of the primary tells the alert topic."""
    away = next(region for region in full.regions if region != primary(full))
    kms, cloudwatch = full.client("kms", away), full.client("cloudwatch", primary(full))
    key = kms.create_key(Description="to be deleted by a test")["KeyMetadata"]["KeyId"]
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    site = Site(full.environment, primary(full))

    def ringing() -> list[dict[str, Any]]:
        found = cloudwatch.describe_alarms(AlarmNames=[site.name("audit-keys-at-risk")])["MetricAlarms"]
        return [alarm for alarm in found if alarm["StateValue"] == "ALARM"]

    (alarm,) = eventually(ringing)
    assert alarm["AlarmActions"] == [output(full, "alert_topic_arn")]


def test_requests_to_every_bucket_are_logged(full: Deployment) -> None:
    """OPT-04: of all the buckets that there are in the region, the state's too; the log bucket's own are not."""
    for region in full.regions:
        s3, site = full.client("s3", region), Site(full.environment, region)
        names = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
        ours = [name for name in names if name.endswith(f"-{region}-{full.environment.suffix}")]
        assert {site.state_bucket, site.bucket_name("receipts"), site.bucket_name("code")} <= set(ours)
        prefixes = {}
        for name in ours:
            logging = s3.get_bucket_logging(Bucket=name).get("LoggingEnabled")
            if name == site.bucket_name("logs"):
                assert logging is None
                continue
            assert logging, f"nobody logs who uses {name}"
            assert logging["TargetBucket"] == full.output("data", region, "access_logs_bucket_name")
            prefixes[logging["TargetPrefix"]] = name
        assert len(prefixes) == len(ours) - 1


@pytest.mark.parametrize("query", ["who-read-this-receipt", "what-was-denied"])
def test_questions_are_saved_where_they_are_asked(full: Deployment, query: str) -> None:
    """OPT-04: the workgroup enforces its encryption, and the queries ask tables of its database."""
    athena, glue = (full.client(service, primary(full)) for service in ("athena", "glue"))
    workgroup, database = output(full, "athena_workgroup_name"), output(full, "audit_database_name")
    configuration = athena.get_work_group(WorkGroup=workgroup)["WorkGroup"]["Configuration"]
    assert configuration["EnforceWorkGroupConfiguration"] is True
    result = configuration["ResultConfiguration"]
    assert result["EncryptionConfiguration"]["EncryptionOption"] == "SSE_KMS"
    assert result["OutputLocation"] == f"s3://{output(full, 'athena_results_bucket_name')}/"
    ids = athena.list_named_queries(WorkGroup=workgroup)["NamedQueryIds"]
    saved = {one["Name"]: one for one in (athena.get_named_query(NamedQueryId=id)["NamedQuery"] for id in ids)}
    asked = saved[Site(full.environment, primary(full)).name(query)]
    assert asked["Database"] == database
    tables = {table["Name"] for table in glue.get_tables(DatabaseName=database)["TableList"]}
    assert set(re.findall(r"FROM (\w+)", asked["QueryString"])) <= tables
