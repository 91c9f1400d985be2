"""The audit trail: what it records, who can take it away, and whether what is asked of it can be answered."""

from __future__ import annotations

import fnmatch
import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rollout.sandbox.log_patterns import matcher
from shared.config import Environment, parse
from shared.site import Site
from stacks.observability.audit.queries import queries
from stacks.observability.audit.suspicions import SUSPICIONS
from stacks.observability.audit.tables import ACCESS_LOG, ACCESS_LOG_ADDED, Table, tables
from stacks.observability.capabilities.audit import audit_alarms, audit_widgets
from stacks.synth import synthesize
from tests.stacks.conftest import Synthesized

TRAIL = "arn:aws:cloudtrail:us-east-1:000000000000:trail/tripoint-audit-full"
CLOUDTRAIL = "cloudtrail.amazonaws.com"


@pytest.fixture
def full(synthesis: Callable[[str], Synthesized]) -> Synthesized:
    return synthesis("sandbox-full.toml")


def environment(name: str = "sandbox-full.toml", **sections: Any) -> Environment:
    raw = tomllib.loads((Path("config") / name).read_text())
    return parse({**raw, **sections}, source=name)


@pytest.fixture
def site() -> Site:
    found = environment()
    return Site(found, found.primary)


def primary(found: Synthesized) -> str:
    return f"observability-{found.environment.primary}"


def named(found: Synthesized, stack: str, type: str, attribute: str, value: str) -> dict[str, Any]:
    (one,) = (one for one in found.resources(stack, type).values() if one[attribute] == value)
    return one


def bucket(found: Synthesized, region: str, thing: str) -> tuple[str, dict[str, Any]]:
    """The Terraform name and the resource of a bucket of the observability layer."""
    wanted = Site(found.environment, region).bucket_name(thing)
    ((name, one),) = (
        (name, one)
        for name, one in found.resources(f"observability-{region}", "aws_s3_bucket").items()
        if one["bucket"] == wanted
    )
    return name, one


def of_bucket(found: Synthesized, region: str, thing: str, type: str) -> dict[str, Any]:
    """The resource of a type that configures a bucket."""
    name, _ = bucket(found, region, thing)
    return named(found, f"observability-{region}", type, "bucket", f"${{aws_s3_bucket.{name}.id}}")


def admitted(policy: str, service: str) -> list[dict[str, Any]]:
    """The statements of a policy that are about a service."""
    return [one for one in json.loads(policy)["Statement"] if one["Principal"].get("Service") == service]


# -- the trail ------------------------------------------------------------------------------------


def test_one_trail_of_all_regions_validated_and_encrypted(full: Synthesized) -> None:
    """OPT-04: multi-region, log file validation, KMS; one per environment, in the primary region."""
    trails = [(stack, resource) for stack, type, _, resource in full.everything() if type == "aws_cloudtrail"]
    ((stack, trail),) = trails
    assert stack == primary(full)
    assert trail["is_multi_region_trail"] is True
    assert trail["include_global_service_events"] is True
    assert trail["enable_log_file_validation"] is True
    assert trail["kms_key_id"].startswith("${aws_kms_key.audit_files_key")
    # CloudTrail checks the policies when the trail is made.
    assert any("aws_s3_bucket_policy" in needed for needed in trail["depends_on"])


def test_management_events_and_reads_of_receipts_payments_and_personal_data_are_recorded(full: Synthesized) -> None:
    """OPT-04: S3 and DynamoDB data events, of every region's receipts, payments and vault, by their real names."""
    (trail,) = full.resources(primary(full), "aws_cloudtrail").values()
    selectors = {
        one["name"]: {field["field"]: field for field in one["field_selector"]}
        for one in trail["advanced_event_selector"]
    }
    assert selectors["Management events"]["eventCategory"]["equals"] == ["Management"]
    objects, items = selectors["Receipts"], selectors["Payments and personal data"]
    assert objects["resources.type"]["equals"] == ["AWS::S3::Object"]
    assert items["resources.type"]["equals"] == ["AWS::DynamoDB::Table"]
    account = full.environment.target.account_id
    receipts, recorded = set(), set()
    for region in full.environment.regions:
        for one in full.resources(f"data-{region}", "aws_s3_bucket").values():
            if "-receipts-" in one["bucket"]:
                receipts.add(f"arn:aws:s3:::{one['bucket']}/")
        # The other regions' replicas have the name of the primary's table.
        recorded |= {
            f"arn:aws:dynamodb:{region}:{account}:table/{one['name']}"
            for one in full.resources(f"data-{full.environment.primary}", "aws_dynamodb_table").values()
            if "-payments-" in one["name"] or "-vault-" in one["name"]
        }
    assert set(objects["resources.ARN"]["starts_with"]) == receipts
    assert set(items["resources.ARN"]["equals"]) == recorded
    assert len(receipts) == len(full.environment.regions) == len(recorded) / 2


