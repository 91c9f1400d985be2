"""What tells who pays is in the vault of the payment's region, and nowhere else (PAY-22).

A request leaves its payer in the vault of the region that it came to, also when it turns out to repeat one that another
region has accepted: nothing has crossed a border then, and nobody can reach it. That is told from a copy by the time:
a request has its own, a copy has the original's.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields

from functions.payments.model import Payment
from functions.payments.vault import Payer
from rollout.reconcile.evidence import Breach, Evidence, Invariant

PERSONAL = frozenset({"payer", *(field.name for field in fields(Payer))})
_PART_OF_TEXT = 6  # characters: a shorter value is looked for as a whole text only


def breaches(evidence: Evidence, settled_down: Mapping[str, Payment]) -> Iterator[Breach]:
    """What does not hold of the payers of payments that have had their time."""
    everyone = {value for vault in evidence.vaults.values() for kept in vault.values() for value in kept.values}
    for payment in settled_down.values():
        for what in [*_misplaced(evidence, payment), *_told(evidence, payment, everyone)]:
            yield Breach(Invariant.RESIDENCY, payment.payment_id, what)


def copied(evidence: Evidence) -> Iterator[Breach]:
    """Vaults that are replicated, whatever is in them."""
    for region, others in evidence.copied_vaults.items():
        if others:
            yield Breach(Invariant.RESIDENCY, "", f"the vault of {region} is replicated to {', '.join(sorted(others))}")


def left_over(evidence: Evidence) -> int:
    """How many entries of vaults belong to no payment, or to one whose payer another region keeps: requests that were
    refused, or repeated elsewhere. They expire."""
    keepers: dict[str, str] = {}
    for ledger in evidence.ledgers.values():
        keepers.update({key: entry.payment.payer_region for key, entry in ledger.items()})
    return sum(keepers.get(key, "") != region for region, vault in evidence.vaults.items() for key in vault)


def _misplaced(evidence: Evidence, payment: Payment) -> Iterator[str]:
    keeper, regions = payment.payer_region, evidence.accepted.get(payment.payment_id, ())
    original = evidence.vaults.get(keeper, {}).get(payment.payment_id) if keeper else None
    if keeper and original is None and payment.created_at >= evidence.payers_since:
        yield f"the vault of {keeper} does not have its payer"
    for region in evidence.regions:
        copy = evidence.vaults[region].get(payment.payment_id)
        copied = original is not None and copy is not None and copy.created_at == original.created_at
        if region != keeper and copied and region not in regions:
            yield f"the vault of {region} has a copy of its payer, who belongs in {keeper}"


def _told(evidence: Evidence, payment: Payment, everyone: Collection[str]) -> Iterator[str]:
    own = {
        value
        for vault in evidence.vaults.values()
        if payment.payment_id in vault
        for value in vault[payment.payment_id].values
    }
    for place, names, texts in _records(evidence, payment):
        personal = sorted(PERSONAL & set(names))
        if personal:
            yield f"{place} has {', '.join(personal)}"
        elif _tells(texts, everyone, own):
            yield f"{place} holds a value of a payer"


def _records(evidence: Evidence, payment: Payment) -> Iterator[tuple[str, Collection[str], Collection[str]]]:
    """Each place outside of the vaults that tells of a payment: its name, the names of its fields, its texts."""
    id = payment.payment_id
    for region in evidence.regions:
        entry = evidence.ledgers[region].get(id)
        if entry is not None:
            yield f"the table of {region}", entry.names, entry.texts
        for receipt in evidence.receipts[region].get(id, ()):
            yield f"a receipt in {region}", *_read(receipt.body)
    for event in (evidence.events or {}).get(id, ()):
        yield f"an event of {event.region}", event.names, event.texts


def _tells(texts: Collection[str], everyone: Collection[str], own: Collection[str]) -> bool:
    if not everyone:
        return False
    if any(text in everyone for text in texts):
        return True
    return any(value in text for value in own if len(value) >= _PART_OF_TEXT for text in texts)


def _read(body: bytes | None) -> tuple[Collection[str], Collection[str]]:
    if body is None:
        return (), ()
    try:
        return names_and_texts(json.loads(body))
    except ValueError:
        return (), (body.decode(errors="replace"),)


# Everybody may know these, and a payer may be called like one of them.
_PUBLIC = frozenset({"merchant_id", "currency", "status", "home_region", "payer_region", "origin_region"})


def names_and_texts(document: object) -> tuple[Collection[str], Collection[str]]:
    """The names of all fields of a JSON document, at any depth, and all its texts but those that everybody may know."""
    names: set[str] = set()
    texts: list[str] = []
    todo: list[tuple[str, object]] = [("", document)]
    while todo:
        name, value = todo.pop()
        if isinstance(value, Mapping):
            names.update(value)
            todo.extend(value.items())
        elif isinstance(value, list | tuple):
            todo.extend((name, part) for part in value)
        elif isinstance(value, str) and name not in _PUBLIC:
            texts.append(value)
    return names, texts
