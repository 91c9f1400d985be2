"""What a drill says of what happened: the figures, the complaints, and the page."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from rollout.drills import figures, page
from rollout.drills.drill import Result
from rollout.drills.faults import SandboxFaults
from rollout.drills.figures import Outage
from rollout.drills.ledger import Standing
from rollout.drills.load import Answer
from rollout.drills.scenarios import SCENARIOS, scenario
from rollout.load.plan import MIXES
from rollout.project import Project
from rollout.sandbox.faults import Faults
from shared.errors import UsageError

HERE, THERE = "us-east-1", "eu-west-1"


def answer(number: int, **more: object) -> Answer:
    told = {
        "copy": 0,
        "region": HERE,
        "caller": "sa-east-1",
        "token": "tok_visa",
        "at": 1000.0 + number,
        "took_ms": 100.0,
        "status": 202,
        "payment_id": f"pay_{number}",
        "said": "RECEIVED",
        "retry_after": None,
    }
    return Answer(number=number, **{**told, **more})  # type: ignore[arg-type]


def standing(number: int, status: str = "SETTLED", home: str = HERE) -> Standing:
    return Standing(f"pay_{number}", status, home, (HERE,) if home == HERE else (HERE, home), 1000.0, 1003.0 + number)


def complaints(answers: list[Answer], *ledger: Standing, payments: int = 1, gave_up: int = 0) -> list[str]:
    ledgers = {HERE: {one.id: one for one in ledger}, THERE: {one.id: one for one in ledger}}
    return figures.complaints(answers, ledgers, payments=payments, gave_up=gave_up)


def test_nobody_complains_when_all_is_well() -> None:
    waits = answer(0, status=503, payment_id="", retry_after=1.0)
    assert complaints([waits, answer(0), answer(0, copy=1, region=THERE)], standing(0)) == []


@pytest.mark.parametrize(
    ("answers", "ledger", "said"),
    [
        ([answer(0)], [], "1 accepted payments have no final state in every region, such as pay_0"),
        ([answer(0)], [standing(0, "AUTHORIZED")], "1 accepted payments have no final state in every region"),
        ([answer(0, status=503, payment_id=""), answer(0)], [standing(0)], "1 answers 429 or 503 were without"),
        ([answer(0, status=429, payment_id=""), answer(0)], [standing(0)], "1 answers 429 or 503 were without"),
        ([answer(0, status=409, payment_id="", said="idempotency_key_reused")], [], "1 payments were never accepted"),
        ([answer(0), answer(0, payment_id="pay_1")], [standing(0), standing(1)], "1 keys became more than one payment"),
    ],
)
def test_a_complaint_for_each_broken_promise(answers: list[Answer], ledger: list[Standing], said: str) -> None:
    assert complaints(answers, *ledger)[0].startswith(said)


def test_a_payment_that_one_region_lacks_is_lost() -> None:
    ledgers = {HERE: {"pay_0": standing(0)}, THERE: {}}
    assert figures.complaints([answer(0)], ledgers, payments=1, gave_up=0)


def test_the_outages_figures_count_what_was_in_flight_and_who_finished_it() -> None:
    outage = Outage(HERE, 1010.0, 1100.0, frozenset({"pay_1", "pay_2", "pay_3"}), {"pay_1": 1040.0, "pay_2": 1075.5})
    answers = [
        answer(1, at=1009.0),
        answer(4, at=1020.0, status=500, payment_id=""),
        answer(4, at=1031.0, region=THERE),
    ]
    ledger = {one.id: one for one in (standing(1, home=THERE), standing(2, home=THERE), standing(3), standing(4))}
    found = figures.of_outage(outage, answers, ledger)
    assert found["payments in flight when it went down"] == 3
    assert found["finished by other regions while it was down"] == 2
    assert found["finished with another home in the end"] == 2
    assert found["recovery time: the last of those finished, s"] == 65.5
    assert found["last request sent to it, s after it went down"] == 10.0
    assert (found["requests that failed on it"], found["payments accepted by the others meanwhile"]) == (1, 1)


def test_a_race_is_two_regions_accepting_before_either_could_know() -> None:
    quick = [answer(0, at=1000.0), answer(0, at=1000.5, region=THERE)]
    slow = [answer(1, at=1000.0), answer(1, at=1004.0, region=THERE)]
    again = [answer(2, at=1000.0), answer(2, at=1000.5)]
    assert figures.races([*quick, *slow, *again], 2.0) == {
        "keys accepted by two regions": 2,
        "of these within the replication lag": 1,
    }


def test_quantiles() -> None:
    assert [figures.quantile([1, 2, 3, 4], share) for share in (0.25, 0.5, 0.95, 1.0)] == [1, 2, 4, 4]
    assert figures.quantile([], 0.5) == 0


# -- scenarios -------------------------------------------------------------------------------------


@pytest.mark.parametrize("one", SCENARIOS, ids=lambda one: one.name)
def test_every_scenario_asks_for_what_there_is_and_has_its_place_on_the_page(one: object) -> None:
    chosen = scenario(one.name)  # type: ignore[attr-defined]
    Faults.from_document(dict(chosen.faults))
    assert chosen.mix in MIXES
    text = Path(page.PAGE).read_text()
    assert f"<!-- drill:{chosen.name} -->" in text
    assert f"<!-- /drill:{chosen.name} -->" in text


def test_an_account_of_aws_is_not_broken() -> None:
    project = Project.open(Path("config/example-aws.toml"))
    with pytest.raises(UsageError, match="lives in an AWS account"):
        SandboxFaults(project, {}, seed=1)


# -- the page --------------------------------------------------------------------------------------


def result() -> Result:
    answers = [answer(number) for number in range(200)]
    ledger = {f"pay_{number}": standing(number) for number in range(200)}
    found = Result(scenario("region-down"), 200, 7, 1.0, 1000.0, answers=answers, standings=ledger)
    found.figures = figures.general(answers, ledger)
    found.outage = {"region": HERE, "seconds it was down": 60.0}
    found.outage_span = (1060.0, 1120.0)
    return found


def test_a_result_replaces_its_own_block_and_draws_its_charts(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    text = "before\n<!-- drill:region-down -->\nold\n<!-- /drill:region-down -->\nafter\n"
    (tmp_path / page.PAGE).write_text(text)
    written = page.write(tmp_path, result())
    after = (tmp_path / page.PAGE).read_text()
    assert after.startswith("before\n<!-- drill:region-down -->\n")
    assert after.endswith("<!-- /drill:region-down -->\nafter\n")
    assert "old" not in after
    assert "`tripoint drill region-down --payments 200 --seed 7`" in after
    assert [path.name for path in written] == ["drills.md", "region-down-throughput.svg", "region-down-latency.svg"]
    for path in written[1:]:
        assert f"(drills/{path.name})" in after
        drawing = ET.fromstring(path.read_text())
        assert drawing.findall(".//{http://www.w3.org/2000/svg}polyline")
        band = drawing.find(".//{http://www.w3.org/2000/svg}rect")
        assert band is not None
        assert float(band.get("width", 0)) == pytest.approx(60 / 200 * 534, rel=0.02)


def test_a_page_without_the_block_is_refused(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / page.PAGE).write_text("nothing here\n")
    with pytest.raises(page.PageError, match="no block for 'region-down'"):
        page.write(tmp_path, result())


def test_a_drill_without_a_reconciliation_has_not_passed() -> None:
    assert not result().ok
    assert not replace(result(), complaints=["lost"]).ok
