"""The reconciler: from evidence in which all is well, one changed fact makes exactly one breach (PAY-11, 22, 23)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from functions.payments import ids
from functions.payments.events import detail
from functions.payments.model import Payment, Status
from functions.payments.receipts import receipt_body, receipt_key
from functions.processor.accounts import Account
from rollout.cli import app
from rollout.reconcile import reconciler
from rollout.reconcile.command import read_accepted
from rollout.reconcile.evidence import Entry, Event, Evidence, Invariant, Kept, Receipt
from rollout.reconcile.reading import ReadError, Wanted, narrowed
from rollout.reconcile.report import lines
from rollout.reconcile.residency import names_and_texts
from rollout.reconcile.verdict import Verdict, judge
from shared.errors import UsageError
from tests.rollout.support import CONFIG

HERE, THERE = "us-east-1", "eu-west-1"
REGIONS = (HERE, THERE)
DAY = "2025-03-01T12:00:0{}.000Z"
PAYER = ("Ada Lovelace", "ada@example.org", "12 St James's Square")


def payment(key: str, status: Status, **facts: Any) -> Payment:
    made = Payment(
        payment_id=ids.payment_id("m-1", key),
        merchant_id="m-1",
        amount=1299,
        currency="EUR",
        payment_method="tok_visa",
        home_region=HERE,
        regions_tried=(HERE,),
        created_at=DAY.format(0),
        updated_at=DAY.format(3),
        status=status,
        version=3,
        request_hash="h",
        **facts,
    )
    if status not in (Status.SETTLED, Status.REFUNDED):
        return made
    suffix = made.payment_id[4:]
    taken = replace(
        made, authorization_id=f"auth_{suffix}", capture_id=f"cap_{suffix}", captured_at=DAY.format(2), version=4
    )
    return replace(taken, receipt_key=receipt_key(taken)) if status is Status.SETTLED else taken


SETTLED = payment("settled", Status.SETTLED, payer_region=HERE)
DECLINED = payment("declined", Status.DECLINED, reason="card_declined")
# As after a capture whose answer was lost: it names none.
REFUNDED = replace(
    payment("refunded", Status.REFUNDED, reason="ReceiptsUnavailableError", refund_id="ref"),
    capture_id="",
    captured_at="",
)
FAILED = payment("failed", Status.FAILED, reason="ProcessorUnavailableError")
EVERY = (SETTLED, DECLINED, REFUNDED, FAILED)


def account(one: Payment) -> Account:
    opened = Account(one.payment_id, one.amount, one.currency, one.payment_method, version=2)
    taken = replace(opened, authorized=one.amount, captured=one.amount)
    match one.status:
        case Status.SETTLED:
            return replace(taken, outcomes={"capture": {"reference": one.capture_id, "at": one.captured_at}})
        case Status.REFUNDED:
            return replace(
                taken, refunded=one.amount, outcomes={"capture": {"reference": "cap_lost", "at": DAY.format(2)}}
            )
        case Status.FAILED:
            return replace(opened, voided=True)
    return opened


def entry(one: Payment) -> Entry:
    names, texts = names_and_texts(one.to_document())
    return Entry(one, texts, names)


def receipt(one: Payment) -> Receipt:
    body = receipt_body(one)
    return Receipt(one.payment_id, one.receipt_key, len(body), body=body)


def event(one: Payment, region: str = HERE, **facts: Any) -> Event:
    told = {**detail(one), **facts}
    return Event(region, told, *names_and_texts(told))


def evidence(**facts: Any) -> Evidence:
    return Evidence(
        **{
            "begun_at": DAY.format(9),
            "regions": REGIONS,
            "ledgers": {region: {one.payment_id: entry(one) for one in EVERY} for region in REGIONS},
            "receipts": {region: {SETTLED.payment_id: (receipt(SETTLED),)} for region in REGIONS},
            "accounts": {one.payment_id: account(one) for one in EVERY},
            "events": {one.payment_id: (event(one),) for one in EVERY},
            "vaults": {HERE: {SETTLED.payment_id: Kept(SETTLED.created_at, PAYER)}, THERE: {}},
            "accepted": {one.payment_id: (HERE,) for one in EVERY},
            **facts,
        }
    )


def ledgers(region: str, one: Payment, *, names: tuple[str, ...] = (), texts: tuple[str, ...] = ()) -> dict[str, Any]:
    """The good tables, but for what one region's has of one payment."""
    there = entry(one)
    changed = Entry(one, (*there.texts, *texts), (*there.names, *names))
    good = evidence().ledgers
    return {"ledgers": {**good, region: {**good[region], one.payment_id: changed}}}


