"""One sandbox with the additions and one plain emulator, for all tests of this suite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rollout.sandbox import Sandbox
from tests.ports import free_port
from tests.sandbox.clients import Clients


class PlainEmulator(Sandbox):
    """MiniStack as shipped: shows that an addition is still needed."""

    server = "ministack"


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    home: Path = tmp_path_factory.mktemp("sandbox")
    with Sandbox(f"http://127.0.0.1:{free_port()}", home) as running:
        yield running


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    home: Path = tmp_path_factory.mktemp("plain")
    with PlainEmulator(f"http://127.0.0.1:{free_port()}", home) as running:
        yield running


@pytest.fixture(scope="session")
def aws(sandbox: Sandbox) -> Clients:
    """Clients of the sandbox with the additions."""
    return Clients(sandbox.endpoint)


@pytest.fixture(scope="session")
def plain_aws(plain: Sandbox) -> Clients:
    """Clients of the emulator as shipped."""
    return Clients(plain.endpoint)