def test_only_this_trail_writes_to_its_bucket(full: Synthesized) -> None:
    """OPT-04: "Amazon S3 bucket policy for CloudTrail" with aws:SourceArn."""
    policy = of_bucket(full, full.environment.primary, "audit", "aws_s3_bucket_policy")["policy"]
    check, write = admitted(policy, CLOUDTRAIL)
    assert (check["Action"], write["Action"]) == ("s3:GetBucketAcl", "s3:PutObject")
    assert write["Resource"].endswith(f"/AWSLogs/{full.environment.target.account_id}/*")
    assert write["Condition"]["StringEquals"]["s3:x-amz-acl"] == "bucket-owner-full-control"
    for statement in (check, write):
        assert statement["Condition"]["StringEquals"]["aws:SourceArn"] == TRAIL


def test_only_this_trail_encrypts_with_its_key(full: Synthesized) -> None:
    """OPT-04: "Configure AWS KMS key policies for CloudTrail": aws:SourceArn and encryption context; never decrypts."""
    keys = full.resources(primary(full), "aws_kms_key")
    (key,) = (one for one in keys.values() if one["tags"]["Name"] == "tripoint-audit-full")
    encrypt, describe = admitted(key["policy"], CLOUDTRAIL)
    assert (encrypt["Action"], describe["Action"]) == ("kms:GenerateDataKey", "kms:DescribeKey")
    context = encrypt["Condition"]["StringLike"]["kms:EncryptionContext:aws:cloudtrail:arn"]
    assert fnmatch.fnmatch(TRAIL, context)
    for statement in (encrypt, describe):
        assert statement["Condition"]["StringEquals"]["aws:SourceArn"] == TRAIL
    # With a bucket key the context would be the bucket's.
    (rule,) = of_bucket(full, full.environment.primary, "audit", "aws_s3_bucket_server_side_encryption_configuration")[
        "rule"
    ]
    assert rule["bucket_key_enabled"] is False


def test_the_trails_role_writes_only_the_streams_of_the_trail(full: Synthesized) -> None:
    """OPT-04, PAY-13: exactly what CloudTrail names its streams."""
    (role,) = (
        one
        for one in full.resources(primary(full), "aws_iam_role").values()
        if admitted(one["assume_role_policy"], CLOUDTRAIL)
    )
    (trust,) = json.loads(role["assume_role_policy"])["Statement"]
    assert trust["Condition"]["ArnLike"]["aws:SourceArn"] == TRAIL
    (policy,) = (
        one for one in full.resources(primary(full), "aws_iam_role_policy").values() if "CloudTrail" in one["policy"]
    )
    (statement,) = json.loads(policy["policy"])["Statement"]
    assert statement["Resource"][0].endswith(":log-stream:000000000000_CloudTrail_us-east-1*")


def test_outputs_are_the_same_in_every_region(full: Synthesized) -> None:
    """OPT-04: whoever looks in any region finds the one trail."""
    names = ("trail_arn", "audit_bucket_name", "athena_workgroup_name", "audit_database_name", "audit_log_group_name")
    found = {
        region: [full.stack(f"observability-{region}")["output"][name]["value"] for name in names]
        for region in full.environment.regions
    }
    assert len({tuple(values) for values in found.values()}) == 1
    group = full.stack(primary(full))["output"]["audit_log_group_name"]["value"]
    assert named(full, primary(full), "aws_cloudwatch_log_group", "name", group)
    assert full.stack(primary(full))["output"]["trail_arn"]["value"] == TRAIL


def test_files_go_when_their_time_is_over(full: Synthesized) -> None:
    """OPT-04, OPT-09: lifecycle after the retention, in a stack that nothing waits for."""
    rules = {
        one["bucket"]: one["rule"][0]
        for one in full.resources(
            f"observability-links-{full.environment.primary}", "aws_s3_bucket_lifecycle_configuration"
        ).values()
    }
    (files,) = (rule for bucket, rule in rules.items() if "audit_bucket_name" in bucket)
    (results,) = (rule for bucket, rule in rules.items() if "athena_results" in bucket)
    settings = full.environment.regions[full.environment.primary].audit
    assert files["expiration"][0]["days"] == settings.retention_days
    assert results["expiration"][0]["days"] == settings.results_days