def everywhere(one: Payment) -> dict[str, Any]:
    good = evidence().ledgers
    return {"ledgers": {region: {**ledger, one.payment_id: entry(one)} for region, ledger in good.items()}}


def of(field: str, one: Payment, value: Any) -> dict[str, Any]:
    """Good accounts or events, but for one payment's."""
    good: Mapping[str, Any] = getattr(evidence(), field)
    return {field: {**good, one.payment_id: value}}


def without(found: Mapping[str, Any], one: Payment) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key != one.payment_id}


def receipts(region: str, *found: Receipt, of: Payment = SETTLED) -> dict[str, Any]:
    good = evidence().receipts
    return {"receipts": {**good, region: {**good[region], of.payment_id: found}}}


def vaults(region: str, one: Payment, *kept: Kept) -> dict[str, Any]:
    good = evidence().vaults
    return {"vaults": {**good, region: without(good[region], one) | ({one.payment_id: kept[0]} if kept else {})}}


def test_nothing_is_wrong_where_all_is_well() -> None:
    verdict = judge(evidence())
    assert verdict.ok, verdict.breaches
    assert verdict.figures["payments"] == 4
    assert verdict.figures["captures"] == 2
    assert (verdict.sums["EUR"].captured, verdict.sums["EUR"].refunded, verdict.sums["EUR"].settled) == (
        2598,
        1299,
        1299,
    )


OTHER_BYTES = replace(receipt(SETTLED), body=receipt_body(SETTLED).replace(b"1299", b"1298"))

