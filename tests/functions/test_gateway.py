"""Requests of API Gateway find their function, and answers are what it takes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions.payments.gateway import Answer, Event, Routes, answer, body_of, header_of

routes = Routes("v1")


@routes.on("GET", "/things/<name>")
def tell(_: Event, name: str) -> Answer:
    return answer(200, {"name": name}, {})


@routes.on("POST", "/things")
def make(_: Event) -> Answer:
    return answer(202, {}, {"Location": "./things/a"})


def event(method: str, path: str, **more: Any) -> dict[str, Any]:
    return {"httpMethod": method, "path": path, **more}


@pytest.mark.parametrize("path", ["/things/a.b", "/v1/things/a.b", "/things/a.b/", "/v1/things/a.b//"])
def test_a_path_is_found_with_the_base_path_and_without(path: str) -> None:
    """PAY-08."""
    found = routes.find(event("GET", path))
    assert found is not None
    assert json.loads(found()["body"]) == {"name": "a.b"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/things/a"),
        ("GET", "/things"),
        ("get", "/things/a"),
        ("GET", "/things/a/b"),
        ("GET", "/v1/v1/things/a"),
        ("GET", "/v11/things/a"),
        ("GET", "/v2/things/a"),
        ("GET", "things/a"),
        ("GET", "/v1"),
        ("GET", ""),
    ],
)
def test_nothing_else_is(method: str, path: str) -> None:
    assert routes.find(event(method, path)) is None


def test_an_answer_is_json_with_its_headers() -> None:
    found = routes.find(event("POST", "/things/"))
    assert found is not None
    assert found() == {
        "statusCode": 202,
        "multiValueHeaders": {"Content-Type": ["application/json"], "Location": ["./things/a"]},
        "body": "{}",
        "isBase64Encoded": False,
    }


def test_every_value_of_a_header_counts_however_it_is_written() -> None:
    many = {"IDEMPOTENCY-key": ["a", "b"], "Idempotency-Key": ["c"], "Other": ["d"]}
    one = {"Idempotency-Key": "z"}
    assert header_of({"multiValueHeaders": many, "headers": one}, "idempotency-key") == ["a", "b", "c"]
    assert header_of({"multiValueHeaders": None, "headers": one}, "idempotency-key") == ["z"]
    assert header_of({"headers": None}, "idempotency-key") == []


def test_a_body_is_text_or_refused() -> None:
    assert body_of({}) is body_of({"body": None, "isBase64Encoded": True}) is None
    assert body_of({"body": "{}", "isBase64Encoded": False}) == "{}"
    assert body_of({"body": "w6k=", "isBase64Encoded": True}) == "é"
    for bad in ("/w==", "a"):
        with pytest.raises(ValueError, match=r"utf-8|base64"):
            body_of({"body": bad, "isBase64Encoded": True})
