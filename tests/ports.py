"""Ports for servers that tests start in a moment."""

from __future__ import annotations

import random
import socket

# Below those that Linux gives to whoever connects, or binds to port 0, from 32768 on: what is free here stays so until
# the server is there, however many connections other tests open meanwhile.
_LOW, _HIGH = 21_000, 31_999


def free_port() -> int:
    """A port of the loopback address that nobody uses."""
    while True:
        port = random.SystemRandom().randint(_LOW, _HIGH)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
