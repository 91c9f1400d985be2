"""Random ways through what can happen."""

from __future__ import annotations

from random import Random

from functions.payments.errors import (
    LedgerThrottledError,
    LedgerUnavailableError,
    ProcessorThrottledError,
    ProcessorTimeoutError,
    ProcessorUnavailableError,
    ReceiptsUnavailableError,
    VaultUnavailableError,
    WorkflowThrottledError,
)
from functions.payments.request import PaymentRequest
from functions.payments.vault import Payer
from tests.functions.interpreter import NamedError
from tests.model.invariants import check
from tests.model.tasks import Task
from tests.model.world import DOWN_AFTER_S, ORDER, STALE_AFTER_S, GaveUpError, World

# Their own fault may keep a payment open for ever: the processor never releases what nobody may give up.
EVERLASTING = ("tok_refund_unavailable", "tok_void_unavailable")
TOKENS = (
    *EVERLASTING,
    "tok_capture_lost",
    "tok_authorize_lost",
    "tok_visa",
    "tok_declined",
    "tok_capture_declined",
    "tok_lost_once",
    "tok_unavailable",
    "tok_capture_unavailable",
    *(f"tok_{what}unreachable_from_{region}" for what in ("", "capture_") for region in ORDER),
)

ERRORS = {
    "ledger": (LedgerThrottledError, LedgerUnavailableError),
    "processor": (ProcessorTimeoutError, ProcessorUnavailableError, ProcessorThrottledError),
    "receipts": (ReceiptsUnavailableError,),
    "vault": (VaultUnavailableError,),
    "workflow": (WorkflowThrottledError,),
}


def a_request(key: str, *, amount: int = 1299, token: str = "tok_visa", payer: str = "") -> PaymentRequest:
    return PaymentRequest(amount, "EUR", "m-1", token, key, Payer(name=payer) if payer else None)


def errors_at(point: str) -> list[BaseException]:
    """What can be thrown at a point: before an effect, or after it."""
    kind, _, rest = point.partition(".")
    if kind == "lambda":
        names = ["States.Timeout", "Lambda.TooManyRequestsException", "Runtime.ExitError", "Lambda.Unknown"]
        return [*map(NamedError, names), PermissionError("AccessDenied"), KeyError("a bug")] + (
            [] if rest.endswith("done") else [GaveUpError()]
        )
    return [error() for error in ERRORS.get(kind, ())]


def walk(random: Random, length: int) -> World:
    """Some requests, and whatever happens to them; then all comes to rest, and is checked."""
    world = World(express=random.random() < 0.5)
    try:
        tokens = ["tok_visa", random.choice(TOKENS)]
        _walk(world, random, length, tokens)
        world.settle_down()
        check(world, all_final=not set(tokens) & set(EVERLASTING))
    finally:
        world.stop()
    return world


def _walk(world: World, random: Random, length: int, tokens: list[str]) -> None:
    faulty = random.choice([0.0, 0.02, 0.1, 0.3])
    stubborn = random.choice([None, None, *ERRORS])  # an adapter that does not work for a while
    keys = ["k1"] if random.random() < 0.7 else ["k1", "k2"]

    def submit() -> None:
        amount, payer = random.choice([1299, 1299, 1299, 700]), random.choice(["", "Ada Lovelace", "Grace Hopper"])
        request = a_request(random.choice(keys), amount=amount, token=random.choice(tokens), payer=payer)
        task = world.submit(request, random.choice(ORDER))
        if random.random() < 0.8:
            world.finish(task)

    def step() -> None:
        if world.tasks:
            task = random.choice(world.tasks)
            for _ in range(random.choice([1, 2, 5, 10, 20, 40])):
                if task.at:
                    world.step(task, fault(task))

    def fault(task: Task) -> BaseException | None:
        point = task.at or ""
        errors = errors_at(point)
        if errors and (random.random() < faulty or point.partition(".")[0] == stubborn):
            return random.choice(errors)
        return None

    def region() -> str:
        return random.choice(ORDER)

    def replicate() -> None:
        name = region()
        for _ in range(random.choice([1, 1, 10])):
            world.replicate(name, random.randrange(10))

    def publish() -> None:
        name = region()
        for _ in range(random.choice([1, 5])):
            world.publish(name, again=random.random() < 0.1)

    def deliver() -> None:
        task = world.deliver(region(), random.randrange(5), again=random.random() < 0.1)
        if task and random.random() < 0.8:
            world.finish(task)

    def toggle() -> None:
        one = world.regions[region()]
        one.up = not one.up

    def suspect() -> None:
        world.suspected ^= {region()}

    def pass_time() -> None:
        nonlocal stubborn
        world.wait(random.choice([1, 70, DOWN_AFTER_S + 10, STALE_AFTER_S + 10]))
        stubborn = random.choice([None, *ERRORS])

    actions = [step] * 12 + [replicate] * 4 + [publish] * 4 + [deliver] * 3 + [submit] * 2
    actions += [lambda: world.sweep(region())] * 3 + [pass_time] * 2
    actions += [toggle, suspect, lambda: world.crash(random.randrange(10))]
    if random.random() < 0.3:  # a region that was given up for dead, and works on
        actions += [lambda: world.take_for_dead(region())] * 3
    submit()
    for _ in range(length):
        random.choice(actions)()
