"""Standard output and standard error whose reader may go away, as `| head` does."""

from __future__ import annotations

import io
import os
import sys
from errno import EIO, ENOSPC, EPIPE
from typing import TextIO

# A reader that went away, a terminal that was closed, a file on a disk that is full.
_LOST = (EPIPE, EIO, ENOSPC)


def outlive_readers() -> None:
    """From now on, what nobody reads any more is dropped: whoever closes a pipe ends no rollout half-way."""
    sys.stdout, sys.stderr = _outliving(sys.stdout), _outliving(sys.stderr)


def _outliving(stream: TextIO | None) -> TextIO:
    if stream is None:
        # Closed by whoever started the command.
        return open(os.devnull, "w", encoding="utf-8")
    try:
        outlet = _Outlet(stream.fileno(), "w", closefd=False)
    except (OSError, ValueError):
        # Closed, or no file at all.
        return stream
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(outlet),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=outlet.isatty() or stream is sys.stderr,
    )


class _Outlet(io.FileIO):
    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            if error.errno not in _LOST:
                raise
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return memoryview(data).nbytes  # type: ignore[arg-type]