# -- production -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """The production example with the audit trail, its primary's observability stack."""
    found = environment("example-production.toml", audit={"enabled": True, "retention_days": 400})
    out = tmp_path_factory.mktemp("production")
    synthesize(found, out=out, functions=Path(".tripoint/functions"), only=[f"observability-{found.primary}"])
    return Synthesized(found, out)


def test_in_production_nobody_can_delete_the_files_before_their_time(production: Synthesized) -> None:
    """OPT-04, PAY-16: object lock from the bucket's creation on, compliance mode, for the configured retention."""
    region = production.environment.primary
    _, files = bucket(production, region, "audit")
    assert files["object_lock_enabled"] is True
    lock = of_bucket(production, region, "audit", "aws_s3_bucket_object_lock_configuration")
    assert lock["rule"]["default_retention"] == {"mode": "COMPLIANCE", "days": 400}
    _, results = bucket(production, region, "queries")
    assert "object_lock_enabled" not in results


def test_elsewhere_nothing_is_locked(full: Synthesized) -> None:
    """PAY-16: what cannot be deleted cannot be destroyed."""
    for stack, type, name, resource in full.everything():
        assert type != "aws_s3_bucket_object_lock_configuration", stack
        assert not resource.get("object_lock_enabled"), f"{stack}/{type}.{name}"


# -- access logs ----------------------------------------------------------------------------------


def buckets(found: Synthesized) -> Iterator[tuple[str, str, str]]:
    """(stack, region, bucket name) of every bucket of every stack."""
    for stack, type, _, resource in found.everything():
        if type == "aws_s3_bucket":
            (region,) = (region for region in found.environment.regions if stack.endswith(region))
            yield stack, region, resource["bucket"]


def logged(found: Synthesized) -> dict[str, dict[str, Any]]:
    """Bucket name -> how its requests are logged."""
    logs = {}
    for stack, type, _, resource in found.everything():
        if type == "aws_s3_bucket_logging":
            reference = re.fullmatch(r"\$\{aws_s3_bucket\.([\w-]+)\.\w+\}", resource["bucket"])
            name = resource["bucket"]
            if reference:
                name = found.resources(stack, "aws_s3_bucket")[reference[1]]["bucket"]
            logs[name] = resource
    return logs


def test_requests_to_every_bucket_are_logged(full: Synthesized) -> None:
    """OPT-04: S3 server access logs of every bucket there is, the state's too, each under a prefix of its own."""
    logs = logged(full)
    for stack, region, name in buckets(full):
        site = Site(full.environment, region)
        if name == site.bucket_name("logs"):
            # It would log the delivery of its own logs, without end (S3 User Guide, "Logging requests with server
            # access logging").
            assert name not in logs
            continue
        assert name in logs, f"{stack}: nobody logs who uses {name}"
        assert name.startswith(f"tripoint-{logs[name]['target_prefix'].removesuffix('/')}-"), name
    for region in full.environment.regions:
        site = Site(full.environment, region)
        assert logs[site.state_bucket]["target_prefix"] == "state/"
        prefixes = [entry["target_prefix"] for name, entry in logs.items() if name_region(full, name) == region]
        assert len(set(prefixes)) == len(prefixes)


def name_region(found: Synthesized, bucket: str) -> str:
    (region,) = (region for region in found.environment.regions if f"-{region}-" in bucket)
    return region


