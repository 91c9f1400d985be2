"""What a Terraform that was killed had made: how it is known, named, found and taken into the state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from rollout.recovery.adoption import IMPORTS_FILE, Adoption
from rollout.recovery.identities import import_id
from rollout.recovery.journal import Creation, creations
from rollout.target import Target
from rollout.terraform import TerraformError
from tests.rollout.support import stack


def hook(kind: str, address: str, action: str = "create", **more: str) -> str:
    resource = {"addr": address, "resource_type": address.split(".", maxsplit=1)[0]}
    return json.dumps({"@message": "", "type": kind, "hook": {"resource": resource, "action": action, **more}})


def diagnostic(address: str, summary: str) -> str:
    found = {"severity": "error", "summary": summary, "detail": "", "address": address}
    return json.dumps({"@message": "", "type": "diagnostic", "diagnostic": found})


VPC, BUCKET = "aws_vpc.v", "aws_s3_bucket.b"


def test_what_was_made_is_known_with_its_id_and_what_was_being_made_without() -> None:
    lines = [
        "Terraform v1",
        hook("apply_start", VPC),
        hook("apply_start", BUCKET),
        hook("apply_complete", VPC, id_key="id", id_value="vpc-1"),
        hook("apply_start", "aws_kms_key.k", "update"),
        '{"cut off in the midd',
    ]
    assert creations(lines) == {VPC: Creation(VPC, "aws_vpc", "vpc-1"), BUCKET: Creation(BUCKET, "aws_s3_bucket")}


def test_what_was_destroyed_again_is_not_there() -> None:
    lines = [hook("apply_start", VPC), hook("apply_complete", VPC, id_value="vpc-1")]
    assert creations([*lines, hook("apply_start", VPC, "delete"), hook("apply_complete", VPC, "delete")]) == {}


def test_what_aws_refused_is_not_ours_but_a_crash_leaves_it_open() -> None:
    """LAY-06: a bucket that somebody else has must not be taken for ours."""
    lines = [hook("apply_start", VPC), hook("apply_start", BUCKET)]
    refusals = [diagnostic(BUCKET, "BucketAlreadyExists"), diagnostic(VPC, "Plugin did not respond")]
    assert set(creations([*lines, *refusals])) == {VPC}
    assert set(creations([*lines, *refusals, hook("apply_start", BUCKET)])) == {VPC, BUCKET}


@pytest.mark.parametrize(
    ("type", "settings", "id", "name"),
    [
        ("aws_vpc", {}, "vpc-1", "vpc-1"),
        ("aws_vpc", {}, None, None),
        ("aws_s3_bucket", {"bucket": "b"}, None, "b"),
        ("aws_route", {"route_table_id": "rtb", "destination_cidr_block": "0.0.0.0/0"}, "r-1", "rtb_0.0.0.0/0"),
        ("aws_route", {"destination_cidr_block": "0.0.0.0/0"}, "r-1", None),
        ("aws_lambda_permission", {"function_name": "f", "statement_id": "s"}, "s", "f/s"),
        ("aws_api_gateway_resource", {"rest_api_id": "api"}, "res", "api/res"),
        ("aws_api_gateway_resource", {}, "res", None),
    ],
)
def test_an_import_names_a_resource_as_the_provider_wants_it(
    type: str, settings: dict[str, Any], id: str | None, name: str | None
) -> None:
    assert import_id(type, settings, id) == name


class FakePlanner:
    """A Terraform over what is there: address -> (import id, attributes). Answers plans by the imports file."""

    def __init__(self, folder: Path, planned: dict[str, dict[str, Any]], there: dict[str, dict[str, Any]]) -> None:
        self.folder = folder
        self.planned = planned
        self.there = there
        self.forgotten: set[str] = set()
        self.refreshed = 0

    def imports(self) -> dict[str, str]:
        file = self.folder / IMPORTS_FILE
        blocks = json.loads(file.read_text())["import"] if file.exists() else []
        return {block["to"]: block["id"] for block in blocks}

    def plan_document(self) -> dict[str, Any]:
        imports = self.imports()
        nowhere = [address for address, id in imports.items() if id not in self.there]
        if nowhere:
            raise TerraformError("plan", [f'error: Cannot import, while importing to "{one}"' for one in nowhere])
        changes = []
        for address, settings in self.planned.items():
            before = self.there[imports[address]] if address in imports else None
            action = ["no-op"] if before is not None or address in self.forgotten else ["create"]
            # What nobody knows yet is not among the planned attributes.
            after = {name: value for name, value in settings.items() if not str(value).startswith("<")}
            change = {"actions": action, "before": before, "after": after}
            changes.append({"address": address, "mode": "managed", "change": change})
            if action == ["no-op"] and before:
                # Whoever refers to it knows its id from now on.
                for other in self.planned.values():
                    other.update({key: imports[address] for key, value in other.items() if value == f"<{address}>"})
        drift = [{"address": one, "change": {"actions": ["delete"]}} for one in self.forgotten]
        return {"resource_changes": changes, "resource_drift": drift}

    def refresh(self) -> None:
        self.refreshed += 1
        self.forgotten = set()


class FakeTarget:
    """An EC2 that finds by name tag, and also returns what does not carry it."""

    def __init__(self, tags: dict[str, list[str]]) -> None:
        self.tags = tags

    def client(self, service: str, region: str) -> Any:
        assert (service, region) == ("ec2", "r1")
        return self

    def describe_vpcs(self, **request: Any) -> dict[str, Any]:
        return {"Vpcs": self.found("VpcId", **request)}

    def describe_subnets(self, **request: Any) -> dict[str, Any]:
        return {"Subnets": self.found("SubnetId", **request)}

    def found(self, id: str, **request: Any) -> list[dict[str, Any]]:
        name = request["Filters"][0]["Values"][0]
        if name == "broken":
            raise ClientError({"Error": {"Code": "x"}}, "Describe")
        tags = [{"Key": "Name", "Value": name}]
        live = [{id: one, "State": "available", "Tags": tags} for one in self.tags.get(name, [])]
        return [*live, {id: "gone", "State": "deleting", "Tags": tags}, {id: "another", "Tags": []}]


def adopt(
    planner: FakePlanner, made: list[Creation], tags: dict[str, list[str]] | None = None
) -> tuple[Any, list[str]]:
    said: list[str] = []
    adoption = Adoption(stack("network"), planner.folder, cast(Target, FakeTarget(tags or {})), said.append)
    with adoption.prepared(planner, {one.address: one for one in made}) as imports:
        assert planner.imports() == imports
        found = dict(imports)
    assert not (planner.folder / IMPORTS_FILE).exists()
    return found, said


OURS = {"Project": "tripoint"}


def test_made_resources_are_imported_parents_before_what_is_named_after_them(tmp_path: Path) -> None:
    planned = {VPC: {}, "aws_route_table_association.a": {"subnet_id": f"<{VPC}>", "route_table_id": "rtb"}}
    planner = FakePlanner(tmp_path, planned, {"vpc-1": {"id": "vpc-1"}, "vpc-1/rtb": {"id": "assoc"}})
    made = [Creation(VPC, "aws_vpc", "vpc-1"), Creation("aws_route_table_association.a", "aws_route_table_association")]
    found, said = adopt(planner, made)
    assert found == {VPC: "vpc-1", "aws_route_table_association.a": "vpc-1/rtb"}
    assert said[0] == "aws_vpc.v is there (vpc-1) and was not recorded: taken into the state"


def test_what_was_only_begun_is_imported_when_it_is_there_and_made_when_not(tmp_path: Path) -> None:
    planned = {BUCKET: {"bucket": "b"}, "aws_s3_bucket.c": {"bucket": "c"}}
    planner = FakePlanner(tmp_path, planned, {"b": {"tags_all": {}}})
    found, said = adopt(planner, [Creation(BUCKET, "aws_s3_bucket"), Creation("aws_s3_bucket.c", "aws_s3_bucket")])
    assert found == {BUCKET: "b"}
    assert "aws_s3_bucket.c was not made yet when the run was cut off" in said


def test_what_carries_the_tags_of_others_is_left_alone(tmp_path: Path) -> None:
    planner = FakePlanner(tmp_path, {BUCKET: {"bucket": "b", "tags_all": OURS}}, {"b": {"tags_all": {"Project": "x"}}})
    found, said = adopt(planner, [Creation(BUCKET, "aws_s3_bucket")])
    assert found == {}
    assert said == [f"{BUCKET} is there already and is not ours: its tags are others"]


def test_what_has_no_name_is_found_by_its_name_tag_unless_there_are_several(tmp_path: Path) -> None:
    planned = {
        VPC: {"tags": {"Name": "one"}},
        "aws_subnet.s": {"tags": {"Name": "two"}},
        "aws_subnet.n": {"tags": {}},
        "aws_subnet.b": {"tags": {"Name": "broken"}},
    }
    planner = FakePlanner(tmp_path, planned, {"vpc-1": {"tags_all": {}}})
    made = [Creation(address, address.split(".")[0]) for address in planned]
    found, said = adopt(planner, made, {"one": ["vpc-1"], "two": ["s-1", "s-2"]})
    assert found == {VPC: "vpc-1"}
    assert "aws_subnet.s is there more than once, and none is taken: s-1, s-2" in said


def test_what_is_in_the_state_already_is_not_imported(tmp_path: Path) -> None:
    planner = FakePlanner(tmp_path, {}, {"vpc-1": {}})
    assert adopt(planner, [Creation(VPC, "aws_vpc", "vpc-1")]) == ({}, [])


def test_a_state_that_believes_in_what_is_gone_forgets_it_first(tmp_path: Path) -> None:
    planner = FakePlanner(tmp_path, {VPC: {}}, {"vpc-2": {}})
    planner.forgotten = {VPC}
    found, _ = adopt(planner, [Creation(VPC, "aws_vpc", "vpc-2")])
    assert (found, planner.refreshed) == ({VPC: "vpc-2"}, 1)


def test_what_is_just_written_again_needs_no_plan(tmp_path: Path) -> None:
    planner = FakePlanner(tmp_path, {}, {})
    policy = Creation("aws_s3_bucket_policy.p", "aws_s3_bucket_policy")
    planner.planned = cast(Any, None)
    assert adopt(planner, [policy]) == ({}, [])
