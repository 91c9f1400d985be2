"""Who closes a pipe ends no command half-way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

WORK = """
import sys
from pathlib import Path
from rollout.outlets import outlive_readers

outlive_readers()
for number in range(3):
    print("applied", number, flush=True)
    print("said", number, file=sys.stderr)
Path(sys.argv[1]).touch()
sys.exit(3)
"""


def unread(*words: str) -> int:
    """The exit code of a command whose output nobody reads."""
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        process.stdout.close()
        return process.wait(60)


def test_what_nobody_reads_any_more_is_dropped_and_the_work_goes_on(tmp_path: Path) -> None:
    assert unread("-c", WORK, str(tmp_path / "end")) == 3
    assert (tmp_path / "end").exists()


def test_the_command_line_ends_as_it_would_have(tmp_path: Path) -> None:
    assert unread("-m", "rollout.cli", "graph", "--config", "config/sandbox.toml") == 0
    assert unread("-m", "rollout.cli", "graph", "--config", str(tmp_path / "none.toml")) == 2


def test_what_is_read_is_whole() -> None:
    told = "print('ä', end=''); print('x' * 100_000); print('end')"
    words = [
        sys.executable,
        "-X",
        "utf8",
        "-c",
        f"from rollout.outlets import outlive_readers; outlive_readers(); {told}",
    ]
    said = subprocess.run(words, capture_output=True, check=True).stdout.decode()
    assert said == f"ä{'x' * 100_000}\nend\n"


def test_a_full_disk_or_no_output_at_all_ends_nothing_either(tmp_path: Path) -> None:
    for number, shell in enumerate(('"$@" >/dev/full', '"$@" >&-')):
        end = tmp_path / str(number)
        assert subprocess.run(["sh", "-c", shell, "sh", sys.executable, "-c", WORK, end], check=False).returncode == 3
        assert end.exists()