def test_logs_go_to_the_bucket_of_the_region_and_it_takes_them(full: Synthesized) -> None:
    """OPT-04: the target is the region's log bucket, and its policy admits each bucket that logs to it."""
    for region in full.environment.regions:
        site = Site(full.environment, region)
        stack = f"data-{region}"
        ((name, _),) = (
            (name, one)
            for name, one in full.resources(stack, "aws_s3_bucket").items()
            if one["bucket"] == site.bucket_name("logs")
        )
        policy = named(full, stack, "aws_s3_bucket_policy", "bucket", f"${{aws_s3_bucket.{name}.id}}")["policy"]
        (statement,) = admitted(policy, "logging.s3.amazonaws.com")
        patterns = statement["Condition"]["ArnLike"]["aws:SourceArn"]
        ours = [one for one in logged(full) if name_region(full, one) == region]
        assert {"receipts", "code", "state", "flow-logs"} <= {
            one.split("-000000000000")[0].split("-", 1)[1] for one in ours
        }
        for one in ours:
            assert any(fnmatch.fnmatchcase(f"arn:aws:s3:::{one}", pattern) for pattern in patterns), one
        for entry in (logged(full)[one] for one in ours):
            assert "logs" in entry["target_bucket"], entry
        # Another environment's bucket in the same account.
        foreign = f"arn:aws:s3:::tripoint-receipts-000000000000-{region}-other"
        assert not any(fnmatch.fnmatchcase(foreign, pattern) for pattern in patterns)


def test_without_the_capability_only_receipts_are_logged(sandbox: Synthesized) -> None:
    """PAY-11: as the core has it."""
    assert {re.sub("-0{12}.*", "", name) for name in logged(sandbox)} == {"tripoint-receipts"}


# -- tables ---------------------------------------------------------------------------------------

# The examples of "Amazon S3 server access log format" (S3 User Guide), one as it was before the fields at the end were
# added, and a denied request without a key, and a user agent with spaces.
OWNER = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"
ACCESS_LOG_LINES = [
    f"{OWNER} amzn-s3-demo-bucket1 [06/Feb/2019:00:00:38 +0000] 192.0.2.3 {OWNER} 3E57427F3EXAMPLE "
    'REST.GET.VERSIONING - "GET /amzn-s3-demo-bucket1?versioning HTTP/1.1" 200 - 113 - 7 - "-" "S3Console/0.4" - '
    "s9lzHYrFp76ZVxRcpX9+5cjAnEH2ROuNkd2BHfIa6UkFVdtjf5mKR3/eTPFvsiP/XV/VLi31234= SigV4 ECDHE-RSA-AES128-GCM-SHA256 "
    "AuthHeader amzn-s3-demo-bucket1.s3.us-west-1.amazonaws.com TLSV1.2 "
    "arn:aws:s3:us-west-1:123456789012:accesspoint/example-AP Yes",
    f"{OWNER} amzn-s3-demo-bucket1 [06/Feb/2019:00:01:57 +0000] 192.0.2.3 {OWNER} DD6CC733AEXAMPLE REST.PUT.OBJECT "
    's3-dg.pdf "PUT /amzn-s3-demo-bucket1/s3-dg.pdf HTTP/1.1" 200 - - 4406583 41754 28 "-" "S3Console/0.4" - ',
    f"{OWNER} b [22/Nov/2026:15:40:05 +0000] 198.51.100.7 - ABC REST.GET.OBJECT receipts/pay_1.json "
    '"GET /b/receipts/pay_1.json HTTP/1.1" 403 AccessDenied 243 - 9 - "https://x.example/a b" '
    '"Mozilla/5.0 (X11; Linux) Gecko" - h= - - - b.s3.amazonaws.com TLSv1.3 - - a-field-of-the-future',
]


def table(found: list[Table], name: str) -> Table:
    (one,) = (one for one in found if one.name == name)
    return one


def located(one: Table, key: str) -> dict[str, str] | None:
    """The partition in which a file lies, by the table's template; None when it lies in none."""
    template = re.escape(one.parameters["storage.location.template"])
    pattern = re.sub(r"\\\$\\\{(\w+)\\\}", r"(?P<\1>.+?)", template)
    found = re.fullmatch(pattern.removesuffix("/") + r"/[^/]+", key)
    return found.groupdict() if found else None


@pytest.mark.parametrize("line", ACCESS_LOG_LINES, ids=("all-fields", "old", "denied"))
def test_access_log_lines_are_taken_apart(site: Site, line: str) -> None:
    """OPT-04: each field of the log lands in its column; fields that are not known yet do no harm."""
    one = table(tables(site), "access_logs_us_east_1")
    found = re.match(one.format.options["input.regex"], line)
    assert found
    assert re.compile(one.format.options["input.regex"]).groups == len(one.columns)
    row = dict(zip(one.columns, found.groups(), strict=True))
    assert re.fullmatch(r"\d\d/\w{3}/\d{4}:[\d:]{8} \+0000", row["requestdatetime"])
    assert row["operation"] in ("REST.GET.VERSIONING", "REST.PUT.OBJECT", "REST.GET.OBJECT")
    assert row["httpstatus"] in ("200", "403")
    assert re.fullmatch(r'"(GET|PUT) /.* HTTP/1.1"', row["request_uri"])
    if row["hostid"]:
        assert row["tlsversion"].lower() in ("tlsv1.2", "tlsv1.3")
        assert row["endpoint"].endswith("amazonaws.com")


