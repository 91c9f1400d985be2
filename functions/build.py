"""Builds each function's zip: its folder, the shared library, and the third-party packages.

The same input gives the same bytes: entries are sorted and carry one fixed time and mode. Packages
come from the running environment, which `poetry.lock` has pinned: the closure of what the functions
require, without boto3 and botocore (the Lambda runtime brings them) and without compiled parts, so
one zip fits every architecture and Python version.

What each zip was made of is noted beside it, so one whose input has not changed is not packed again.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import importlib.metadata
import io
import json
import re
import shutil
import sys
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from functions.catalogue import EVERY_FUNCTION, FunctionSpec

REQUIREMENTS = ("aws-lambda-powertools[tracer]",)
PROVIDED_BY_RUNTIME = frozenset({"boto3", "botocore"})

_ROOT = Path(__file__).parent
_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say
_MODE = 0o100644 << 16
_NOTES = "inputs.json"
_SUFFIXES = frozenset({".py", ".json"})
# 1.6 MB of JavaScript for a browser that never comes.
_LEFT_OUT = ("aws_lambda_powertools/event_handler/openapi/swagger_ui/",)
_NAME = re.compile(r"^\s*([A-Za-z0-9._-]+)\s*(?:\[([^\]]*)\])?")
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")


@dataclass(frozen=True)
class BuiltFunction:
    """A zip and what Terraform wants to know of it. `size` is in bytes."""

    path: Path
    sha256: str
    source_code_hash_base64: str
    size: int


class BuildError(Exception):
    """A package that the functions need is not installed."""


def build_all(out_dir: Path) -> dict[str, BuiltFunction]:
    """Build the zip of every function into a folder; a zip with equal bytes is left untouched.

    Raises
    ------
    BuildError
        When a required package is not installed.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    vendored = vendored_files()
    packages_digest = _digest(vendored, of=_HOW_TO_PACK).encode()
    inputs = {spec.name: _digest(function_files(spec), of=packages_digest) for spec in EVERY_FUNCTION}
    notes = _notes(out_dir)
    kept = {spec.name: _kept(out_dir / f"{spec.name}.zip", inputs[spec.name], notes) for spec in EVERY_FUNCTION}
    packages = _zipped(vendored) if None in kept.values() else b""
    built = {spec.name: kept[spec.name] or _build(spec, packages, out_dir) for spec in EVERY_FUNCTION}
    _note(out_dir, {name: {"inputs": inputs[name], "sha256": function.sha256} for name, function in built.items()})
    return built


def function_files(spec: FunctionSpec) -> dict[str, Path]:
    """The platform's own files in a function's zip, by their names in it."""
    folders = ["payments", spec.name, *(["processor"] if spec.talks_to_processor else []), *spec.uses]
    files = {"functions/__init__.py": _ROOT / "__init__.py"}
    for folder in folders:
        for path in (_ROOT / folder).rglob("*.py"):
            files[f"functions/{path.relative_to(_ROOT).as_posix()}"] = path
    return files


def vendored_files() -> dict[str, Path]:
    """The third-party files in every zip, by their names in it."""
    files: dict[str, Path] = {}
    for distribution in _closure(REQUIREMENTS):
        for file in distribution.files or ():
            name = PurePosixPath(file)
            in_package = not name.is_absolute() and ".." not in name.parts
            is_code = name.suffix in _SUFFIXES and not name.parts[0].endswith(".dist-info")
            if in_package and is_code and not str(name).startswith(_LEFT_OUT):
                files[str(name)] = Path(str(distribution.locate_file(file)))
    return files


def _closure(requirements: tuple[str, ...]) -> Iterator[importlib.metadata.Distribution]:
    waiting = [_parsed(requirement) for requirement in requirements]
    seen: set[str] = set()
    while waiting:
        name, extras = waiting.pop()
        if name in seen or name in PROVIDED_BY_RUNTIME:
            continue
        seen.add(name)
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            raise BuildError(f"{name} is not installed; run: poetry install") from None
        yield distribution
        for requirement in distribution.requires or ():
            wanted = _EXTRA.findall(requirement)
            if not wanted or extras.intersection(wanted):
                waiting.append(_parsed(requirement))


