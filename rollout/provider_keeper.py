"""Runs a provider as a server for as long as anybody holds the other end of its standard input.

`python provider_keeper.py PROVIDER`. The engine and every Terraform that uses the server hold it; the system lets go
for them when they end, also when they are killed. So a server neither outlives its stack's run, nor is it taken from a
Terraform that still works after its engine was killed. ``TMPDIR`` is the server's own folder and goes with it.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from types import FrameType


def main(executable: str) -> int:
    """Start the server and end it in time; returns the exit code."""
    server = 0

    def ended(number: int, frame: FrameType | None) -> None:
        sys.exit(1)

    signal.signal(signal.SIGCHLD, ended)
    nothing = os.open(os.devnull, os.O_RDONLY)
    try:
        server = os.posix_spawn(
            executable, [executable, "-debug"], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, nothing, 0)]
        )
        os.read(0, 1)
    except OSError as error:
        print(error)
        return 1
    finally:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if server:
            # Not collected before, so the number still names it.
            os.kill(server, signal.SIGTERM)
            os.waitpid(server, 0)
        shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