BREACHES: list[tuple[str, Payment, Invariant, str, dict[str, Any]]] = [
    # -- the tables
    ("two final states", FAILED, Invariant.FINAL, "final in two ways: FAILED in us-east-1, DECLINED in eu-west-1",
     ledgers(THERE, replace(FAILED, status=Status.DECLINED))),
    ("never finished", FAILED, Invariant.FINAL, "RECEIVED since 2025-03-01T12:00:03.000Z in us-east-1",
     everywhere(replace(FAILED, status=Status.RECEIVED))),
    ("handed over for good", FAILED, Invariant.FINAL, "RECEIVED since 2025-03-01T12:00:03.000Z for eu-west-1",
     everywhere(replace(FAILED, status=Status.RECEIVED, next_region=THERE))),
    ("one region behind", SETTLED, Invariant.REPLICAS,
     "eu-west-1: status AUTHORIZED instead of SETTLED, version 3 instead of 4",
     ledgers(THERE, replace(SETTLED, status=Status.AUTHORIZED, version=3))),
    ("not replicated", DECLINED, Invariant.REPLICAS, "eu-west-1 does not have it",
     {"ledgers": {**evidence().ledgers, THERE: without(evidence().ledgers[THERE], DECLINED)}}),
    ("accepted and lost", payment("lost", Status.RECEIVED), Invariant.ACCEPTED,
     "accepted, and no region's table has it",
     {"accepted": {payment("lost", Status.RECEIVED).payment_id: ()}}),
    # -- the money
    ("captured twice", SETTLED, Invariant.MONEY, "SETTLED, captured 2598, refunded 0 of 1299",
     of("accounts", SETTLED, replace(account(SETTLED), captured=2598))),
    ("settled without capture", SETTLED, Invariant.MONEY, "SETTLED, captured 0, refunded 0 of 1299",
     of("accounts", SETTLED, replace(account(SETTLED), captured=0))),
    ("settled and given back", SETTLED, Invariant.MONEY, "SETTLED, captured 1299, refunded 1299 of 1299",
     of("accounts", SETTLED, replace(account(SETTLED), refunded=1299))),
    ("settled unknown to the processor", SETTLED, Invariant.MONEY, "SETTLED, and the processor does not know it",
     {"accounts": without(evidence().accounts or {}, SETTLED)}),
    ("captured for a decline", DECLINED, Invariant.MONEY, "DECLINED (card_declined), captured 1299, refunded 0 of 1299",
     of("accounts", DECLINED, replace(account(DECLINED), authorized=1299, captured=1299))),
    ("captured and refunded for a failure", FAILED, Invariant.MONEY, "FAILED, though captured and refunded",
     of("accounts", FAILED, replace(account(FAILED), authorized=1299, captured=1299, refunded=1299))),
    ("money held", FAILED, Invariant.MONEY, "FAILED, and 1299 EUR are still held",
     of("accounts", FAILED, replace(account(FAILED), authorized=1299, voided=False))),
    ("refund half done", REFUNDED, Invariant.MONEY,
     "REFUNDED (ReceiptsUnavailableError), captured 1299, refunded 299 of 1299",
     of("accounts", REFUNDED, replace(account(REFUNDED), refunded=299))),
    ("another amount", SETTLED, Invariant.MONEY, "charged 1300 EUR instead of 1299 EUR",
     of("accounts", SETTLED, replace(account(SETTLED), amount=1300))),
    ("another currency", SETTLED, Invariant.MONEY, "charged 1299 USD instead of 1299 EUR",
     of("accounts", SETTLED, replace(account(SETTLED), currency="USD"))),
    ("somebody else's capture", SETTLED, Invariant.MONEY,
     f"SETTLED with capture {SETTLED.capture_id!r}, which is not the processor's",
     of("accounts", SETTLED, replace(account(SETTLED), outcomes={"capture": {"reference": "cap_x", "at": ""}}))),
    ("money of nobody", payment("ghost", Status.SETTLED), Invariant.MONEY,
     "the processor knows it (captured 1299, held 0 EUR), and no region's table does",
     of("accounts", payment("ghost", Status.SETTLED), account(payment("ghost", Status.SETTLED)))),
    # -- the receipts
    ("no receipt", SETTLED, Invariant.RECEIPTS, "no receipt in eu-west-1", receipts(THERE)),
    ("two versions", SETTLED, Invariant.RECEIPTS, f"eu-west-1 has 2 versions of {SETTLED.receipt_key}",
     receipts(THERE, receipt(SETTLED), receipt(SETTLED))),
    ("deleted", SETTLED, Invariant.RECEIPTS, f"eu-west-1: {SETTLED.receipt_key} is deleted",
     receipts(THERE, replace(receipt(SETTLED), current=False))),
    ("somewhere else", SETTLED, Invariant.RECEIPTS, f"eu-west-1 has receipts/x.json instead of {SETTLED.receipt_key}",
     receipts(THERE, replace(receipt(SETTLED), key="receipts/x.json"))),
    ("other bytes", SETTLED, Invariant.RECEIPTS, "not the same in us-east-1, eu-west-1", receipts(THERE, OTHER_BYTES)),
    ("wrong everywhere", SETTLED, Invariant.RECEIPTS, "the receipt does not say what the table says: amount",
     {"receipts": {region: {SETTLED.payment_id: (OTHER_BYTES,)} for region in REGIONS}}),
    ("receipt of a decline", DECLINED, Invariant.RECEIPTS, "DECLINED, with a receipt in us-east-1",
     receipts(HERE, Receipt(DECLINED.payment_id, "receipts/d.json", 2, body=b"{}"), of=DECLINED)),
    ("receipt of nothing", payment("ghost", Status.SETTLED), Invariant.RECEIPTS,
     "us-east-1 has receipts/g.json, and no region's table has the payment",
     receipts(HERE, Receipt(payment("ghost", Status.SETTLED).payment_id, "receipts/g.json", 2, body=b"{}"),
              of=payment("ghost", Status.SETTLED))),
    # -- the events
    ("never published", SETTLED, Invariant.EVENTS, "SETTLED was never published",
     {"events": without(evidence().events or {}, SETTLED)}),
    ("published as two", SETTLED, Invariant.EVENTS, "published as 2 events (SETTLED): evt_0, " + SETTLED.event_id,
     of("events", SETTLED, (event(SETTLED), event(SETTLED, THERE, event_id="evt_0", origin_region=THERE)))),
    ("another story", SETTLED, Invariant.EVENTS,
     "the event in us-east-1 does not say what the table says: status FAILED, amount",
     of("events", SETTLED, (event(SETTLED, status="FAILED", amount=1),))),
    ("a forwarded copy", SETTLED, Invariant.EVENTS,
     "the event in eu-west-1 does not say what the table says: origin_region",
     of("events", SETTLED, (event(SETTLED), event(SETTLED, THERE)))),
    ("event of nothing", payment("ghost", Status.SETTLED), Invariant.EVENTS,
     "us-east-1 published SETTLED, and no region's table has the payment",
     of("events", payment("ghost", Status.SETTLED), (event(payment("ghost", Status.SETTLED)),))),
    # -- the payers
    ("payer lost", SETTLED, Invariant.RESIDENCY,
     "the vault of us-east-1 does not have its payer", vaults(HERE, SETTLED)),
    ("payer copied", DECLINED, Invariant.RESIDENCY,
     "the vault of eu-west-1 has a copy of its payer, who belongs in us-east-1",
     {**everywhere(replace(DECLINED, payer_region=HERE)),
      "vaults": {region: {**evidence().vaults[region], DECLINED.payment_id: Kept(DAY.format(0), ("Bob Bobson",))}
                 for region in REGIONS}}),
    ("field of a payer in a table", DECLINED, Invariant.RESIDENCY, "the table of eu-west-1 has email",
     ledgers(THERE, DECLINED, names=("email",))),
    ("payer's name in a reason", SETTLED, Invariant.RESIDENCY, "the table of eu-west-1 holds a value of a payer",
     ledgers(THERE, SETTLED, texts=(f"refused by {PAYER[0]}",))),
    ("another payment's payer in a table", DECLINED, Invariant.RESIDENCY,
     "the table of eu-west-1 holds a value of a payer", ledgers(THERE, DECLINED, texts=(PAYER[1],))),
    ("payer in an event", SETTLED, Invariant.RESIDENCY, "an event of us-east-1 has payer",
     of("events", SETTLED, (event(SETTLED, payer={"id": "x"}),))),
    ("payer's address in an event", SETTLED, Invariant.RESIDENCY, "an event of us-east-1 holds a value of a payer",
     of("events", SETTLED, (event(SETTLED, note=PAYER[2]),))),
]  # fmt: skip


