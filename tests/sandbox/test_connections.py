"""Connections to the sandbox: a burst of them is taken, and one that is idle stays open until its client closes it."""

from __future__ import annotations

import http.client
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.ports import free_port

ROOT = Path(__file__).parents[2]
IDLE_S = 0.2

SERVER = f"""
import asyncio, sys
from hypercorn.asyncio import serve
from rollout.sandbox.emulator import module
from rollout.sandbox.extensions import connections

async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({{"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}})
        await send({{"type": "http.response.body", "body": b""}})

if sys.argv[2] == "extended":
    connections.apply()
config = module("app")._HypercornConfig()
config.bind = ["127.0.0.1:" + sys.argv[1]]
config.keep_alive_timeout = {IDLE_S}
asyncio.run(serve(app, config))
"""


@pytest.mark.parametrize("kind", ["plain", "extended"])
def test_a_request_after_a_long_silence_is_answered(kind: str) -> None:
    """The plain server closes the connection: at an unlucky moment it closes it on a request that it carries out."""
    port = free_port()
    with subprocess.Popen([sys.executable, "-c", SERVER, str(port), kind], cwd=ROOT) as server:
        try:
            connection = opened(port)
            # However busy the machine is, the plain server has closed it afterwards.
            select.select([connection.sock], [], [], 5 * IDLE_S if kind == "extended" else 60)
            if kind == "extended":
                assert status(connection) == 200
            else:
                with pytest.raises(ConnectionError):
                    status(connection)
        finally:
            server.terminate()


def test_a_burst_of_connections_is_taken() -> None:
    """More than hypercorn's own backlog, while the server is busy with something else."""
    port = free_port()
    with subprocess.Popen([sys.executable, "-c", SERVER, str(port), "extended"], cwd=ROOT) as server:
        try:
            opened(port)
            server.send_signal(signal.SIGSTOP)
            burst = [http.client.HTTPConnection("127.0.0.1", port, timeout=60) for _ in range(300)]
            for connection in burst:
                connection.request("GET", "/")
            server.send_signal(signal.SIGCONT)
            assert {connection.getresponse().status for connection in burst} == {200}
        finally:
            server.send_signal(signal.SIGCONT)
            server.terminate()


def opened(port: int) -> http.client.HTTPConnection:
    """A connection on which a request has been answered; it is not opened again by itself."""
    deadline = time.monotonic() + 60
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            assert status(connection) == 200
        except ConnectionError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            connection.auto_open = 0
            return connection


def status(connection: http.client.HTTPConnection) -> int:
    connection.request("GET", "/")
    response = connection.getresponse()
    response.read()
    return response.status
