"""What makes synthesis fast changes the time, not the bytes (docs/decisions/synthesis-in-seconds.md)."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.node import lazy_provider, use_supported_node

# On as many cores as it is told, whatever the machine has.
ON_CORES = "import sys; from stacks import __main__, halves; halves._cores = lambda: {}; sys.exit(__main__.main())"


def synthesize(out: Path, *options: str, **variables: str) -> dict[str, str]:
    """Synthesize everything there is in a process of its own; file -> digest."""
    environment = {**os.environ, "CDKTF_OUTDIR": str(out), "TRIPOINT_CONFIG": "config/sandbox-full.toml", **variables}
    subprocess.run([sys.executable, *options], env=environment, check=True, capture_output=True)
    return {
        str(file.relative_to(out)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(out.rglob("*"))
        if file.is_file()
    }


def test_lazy_import_gives_the_bytes_of_the_stock_import(tmp_path: Path) -> None:
    stock = synthesize(tmp_path / "stock", "-m", "stacks", TRIPOINT_STOCK_PROVIDER="1")
    assert len(stock) > 15
    for cores in (1, 2):
        assert synthesize(tmp_path / f"on {cores}", "-O", "-c", ON_CORES.format(cores)) == stock


def test_bare_package_is_used_unless_stock_is_asked_for() -> None:
    probe = (
        "import sys; from shared.provider import import_cdktf; import_cdktf();"
        "from cdktf_cdktf_provider_aws.vpc import Vpc;"
        "print(sum(name.startswith('cdktf_cdktf_provider_aws.') for name in sys.modules))"
    )

    def submodules(**variables: str) -> int:
        run = subprocess.run(
            [sys.executable, "-c", probe], env={**os.environ, **variables}, check=True, capture_output=True, text=True
        )
        return int(run.stdout)

    assert submodules() < 10
    assert submodules(TRIPOINT_STOCK_PROVIDER="1") > 1000


@pytest.fixture
def provider(tmp_path: Path) -> Path:
    """A provider package of two modules, one of which must not be loaded; the folder that requires it."""
    library = tmp_path / "node_modules" / "@cdktf" / "provider-aws" / "lib"
    library.mkdir(parents=True)
    (library.parent / "package.json").write_text('{"main": "lib/index.js"}')
    (library / "index.js").write_text("exports.vpc = require('./vpc'); exports.vpn = require('./vpn');")
    (library / "lazy-index.js").write_text(
        "for (const name of ['vpc', 'vpn']) Object.defineProperty(exports, name, { get: () => require('./' + name) });"
    )
    for name in ("vpc", "vpn"):
        (library / f"{name}.js").write_text(f"console.log('loaded {name}');")
    return tmp_path


def run_node(folder: Path, *options: str) -> list[str]:
    """What Node.js says when it requires the package in `folder` and uses one of its modules."""
    use_supported_node()
    program = "require('@cdktf/provider-aws').vpc; console.log(process.env.OWN ?? '')"
    command = [os.environ["JSII_NODE"], *options, "-e", program]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.split()


def test_node_loads_only_the_modules_that_are_used(provider: Path) -> None:
    assert run_node(provider) == ["loaded", "vpc", "loaded", "vpn"]
    with lazy_provider():
        assert run_node(provider) == ["loaded", "vpc"]


def test_the_users_own_node_options_stay(provider: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = provider / "own.cjs"
    own.write_text("process.env.OWN = 'kept'")
    monkeypatch.setenv("NODE_OPTIONS", f"--require {own}")
    with lazy_provider():
        assert run_node(provider) == ["loaded", "vpc", "kept"]
    assert os.environ["NODE_OPTIONS"] == f"--require {own}"