@pytest.mark.parametrize(
    ("of_payment", "invariant", "what", "facts"), [case[1:] for case in BREACHES], ids=[case[0] for case in BREACHES]
)
def test_one_changed_fact_is_one_breach(
    of_payment: Payment, invariant: Invariant, what: str, facts: dict[str, Any]
) -> None:
    (breach,) = judge(evidence(**facts)).breaches
    assert (breach.invariant, breach.payment_id, breach.what) == (invariant, of_payment.payment_id, what)


def test_a_receipt_with_a_payer_breaks_what_it_says_and_where_it_lies() -> None:
    body = json.dumps({**json.loads(receipt_body(SETTLED)), "email": PAYER[1]}).encode()
    told = replace(receipt(SETTLED), body=body, size=len(body))
    verdict = judge(evidence(receipts={region: {SETTLED.payment_id: (told,)} for region in REGIONS}))
    assert [breach.what for breach in verdict.breaches] == [
        "a receipt in eu-west-1 has email",
        "a receipt in us-east-1 has email",
    ]


def test_a_vault_that_is_replicated_is_a_breach_whatever_is_in_it() -> None:
    (breach,) = judge(evidence(copied_vaults={HERE: [THERE]})).breaches
    assert (breach.invariant, breach.what) == (
        Invariant.RESIDENCY,
        "the vault of us-east-1 is replicated to eu-west-1",
    )


