"""How a process that has written its stacks ends."""

from __future__ import annotations

import atexit
import os
import sys
from typing import NoReturn


def leave(code: int) -> NoReturn:
    """End now, with this exit code: what is registered for the end is done and everything is flushed.

    Python would take apart every object of the bindings first, for nobody; that is a tenth of a synthesis.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