def test_columns_of_the_access_log_are_in_the_order_of_the_format() -> None:
    """OPT-04: the last example has something in every field that a shift would misplace."""
    assert list(ACCESS_LOG)[-2:] == ["useragent", "versionid"]
    assert ACCESS_LOG_ADDED[0] == "hostid"
    assert ACCESS_LOG_ADDED[-1] == "aclrequired"


def test_access_logs_lie_where_the_table_looks(full: Synthesized, site: Site) -> None:
    """OPT-04: what S3 is told to write is what Athena is told to read, the receipts' own logging included."""
    one = table(tables(site), "access_logs_us_east_1")
    for name, entry in logged(full).items():
        if name_region(full, name) == "us-east-1":
            key = f"s3://{site.bucket_name('logs')}/{entry['target_prefix']}2026-11-22-15-40-05-0123456789ABCDEF"
            assert located(one, key) == {"logged": entry["target_prefix"].removesuffix("/")}


RECORD = {
    "eventVersion": "1.11",
    "userIdentity": {
        "type": "AssumedRole",
        "principalId": "AROA:me",
        "arn": "arn:aws:sts::000000000000:assumed-role/on-call/me",
        "accountId": "000000000000",
        "accessKeyId": "ASIA",
        "sessionContext": {
            "sessionIssuer": {"type": "Role", "arn": "arn:aws:iam::000000000000:role/on-call", "userName": "on-call"},
            "attributes": {"creationDate": "2026-11-22T15:00:00Z", "mfaAuthenticated": "true"},
        },
    },
    "eventTime": "2026-11-22T15:40:05Z",
    "eventSource": "s3.amazonaws.com",
    "eventName": "GetObject",
    "awsRegion": "eu-west-1",
    "sourceIPAddress": "198.51.100.7",
    "userAgent": "aws-cli",
    "requestParameters": {"bucketName": "b", "key": "receipts/pay_1.json"},
    "responseElements": None,
    "additionalEventData": {"CipherSuite": "ECDHE"},
    "requestID": "R",
    "eventID": "E",
    "readOnly": True,
    "resources": [{"type": "AWS::S3::Object", "ARN": "arn:aws:s3:::b/receipts/pay_1.json"}],
    "eventType": "AwsApiCall",
    "managementEvent": False,
    "recipientAccountId": "000000000000",
    "sharedEventID": "S",
    "vpcEndpointId": "vpce-1",
    "eventCategory": "Data",
    "tlsDetails": {"tlsVersion": "TLSv1.3", "cipherSuite": "C", "clientProvidedHostHeader": "h"},
}


def test_fields_of_the_trails_records_have_columns(site: Site) -> None:
    """OPT-04: "CloudTrail record contents"; the one field that the guide's table leaves out repeats the category."""
    one = table(tables(site), "trail")
    missing = {name for name in RECORD if name.lower() not in one.columns}
    assert missing == {"managementEvent"}
    for name in ("userIdentity", "tlsDetails"):
        inner: dict[str, Any] = RECORD[name]  # type: ignore[assignment]
        assert all(f"{field.lower()}:" in one.columns[name.lower()] for field in inner)


def test_every_region_there_is_and_every_day_that_is_kept_is_a_partition(site: Site) -> None:
    """OPT-04: files of regions in which nothing is deployed as well: what happens there should not."""
    one = table(tables(site), "trail")
    key = (
        f"s3://{site.bucket_name('audit')}/AWSLogs/000000000000/CloudTrail/sa-east-1/2026/11/22/"
        "000000000000_CloudTrail_sa-east-1_20261122T1540Z_0123456789abcdef.json.gz"
    )
    template = re.escape(one.parameters["storage.location.template"])
    pattern = template.replace(r"\$\{region\}", r"(?P<region>[\w-]+)").replace(
        r"\$\{day\}", r"(?P<day>\d{4}/\d\d/\d\d)"
    )
    found = re.fullmatch(pattern + "/[^/]+", key)
    assert found
    assert found["region"] in one.projection["region.values"].split(",")
    assert set(site.environment.regions) <= set(one.projection["region.values"].split(","))
    assert one.projection["day.format"] == "yyyy/MM/dd"
    assert one.projection["day.range"] == f"NOW-{site.settings.audit.retention_days}DAYS,NOW"


