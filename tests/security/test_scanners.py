"""Independent judges of what is synthesized: checkov over the resources, parliament over the policy documents.

Every configuration with all its regions is scanned, in one run of each: starting them takes longer than looking.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from rollout.scanners import checkov, summary
from rollout.scanners.checkov import Report, ScanError
from rollout.scanners.environments import Joined
from rollout.scanners.joined import JoinError, Placed, join
from rollout.scanners.parliament import Analysis, analyse
from rollout.scanners.policies import Policy

PAGE = Path("docs/security.md")


@pytest.fixture(scope="session")
def report(environments: list[Joined], scanners: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    joined = {one.name: one.resources for one in environments}
    return checkov.scan(joined, scanners, tmp_path_factory.mktemp("scan") / "joined")


def test_no_check_of_checkov_fails(report: Report) -> None:
    """PAY-13, PAY-19: every check passes or says beside its resource why it does not apply."""
    assert report.passed > 5_000
    assert not [str(finding) for finding in report.failed]


def test_no_suppression_is_needless(report: Report) -> None:
    """A reason that nothing needs any more hides what comes next."""
    assert not report.needless


def test_suppressions_are_few_and_give_a_reason(report: Report) -> None:
    assert len(report.reasons) <= 40
    assert all(len(reason.split()) >= 4 for _, reason in report.reasons)


def test_no_policy_has_a_finding_above_low(analysis: Analysis) -> None:
    """PAY-13: identity, trust and resource policies."""
    assert analysis.documents > 500
    assert not [str(remark) for remark in analysis.above_low]


def test_the_page_says_what_was_found(report: Report, analysis: Analysis) -> None:
    """docs/security.md is written by `make scan`."""
    assert summary.written(PAGE.read_text()) == summary.section(report, analysis)


# -- that the judges judge ------------------------------------------------------------------------


def synthesized(folder: Path, stacks: dict[str, dict[str, Any]]) -> Path:
    for name, document in stacks.items():
        path = folder / "stacks" / name / "cdk.tf.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(document))
    return folder


def remote(stack: str) -> dict[str, Any]:
    return {"terraform_remote_state": {"from": {"backend": "s3", "config": {"key": f"{stack}/terraform.tfstate"}}}}


BUCKET = {
    "resource": {"aws_s3_bucket": {"b": {"bucket": "b", "//": {"metadata": {"path": "data-eu-west-1/b"}}}}},
    "output": {"name": {"value": "${aws_s3_bucket.b.id}"}, "names": {"value": ["${aws_s3_bucket.b.id}", "c"]}},
}


def test_references_lead_over_stacks(tmp_path: Path) -> None:
    reads = {
        "data": remote("data-eu-west-1"),
        "resource": {
            "aws_x": {
                "whole": {"a": "${data.terraform_remote_state.from.outputs.name}"},
                "within": {"a": "${element(data.terraform_remote_state.from.outputs.names, 0)}"},
                "text": {"a": "arn:${data.terraform_remote_state.from.outputs.name}/*"},
                "list": {"a": "${data.terraform_remote_state.from.outputs.names}"},
                "own": {"a": "${aws_x.whole.id} b", "bucket": "b"},
            }
        },
    }
    found = join(synthesized(tmp_path, {"data-eu-west-1": BUCKET, "edge-eu-west-1": reads}))
    (bucket,) = (address for address in found if address.startswith("aws_s3_bucket."))
    given = {placed.address.rpartition(".")[2]: placed.block for placed in found.values()}
    assert given["whole"]["a"] == f"${{{bucket}.id}}"
    assert given["within"]["a"] == f'${{element([{bucket}.id, "c"], 0)}}'
    assert given["text"]["a"] == f"arn:${{{bucket}.id}}/*"
    assert given["list"]["a"] == [f"${{{bucket}.id}}", "c"]
    assert given["own"]["a"].startswith("${aws_x.edge_eu_west_1__whole")
    assert given["own"]["bucket"] == f"${{{bucket}.id}}"


def test_what_nobody_publishes_is_refused(tmp_path: Path) -> None:
    reads = {
        "data": remote("data-eu-west-1"),
        "resource": {"aws_x": {"x": {"a": "${data.terraform_remote_state.from.outputs.other}"}}},
    }
    with pytest.raises(JoinError, match="does not publish"):
        join(synthesized(tmp_path, {"data-eu-west-1": BUCKET, "edge-eu-west-1": reads}))


def test_a_finding_without_a_reason_fails_and_a_reason_without_a_finding_too() -> None:
    record = {"check_id": "CKV_AWS_1", "check_name": "n", "file_path": "/sandbox/stacks.tf.json", "resource": "t.bare"}
    excused = {**record, "resource": "resource.excused"}
    joined = {
        "sandbox": {
            "t.bare": Placed("s", "t.bare", {}),
            "t.excused": Placed("s", "t.excused", {"//": {"suppressed": {"CKV_AWS_1": "for a reason"}}}),
            "t.old": Placed("s", "t.old", {"//": {"suppressed": {"CKV_AWS_2": "an old reason"}}}),
        }
    }
    report = checkov.judge(joined, [], [record, excused])
    assert [finding.where for finding in report.failed] == ["s/t.bare"]
    assert [finding.reason for finding in report.suppressed] == ["for a reason"]
    assert report.needless == [("CKV_AWS_2", "an old reason")]


def test_checkov_sees_a_bad_resource_and_refuses_what_it_cannot_read(scanners: Path, tmp_path: Path) -> None:
    bad = {"aws_db_instance.x": Placed("s", "aws_db_instance.x", {"publicly_accessible": True})}
    report = checkov.scan({"one": bad}, scanners, tmp_path / "bad")
    assert "CKV_AWS_17" in {finding.check for finding in report.failed}
    empty = {"aws_x.x": Placed("s", "aws_x.x", {})}
    with pytest.raises(ScanError, match="read"):
        checkov.scan({"one": bad, "two": empty}, scanners, tmp_path / "empty")


def test_parliament_sees_a_bad_policy(scanners: Path) -> None:
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:sqs:eu-west-1:123456789012:queue"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    found = analyse([Policy("here", "aws_iam_role_policy", "policy", document, "")], scanners)
    assert [(remark.where, remark.issue) for remark in found.above_low] == [("here", "RESOURCE_MISMATCH")]
    assert found.resource_types["s3:GetObject"]


def test_the_scanners_are_locked_with_hashes() -> None:
    """They come from outside as well: names, versions and hashes, and no index."""
    text = Path("rollout/scanners/requirements.txt").read_text()
    entries = [entry for entry in text.replace("\\\n", " ").splitlines() if entry.strip()]
    assert len(entries) > 90
    for entry in entries:
        assert "==" in entry.split()[0], entry
        assert "--hash=sha256:" in entry, entry
        assert "://" not in entry
        assert not entry.startswith("-")


def test_every_configuration_is_scanned(environments: list[Joined]) -> None:
    names = {tomllib.loads(path.read_text())["environment"] for path in Path("config").glob("*.toml")}
    assert {one.environment.environment for one in environments} == names
