"""Whatever stands in a configuration: it is refused in one line, or it can do no harm where it arrives.

A value ends up in names, ARNs, tags and environment variables of Terraform JSON, where `${` and `%{` begin Terraform's
own templates, and in commands, where it is one argument.
"""

from __future__ import annotations

import copy
import sys
import tomllib
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from rollout.cli import main
from shared.capabilities import CAPABILITIES
from shared.config import Environment, RegionSettings, parse
from shared.errors import UsageError

HOSTILE = (
    "${aws_iam_role.role.arn}",
    "%{ if true }x%{ endif }",
    "$${x}",
    '", "Action": "*',
    "'; rm -rf / #",
    "$(id)",
    "`id`",
    "a\nb",
    "a\r\nb",
    "\x00",
    "\u2028",
    "../../etc/passwd",
    "..\\..",
    "*",
    "?",
    "arn:aws:iam::*:root",
    "<script>",
    "\u0440\u0430\u0443",  # Cyrillic letters that look like "pay"
    "\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668\u0669\u0660\u0661\u0662",  # twelve digits, none of them ASCII
    "\uff41\uff42",  # full-width letters
    "\u202e",
    "a" * 5000,
    "",
)
# What has a meaning to Terraform, JSON, a shell or IAM. Source lists of a content security policy need two of them.
FORBIDDEN = set("$\"\\`{}<>|^!%[]*?'")
NEEDED = {"assets.content_security_policy": set("*?'")}


# Stand-ins in a path: one key of a dictionary, the one item of a list.
KEY, ITEM = "m-1", "[]"


def _base() -> dict[str, Any]:
    """Everything on, and a real processor: as many fields as there can be."""
    full = tomllib.loads(Path("config/sandbox-full.toml").read_text())
    aws = tomllib.loads(Path("config/example-aws.toml").read_text())
    return {**full, "processor": aws["processor"], "domain": aws["domain"]}


def _texts(model: type[BaseModel], at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all fields that take text."""
    for name, field in model.model_fields.items():
        yield from _of(field.annotation, (*at, name))


def _of(annotation: Any, at: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from _texts(annotation, at)
    elif typing.get_origin(annotation) is dict:
        yield from _of(typing.get_args(annotation)[1], (*at, KEY))
    elif typing.get_origin(annotation) is list:
        yield from _of(typing.get_args(annotation)[0], (*at, ITEM))
    elif annotation is str or typing.get_origin(annotation) is typing.Literal:
        yield at
    else:
        found = {path for inner in typing.get_args(annotation) for path in _of(inner, at)}
        yield from sorted(found)


def _fields() -> list[tuple[str, ...]]:
    regional = sorted(_texts(RegionSettings))
    everywhere = [path for path in _texts(Environment) if path[0] != "regions"]
    return [*everywhere, *[("regions", "us-east-1", *path) if len(path) == 1 else path for path in regional]]


FIELDS = _fields()


def _with(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    raw = copy.deepcopy(_base())
    section = raw
    if path[-1] == ITEM:
        path, value = path[:-1], [value]
    for name in path[:-1]:
        section = section.setdefault(name, {})
    section[path[-1]] = value
    return raw


def _read(environment: Environment, path: tuple[str, ...]) -> Any:
    found: Any = environment
    if path[0] not in Environment.model_fields:
        found = environment.regions["us-east-1"]
    for name in path:
        if name == ITEM:
            found = found[0] if found else None
        else:
            found = found[name] if isinstance(found, dict) else getattr(found, name)
    return found


def _tried(path: tuple[str, ...], value: str) -> tuple[str, UsageError | None]:
    try:
        return str(_read(parse(_with(path, value), source="x.toml"), path)), None
    except UsageError as error:
        return "", error


def check(path: tuple[str, ...], value: str) -> None:
    accepted, refusal = _tried(path, value)
    if refusal is not None:
        assert refusal.exit_code == 2
        assert str(refusal).isprintable()
        return
    where = ".".join(path)
    assert accepted.isascii(), where
    assert accepted.isprintable(), where
    assert not set(accepted) & (FORBIDDEN - NEEDED.get(where, set())), f"{where}: {accepted!r}"


def test_every_field_that_takes_text_is_tried() -> None:
    """The list is the model's, so a new field is on it."""
    names = {".".join(path) for path in FIELDS}
    assert names >= {
        "environment",
        "suffix",
        "project.name",
        "project.owner",
        "project.cost_center",
        "target.account_id",
        "target.endpoint",
        "state.bucket_prefix",
        "domain.name",
        "domain.hosted_zone_id",
        "processor.url",
        "processor.secret_name",
        "functions.runtime",
        "regions.us-east-1.cidr",
    }
    assert {path[0] for path in FIELDS} & set(CAPABILITIES)


@pytest.mark.parametrize("path", FIELDS, ids=".".join)
def test_hostile_text_is_refused_or_harmless(path: tuple[str, ...]) -> None:
    """PAY-18, PAY-15: alone, and at either end of what is allowed."""
    allowed = _read(parse(_base(), source="x"), path)
    for hostile in HOSTILE:
        check(path, hostile)
        if isinstance(allowed, str):
            for value in (allowed + hostile, hostile + allowed, f"{allowed[:3]}{hostile}{allowed[3:]}"):
                check(path, value)


@given(path=st.sampled_from(FIELDS), value=st.text())
def test_any_text_is_refused_or_harmless(path: tuple[str, ...], value: str) -> None:
    """PAY-15: whatever it is."""
    check(path, value)


@pytest.mark.parametrize("region", ["us-east-1; id", "${x}", "../eu-west-1", "us\u2010east\u20101", "*"])
def test_hostile_regions_and_functions_are_refused(region: str) -> None:
    """PAY-01: keys come from the configuration as well."""
    raw = _base()
    raw["regions"] = {**raw["regions"], region: {"cidr": "10.90.0.0/16"}}
    with pytest.raises(UsageError):
        parse(raw, source="x")
    with pytest.raises(UsageError):
        parse(_with(("merchants", region), {}), source="x")
    with pytest.raises(UsageError):
        parse(_with(("functions", "reserved_concurrency_by_function"), {region: 1}), source="x")


@pytest.mark.parametrize("owner", ['"${aws_iam_role.x.arn}"', '"%{for a in b}%{endfor}"', '"a\\nb"', "[1]"])
def test_the_command_refuses_in_one_line(
    owner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """PAY-15: exit code 2, before anything is written."""
    text = Path("config/sandbox.toml").read_text().replace('owner = "platform-team"', f"owner = {owner}")
    config = tmp_path / "hostile.toml"
    config.write_text(text)
    monkeypatch.setattr(sys, "argv", ["tripoint", "order", "--config", str(config)])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert ended.value.code == 2
    assert len((said.out + said.err).strip().splitlines()) == 1
    assert "project.owner" in said.out + said.err
