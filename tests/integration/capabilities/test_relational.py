"""The relational store, on the deployed resources."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rollout.terraform import terraform_settings
from rollout.toolchain import find_tool
from rollout.workspace import Workspace
from shared.contracts import StackId
from tests.integration.conftest import Deployment
from tests.integration.places import written_files


@pytest.fixture
def primary(full: Deployment) -> str:
    return full.environment.primary


@pytest.fixture
def away(full: Deployment) -> str:
    """A region that does not write at first."""
    return next(region for region in full.regions if region != full.environment.primary)


def cluster(full: Deployment, region: str) -> dict[str, Any]:
    name = full.output("relational", region, "cluster_identifier")
    (found,) = full.client("rds", region).describe_db_clusters(DBClusterIdentifier=name)["DBClusters"]
    return dict(found)


def members(full: Deployment, region: str) -> dict[str, bool]:
    """Region -> whether it writes, as seen from a region."""
    name = full.output("relational", region, "global_cluster_identifier")
    (found,) = full.client("rds", region).describe_global_clusters(GlobalClusterIdentifier=name)["GlobalClusters"]
    assert found["Status"] == "available"
    return {member["DBClusterArn"].split(":")[3]: member["IsWriter"] for member in found["GlobalClusterMembers"]}


def password(full: Deployment) -> str:
    primary = full.environment.primary
    name = full.output("relational", primary, "secret_name")
    text = full.client("secretsmanager", primary).get_secret_value(SecretId=name)["SecretString"]
    return str(json.loads(text)["password"])


def test_a_cluster_with_two_instances_is_available_in_every_region(full: Deployment) -> None:
    """OPT-01: Serverless v2 instances in different zones, encrypted with the region's own key, 35 days of backups."""
    keys = set()
    for region in full.regions:
        found = cluster(full, region)
        assert (found["Status"], found["Engine"], found["BackupRetentionPeriod"]) == ("available", "aurora-mysql", 35)
        assert found["ServerlessV2ScalingConfiguration"] == {"MinCapacity": 0.5, "MaxCapacity": 2.0}
        assert found["StorageEncrypted"] is found["IAMDatabaseAuthenticationEnabled"] is True
        assert found["KmsKeyId"] == full.output("relational", region, "key_arn")
        assert set(found["EnabledCloudwatchLogsExports"]) == {"audit", "error", "general", "slowquery"}
        keys.add(found["KmsKeyId"])
        instances = [
            full.client("rds", region).describe_db_instances(DBInstanceIdentifier=member["DBInstanceIdentifier"])
            for member in found["DBClusterMembers"]
        ]
        shown = [answer["DBInstances"][0] for answer in instances]
        assert {instance["DBInstanceStatus"] for instance in shown} == {"available"}
        assert {instance["DBInstanceClass"] for instance in shown} == {"db.serverless"}
        assert len({instance["AvailabilityZone"] for instance in shown}) == len(shown) == 2
        assert {instance["PerformanceInsightsKMSKeyId"] for instance in shown} == {found["KmsKeyId"]}
    assert len(keys) == len(full.regions)


def test_the_primary_writes_and_the_others_follow(full: Deployment, primary: str) -> None:
    """OPT-01: one global database over all regions; every region sees the same."""
    for region in full.regions:
        assert members(full, region) == {other: other == primary for other in full.regions}
        assert full.output("relational", region, "global_endpoint") == full.output(
            "relational", primary, "global_endpoint"
        )


def test_logs_go_where_they_are_kept_and_encrypted(full: Deployment) -> None:
    """OPT-01, OPT-07."""
    for region in full.regions:
        name = full.output("relational", region, "cluster_identifier")
        logs = full.client("logs", region)
        groups = logs.describe_log_groups(logGroupNamePrefix=f"/aws/rds/cluster/{name}/")["logGroups"]
        assert {group["logGroupName"].rsplit("/", 1)[-1] for group in groups} == {
            "audit",
            "error",
            "general",
            "slowquery",
        }
        for group in groups:
            assert group["retentionInDays"] == full.environment.regions[region].logs.retention_days
            assert group["kmsKeyId"] == full.output("relational", region, "key_arn")