def test_flow_log_files_lie_where_the_table_looks(site: Site) -> None:
    """OPT-05: the example of "Flow log files" (VPC User Guide), Hive-compatible and hourly."""
    one = table(tables(site.at("eu-west-1")), "flow_logs_eu_west_1")
    key = (
        f"s3://{site.at('eu-west-1').bucket_name('flow-logs')}/AWSLogs/aws-account-id=000000000000/"
        "aws-service=vpcflowlogs/aws-region=eu-west-1/year=2026/month=03/day=07/hour=16/"
        "000000000000_vpcflowlogs_eu-west-1_fl-1234abcd_20260307T1620Z_fe123456.log.parquet"
    )
    assert located(one, key) == {"year": "2026", "month": "03", "day": "07", "hour": "16"}
    for column, number in (("month", "03"), ("day", "07"), ("hour", "16")):
        first, last = one.projection[f"{column}.range"].split(",")
        assert int(first) <= int(number) <= int(last)
        assert one.projection[f"{column}.digits"] == "2"


def test_flow_log_columns_are_those_of_the_default_format(site: Site) -> None:
    """OPT-05: the fields of version 2, with underscores as in Parquet files."""
    fields = (
        "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action "
        "log-status"
    )
    assert list(table(tables(site), "flow_logs_us_east_1").columns) == fields.replace("-", "_").split()


def test_every_partition_is_projected_and_none_is_a_column(site: Site) -> None:
    """OPT-04: Athena refuses a table whose partition columns are not all projected, Glue one with a column twice."""
    for one in tables(site):
        assert {key.split(".")[0] for key in one.projection} == set(one.partitions), one.name
        assert not set(one.partitions) & set(one.columns), one.name
        for column in one.partitions:
            assert f"${{{column}}}" in one.parameters["storage.location.template"], one.name


def test_tables_reach_glue_as_they_are(full: Synthesized, site: Site) -> None:
    """OPT-04: Terraform must not take Athena's ${...} for its own."""
    made = {one["name"]: one for one in full.resources(primary(full), "aws_glue_catalog_table").values()}
    assert set(made) == {one.name for one in tables(site)}
    for one in tables(site):
        parameters = {key: value.replace("$${", "${") for key, value in made[one.name]["parameters"].items()}
        assert parameters == one.parameters
        assert "$${" in made[one.name]["parameters"]["storage.location.template"]
        assert [column["name"] for column in made[one.name]["storage_descriptor"]["columns"]] == list(one.columns)


# -- queries --------------------------------------------------------------------------------------


def test_queries_ask_tables_that_exist_and_name_their_partitions(site: Site) -> None:
    """OPT-04: a query that leaves an injected partition out is refused, one without a day reads a year."""
    known = {one.name: one for one in tables(site)}
    for query in queries(site):
        for part in query.text.split("UNION ALL"):
            (name,) = re.findall(r"\bFROM (\w+)", part)
            one = known[name]
            needed = [key.split(".")[0] for key, value in one.projection.items() if value == "injected"]
            for column in [*needed, *(["day"] if name == "trail" else [])]:
                assert re.search(rf"\b{column} (=|>=) ", part), f"{query.thing}: {column}"


def test_flow_logs_are_asked_only_where_there_are_files() -> None:
    """OPT-04, OPT-05: each works without the other."""
    found = environment(flow_logs={"enabled": False})
    alone = Site(found, found.primary)
    assert "rejected-traffic" not in {query.thing for query in queries(alone)}
    assert not [one.name for one in tables(alone) if one.name.startswith("flow_logs")]


