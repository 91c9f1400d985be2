"""The zips: the same bytes from the same input, and nothing missing in them."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

from functions import build
from functions.build import BuildError, BuiltFunction, build_all
from functions.catalogue import EVERY_FUNCTION

RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "six", "urllib3")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("zips")


@pytest.fixture(scope="module")
def built(out: Path) -> dict[str, BuiltFunction]:
    return build_all(out)


def names(function: BuiltFunction) -> list[str]:
    with zipfile.ZipFile(function.path) as archive:
        return archive.namelist()


def test_every_function_has_a_zip_that_is_what_it_says(built: dict[str, BuiltFunction]) -> None:
    """PAY-03."""
    assert set(built) == {spec.name for spec in EVERY_FUNCTION}
    for function in built.values():
        content = function.path.read_bytes()
        assert function.size == len(content) < 1_500_000
        assert function.sha256 == hashlib.sha256(content).hexdigest()
        assert base64.b64decode(function.source_code_hash_base64).hex() == function.sha256


def test_the_same_input_gives_the_same_bytes_wherever_and_whenever(
    built: dict[str, BuiltFunction], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PAY-03."""
    copy = tmp_path / "functions"
    # Another place, other times. Bytecode comes and goes while others import.
    shutil.copytree(Path(build.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for path in copy.rglob("*.py"):
        path.chmod(0o600)
    monkeypatch.setattr(build, "_ROOT", copy)
    again = build_all(tmp_path / "out")
    assert {name: one.sha256 for name, one in again.items()} == {name: one.sha256 for name, one in built.items()}
    for function in built.values():
        with zipfile.ZipFile(function.path) as archive:
            entries = archive.infolist()
        assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
        assert {(entry.date_time, entry.external_attr) for entry in entries} == {
            ((1980, 1, 1, 0, 0, 0), 0o100644 << 16)
        }


def test_the_order_in_which_a_file_system_lists_does_not_matter() -> None:
    files = build.function_files(EVERY_FUNCTION[0])
    backwards = dict(reversed(files.items()))
    assert build._zipped(files) == build._zipped(backwards)


def test_a_zip_with_equal_bytes_is_left_untouched(built: dict[str, BuiltFunction], out: Path) -> None:
    path = built["validate"].path
    before = path.stat()
    assert build_all(out) == built
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    path.write_bytes(b"damaged")
    assert build_all(out)["validate"].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_zip_holds_code_only_and_only_what_its_function_needs(built: dict[str, BuiltFunction]) -> None:
    for spec in EVERY_FUNCTION:
        own = {name.split("/")[1] for name in names(built[spec.name]) if name.startswith("functions/")}
        libraries = {"processor", *spec.uses} if spec.talks_to_processor else {*spec.uses}
        expected = {"__init__.py", "payments", spec.name} | libraries
        assert own == expected
        for name in names(built[spec.name]):
            assert name.endswith((".py", ".json"))
            assert "__pycache__" not in name
            assert "/tests/" not in name
            assert name.split("/")[0] not in ("boto3", "botocore", "urllib3")


def test_the_packages_are_the_same_in_every_zip(built: dict[str, BuiltFunction]) -> None:
    packages = {tuple(n for n in names(one) if not n.startswith("functions/")) for one in built.values()}
    assert len(packages) == 1


def test_every_handler_imports_from_its_zip_and_the_runtime_alone(
    built: dict[str, BuiltFunction], tmp_path: Path
) -> None:
    """PAY-03: in an interpreter that has nothing else, tracing included."""
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    for name in RUNTIME:
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue
        for top in {file.parts[0] for file in found.files or () if file.parts[0] != ".."}:
            if not top.endswith(".dist-info") and not (runtime / top).exists():
                (runtime / top).symlink_to(Path(str(found.locate_file(top))))
    code = (
        "import sys, importlib\n"
        "runtime, packages, *pairs = sys.argv[1:]\n"
        "for pair in pairs:\n"
        "    path, handler = pair.split('=')\n"
        "    sys.path[:0] = [path, packages, runtime]\n"
        "    module, name = handler.rsplit('.', 1)\n"
        "    assert callable(getattr(importlib.import_module(module), name))\n"
        "    import aws_xray_sdk.core, wrapt, aws_lambda_powertools.metrics, aws_lambda_powertools.tracing\n"
        "    assert '/runtime/' not in wrapt.__file__\n"
        "    if 'functions.processor' in sys.modules:\n"
        "        import functions.processor.simulator, functions.processor.http\n"
        "    del sys.path[:3]\n"
        "    for name in [name for name in sys.modules if name.split('.')[0] == 'functions']:\n"
        "        del sys.modules[name]\n"
    )
    # The packages once: they are the same in every zip, as the test above says.
    packages, pairs = tmp_path / "packages", []
    for spec in EVERY_FUNCTION:
        folder = tmp_path / spec.name
        with zipfile.ZipFile(built[spec.name].path) as archive:
            own = [name for name in archive.namelist() if name.startswith("functions/")]
            archive.extractall(folder, own)
            if not packages.exists():
                archive.extractall(packages, set(archive.namelist()) - set(own))
        pairs.append(f"{folder}={spec.handler}")
    command = [sys.executable, "-I", "-S", "-B", "-c", code, str(runtime), str(packages), *pairs]
    environment = {"AWS_REGION": "eu-west-1", "POWERTOOLS_SERVICE_NAME": "payments"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_a_package_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "REQUIREMENTS", ("no-such-package",))
    with pytest.raises(BuildError, match="no-such-package is not installed"):
        build_all(tmp_path)


def test_the_command_tells_what_it_built(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main(["--out", str(tmp_path / "new" / "folder")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(EVERY_FUNCTION) + 1
    assert lines[0].startswith("payments_api")