def test_tls_is_required(full: Deployment) -> None:
    """OPT-01, PAY-19."""
    for region in full.regions:
        group = cluster(full, region)["DBClusterParameterGroup"]
        answer = full.client("rds", region).describe_db_cluster_parameters(DBClusterParameterGroupName=group)
        values = {one["ParameterName"]: one.get("ParameterValue") for one in answer["Parameters"]}
        assert values["require_secure_transport"] == "ON"
        assert values["general_log"] == values["slow_query_log"] == values["server_audit_logging"] == "1"


def test_the_store_admits_the_application_tier_only(full: Deployment) -> None:
    """OPT-01: one way in, from the application's group, on MySQL's port; no way out."""
    for region in full.regions:
        ec2 = full.client("ec2", region)
        store = full.output("relational", region, "security_group_id")
        application = full.output("network", region, "application_security_group_id")
        assert [group["VpcSecurityGroupId"] for group in cluster(full, region)["VpcSecurityGroups"]] == [store]
        (group,) = ec2.describe_security_groups(GroupIds=[store])["SecurityGroups"]
        (way_in,) = group["IpPermissions"]
        assert (way_in["IpProtocol"], way_in["FromPort"], way_in["ToPort"]) == ("tcp", 3306, 3306)
        assert [pair["GroupId"] for pair in way_in["UserIdGroupPairs"]] == [application]
        assert not way_in.get("IpRanges")
        assert not way_in.get("PrefixListIds")
        assert not group["IpPermissionsEgress"]
        (other,) = ec2.describe_security_groups(GroupIds=[application])["SecurityGroups"]
        reached = [pair["GroupId"] for way in other["IpPermissionsEgress"] for pair in way.get("UserIdGroupPairs", [])]
        assert store in reached


def test_the_alarms_are_there(full: Deployment) -> None:
    """OPT-08."""
    for region in full.regions:
        key = f"observability-{region}.alarm_names"
        if key not in full.outputs:
            pytest.fail("the observability layer is not deployed")
        names = " ".join(full.outputs[key])
        for thing in ("cpu", "connections", "capacity", "lag"):
            assert f"-relational-{thing}-" in names


# -- the password ---------------------------------------------------------------------------------


def states(full: Deployment) -> Iterator[tuple[str, str]]:
    """(key, text) of every version of every object in the state buckets."""
    prefix = full.environment.state.bucket_prefix
    for region in full.regions:
        s3 = full.client("s3", region)
        account, suffix = full.environment.target.account_id, full.environment.suffix
        bucket = f"{prefix}-{account}-{region}-{suffix}"
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for version in page.get("Versions", []):
                body = s3.get_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])["Body"]
                yield version["Key"], body.read().decode(errors="replace")


def workspace(full: Deployment) -> Workspace:
    base = Path(full.variables.get("TRIPOINT_HOME", ".tripoint")).resolve()
    return Workspace(Path.cwd(), base, full.environment.suffix, full.outputs_file)