def test_answers_are_encrypted_in_our_bucket_whatever_the_client_wants(full: Synthesized) -> None:
    """OPT-04, PAY-19: the workgroup's settings are enforced, and one query's reading is limited."""
    workgroup = full.only(primary(full), "aws_athena_workgroup")
    configuration = workgroup["configuration"]
    assert configuration["enforce_workgroup_configuration"] is True
    settings = full.environment.regions[full.environment.primary].audit
    assert configuration["bytes_scanned_cutoff_per_query"] == settings.query_limit_gb * 10**9
    result = configuration["result_configuration"]
    assert result["encryption_configuration"]["encryption_option"] == "SSE_KMS"
    assert "aws_kms_key" in result["encryption_configuration"]["kms_key_arn"]
    name, _ = bucket(full, full.environment.primary, "queries")
    assert result["output_location"] == f"s3://${{aws_s3_bucket.{name}.id}}/"
    asked = full.resources(primary(full), "aws_athena_named_query").values()
    assert {"tripoint-who-read-this-receipt-full", "tripoint-what-was-denied-full"} <= {one["name"] for one in asked}
    for region in full.environment.regions:
        if region != full.environment.primary:
            assert not full.resources(f"observability-{region}", "aws_athena_workgroup")


# -- alarms ---------------------------------------------------------------------------------------

ROOT = {"userIdentity": {"type": "Root"}, "eventType": "AwsApiCall", "eventSource": "s3.amazonaws.com"}
EVENTS: list[tuple[dict[str, Any], set[str]]] = [
    (RECORD, set()),
    (ROOT, {"RootUse"}),
    ({**ROOT, "userIdentity": {"type": "Root", "invokedBy": "support.amazonaws.com"}}, set()),
    ({**ROOT, "eventType": "AwsServiceEvent"}, set()),
    ({**RECORD, "eventSource": CLOUDTRAIL, "eventName": "StopLogging"}, {"TrailChanged"}),
    ({**RECORD, "eventSource": CLOUDTRAIL, "eventName": "PutEventSelectors"}, {"TrailChanged"}),
    ({**RECORD, "eventSource": CLOUDTRAIL, "eventName": "GetTrailStatus"}, set()),
    ({**RECORD, "eventSource": "kms.amazonaws.com", "eventName": "ScheduleKeyDeletion"}, {"KeysAtRisk"}),
    ({**RECORD, "eventSource": "kms.amazonaws.com", "eventName": "Decrypt"}, set()),
    ({**RECORD, "errorCode": "AccessDenied"}, {"Denied"}),
    ({**RECORD, "errorCode": "AccessDeniedException"}, {"Denied"}),
    ({**RECORD, "errorCode": "Client.UnauthorizedOperation"}, {"Denied"}),
    ({**RECORD, "errorCode": "NoSuchKey"}, set()),
]


@pytest.mark.parametrize(("event", "expected"), EVENTS)
def test_what_is_suspicious_is_counted(event: dict[str, Any], expected: set[str]) -> None:
    """OPT-04: root's own calls, changes of trails, keys at risk, denials; nothing else."""
    found = {one.metric for one in SUSPICIONS if matcher(one.pattern)(json.dumps(event), event)}
    assert found == expected


def test_each_suspicion_is_counted_and_watched_in_the_primary_only(full: Synthesized) -> None:
    """OPT-04: filter, metric and alarm are of one name, over all regions; thresholds are the configuration's."""
    for region, settings in full.environment.regions.items():
        stack = f"observability-{region}"
        filters = {
            (one["metric_transformation"]["namespace"], one["metric_transformation"]["name"])
            for one in full.resources(stack, "aws_cloudwatch_log_metric_filter").values()
        }
        alarms = {
            one["alarm_name"]: one
            for one in full.resources(stack, "aws_cloudwatch_metric_alarm").values()
            if one["alarm_name"].startswith("tripoint-audit-")
        }
        watched = {(one["namespace"], one["metric_name"]) for one in alarms.values()}
        assert watched == filters
        assert len(alarms) == (len(SUSPICIONS) if region == full.environment.primary else 0)
        if alarms:
            assert alarms["tripoint-audit-denied-full"]["threshold"] == settings.audit.denied_per_period


def test_alarms_wait_for_a_trail_that_comes_late(site: Site) -> None:
    """OPT-04: a quarter of an hour, in whatever periods."""
    for spec in audit_alarms(site, None):
        assert spec.patience.datapoints == 1
        assert spec.patience.periods * site.settings.alarms.period_s >= 900 + 3 * site.settings.alarms.period_s


def test_without_the_log_group_nothing_is_counted() -> None:
    """OPT-04: `audit.cloudwatch = false` takes alarms and widgets away with the log group."""
    found = environment(audit={"enabled": True, "cloudwatch": False})
    quiet = Site(found, found.primary)
    assert audit_alarms(quiet, None) == []
    assert audit_widgets(quiet, None) == []
