"""The relational store, on the synthesized stacks."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shared.config import ConfigError, Environment, known_regions, parse
from shared.errors import UsageError
from stacks.catalogue import graph_of, spec_of
from stacks.data.contract import RelationalOutputs
from stacks.data.relational.logs import LOGS
from stacks.synth import synthesize
from tests.stacks.conftest import Synthesized

PRIMARY = "us-east-1"
APPLICATION = "application_security_group_id"
RAW = tomllib.loads(Path("config/sandbox-full.toml").read_text())
OFF = {name: {"enabled": False} for name in ("web", "assets", "audit", "flow_logs", "processing", "activity")}


@pytest.fixture
def full(synthesis: Callable[[str], Synthesized]) -> Synthesized:
    return synthesis("sandbox-full.toml")


def environment(**sections: Any) -> Environment:
    """The full sandbox with the relational store alone."""
    return parse({**RAW, **OFF, **sections}, source="test")


def stores(found: Environment, tmp_path: Path) -> Synthesized:
    names = [f"relational-{region}" for region in found.regions]
    synthesize(found, out=tmp_path, functions=Path(".tripoint/functions"), only=names)
    return Synthesized(found, tmp_path)


@dataclass(frozen=True)
class Store:
    """One region's stack, in parts."""

    found: Synthesized
    region: str

    @property
    def stack(self) -> str:
        return f"relational-{self.region}"

    @property
    def cluster(self) -> dict[str, Any]:
        return self.found.only(self.stack, "aws_rds_cluster")

    @property
    def key(self) -> str:
        (name,) = self.found.resources(self.stack, "aws_kms_key")
        return f"${{aws_kms_key.{name}.arn}}"

    @property
    def instances(self) -> list[dict[str, Any]]:
        return list(self.found.resources(self.stack, "aws_rds_cluster_instance").values())


def each(found: Synthesized) -> list[Store]:
    return [Store(found, region) for region in found.environment.regions]


# -- the global database --------------------------------------------------------------------------


def test_primary_has_the_global_database_and_the_others_join_it(full: Synthesized) -> None:
    """OPT-01: cross-region secondaries in the other regions, encrypted."""
    for store in each(full):
        if store.region == PRIMARY:
            database = full.only(store.stack, "aws_rds_global_cluster")
            assert (database["engine"], database["storage_encrypted"]) == ("aurora-mysql", True)
            (name,) = full.resources(store.stack, "aws_rds_global_cluster")
            assert store.cluster["global_cluster_identifier"] == f"${{aws_rds_global_cluster.{name}.id}}"
            assert store.cluster["master_username"] == "admin"
            assert "source_region" not in store.cluster
        else:
            assert not full.resources(store.stack, "aws_rds_global_cluster")
            assert f"from-relational-{PRIMARY}" in store.cluster["global_cluster_identifier"]
            # Aurora refuses these of a secondary; an encrypted one needs its source's region.
            assert not {"master_username", "master_password_wo", "database_name"} & set(store.cluster)
            assert store.cluster["source_region"] == PRIMARY


def test_secondaries_come_after_the_primary_and_go_before_it() -> None:
    """OPT-01: the global database is first to come and last to go; payments never wait for the store."""
    graph = graph_of(environment())
    for stack, needs in graph.needs.items():
        if stack.name == "relational":
            assert {need.name for need in needs} <= {"network", "relational"}
            assert stack.region == PRIMARY or f"relational-{PRIMARY}" in map(str, needs)
        else:
            assert not [need for need in needs if need.name == "relational"]


def test_one_version_for_all_members_and_no_fight_over_it(tmp_path: Path) -> None:
    """OPT-01: an upgrade goes through the global database; a promotion is no difference."""
    regions = {**RAW["regions"], "eu-west-1": {**RAW["regions"]["eu-west-1"]}}
    regions["eu-west-1"]["relational"] = {"engine_version": "8.0.mysql_aurora.3.04.0"}
    for store in each(stores(environment(regions=regions), tmp_path)):
        assert store.cluster["engine_version"] == "8.0.mysql_aurora.3.08.2"
        assert set(store.cluster["lifecycle"]["ignore_changes"]) == {"engine_version", "replication_source_identifier"}
        for instance in store.instances:
            assert instance["engine_version"].startswith("${aws_rds_cluster.")
            assert instance["auto_minor_version_upgrade"] is False


