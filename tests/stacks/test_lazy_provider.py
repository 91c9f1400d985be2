"""Lazy importing changes the time, not the bytes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path


def synthesize(out: Path, **variables: str) -> dict[str, str]:
    """Synthesize in a process of its own; file -> digest."""
    environment = {**os.environ, "CDKTF_OUTDIR": str(out), "TRIPOINT_CONFIG": "config/sandbox.toml", **variables}
    subprocess.run([sys.executable, "-m", "stacks"], env=environment, check=True, capture_output=True)
    return {
        str(file.relative_to(out)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(out.rglob("*"))
        if file.is_file()
    }


def test_lazy_import_gives_the_bytes_of_the_stock_import(tmp_path: Path) -> None:
    lazy = synthesize(tmp_path / "lazy")
    stock = synthesize(tmp_path / "stock", TRIPOINT_STOCK_PROVIDER="1")
    assert len(lazy) > 15
    assert lazy == stock


def test_bare_package_is_used_unless_stock_is_asked_for() -> None:
    probe = (
        "import sys; from shared.provider import import_provider_lazily; import_provider_lazily();"
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
