"""Which code does each requirement, and which tests show it: generates `docs/traceability.md`.

    python -m rollout.traceability            writes the page
    python -m rollout.traceability --check    exit code 1 when it is stale

A module, class or function *does* a requirement when its docstring, or a comment within it, cites the id; a test
*shows* it when its docstring, its name, its comments or its parameters do, or the docstring of its module: that one
speaks for all its tests. A range (two ids with `..` or `to` between them) cites all it spans. The titles are in
`docs/requirements.toml`. What has no code or no test is listed as open.

The same tree gives the same page: files and names are sorted, and nothing of the machine or the day is in it.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import sys
import tokenize
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rollout.workspace import project_root
from shared.errors import TripointError

REQUIREMENTS = "docs/requirements.toml"
PAGE = "docs/traceability.md"
CODE = ("shared", "stacks", "functions", "rollout")
TESTS = "tests"

ID = re.compile(r"\b(PAY|LAY|OPT)-(\d{2})(?:(?:\.\.|\s+to\s+)(?:(?:PAY|LAY|OPT)-)?(\d{2}))?\b")
_NAME_ID = re.compile(r"(?:^|_)(pay|lay|opt)_(\d{2})(?=_|$)")

Scope = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


class TraceabilityError(TripointError):
    """Something cites a requirement that there is none of."""


@dataclass(frozen=True, order=True)
class Place:
    """Where a requirement is cited: a file, and in it a class or function (empty: the module)."""

    path: str
    name: str

    def __str__(self) -> str:
        return f"{self.path}::{self.name}" if self.name else self.path


@dataclass
class Trace:
    """One requirement: its title, the code that does it, the tests that show it."""

    id: str
    title: str
    code: set[Place] = field(default_factory=set)
    tests: set[Place] = field(default_factory=set)

    @property
    def lacks(self) -> str:
        """What is missing: "code", "tests", "code and tests" or nothing."""
        missing = [name for name, found in (("code", self.code), ("tests", self.tests)) if not found]
        return " and ".join(missing)


def cited(text: str) -> set[str]:
    """The ids that a text cites, ranges written out."""
    found: set[str] = set()
    for kind, first, last in ID.findall(text):
        found |= {f"{kind}-{number:02d}" for number in range(int(first), int(last or first) + 1)}
    return found


def citations(source: str, path: str) -> Iterator[tuple[Place, set[str]]]:
    """Every citation of a Python file, with the innermost class or function around it."""
    tree = ast.parse(source, filename=path)
    scopes = list(_scopes(tree))
    for name, node in scopes:
        ids = cited(ast.get_docstring(node) or "")
        if name.startswith("test_") or "::test_" in name:
            ids |= {f"{kind.upper()}-{number}" for kind, number in _NAME_ID.findall(name)}
            ids |= cited(" ".join(_strings(node)))
        if ids:
            yield Place(path, name), ids
    for line, comment in _comments(source):
        ids = cited(comment)
        if ids:
            yield Place(path, _around(scopes, line)), ids


def _scopes(tree: ast.Module) -> Iterator[tuple[str, Scope]]:
    yield "", tree

    def within(node: ast.AST, prefix: str) -> Iterator[tuple[str, Scope]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                name = f"{prefix}{child.name}"
                yield name, child
                yield from within(child, f"{name}.")
            else:
                yield from within(child, prefix)

    yield from within(tree, "")


def _strings(node: Scope) -> Iterator[str]:
    """The texts in a test's decorators: ids of its parameters."""
    if isinstance(node, ast.Module):
        return
    for decorator in node.decorator_list:
        for part in ast.walk(decorator):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                yield part.value


def _comments(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _around(scopes: Iterable[tuple[str, Scope]], line: int) -> str:
    innermost = ""
    for name, node in scopes:
        if not isinstance(node, ast.Module) and node.lineno <= line <= (node.end_lineno or node.lineno):
            innermost = name
    return innermost


def load_titles(path: Path) -> dict[str, str]:
    """The requirements' titles by id, in the file's order."""
    sections: Mapping[str, Mapping[str, str]] = tomllib.loads(path.read_text(encoding="utf-8"))
    return {id: title for section in sections.values() for id, title in section.items()}


def trace(root: Path) -> list[Trace]:
    """Every requirement with who does it and who shows it.

    Raises
    ------
    TraceabilityError
        When a file cites an id that has no title.
    """
    traces = {id: Trace(id, title) for id, title in load_titles(root / REQUIREMENTS).items()}
    for path in sorted(path for folder in (*CODE, TESTS) for path in (root / folder).rglob("*.py")):
        where = path.relative_to(root).as_posix()
        is_test = where.startswith(f"{TESTS}/")
        for place, ids in citations(path.read_text(encoding="utf-8"), where):
            unknown = sorted(ids - set(traces))
            if unknown:
                raise TraceabilityError(f"{place} cites {', '.join(unknown)}: not in {REQUIREMENTS}")
            for id in ids:
                (traces[id].tests if is_test else traces[id].code).add(place)
    for one in traces.values():
        one.tests = {place for place in one.tests if _shows(place)}
    return list(traces.values())


def _shows(place: Place) -> bool:
    """Whether a place in the tests is one: a test, or a module of tests, not a fixture or a helper."""
    file = place.path.rpartition("/")[2]
    return file.startswith("test_") and (not place.name or place.name.rpartition(".")[2].startswith("test_"))


def page(traces: Iterable[Trace]) -> str:
    """`docs/traceability.md`."""
    found = list(traces)
    open_ones = [one for one in found if one.lacks]
    lines = [
        "# Traceability",
        "",
        "Generated by `python -m rollout.traceability`; do not edit. Code does a requirement, and a test shows it, "
        "where its docstring or a comment cites the id; `docs/requirements.toml` has the titles. A citation is a "
        "claim: the tests are what shows that it is true.",
        "",
        f"{len(found)} requirements; {len(found) - len(open_ones)} have code and tests.",
        "",
        "## Open",
        "",
        *([f"- **{one.id}** {one.title}: no {one.lacks.replace(' and ', ', no ')}." for one in open_ones] or ["None."]),
        "",
        "## By requirement",
        "",
        "| id | requirement | code | tests |",
        "|---|---|---:|---:|",
        *(f"| [{one.id}](#{one.id.lower()}) | {one.title} | {len(one.code)} | {len(one.tests)} |" for one in found),
        "",
    ]
    for one in found:
        lines += [f"### {one.id}", "", f"{one.title}.", ""]
        lines += ["Code:", "", *(_by_file(one.code) or ["- none"]), ""]
        lines += ["Tests:", "", *(_by_file(one.tests) or ["- none"]), ""]
    return "\n".join(lines).rstrip() + "\n"


def _by_file(places: Iterable[Place]) -> list[str]:
    names: dict[str, list[str]] = {}
    for place in sorted(places):
        names.setdefault(place.path, []).extend([place.name] if place.name else [])
    return [
        f"- `{path}`" + (f": {', '.join(f'`{name}`' for name in found)}" if found else "")
        for path, found in names.items()
    ]


def main() -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m rollout.traceability", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether the page is stale")
    asked = parser.parse_args()
    root = project_root()
    text = page(trace(root))
    target = root / PAGE
    if not asked.check:
        target.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{target}\n")
        return 0
    if target.is_file() and target.read_text(encoding="utf-8") == text:
        return 0
    sys.stdout.write(f"{PAGE} is stale: run python -m rollout.traceability\n")
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
