"""A synthesis ends without taking itself apart, and leaves nothing undone or behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import atexit
from stacks.leave import leave

class Slow:
    def __del__(self):
        print("taken apart")

kept = Slow()
atexit.register(lambda: print("done at the end"))
print("said", end=" ")
leave(3)
"""


def test_what_is_registered_for_the_end_is_done_and_nothing_else() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (3, "said done at the end\n", "")


def test_a_synthesis_leaves_no_folder_of_nodes(tmp_path: Path) -> None:
    """Node.js unpacks jsii's packages into a temporary folder, and removes it when it is told to end."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment = os.environ | {
        "TMPDIR": str(temporary),
        "CDKTF_OUTDIR": str(tmp_path / "out"),
        "TRIPOINT_CONFIG": "config/sandbox.toml",
        "TRIPOINT_STACKS": "network-us-east-1",
    }
    subprocess.run([sys.executable, "-m", "stacks"], check=True, env=environment)
    assert (tmp_path / "out" / "stacks" / "network-us-east-1" / "cdk.tf.json").exists()
    assert [path.name for path in temporary.iterdir()] == []