# -- a cluster ------------------------------------------------------------------------------------


def test_instances_are_serverless_and_in_different_zones(full: Synthesized) -> None:
    """OPT-01: Serverless v2, 0.5 to 2 ACU by default, two instances over the zones."""
    for store in each(full):
        assert store.cluster["engine_mode"] == "provisioned"
        assert store.cluster["serverlessv2_scaling_configuration"] == {"min_capacity": 0.5, "max_capacity": 2}
        assert {instance["instance_class"] for instance in store.instances} == {"db.serverless"}
        assert len({instance["availability_zone"] for instance in store.instances}) == len(store.instances) == 2
        assert {instance["promotion_tier"] for instance in store.instances} == {0, 1}
        assert not [instance for instance in store.instances if instance["publicly_accessible"]]


def test_the_settings_reach_the_cluster(tmp_path: Path) -> None:
    """OPT-01: capacity, instances and days of backups are configurable."""
    settings = {"min_acu": 1, "max_acu": 8, "instances": 4, "backup_days": 7, "database": "ledger", "username": "root1"}
    for store in each(stores(environment(relational={**RAW["relational"], **settings}), tmp_path)):
        assert store.cluster["serverlessv2_scaling_configuration"] == {"min_capacity": 1, "max_capacity": 8}
        assert store.cluster["backup_retention_period"] == 7
        assert len(store.instances) == 4
        assert len({instance["availability_zone"] for instance in store.instances}) == 3
        if store.region == PRIMARY:
            assert (store.cluster["database_name"], store.cluster["master_username"]) == ("ledger", "root1")


def test_everything_is_encrypted_with_a_key_of_the_stores_own(full: Synthesized) -> None:
    """OPT-01, PAY-19: storage, Performance Insights and logs; CloudWatch Logs may use the key for these logs alone."""
    for store in each(full):
        assert store.cluster["storage_encrypted"] is True
        assert store.cluster["kms_key_id"] == store.key
        for instance in store.instances:
            assert instance["performance_insights_enabled"] is True
            assert instance["performance_insights_kms_key_id"] == store.key
        groups = full.resources(store.stack, "aws_cloudwatch_log_group").values()
        assert {group["kms_key_id"] for group in groups} == {store.key}
        statements = json.loads(full.only(store.stack, "aws_kms_key")["policy"])["Statement"]
        (service,) = [one for one in statements if "Service" in one["Principal"]]
        assert service["Principal"]["Service"] == f"logs.{store.region}.amazonaws.com"
        ((pattern,),) = (condition.values() for condition in service["Condition"].values())
        assert pattern.endswith(":log-group:/aws/rds/cluster/tripoint-relational-full/*")


def test_all_four_logs_are_written_exported_and_kept(full: Synthesized) -> None:
    """OPT-01, OPT-07: audit, error, general, slow queries; into log groups that were there before."""
    for store in each(full):
        assert set(store.cluster["enabled_cloudwatch_logs_exports"]) == {"audit", "error", "general", "slowquery"}
        groups = full.resources(store.stack, "aws_cloudwatch_log_group")
        wanted = {f"/aws/rds/cluster/{store.cluster['cluster_identifier']}/{log}" for log in LOGS}
        assert {group["name"] for group in groups.values()} == wanted
        assert {f"aws_cloudwatch_log_group.{name}" for name in groups} <= set(store.cluster["depends_on"])
        parameters = full.only(store.stack, "aws_rds_cluster_parameter_group")
        (name,) = full.resources(store.stack, "aws_rds_cluster_parameter_group")
        assert store.cluster["db_cluster_parameter_group_name"] == f"${{aws_rds_cluster_parameter_group.{name}.name}}"
        written = {one["name"]: one["value"] for one in parameters["parameter"]}
        assert (written["server_audit_logging"], written["general_log"], written["slow_query_log"]) == ("1", "1", "1")
        assert written["log_output"] == "FILE"
        assert set(written["server_audit_events"].split(",")) == {"CONNECT", "QUERY_DCL", "QUERY_DDL"}


