"""Standard output and standard error whose reader may go away, as `| head` does."""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO


def outlive_readers() -> None:
    """From now on, what nobody reads any more is dropped: whoever closes a pipe ends no rollout half-way."""
    sys.stdout, sys.stderr = _outliving(sys.stdout), _outliving(sys.stderr)


def _outliving(stream: TextIO) -> TextIO:
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
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return memoryview(data).nbytes  # type: ignore[arg-type]