def plan_to_replace_the_cluster(full: Deployment, region: str, path: Path) -> bytes:
    """Everything that Terraform writes and says when it plans to make the region's cluster anew."""
    stack, files = StackId("relational", region), workspace(full)
    # A folder of its own, initialized without the engine, which provides for Terraform in its own way.
    folder = path.parent / "stack"
    shutil.copytree(files.stack(stack), folder, ignore=shutil.ignore_patterns(".terraform.lock.hcl"))
    synthesized = json.loads((folder / "cdk.tf.json").read_text())
    (name,) = synthesized["resource"]["aws_rds_cluster"]
    said = b""
    for words in (
        ["init", "-input=false"],
        ["plan", "-input=false", "-lock=false", f"-replace=aws_rds_cluster.{name}", f"-out={path}"],
    ):
        done = subprocess.run(
            [*find_tool().command, *words],
            cwd=folder,
            env={
                **full.variables,
                "TF_DATA_DIR": str(path.parent / "data"),
                "TF_CLI_CONFIG_FILE": str(files.home / "terraform.tfrc"),
                "AWS_ENDPOINT_URL": full.environment.target.endpoint or "",
            },
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()[-2000:]
        said += done.stdout + done.stderr
    with zipfile.ZipFile(path) as archive:
        return b"".join([*(archive.read(part) for part in archive.namelist()), said])


def test_the_password_is_kept_nowhere(full: Deployment, primary: str, tmp_path: Path) -> None:
    """OPT-01: in no state, plan, output, log, report or synthesized file; and the cluster was given it all the same."""
    secret = password(full)
    found = dict(states(full))
    assert f"relational-{primary}/terraform.tfstate" in found
    assert [key for key, text in found.items() if secret in text] == []
    state = json.loads(found[f"relational-{primary}/terraform.tfstate"])
    (instance,) = [one["instances"][0]["attributes"] for one in state["resources"] if one["type"] == "aws_rds_cluster"]
    assert instance["master_password"] is instance["master_password_wo"] is None
    assert instance["master_password_wo_version"] == 1
    files = workspace(full)
    written = dict(written_files(files.home, leave_out=files.sandbox))
    assert len(written) > 5
    written[full.outputs_file] = full.outputs_file.read_bytes()
    assert [path for path, body in written.items() if secret.encode() in body] == []
    plan = plan_to_replace_the_cluster(full, primary, tmp_path / "replace.tfplan")
    assert b"tripoint-relational" in plan
    assert secret.encode() not in plan


def test_no_stack_needs_a_terraform_that_others_do_not_but_the_one_that_reads_the_password(
    full: Deployment, primary: str
) -> None:
    """OPT-01: OpenTofu 1.10 runs everything else."""
    folder = workspace(full).synth / "stacks"
    bound = {path.name for path in folder.iterdir() if terraform_settings(path).get("required_version")}
    assert bound == {f"relational-{primary}"}


# -- promotion ------------------------------------------------------------------------------------


def test_a_region_is_promoted_and_the_first_one_again_without_a_difference(
    full: Deployment, primary: str, away: str
) -> None:
    """OPT-01: planned there and back; Terraform sees nothing to do while another region writes."""
    assert full.run("diff", "relational").returncode == 0
    there = full.run("promote", away, "--store", "relational")
    assert there.returncode == 0, there.stderr
    try:
        assert f"{away} writes now, {primary} did before" in there.stdout
        assert members(full, primary) == {region: region == away for region in full.regions}
        again = full.run("promote", away, "--store", "relational")
        assert again.returncode == 2
        assert again.stderr == f"error: {away} is the writer of the relational store already\n"
        planned = full.run("diff", "relational", "--details")
        assert planned.returncode == 0, planned.stdout[-4000:]
    finally:
        back = full.run("promote", primary, "--store", "relational")
    assert back.returncode == 0, back.stderr
    assert members(full, away) == {region: region == primary for region in full.regions}
    assert full.run("diff", "relational").returncode == 0


def test_a_failover_may_lose_data_and_only_when_it_is_said(full: Deployment, primary: str, away: str) -> None:
    """OPT-01: unplanned, and the way back."""
    over = full.run("promote", away, "--store", "relational", "--allow-data-loss")
    try:
        assert over.returncode == 0, over.stderr
        assert f"failing over from {primary} to {away}" in over.stdout
        assert members(full, away)[away]
    finally:
        back = full.run("promote", primary, "--store", "relational")
    assert back.returncode == 0, back.stderr
    assert re.search(rf"^{primary} writes now, {away} did before$", back.stdout, re.MULTILINE)


def test_a_promotion_of_no_region_is_one_line(full: Deployment) -> None:
    """OPT-01."""
    wrong = full.run("promote", "eu-central-1", "--store", "relational")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("error: region 'eu-central-1' is not one of this environment; allowed: ")
    assert wrong.stderr.count("\n") == 1
