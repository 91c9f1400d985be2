"""Promoting a region of the relational store: who may, what is asked of Aurora, and what is waited for."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from typer.testing import CliRunner

from rollout.cli import app
from rollout.promote import Promoted, PromotionError, PromotionRefusedError, promote
from rollout.target import Target
from shared.config import Environment, parse

HERE, THERE, FAR = "us-east-1", "eu-west-1", "ap-southeast-1"
NAME = "tripoint-relational-full"
ENDPOINT = "tripoint-relational-full.global-abc.global.rds.amazonaws.com"


def arn(region: str) -> str:
    return f"arn:aws:rds:{region}:000000000000:cluster:{NAME}"


def refusal(operation: str, code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@pytest.fixture
def environment() -> Environment:
    return parse(tomllib.loads(Path("config/sandbox-full.toml").read_text()), source="test")


class Aurora:
    """The global database, as every region that answers sees it. ``steps`` describes pass before a switch is done."""

    def __init__(self, *, steps: int = 2) -> None:
        self.writer = HERE
        self.members = [HERE, THERE, FAR]
        self.steps = steps
        self.deployed = True
        self.silent: set[str] = set()
        self.flaky = 0
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self._target: str | None = None
        self._left = 0

    def client(self, service: str, region: str) -> Region:
        assert service == "rds"
        return Region(self, region)

    def start(self, region: str) -> None:
        self._target, self._left = region, self.steps

    def describe(self) -> dict[str, Any]:
        if self._target is not None:
            self._left -= 1
            if self._left <= 0:
                self.writer, self._target = self._target, None
        return {
            "GlobalClusterIdentifier": NAME,
            "Status": "switching-over" if self._target else "available",
            "Endpoint": ENDPOINT,
            "FailoverState": {"Status": "pending", "ToDbClusterArn": arn(self._target)} if self._target else {},
            "GlobalClusterMembers": [
                {"DBClusterArn": arn(region), "IsWriter": region == self.writer} for region in self.members
            ],
        }


class Region:
    def __init__(self, aurora: Aurora, region: str) -> None:
        self.aurora = aurora
        self.region = region

    def describe_global_clusters(self, *, GlobalClusterIdentifier: str) -> dict[str, Any]:  # noqa: N803
        if self.region in self.aurora.silent:
            raise EndpointConnectionError(endpoint_url=f"https://rds.{self.region}.amazonaws.com")
        if not self.aurora.deployed:
            raise refusal("DescribeGlobalClusters", "GlobalClusterNotFoundFault")
        if self.aurora.asked and self.aurora.flaky:
            self.aurora.flaky -= 1
            raise refusal("DescribeGlobalClusters", "InternalFailure")
        assert GlobalClusterIdentifier == NAME
        return {"GlobalClusters": [self.aurora.describe()]}

    def describe_db_clusters(self, *, DBClusterIdentifier: str) -> dict[str, Any]:  # noqa: N803
        assert DBClusterIdentifier == NAME
        return {"DBClusters": [{"Status": "available", "Endpoint": "cluster"}]}

    def switchover_global_cluster(self, **which: str) -> None:
        self._start("switchover", which)

    def failover_global_cluster(self, **which: Any) -> None:
        self._start("failover", which)

    def _start(self, how: str, which: dict[str, Any]) -> None:
        self.aurora.asked.append((how, self.region, which))
        if how == "switchover" and self.aurora.writer in self.aurora.silent:
            raise refusal("SwitchoverGlobalCluster", "InvalidGlobalClusterStateFault", "the primary\nis not available")
        self.aurora.start(which["TargetDbClusterIdentifier"].split(":")[3])


def run(environment: Environment, aurora: Aurora, region: str, **options: Any) -> tuple[Promoted, list[str]]:
    said: list[str] = []
    target = cast(Target, aurora)
    result = promote(environment, region, target=target, progress=said.append, pause_s=0, **options)
    return result, said


def test_a_planned_promotion_is_a_switchover_in_the_region_that_is_to_write(environment: Environment) -> None:
    """OPT-01."""
    aurora = Aurora()
    result, said = run(environment, aurora, THERE)
    which = {"GlobalClusterIdentifier": NAME, "TargetDbClusterIdentifier": arn(THERE)}
    assert aurora.asked == [("switchover", THERE, which)]
    assert aurora.writer == THERE
    assert said == [
        "switching over from us-east-1 to eu-west-1",
        "global database switching-over, writer us-east-1; eu-west-1 available",
        "global database available, writer eu-west-1; eu-west-1 available",
    ]
    assert result.lines == [
        "eu-west-1 writes now, us-east-1 did before",
        f"the global endpoint follows: {ENDPOINT}",
        "back: tripoint promote us-east-1 --store relational",
    ]


def test_back_again(environment: Environment) -> None:
    """OPT-01: the way back is the same command."""
    aurora = Aurora()
    run(environment, aurora, THERE)
    run(environment, aurora, HERE)
    assert [region for _, region, _ in aurora.asked] == [THERE, HERE]
    assert aurora.writer == HERE


def test_with_the_writers_region_down_only_a_failover_works(environment: Environment) -> None:
    """OPT-01: nothing asks the region that is down; losing data must be said."""
    aurora = Aurora()
    aurora.silent = {HERE}
    with pytest.raises(PromotionError, match=r"the primary is not available.*--allow-data-loss$"):
        run(environment, aurora, THERE)
    result, _ = run(environment, aurora, THERE, allow_data_loss=True)
    assert aurora.asked[-1][:2] == ("failover", THERE)
    assert aurora.asked[-1][2]["AllowDataLoss"] is True
    assert result.before == HERE


@pytest.mark.parametrize("region", ["eu-central-1", "nowhere"])
def test_an_unknown_region_is_refused(environment: Environment, region: str) -> None:
    """OPT-01."""
    with pytest.raises(PromotionRefusedError, match=f"'{region}' is not one of this environment; allowed: us-east-1,"):
        run(environment, Aurora(), region)


def test_who_writes_already_is_refused(environment: Environment) -> None:
    """OPT-01."""
    aurora = Aurora()
    with pytest.raises(PromotionRefusedError, match="us-east-1 is the writer of the relational store already"):
        run(environment, aurora, HERE)
    assert not aurora.asked


def test_without_a_store_or_a_cluster_in_the_region_nothing_is_asked(environment: Environment) -> None:
    """OPT-01."""
    aurora = Aurora()
    aurora.members = [HERE, FAR]
    with pytest.raises(PromotionRefusedError, match="eu-west-1 has no cluster of the relational store; run: tripoint"):
        run(environment, aurora, THERE)
    aurora.deployed = False
    with pytest.raises(PromotionRefusedError, match=f"{NAME} is not deployed"):
        run(environment, aurora, THERE)
    off = parse(tomllib.loads(Path("config/sandbox.toml").read_text()), source="test")
    with pytest.raises(PromotionRefusedError, match="'sandbox' has no relational store"):
        run(off, aurora, THERE)
    assert not aurora.asked


def test_another_promotion_under_way_is_waited_for_or_refused(environment: Environment) -> None:
    """OPT-01: asked for twice it is done once; to another region it must wait."""
    aurora = Aurora(steps=5)
    aurora.start(THERE)
    with pytest.raises(PromotionRefusedError, match="another promotion is under way, to eu-west-1"):
        run(environment, aurora, FAR)
    result, said = run(environment, aurora, THERE)
    assert said[0] == "a promotion of eu-west-1 is under way already"
    assert result.region == aurora.writer == THERE
    assert not aurora.asked


def test_a_moments_failure_does_not_end_the_watch(environment: Environment) -> None:
    """OPT-01: what was asked for goes on while the API stutters."""
    aurora = Aurora()
    aurora.flaky = 2
    result, said = run(environment, aurora, THERE)
    assert result.region == aurora.writer
    assert any("InternalFailure" in line for line in said)


def test_a_promotion_that_takes_too_long_is_told(environment: Environment) -> None:
    """OPT-01."""
    with pytest.raises(PromotionError, match="eu-west-1 does not write after 0 s: global database switching-over"):
        run(environment, Aurora(steps=99), THERE, timeout_s=0)


def test_a_region_that_does_not_answer_is_told(environment: Environment) -> None:
    """OPT-01."""
    aurora = Aurora()
    aurora.silent = {THERE}
    with pytest.raises(PromotionError, match="eu-west-1 does not answer: Could not connect"):
        run(environment, aurora, THERE)


@pytest.mark.parametrize(
    "words",
    [
        ["promote", THERE],
        ["promote", "--store", "relational"],
        ["promote", THERE, "--store", "payments"],
        ["promote", THERE, "--store", "relational", "--config", "config/sandbox.toml"],
    ],
)
def test_wrong_words_end_with_exit_code_2(words: list[str]) -> None:
    """OPT-01: which store must be said; there is one."""
    result = CliRunner().invoke(app, words)
    assert (result.exit_code or 0) != 0
    assert getattr(result.exception, "exit_code", getattr(result.exception, "code", None)) == 2
