"""Filter patterns of CloudWatch Logs, as far as this project's filters need them, without I/O.

After "Filter pattern syntax for metric filters" (CloudWatch Logs User Guide).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

Matcher = Callable[[str, Mapping[str, Any]], bool]

_TOKEN = re.compile(
    r"""\s*(?:(?P<op>&&|\|\||!=|<=|>=|=|<|>|\(|\))|(?P<selector>\$(?:\.[\w-]+|\['[^']+'\]|\[\d+\])+)"""
    r"""|"(?P<text>(?:[^"\\]|\\.)*)"|(?P<word>[^\s()&|=<>!]+))"""
)
_ABSENT = object()
_STEP = re.compile(r"\.([\w-]+)|\['([^']+)'\]|\[(\d+)\]")


class PatternError(ValueError):
    """The pattern is malformed or of a kind that isn't supported."""


@lru_cache(maxsize=256)
def matcher(pattern: str) -> Matcher:
    """A function of (message, its JSON object or {}) that says whether the pattern matches."""
    text = pattern.strip()
    if text.startswith("{") and text.endswith("}"):
        return _JsonPattern(text[1:-1]).parse()
    if text.startswith(("[", "%")):
        raise PatternError(f"pattern {pattern!r} is of a kind that the sandbox doesn't support")
    return _terms(text)


def field(document: Mapping[str, Any], selector: str) -> Any:
    """The value at a selector such as `$.detail.amount`; None when there is none."""
    value = _lookup(document, selector)
    return None if value is _ABSENT else value


def _lookup(document: Mapping[str, Any], selector: str) -> Any:
    value: Any = document
    for name, quoted, index in _STEP.findall(selector):
        if index:
            value = value[int(index)] if isinstance(value, list) and len(value) > int(index) else _ABSENT
        else:
            value = value.get(name or quoted, _ABSENT) if isinstance(value, Mapping) else _ABSENT
    return value


def _terms(text: str) -> Matcher:
    found = [(sign, quoted or word) for sign, quoted, word in re.findall(r'([-?]?)(?:"([^"]*)"|(\S+))', text)]
    without = [term for sign, term in found if sign == "-"]
    either = [term for sign, term in found if sign == "?"]
    needed = [term for sign, term in found if not sign]

    def matches(message: str, _: Mapping[str, Any]) -> bool:
        return (
            all(term in message for term in needed)
            and not any(term in message for term in without)
            and (not either or any(term in message for term in either))
        )

    return matches


class _JsonPattern:
    """Recursive descent over `selector operator value`, &&, || and parentheses."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        position = 0
        while position < len(text.rstrip()):
            found = _TOKEN.match(text, position)
            if not found:
                raise PatternError(f"pattern {text!r} is malformed at {text[position:]!r}")
            kind = str(found.lastgroup)
            self._tokens.append((kind, found[kind]))
            position = found.end()
        self._text, self._at = text, 0

    def parse(self) -> Matcher:
        result = self._any()
        if self._at != len(self._tokens):
            raise PatternError(f"pattern {self._text!r} is malformed")
        return result

    def _any(self) -> Matcher:
        parts = [self._all()]
        while self._take("||"):
            parts.append(self._all())
        return lambda message, document: any(part(message, document) for part in parts)

    def _all(self) -> Matcher:
        parts = [self._one()]
        while self._take("&&"):
            parts.append(self._one())
        return lambda message, document: all(part(message, document) for part in parts)

    def _one(self) -> Matcher:
        if self._take("("):
            inner = self._any()
            if not self._take(")"):
                raise PatternError(f"pattern {self._text!r} lacks a parenthesis")
            return inner
        _, selector = self._next("selector")
        kind, word = self._next("op", "word")
        if kind == "word":
            return self._state(selector, word)
        kind, value = self._next("text", "word")
        return lambda _, document: _compare(field(document, selector), word, value, quoted=kind == "text")

    def _state(self, selector: str, word: str) -> Matcher:
        if word == "EXISTS":
            return lambda _, document: _lookup(document, selector) is not _ABSENT
        if word == "NOT" and self._next("word")[1] == "EXISTS":
            return lambda _, document: _lookup(document, selector) is _ABSENT
        if word == "IS":
            wanted = {"NULL": None, "TRUE": True, "FALSE": False}[self._next("word")[1]]
            return lambda _, document: _lookup(document, selector) is wanted
        raise PatternError(f"pattern {self._text!r} is malformed at {word!r}")

    def _take(self, operator: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == ("op", operator):
            self._at += 1
            return True
        return False

    def _next(self, *kinds: str) -> tuple[str, str]:
        if self._at >= len(self._tokens) or self._tokens[self._at][0] not in kinds:
            raise PatternError(f"pattern {self._text!r} is malformed")
        self._at += 1
        return self._tokens[self._at - 1]


def _compare(found: Any, operator: str, wanted: str, *, quoted: bool) -> bool:
    if found is None:
        return False
    number = None if quoted else _number(wanted)
    if number is not None and isinstance(found, (int, float)) and not isinstance(found, bool):
        return {
            "=": found == number,
            "!=": found != number,
            "<": found < number,
            "<=": found <= number,
            ">": found > number,
            ">=": found >= number,
        }[operator]
    if operator not in ("=", "!="):
        return False
    return fnmatchcase(str(found), wanted.replace("[", "[[]")) == (operator == "=")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
