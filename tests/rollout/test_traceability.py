"""Requirements are traced to the code that does them and the tests that show them, and the page tells so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rollout import traceability
from rollout.traceability import Place, Trace, TraceabilityError

ROOT = Path.cwd()
# Put together here, so that these texts cite nothing by themselves.
ONE, TWO, THREE = (f"PAY-{number}" for number in ("01", "02", "03"))


def tree(root: Path, **files: str) -> Path:
    """A project with three requirements; `__` in a name stands for a slash."""
    titles = "\n".join(f'{id} = "Title of {id}"' for id in (ONE, TWO, THREE))
    for name, text in {"docs__requirements.toml": f"[platform]\n{titles}\n", **files}.items():
        path = root / name.replace("__", "/")
        path = path if path.suffix else path.with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def traced(root: Path) -> dict[str, Trace]:
    return {one.id: one for one in traceability.trace(root)}


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        (f"Does {ONE}.", {ONE}),
        (f"{ONE}, {TWO}", {ONE, TWO}),
        (f"{ONE}..03", {ONE, TWO, THREE}),
        (f"{ONE} to {THREE}", {ONE, TWO, THREE}),
        ("PAYMENT-01, XPAY-01, PAY-1, PAY-011", set()),
    ],
)
def test_ids_are_found_with_their_ranges(text: str, ids: set[str]) -> None:
    assert traceability.cited(text) == ids


def test_docstrings_and_comments_cite_for_the_innermost_class_or_function(tmp_path: Path) -> None:
    body = f'    """{TWO}"""\n\n    def f(self):\n        # {THREE}\n        return 1\n'
    source = f'"""Module: {ONE}."""\n\n\nclass A:\n{body}'
    found = traced(tree(tmp_path, shared__a=source))
    assert found[ONE].code == {Place("shared/a.py", "")}
    assert found[TWO].code == {Place("shared/a.py", "A")}
    assert found[THREE].code == {Place("shared/a.py", "A.f")}


def test_a_string_that_is_no_docstring_cites_nothing(tmp_path: Path) -> None:
    assert not traced(tree(tmp_path, shared__a=f'X = "{ONE}"\n'))[ONE].code


def test_tests_show_by_docstring_name_and_parameters_but_fixtures_do_not(tmp_path: Path) -> None:
    source = (
        f'def test_it():\n    """{ONE}"""\n\n\n'
        "def test_pay_02_holds():\n    assert True\n\n\n"
        f'@pytest.mark.parametrize("a", ["{THREE}"])\ndef test_all(a):\n    assert a\n\n\n'
        f'def helper():\n    """{ONE}"""\n'
    )
    found = traced(tree(tmp_path, tests__test_a=source, tests__conftest=f'"""{TWO}"""\n'))
    assert found[ONE].tests == {Place("tests/test_a.py", "test_it")}
    assert found[TWO].tests == {Place("tests/test_a.py", "test_pay_02_holds")}
    assert found[THREE].tests == {Place("tests/test_a.py", "test_all")}


def test_an_id_that_no_requirement_has_is_refused_by_name(tmp_path: Path) -> None:
    unknown = "LAY-" + "77"
    with pytest.raises(TraceabilityError, match=rf"shared/a\.py::f cites {unknown}: not in docs/requirements\.toml"):
        traced(tree(tmp_path, shared__a=f'def f():\n    """{unknown}"""\n'))


def test_what_has_no_code_or_no_test_is_listed_as_open(tmp_path: Path) -> None:
    files = {"shared__a": f'"""{ONE} {TWO}"""\n', "tests__test_a": f'def test_it():\n    """{ONE}"""\n'}
    text = traceability.page(traceability.trace(tree(tmp_path, **files)))
    _, _, rest = text.partition("## Open")
    listed, _, _ = rest.partition("## By requirement")
    assert f"**{ONE}**" not in listed
    assert f"- **{TWO}** Title of {TWO}: no tests." in listed
    assert f"- **{THREE}** Title of {THREE}: no code, no tests." in listed
    assert "3 requirements; 1 have code and tests." in text


def test_the_page_follows_from_the_tree_alone(tmp_path: Path) -> None:
    files = {f"shared__{name}": f'"""{ONE}"""\n' for name in "abc"}
    one = traceability.page(traceability.trace(tree(tmp_path / "one", **files)))
    other = traceability.page(traceability.trace(tree(tmp_path / "other", **dict(reversed(files.items())))))
    assert one == other


def test_every_requirement_has_a_title_in_order() -> None:
    titles = list(traceability.load_titles(ROOT / traceability.REQUIREMENTS))
    wanted = {"PAY": 23, "LAY": 8, "OPT": 10}
    assert titles == [f"{kind}-{number:02d}" for kind, count in wanted.items() for number in range(1, count + 1)]


def test_traceability_page_is_fresh() -> None:
    """`python -m rollout.traceability` writes it."""
    run = subprocess.run(
        [sys.executable, "-m", "rollout.traceability", "--check"], capture_output=True, text=True, check=False
    )
    assert (run.stdout, run.returncode) == ("", 0), run.stderr