def test_connections_are_tls_only_and_roles_may_log_in(full: Synthesized) -> None:
    """OPT-01, PAY-19: encryption in transit is required; IAM database authentication is on."""
    for store in each(full):
        parameters = full.only(store.stack, "aws_rds_cluster_parameter_group")["parameter"]
        assert {"name": "require_secure_transport", "value": "ON", "apply_method": "immediate"} in parameters
        assert store.cluster["iam_database_authentication_enabled"] is True


def test_only_the_application_tier_reaches_the_store(full: Synthesized) -> None:
    """OPT-01: the DB security group admits the application tier only, by reference, on one port."""
    for store in each(full):
        (group,) = full.resources(store.stack, "aws_security_group")
        assert not {"ingress", "egress"} & set(full.only(store.stack, "aws_security_group"))
        assert store.cluster["vpc_security_group_ids"] == [f"${{aws_security_group.{group}.id}}"]
        ingress = full.only(store.stack, "aws_vpc_security_group_ingress_rule")
        egress = full.only(store.stack, "aws_vpc_security_group_egress_rule")
        for rule, mine, theirs in (
            (ingress, "security_group_id", "referenced_security_group_id"),
            (egress, "referenced_security_group_id", "security_group_id"),
        ):
            assert rule[mine] == f"${{aws_security_group.{group}.id}}"
            assert rule[theirs].endswith(f"from-network-{store.region}.outputs.{APPLICATION}}}")
            assert (rule["from_port"], rule["to_port"], rule["ip_protocol"]) == (3306, 3306, "tcp")
            assert "cidr_ipv4" not in rule
        subnets = full.only(store.stack, "aws_db_subnet_group")["subnet_ids"]
        assert subnets.endswith(f"from-network-{store.region}.outputs.private_subnet_ids}}")


def test_backups_and_what_outlives_a_destroy(full: Synthesized, tmp_path: Path) -> None:
    """OPT-01, PAY-16: 35 days of backups; a final snapshot and protection only in production."""
    for store in each(full):
        assert store.cluster["backup_retention_period"] == 35
        assert store.cluster["copy_tags_to_snapshot"] is True
        assert store.cluster["skip_final_snapshot"] is store.cluster["delete_automated_backups"] is True
        assert store.cluster["deletion_protection"] is False
    assert full.only(f"relational-{PRIMARY}", "aws_rds_global_cluster")["deletion_protection"] is False
    kept = stores(environment(protection={"production": True}), tmp_path)
    for store in each(kept):
        assert store.cluster["skip_final_snapshot"] is store.cluster["delete_automated_backups"] is False
        assert store.cluster["final_snapshot_identifier"] == "tripoint-relational-final-full"
        assert store.cluster["deletion_protection"] is True
    assert kept.only(f"relational-{PRIMARY}", "aws_rds_global_cluster")["deletion_protection"] is True


# -- the password ---------------------------------------------------------------------------------


def test_the_password_is_read_and_never_kept(full: Synthesized) -> None:
    """OPT-01: an existing secret, by an ephemeral resource into a write-only argument; by the primary's stack alone."""
    for store in each(full):
        stack = full.stack(store.stack)
        if store.region != PRIMARY:
            assert "ephemeral" not in stack
            continue
        name = "tripoint/relational-master-password"
        assert stack["ephemeral"] == {"aws_secretsmanager_secret_version": {"master_password": {"secret_id": name}}}
        text = "ephemeral.aws_secretsmanager_secret_version.master_password.secret_string"
        assert store.cluster["master_password_wo"] == f'${{try(jsondecode({text})["password"], {text})}}'
        assert store.cluster["master_password_wo_version"] == 1
        assert not {"master_password", "manage_master_user_password"} & set(store.cluster)
        # OpenTofu knows both from 1.11 on, the rest of the environment runs with 1.10.
        assert stack["terraform"]["required_version"] == ">= 1.11"


def test_the_secret_itself_is_no_output(full: Synthesized) -> None:
    """OPT-01: its name is."""
    outputs = full.stack(f"relational-{PRIMARY}")["output"]
    assert outputs["secret_name"]["value"] == "tripoint/relational-master-password"
    assert "ephemeral" not in json.dumps(outputs)


