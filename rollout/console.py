"""How commands print: for a person at a terminal, and for a file or a CI log."""

from __future__ import annotations

import io
import sys
from typing import TextIO

from rich.console import Console
from rich.table import Table


def console(stream: TextIO | None = None) -> Console:
    """A console on a stream (default: standard output, which may have been replaced since the import)."""
    return Console(highlight=False, file=stream or sys.stdout)


def show(table: Table, stream: TextIO | None = None) -> None:
    """Print a table; without a terminal as wide as it needs to be, and without spaces at the ends of lines."""
    stream = stream or sys.stdout
    here = console(stream)
    if here.is_terminal:
        here.print(table)
        return
    text = io.StringIO()
    Console(highlight=False, width=250, file=text).print(table)
    for line in text.getvalue().splitlines():
        print(line.rstrip(), file=stream)


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a line at once."""
    print(text, file=stream or sys.stdout, flush=True)
