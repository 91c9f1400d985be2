"""What has to be true of every payment once everything has come to rest."""

from __future__ import annotations

import json

from functions.payments.model import Payment, Status
from functions.payments.receipts import receipt_body, receipt_key
from functions.processor.accounts import Account
from tests.model.world import World

FINAL_EVENTS = {f"Payment{status.value.capitalize()}": status for status in Status if status.is_final}


def check(world: World, *, all_final: bool = True) -> None:
    """PAY-10, PAY-11, PAY-22, PAY-23. `all_final`: no payment's own token keeps it open for ever."""
    ids = {payment_id for region in world.regions.values() for payment_id in region.items}
    assert set(world.accepted) <= ids, "accepted and lost"
    for payment_id in ids:
        _check_payment(world, payment_id, all_final)
    _check_events(world)
    _check_residency(world)


def _check_payment(world: World, payment_id: str, all_final: bool) -> None:
    copies = [region.items[payment_id].payment for region in world.regions.values()]
    payment = copies[0]
    account = world.books.load(payment_id)
    ends = [ended.state for one, ended in world.ended if one == payment_id]
    story = (payment, account, ends)
    assert copies.count(payment) == len(copies), story
    if not payment.status.is_final:
        assert not all_final, story
        return
    given_up = payment_id in world.given_up  # for a human, who may be wrong about what is left to do
    _check_money(payment, account, story, given_up=given_up)
    receipts = [
        item for region in world.regions.values() for item in region.receipts.objects.items() if payment_id in item[0]
    ]
    assert len(set(receipts)) <= 1, (story, receipts)
    if payment.status is Status.SETTLED:
        assert set(receipts) == {(payment.receipt_key, receipt_body(payment))}, (story, receipts)
        assert payment.receipt_key == receipt_key(payment), story
    told = {detail["event_id"]: kind for _, kind, detail in world.published if _ends(kind, detail, payment_id)}
    if given_up:
        assert payment.status in map(FINAL_EVENTS.get, told.values()), (story, told)
    else:
        assert [FINAL_EVENTS[kind] for kind in told.values()] == [payment.status], (story, told)


def _ends(kind: str, detail: dict[str, object], payment_id: str) -> bool:
    return detail["payment_id"] == payment_id and kind in FINAL_EVENTS


def _check_money(payment: Payment, account: Account | None, story: object, *, given_up: bool) -> None:
    if account is None:
        assert payment.status is Status.FAILED, story
        return
    kept = account.captured - account.refunded
    if payment.status is Status.SETTLED:
        assert kept == payment.amount == account.amount, story
        assert (payment.currency, payment.payment_method) == (account.currency, account.payment_method), story
        return
    if given_up:
        return
    assert kept == 0, story
    assert account.captured or not account.authorized, story
    assert (payment.status is Status.REFUNDED) == (account.refunded > 0), story
    assert (payment.status is Status.DECLINED) == bool(account.declined), story


def _check_events(world: World) -> None:
    """One id, one event, however often it was told."""
    told: dict[str, tuple[object, ...]] = {}
    for _, kind, detail in world.published:
        what = (kind, detail["payment_id"], detail["status"])
        assert told.setdefault(detail["event_id"], what) == what, (told[detail["event_id"]], what)


def _check_residency(world: World) -> None:
    """A payer is in the vault of the region that was asked, and in nothing that leaves it."""
    for name, region in world.regions.items():
        for payment_id, payer in region.vault.items():
            assert payer in world.payers[name, payment_id]
    shared = json.dumps([detail for *_, detail in world.published])
    shared += str([one for region in world.regions.values() for one in region.items.values()])
    shared += str([region.receipts.objects for region in world.regions.values()])
    for payers in world.payers.values():
        for payer in payers:
            assert payer.name not in shared