def test_outputs_name_the_global_endpoint_in_every_region(full: Synthesized) -> None:
    """OPT-01: what an application needs, and an endpoint that follows the writer."""
    for store in each(full):
        outputs = full.stack(store.stack)["output"]
        assert set(outputs) == set(RelationalOutputs.fields())
        assert outputs["port"]["value"] == "3306"
        assert outputs["database_name"]["value"] == "tripoint"
        assert "endpoint" in outputs["global_endpoint"]["value"]


# -- configuration --------------------------------------------------------------------------------


def test_off_there_is_no_store(synthesis: Callable[[str], Synthesized]) -> None:
    """OPT-01: off by default."""
    assert not [stack for stack in synthesis("sandbox.toml").stacks if stack.startswith("relational")]
    assert spec_of("relational").capabilities == ("relational",)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"secret_name": None}, "secret_name is required"),
        ({"username": "Admin"}, "username"),
        ({"password_version": 0}, "password_version"),
        ({"min_acu": 4}, "min_acu 4 must be at most max_acu 2"),
        ({"slow_query_s": -1}, "slow_query_s"),
        ({"capacity_percent": 101}, "capacity_percent"),
        ({"replication_lag_ms": 0}, "replication_lag_ms"),
    ],
)
def test_wrong_settings_are_one_line(settings: dict[str, Any], said: str) -> None:
    """OPT-01."""
    section = {name: value for name, value in {**RAW["relational"], **settings}.items() if value is not None}
    with pytest.raises(ConfigError, match=said) as refused:
        environment(relational=section)
    assert "\n" not in str(refused.value)


def test_more_regions_than_aurora_takes_are_refused(tmp_path: Path) -> None:
    """OPT-01: a global database has at most ten secondaries."""
    names = sorted(known_regions())[:12]
    regions = {name: {"primary": not at, "cidr": f"10.{at}.0.0/16"} for at, name in enumerate(names)}
    with pytest.raises(UsageError, match="relational: at most 11 regions, not 12"):
        stores(environment(regions=regions), tmp_path)


# -- alarms ---------------------------------------------------------------------------------------


def test_load_capacity_and_lag_are_alarming(full: Synthesized) -> None:
    """OPT-08: Aurora CPU > 80 %, connections > 100; capacity at its maximum; the lag of the global database."""
    for region in full.environment.regions:
        alarms = {
            alarm["alarm_name"].removeprefix("tripoint-").removesuffix("-full"): alarm
            for alarm in full.resources(f"observability-{region}", "aws_cloudwatch_metric_alarm").values()
        }
        cluster = {"DBClusterIdentifier": Store(full, region).cluster["cluster_identifier"]}
        for thing, metric, threshold in (
            ("relational-cpu", "CPUUtilization", 80),
            ("relational-connections", "DatabaseConnections", 100),
            ("relational-capacity", "ACUUtilization", 95),
        ):
            assert alarms[thing]["metric_name"] == metric
            assert alarms[thing]["dimensions"] == cluster
            assert alarms[thing]["threshold"] == threshold
            assert alarms[thing]["comparison_operator"] == "GreaterThanThreshold"
        lag = alarms["relational-lag"]
        assert lag["threshold"] == 5_000
        found = [query["metric"]["dimensions"] for query in lag["metric_query"] if "metric" in query]
        others = [other for other in full.environment.regions if other != region]
        assert found == [cluster, *({"SourceRegion": other} for other in others)]


def test_the_dashboard_shows_the_store(full: Synthesized) -> None:
    """OPT-01, PAY-09."""
    for region in full.environment.regions:
        (body,) = [
            dashboard["dashboard_body"]
            for dashboard in full.resources(f"observability-{region}", "aws_cloudwatch_dashboard").values()
            if "-region-" in dashboard["dashboard_name"]
        ]
        for metric in ("CPUUtilization", "DatabaseConnections", "ServerlessDatabaseCapacity"):
            assert metric in body
        assert "AuroraGlobalDBReplicationLag" in body


def test_readme_lists_every_output() -> None:
    """LAY-07: a README with the contract."""
    readme = Path("stacks/data/README.md").read_text()
    for name in RelationalOutputs.fields():
        assert f"`{name}`" in readme
