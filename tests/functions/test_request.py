"""What a merchant may ask for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.payments.currencies import CURRENCIES
from functions.payments.errors import InvalidPaymentError
from functions.payments.money import MAX_AMOUNT
from functions.payments.request import parse

GOOD = {"amount": 1299, "currency": "EUR", "merchant_id": "m-1", "payment_method": "tok_visa"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def body(**changes: Any) -> str:
    return json.dumps(GOOD | changes)


def field_of_refusal(text: str | None, keys: list[str]) -> str:
    with pytest.raises(InvalidPaymentError) as refused:
        parse(text, keys)
    assert refused.value.allowed
    return refused.value.field


@given(
    st.integers(1, MAX_AMOUNT),
    st.sampled_from(sorted(CURRENCIES)),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", fullmatch=True),
    st.from_regex(r"tok_[A-Za-z_]{1,60}", fullmatch=True),
    st.from_regex(r"[!-~]{1,255}", fullmatch=True),
)
def test_every_request_in_bounds_is_accepted(
    amount: int, currency: str, merchant_id: str, payment_method: str, key: str
) -> None:
    text = body(amount=amount, currency=currency, merchant_id=merchant_id, payment_method=payment_method)
    request = parse(text, [key])
    assert (request.amount, request.idempotency_key) == (amount, key)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("amount", bad) for bad in (True, False, 12.0, 1e3, "1299", None, 0, -1, MAX_AMOUNT + 1, 10**400, [1])],
        *[("currency", bad) for bad in ("eur", "EURO", "XXX", "", None, 978, "EUR ", "EUR\n")],
        *[("merchant_id", bad) for bad in ("", "-m", "m" * 65, "m/1", "a@b.example", None, 7, "m\n", "\ud800")],
        *[("payment_method", bad) for bad in ("visa", "tok_", "tok_" + "x" * 61, None, "4111111111111111")],
        ("payment_method", "tok_4111111111111111"),
        ("payment_method", "tok_4111-1111-1111-1111"),
        ("payment_method", "tok_4111_1111_1111_1111_"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_the_name_of_its_field(field: str, value: object) -> None:
    assert field_of_refusal(body(**{field: value}), ["key"]) == field


@pytest.mark.parametrize("field", sorted(GOOD))
def test_a_missing_field_is_refused_by_name(field: str) -> None:
    text = json.dumps({name: value for name, value in GOOD.items() if name != field})
    assert field_of_refusal(text, ["key"]) == field


def test_an_unknown_field_is_refused_so_that_no_personal_data_comes_in() -> None:
    """PAY-22."""
    assert field_of_refusal(body(payer_name="Ada"), ["key"]) == "payer_name"


@pytest.mark.parametrize(
    "payer",
    [
        {"name": "Ada Lovelace", "email": "ada@lovelace.example", "address": "12 St James's Square, London"},
        {"name": "Ngọc Nữ"},
        {"name": "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "address": "千代田区\u3000一丁目"},
        {"email": "o'brien+tag@mail.sub-domain.example"},
        {"name": "x" * 140, "address": "y" * 280, "email": "a" * 64 + "@" + "b" * 60 + ".example"},
    ],
)
def test_a_payer_is_taken_as_far_as_it_is_told(payer: dict[str, str]) -> None:
    """PAY-22."""
    request = parse(body(payer=payer), ["key"])
    assert request.payer is not None
    assert request.payer.to_document() == payer
    assert request.to_payment(region="r", at="now").payer_region == "r"


@pytest.mark.parametrize(
    ("payer", "field"),
    [
        *[(bad, "payer") for bad in (None, {}, [], "Ada", 7)],
        *[({"name": bad}, "payer.name") for bad in ("", " Ada", "Ada ", "A\nda", "A\x00da", "x" * 141, 7, None)],
        *[({"address": bad}, "payer.address") for bad in ("", " ", "a\u2028b", "\ud800", "y" * 281, ["12"])],
        *[({"email": bad}, "payer.email") for bad in ("", "ada", "ada@", "@b.example", "a b@c.example", "a@b", None)],
        *[({"email": f"a@{bad}"}, "payer.email") for bad in ("b.example\n", "-b.example", "b." * 130 + "example")],
        ({"name": "Ada", "phone": "1"}, "payer.phone"),
        ({"": "1"}, "payer."),
    ],
)
def test_a_payer_out_of_bounds_is_refused_by_its_field_without_its_value(payer: object, field: str) -> None:
    """PAY-22."""
    text = body(payer=payer)
    assert field_of_refusal(text, ["key"]) == field


def test_no_refusal_repeats_what_may_be_personal() -> None:
    """PAY-22: an answer may be logged on its way."""
    secret = "Ada Lovelace"
    texts = [
        body(payer={"name": secret + "\n"}),
        body(payer={"nom": secret}),
        body(payer={secret: "x" * 999}),
        body(payer=[secret]),
        body(payer_name=secret),
        f'{{"payer": {{"name": "{secret}"}}',
        f'{{"name": "{secret}", "name": "{secret}"}}',
        body()[:-1] + f', "payer": {{"name": "{secret}", "name": "{secret}"}}}}',
    ]
    for text in texts:
        with pytest.raises(InvalidPaymentError) as refused:
            parse(text, ["key"])
        assert secret not in refused.value.value
        assert len(refused.value.field) <= 64


def test_the_payer_is_no_part_of_the_request_hash_nor_of_any_text_made_of_the_request() -> None:
    """PAY-22: the hash is in every region's ledger, and a name is easily found from its digest."""
    requests = [parse(body(payer={"name": name}), ["key"]) for name in ("Ada Lovelace", "Grace Hopper")]
    requests.append(parse(body(), ["key"]))
    assert len({one.to_payment(region="r", at="now").request_hash for one in requests}) == 1
    assert "Ada" not in repr(requests[0]) + str(requests[0].payer)


def test_a_field_given_twice_is_refused() -> None:
    assert field_of_refusal(body()[:-1] + ', "amount": 1}', ["key"]) == "amount"


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "{",
        "[]",
        "null",
        "7",
        '"text"',
        "NaN",
        "{}}",
        "[" * 4000,
        "1" * 5000,
        '{"amount": ' + "9" * 4500 + "}",
    ],
)
def test_a_body_that_is_no_json_object_is_refused(text: str | None) -> None:
    assert field_of_refusal(text, ["key"]) == "body"


@pytest.mark.parametrize("keys", [[], [""], ["k" * 256], ["k y"], ["k\n"], ["schlüssel"], ["a", "b"]])
def test_a_bad_idempotency_key_is_refused(keys: list[str]) -> None:
    assert field_of_refusal(body(), keys) == "Idempotency-Key"


@given(st.one_of(JSON.map(json.dumps), st.text(), JSON.map(lambda value: body(amount=value))))
def test_any_body_is_parsed_or_refused_and_nothing_else(text: str) -> None:
    try:
        request = parse(text, ["key"])
    except InvalidPaymentError as error:
        refused = error
    else:
        refused = None
        assert request.amount >= 1
    assert refused is None or len(refused.value) < 80


def test_what_is_asked_becomes_a_payment_at_home_in_the_region() -> None:
    payment = parse(body(), ["key"]).to_payment(region="eu-west-1", at="now")
    assert (payment.home_region, payment.regions_tried) == ("eu-west-1", ("eu-west-1",))
    assert (payment.status, payment.version, payment.created_at) == ("RECEIVED", 1, "now")