def _parsed(requirement: str) -> tuple[str, set[str]]:
    match = _NAME.match(requirement)
    assert match, requirement
    name = re.sub(r"[-_.]+", "-", match.group(1)).lower()
    return name, {extra.strip() for extra in (match.group(2) or "").split(",") if extra.strip()}


def _digest(files: Mapping[str, Path], *, of: bytes) -> str:
    """Names and contents of files, on top of an earlier digest."""
    digest = hashlib.sha256(of)
    for name in sorted(files):
        content = files[name].read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


# Another zlib packs other bytes.
_HOW_TO_PACK = zlib.ZLIB_RUNTIME_VERSION.encode() + Path(__file__).read_bytes()


def _notes(out_dir: Path) -> dict[str, dict[str, str]]:
    """What was noted about the zips; nothing when the notes can't be read."""
    try:
        notes = json.loads((out_dir / _NOTES).read_bytes())
    except (OSError, ValueError):
        return {}
    return notes if isinstance(notes, dict) else {}


def _note(out_dir: Path, notes: dict[str, dict[str, str]]) -> None:
    content = json.dumps(notes, indent=1).encode()
    path = out_dir / _NOTES
    if not path.exists() or path.read_bytes() != content:
        partial = path.with_suffix(".partial")
        partial.write_bytes(content)
        partial.replace(path)


def _kept(path: Path, inputs: str, notes: Mapping[str, Mapping[str, str]]) -> BuiltFunction | None:
    """The zip that lies there, when it is the one that was made of this input."""
    noted = notes.get(path.stem, {})
    if noted.get("inputs") != inputs or not path.exists():
        return None
    found = _described(path, path.read_bytes())
    return found if found.sha256 == noted.get("sha256") else None


def _build(spec: FunctionSpec, packages: bytes, out_dir: Path) -> BuiltFunction:
    content = _zipped(function_files(spec), onto=packages)
    path = out_dir / f"{spec.name}.zip"
    if not path.exists() or path.read_bytes() != content:
        partial = path.with_suffix(".partial")
        partial.write_bytes(content)
        partial.replace(path)
    return _described(path, content)


def _described(path: Path, content: bytes) -> BuiltFunction:
    digest = hashlib.sha256(content)
    return BuiltFunction(
        path=path,
        sha256=digest.hexdigest(),
        source_code_hash_base64=base64.b64encode(digest.digest()).decode(),
        size=len(content),
    )


def _zipped(files: Mapping[str, Path], *, onto: bytes = b"") -> bytes:
    """A zip of files, or one with files added to it; what is packed already is not packed again."""
    buffer = io.BytesIO()
    buffer.write(onto)
    with zipfile.ZipFile(buffer, "a" if onto else "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, whatever builds it: the mode is read by that
            entry.external_attr = _MODE
            archive.writestr(entry, files[name].read_bytes())
        archive.filelist.sort(key=lambda entry: entry.filename)
    return buffer.getvalue()


def main(arguments: list[str] | None = None) -> int:
    """`python -m functions.build --out DIR`."""
    parser = argparse.ArgumentParser(prog="python -m functions.build", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the zips")
    parser.add_argument("--clean", action="store_true", help="empty the folder first")
    options = parser.parse_args(arguments)
    if options.clean and options.out.exists():
        shutil.rmtree(options.out)
    began = time.perf_counter()
    try:
        built = build_all(options.out)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    for name, function in built.items():
        print(f"{name:<16} {function.size / 1024:7.0f} KB  {function.sha256[:12]}")
    seconds = time.perf_counter() - began
    print(f"{len(built)} functions built into {options.out} in {seconds:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
