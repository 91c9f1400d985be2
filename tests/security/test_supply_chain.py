"""What the project is made of and starts: locked by hash, without a shell, and no more in the zips than runs."""

from __future__ import annotations

import ast
import json
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from functions.build import build_all
from rollout import audit

FOLDERS = ("functions", "rollout", "shared", "stacks")
STARTS = {"run", "Popen", "call", "check_call", "check_output"}
# They give their argument to a shell, or run text as code.
REFUSED = {
    "os.system",
    "os.popen",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
    "asyncio.create_subprocess_shell",
    "eval",
    "exec",
    "pickle.load",
    "pickle.loads",
    "yaml.load",
}


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for folder in FOLDERS:
        for path in sorted(Path(folder).rglob("*.py")):
            yield path, ast.parse(path.read_text())


def _called(call: ast.Call) -> str:
    function = call.func
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        return f"{function.value.id}.{function.attr}"
    return function.id if isinstance(function, ast.Name) else ""


def _is_text(command: ast.expr, names: dict[str, list[ast.expr | None]]) -> bool:
    """Whether a command may be a text: written, joined, formatted, or a name whose value is not known to be a list."""
    if isinstance(command, ast.Starred):
        return False
    if isinstance(command, ast.List | ast.Tuple | ast.ListComp):
        return False
    if isinstance(command, ast.Call):
        return _called(command) not in ("list", "tuple")
    if isinstance(command, ast.Name):
        values = names.get(command.id, [])
        return not values or any(value is not None and _is_text(value, {}) for value in values)
    return True


def _lists(tree: ast.AST) -> dict[str, list[ast.expr | None]]:
    """What names are assigned; None for a parameter that is declared as a sequence."""
    found: dict[str, list[ast.expr | None]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append(node.value)
        if isinstance(node, ast.arg) and node.annotation is not None:
            declared = ast.unparse(node.annotation)
            known = declared.startswith(("Sequence[", "list[", "tuple["))
            found.setdefault(node.arg, []).append(None if known else node.annotation)
    return found


def offences(tree: ast.Module) -> list[str]:
    """The calls that would let text become a command."""
    found = []
    for scope in [tree, *(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))]:
        names = _lists(scope)
        own = ast.walk(scope) if scope is not tree else (node for one in tree.body for node in _outside(one))
        for call in (node for node in own if isinstance(node, ast.Call)):
            name = _called(call)
            if name in REFUSED:
                found.append(f"{call.lineno}: {name}")
            if any(keyword.arg == "shell" for keyword in call.keywords):
                found.append(f"{call.lineno}: shell=")
            if name.startswith("subprocess.") and name.partition(".")[2] in STARTS and _is_text(call.args[0], names):
                found.append(f"{call.lineno}: {name} of a text")
    return found


def _outside(node: ast.AST) -> Iterator[ast.AST]:
    """Everything that is in no function."""
    if not isinstance(node, ast.FunctionDef):
        yield node
        for child in ast.iter_child_nodes(node):
            yield from _outside(child)


def test_no_shell_and_no_text_as_a_command() -> None:
    """The command line never runs a shell: what a configuration says is one argument, whatever it is."""
    started = 0
    for path, tree in sources():
        assert not offences(tree), path
        started += sum(_called(node).startswith("subprocess.") for node in ast.walk(tree) if isinstance(node, ast.Call))
    assert started >= 8


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.system('x')",
        "subprocess.run('ls ' + name)",
        "subprocess.run(f'ls {name}', check=True)",
        "subprocess.run(['ls'], shell=True)",
        "subprocess.Popen('ls')",
        "def f(c: str):\n    subprocess.run(c)",
        "def f(c):\n    command = 'ls %s' % c\n    subprocess.run(command)",
        "eval('1')",
    ],
)
def test_what_would_be_found(code: str) -> None:
    assert offences(ast.parse(code))


def test_every_dependency_is_locked_with_hashes() -> None:
    """And from whatever index the machine has: the lock names none."""
    lock = tomllib.loads(Path("poetry.lock").read_text())
    assert len(lock["package"]) > 50
    for package in lock["package"]:
        assert package["files"], package["name"]
        assert all(file["hash"].startswith("sha256:") for file in package["files"]), package["name"]
        assert "source" not in package, package["name"]


def test_zips_hold_what_runs_and_nothing_else(tmp_path: Path) -> None:
    """No test code, no caches, nothing that the runtime has itself, and nothing of the other layers."""
    for name, built in build_all(tmp_path).items():
        with zipfile.ZipFile(built.path) as archive:
            files = archive.namelist()
        assert not {part for file in files for part in Path(file).parts} & {"tests", "test", "__pycache__"}, name
        packages = {Path(file).parts[0] for file in files}
        assert not packages & {"boto3", "botocore", "moto", "pytest", "hypothesis", "cdktf", "ministack"}, name
        assert not packages & {"rollout", "stacks", "shared", "config"}, name
        assert not [file for file in files if Path(file).name.startswith(("test_", "conftest")) or ".env" in file], name


# -- the audit ------------------------------------------------------------------------------------


def test_a_vulnerability_fails_the_build_and_is_named() -> None:
    known = {"id": "PYSEC-1", "fix_versions": ["2.0"]}
    answer = {"dependencies": [{"name": "a", "version": "1.0", "vulns": [known]}, {"name": "b", "version": "1"}]}
    outcome = audit.judge(json.dumps(answer), "")
    assert outcome.code == 1
    assert outcome.lines[0] == "audit: a 1.0: PYSEC-1, fixed in 2.0"


@pytest.mark.parametrize("answer", ["", "not JSON", '{"dependencies": [{"name": "a", "skip_reason": "not found"}]}'])
def test_a_service_that_cannot_be_asked_is_told_in_one_line(answer: str) -> None:
    outcome = audit.judge(answer, "Traceback\nConnectionError: no route\n")
    assert outcome.code == 0
    assert len(outcome.lines) == 1
    assert "unknown" in outcome.lines[0]


def test_both_locks_are_audited() -> None:
    names = {name for name, _ in audit.locked()}
    assert {"pydantic", "ministack", "checkov", "parliament"} <= names
    assert len(names) == len(audit.locked()) > 120
