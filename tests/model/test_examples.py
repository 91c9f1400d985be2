"""What the search has found, or would find if a rule were gone, one story each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from functions.payments.errors import ProcessorUnavailableError, ReceiptsUnavailableError
from functions.payments.model import Payment, Status
from tests.model.invariants import check
from tests.model.tasks import Task
from tests.model.walks import a_request
from tests.model.world import DOWN_AFTER_S, ORDER, STALE_AFTER_S, GaveUpError, World

US, EU, AP = ORDER


@pytest.fixture(params=["standard", "express"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    world = World(express=request.param == "express")
    yield world
    world.stop()


def accept(world: World, region: str, **request: object) -> Task:
    """A payment that a region accepts, and its execution, which has not begun yet."""
    world.finish(world.submit(a_request("k1", **request), region))  # type: ignore[arg-type]
    return world.tasks[-1]


def go_to(world: World, task: Task, point: str) -> None:
    while task.at != point:
        assert task.at, f"{task.name} has ended"
        world.step(task)


def catch_up(world: World, region: str) -> None:
    while world.regions[region].coming:
        world.replicate(region)


def the(world: World, region: str = US) -> Payment:
    (written,) = world.regions[region].items.values()
    return written.payment


def at_rest(world: World, status: Status) -> Payment:
    world.settle_down()
    check(world)
    assert the(world).status is status
    return the(world)


def told(world: World) -> list[str]:
    return [kind for _, kind, _ in world.published if kind not in ("PaymentReceived", "PaymentAuthorized")]


def test_two_regions_accept_one_key_and_one_of_them_charges(world: World) -> None:
    """PAY-23: both at once, step by step."""
    here, there = accept(world, US), accept(world, EU)
    while here.at or there.at:
        world.step(there)
        world.step(here)
    assert at_rest(world, Status.SETTLED).accepted_in == EU
    (account,) = world.books.all()
    assert (account.captured, account.refunded) == (1299, 0)


@pytest.mark.parametrize("first", [(US, 1299), (EU, 700)])
def test_of_two_bodies_under_one_key_one_is_charged_and_told(world: World, first: tuple[str, int]) -> None:
    """PAY-23: the later record becomes one of the charge that counts."""
    execution = accept(world, US, amount=1299)
    other = accept(world, EU, amount=700)
    for task in (execution, other) if first[0] == US else (other, execution):
        world.finish(task)
    assert at_rest(world, Status.SETTLED).amount == first[1]
    again = world.submit(a_request("k1", amount=first[1]), EU)
    world.finish(again)
    assert again.answer == the(world).payment_id
    refused = world.submit(a_request("k1", amount=1), EU)
    world.finish(refused)
    assert refused.answer == "IdempotencyKeyReusedError"


@pytest.mark.parametrize(
    ("token", "status"),
    [
        ("tok_visa", Status.SETTLED),
        ("tok_declined", Status.DECLINED),
        ("tok_capture_declined", Status.FAILED),
        ("tok_unavailable", Status.FAILED),
    ],
)
def test_an_end_that_a_late_acceptance_overwrites_is_reached_again(world: World, token: str, status: Status) -> None:
    """PAY-10, PAY-23: the same one, told by the same event."""
    accept(world, US, token=token)
    world.calm(but=EU)
    end = the(world)
    late = accept(world, EU, token=token)
    for region in (US, AP):
        catch_up(world, region)
    assert the(world).home_region == EU
    world.finish(late)
    assert at_rest(world, status).accepted_in == end.accepted_in
    assert len(told(world)) > 1


def test_a_twin_that_cannot_reach_the_processor_gives_nothing_up(world: World) -> None:
    """PAY-23: it would say FAILED of what the other one has settled."""
    world.finish(accept(world, US))
    twin = accept(world, EU)
    while twin.at:
        world.step(twin, ProcessorUnavailableError() if twin.at.startswith("processor.") else None)
    assert not the(world, EU).status.is_final
    assert at_rest(world, Status.SETTLED).accepted_in == US


def claimed_while_capturing(world: World) -> Task:
    """A region has captured and is given up for dead; the others hear of the acceptance only."""
    execution = accept(world, US)
    for region in (EU, AP):
        catch_up(world, region)
    go_to(world, execution, "lambda.issue_receipt")
    world.suspected = {US}
    world.wait(DOWN_AFTER_S + 10)
    for region in (EU, AP):
        world.sweep(region)
    return execution


def test_a_region_that_is_wrongly_given_up_undoes_nothing(world: World) -> None:
    """PAY-23: the next home has settled it; its own way to the receipts is gone."""
    execution = claimed_while_capturing(world)
    for task in [task for task in world.tasks if task.region != US]:
        world.finish(task)
    assert {the(world, EU).status, the(world, AP).status} >= {Status.SETTLED}
    while execution.at:
        world.step(execution, ReceiptsUnavailableError() if execution.at == "receipts.put" else None)
    at_rest(world, Status.SETTLED)


def test_a_region_that_claims_does_not_give_back_what_may_be_settled(world: World) -> None:
    """PAY-10, PAY-23: the first home goes on and settles; the next one cannot write receipts."""
    execution = claimed_while_capturing(world)
    while claimers := [task for task in world.tasks if task.region != US]:
        point = claimers[0].at or ""
        world.step(claimers[0], ReceiptsUnavailableError() if point == "receipts.put" else None)
    world.finish(execution)
    at_rest(world, Status.SETTLED)


def test_a_refund_before_the_claim_is_found_by_it(world: World) -> None:
    """PAY-23: the region falls between the refund and writing it down."""
    execution = accept(world, US)
    for region in (EU, AP):
        catch_up(world, region)
    go_to(world, execution, "lambda.issue_receipt")
    world.step(execution, PermissionError("AccessDenied"))
    go_to(world, execution, "processor.refund done")
    world.regions[US].up = False
    world.wait(DOWN_AFTER_S + 10)
    for region in (EU, AP):
        world.sweep(region)
    for task in [task for task in world.tasks if task.region != US]:
        world.finish(task)
    at_rest(world, Status.REFUNDED)


def test_a_region_that_falls_and_comes_back_finds_its_payments_finished(world: World) -> None:
    """PAY-23: whatever point it falls at."""
    length = _points_of_an_execution()
    for point in range(length):
        fresh = World(express=world.express)
        execution = accept(fresh, US)
        for region in (EU, AP):
            catch_up(fresh, region)
        for _ in range(point):
            fresh.step(execution)
        fresh.regions[US].up = False
        fresh.wait(DOWN_AFTER_S + 10)
        for region in (EU, AP):
            fresh.sweep(region)
        for task in [task for task in fresh.tasks if task.region != US]:
            fresh.finish(task)
        assert Status.SETTLED in (the(fresh, EU).status, the(fresh, AP).status)
        at_rest(fresh, Status.SETTLED)


def _points_of_an_execution() -> int:
    world = World()
    execution, points = accept(world, US), 0
    while execution.at:
        world.step(execution)
        points += 1
    return points


def test_a_function_that_the_workflow_has_given_up_finds_its_payment_voided(world: World) -> None:
    """PAY-23: its authorization comes after all was undone."""
    execution = accept(world, US)
    late: list[Task] = []
    while execution.at:
        hangs = execution.at in ("lambda.authorize", "lambda.hand_over")
        world.step(execution, GaveUpError() if hangs else None)
    late += [task for task in world.tasks if task.name == "function"]
    assert late
    assert the(world).status is Status.FAILED
    for task in late:
        world.finish(task)
    at_rest(world, Status.FAILED)
    assert not next(world.books.all()).authorized


def test_a_claimed_payment_does_not_stay_where_it_cannot_be_finished(world: World) -> None:
    """PAY-23: captured where the processor is reached, claimed, and at last in the region that does not reach it."""
    execution = accept(world, US, token=f"tok_capture_unreachable_from_{AP}")
    for region in (EU, AP):
        catch_up(world, region)
    go_to(world, execution, "lambda.issue_receipt")
    world.suspected = {US, EU}
    world.wait(DOWN_AFTER_S + 10)
    world.sweep(AP)
    execution.kill()
    world.tidy()
    at_rest(world, Status.SETTLED)


def test_an_execution_that_died_is_started_again(world: World) -> None:
    """PAY-04: whatever point it died at; nothing is charged twice."""
    for point in range(_points_of_an_execution()):
        fresh = World(express=world.express)
        execution = accept(fresh, US)
        for _ in range(point):
            fresh.step(execution)
        execution.kill()
        fresh.tidy()
        fresh.wait(STALE_AFTER_S + 10)
        fresh.sweep(US)
        for task in fresh.tasks[:]:
            fresh.finish(task)
        assert the(fresh).status is Status.SETTLED
        at_rest(fresh, Status.SETTLED)