def test_an_item_that_is_no_payment_is_a_breach() -> None:
    (breach,) = judge(evidence(unreadable={THERE: ["pay_x"]})).breaches
    assert (breach.payment_id, breach.what) == ("pay_x", "eu-west-1: the item is no payment")


# -- what is no breach


def test_a_repeated_delivery_is_counted_and_no_breach() -> None:
    """One event id is one publication, also when two regions have delivered it."""
    twice = (event(SETTLED), event(SETTLED), event(SETTLED, THERE, origin_region=THERE))
    verdict = judge(evidence(**of("events", SETTLED, twice)))
    assert verdict.ok, verdict.breaches
    assert verdict.figures["of these repeated deliveries"] == 2


def test_a_request_repeated_elsewhere_leaves_its_own_payer_there() -> None:
    verdict = judge(evidence(**vaults(THERE, SETTLED, Kept(DAY.format(5), PAYER))))
    assert verdict.ok, verdict.breaches
    assert verdict.figures["of these left by refused or repeated requests"] == 1


def test_a_request_sent_to_two_regions_in_the_same_millisecond_is_no_copy_when_both_answered() -> None:
    same = vaults(THERE, SETTLED, Kept(SETTLED.created_at, PAYER))
    assert not judge(evidence(**same)).ok
    assert judge(evidence(**same, accepted={SETTLED.payment_id: REGIONS})).ok


def test_a_payer_whose_time_is_over_is_not_missed() -> None:
    assert judge(evidence(**vaults(HERE, SETTLED), payers_since=DAY.format(1))).ok


def test_a_payer_called_like_a_merchant_is_not_found_everywhere() -> None:
    assert judge(evidence(**vaults(HERE, SETTLED, Kept(SETTLED.created_at, ("m-1", "EUR"))))).ok


def test_a_refunded_payment_may_have_had_a_receipt() -> None:
    late = receipts(HERE, Receipt(REFUNDED.payment_id, "receipts/r.json", 2, body=b"{}"), of=REFUNDED)
    assert judge(evidence(**late)).ok


def test_final_states_from_before_the_journal_are_counted_and_not_missed() -> None:
    silent = {"events": {}, "journalled_since": dict.fromkeys(REGIONS, DAY.format(4))}
    verdict = judge(evidence(**silent))
    assert verdict.ok, verdict.breaches
    assert verdict.figures["final states older than the journal"] == 4


@pytest.mark.parametrize(("settle_within_s", "breaches"), [(None, 1), (5, 1), (7, 0)])
def test_a_payment_that_still_has_time_is_open_only_when_time_is_given(
    settle_within_s: float | None, breaches: int
) -> None:
    """It was last written to six seconds before the reading began."""
    waiting = everywhere(replace(DECLINED, status=Status.RECEIVED))
    verdict = judge(evidence(**waiting), settle_within_s=settle_within_s)
    assert verdict.count(Invariant.FINAL) == breaches


def test_young_payments_are_out_of_the_sums_on_both_sides() -> None:
    verdict = judge(evidence(**of("accounts", SETTLED, replace(account(SETTLED), captured=0))), settle_within_s=60)
    assert verdict.ok
    assert verdict.sums == {}


def test_what_cannot_be_read_is_not_claimed_to_hold() -> None:
    """A real processor keeps its record to itself."""
    verdict = judge(evidence(accounts=None, unread={Invariant.MONEY: "no record"}))
    assert verdict.ok
    assert verdict.as_dict()["invariants"][Invariant.MONEY] is None
    assert f"{Invariant.MONEY:<28}  not checked: no record" in list(lines(verdict, first=1))


def test_payments_may_be_looked_at_by_merchant_and_by_time() -> None:
    other = replace(payment("other", Status.SETTLED), merchant_id="m-2")
    both = everywhere(other)
    assert not judge(evidence(**both)).ok
    assert judge(narrowed(evidence(**both), Wanted(merchant="m-1"))).ok
    assert judge(narrowed(evidence(**both), Wanted(since=DAY.format(1)))).figures["payments"] == 0
    ghost = of("accounts", payment("ghost", Status.SETTLED), account(payment("ghost", Status.SETTLED)))
    assert judge(narrowed(evidence(**ghost), Wanted(merchant="m-1"))).ok, "it may be another merchant's"


# -- the command


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setenv("TRIPOINT_HOME", str(tmp_path / "home"))
    config = tmp_path / "test.toml"
    config.write_text(CONFIG.format(port=1024) + "\n[merchants.m-1]\n")

    def run(*arguments: str, verdict: Verdict | Exception | None = None) -> Any:
        def found(*_: Any, **__: Any) -> Verdict:
            if isinstance(verdict, Exception):
                raise verdict
            return verdict or judge(evidence())

        monkeypatch.setattr(reconciler, "reconcile", found)
        return CliRunner().invoke(app, ["reconcile", "--config", str(config), *arguments])

    return run


def test_exit_code_0_says_that_everything_holds(run: Callable[..., Any]) -> None:
    answer = run()
    assert answer.exit_code == 0, answer.output
    assert "one receipt, replicated       holds" in answer.output
    assert "reconcile: 4 payments, no breaches, in" in answer.output


def test_exit_code_1_names_the_payments_and_what_differs(run: Callable[..., Any], tmp_path: Path) -> None:
    wrong = evidence(accounts={}, **receipts(THERE))
    answer = run("--first", "1", "--json", str(tmp_path / "verdict.json"), verdict=judge(wrong))
    assert answer.exit_code == 1
    assert f"  {SETTLED.payment_id}: no receipt in eu-west-1" in answer.output
    assert "and 1 more; all of them with --json FILE" in answer.output
    written = json.loads((tmp_path / "verdict.json").read_text())
    assert written["ok"] is False
    assert written["invariants"]["money taken = money settled"] == 2
    assert {breach["payment_id"] for breach in written["breaches"]} == {SETTLED.payment_id, REFUNDED.payment_id}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--since", "yesterday"], "--since yesterday: allowed: a time such as 2025-03-01T12:00:00Z"),
        (["--merchant", "m-9"], "--merchant m-9: allowed: m-1"),
        (["--accepted", "nowhere.txt"], "--accepted nowhere.txt: cannot be read"),
    ],
)
def test_a_wrong_argument_is_one_line(run: Callable[..., Any], arguments: list[str], said: str) -> None:
    answer = run(*arguments)
    assert isinstance(answer.exception, UsageError)
    assert said in str(answer.exception)
    assert "\n" not in str(answer.exception)


def test_what_cannot_be_read_makes_no_verdict(run: Callable[..., Any]) -> None:
    answer = run(verdict=ReadError("eu-west-1: table payments-t1 cannot be read: refused"))
    assert isinstance(answer.exception, ReadError)


def test_accepted_payments_come_with_the_regions_that_answered(tmp_path: Path) -> None:
    file = tmp_path / "accepted"
    one, two = SETTLED.payment_id, DECLINED.payment_id
    file.write_text(f"{one} {HERE}\n\n{two}\n{one} {THERE}\n")
    assert read_accepted(file, REGIONS) == {one: [HERE, THERE], two: []}
    file.write_text(f"{one} mars-1\n")
    with pytest.raises(
        UsageError, match=r"line 1: 'pay_\w+ mars-1' is not allowed; allowed: a payment id, and after it"
    ):
        read_accepted(file, REGIONS)
