"""What the operating system knows of processes, read from /proc where there is one.

Without /proc (macOS) only `alive` answers; the rest says that nothing is known.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

_PROC = Path("/proc")
_LISTEN = "0A"


def alive(pid: int) -> bool:
    """Whether the process exists and is not just waiting to be collected by its parent."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    stat = _stat(pid)
    return not stat or stat[0] != "Z"


def birth(pid: int) -> int | None:
    """Start of the process in clock ticks since boot: with the pid it names one process for good."""
    stat = _stat(pid)
    return int(stat[19]) if stat else None


def holders(path: Path) -> list[int]:
    """The processes that have a file open, as far as this user may see them."""
    wanted = str(path.resolve())
    return [pid for pid in _pids() if wanted in _open_files(pid)]


def group(pid: int) -> int | None:
    """The process group of a process; None when it is gone, or just waits to be collected."""
    stat = _stat(pid)
    return int(stat[2]) if stat and stat[0] != "Z" else None


def descendants(pid: int) -> list[int]:
    """The processes that `pid` started, and those that they started."""
    children: dict[int, list[int]] = {}
    for entry in _pids():
        stat = _stat(entry)
        if stat and stat[0] != "Z":
            children.setdefault(int(stat[1]), []).append(entry)
    found: list[int] = []
    waiting = [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def memory_mb(pids: Iterable[int]) -> float | None:
    """Resident memory of the processes together, in MB; None when it can't be read."""
    if not _PROC.is_dir():
        return None
    total_kb = 0
    for pid in pids:
        with suppress(OSError):
            resident = re.search(r"VmRSS:\s+(\d+) kB", (_PROC / str(pid) / "status").read_text())
            total_kb += int(resident.group(1)) if resident else 0
    return round(total_kb / 1024, 1)


def listening_addresses(pid: int) -> list[tuple[str, int]]:
    """Address and port of every TCP socket on which the process accepts connections."""
    own = _sockets(pid)
    return [(address, port) for inode, address, port in _listeners() if inode in own]


def listener(port: int) -> int | None:
    """The process that accepts connections on a port; None when it is another user's or unknown."""
    inodes = {inode for inode, _, found in _listeners() if found == port}
    return next((pid for pid in _pids() if inodes & _sockets(pid)), None) if inodes else None


def _pids() -> list[int]:
    if not _PROC.is_dir():
        return []
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat after the command name: state, parent, ..., start time (19)."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return []
    return text[text.rindex(")") + 2 :].split()


def _sockets(pid: int) -> set[str]:
    return {target[8:-1] for target in _open_files(pid) if target.startswith("socket:[")}


def _open_files(pid: int) -> set[str]:
    """What the descriptors of a process lead to."""
    found: set[str] = set()
    with suppress(OSError):
        for descriptor in (_PROC / str(pid) / "fd").iterdir():
            with suppress(OSError):
                found.add(os.readlink(descriptor))
    return found


def _listeners() -> list[tuple[str, str, int]]:
    found: list[tuple[str, str, int]] = []
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (_PROC / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN:
                    address, port = fields[1].split(":")
                    found.append((fields[9], _address(address), int(port, 16)))
    return found


def _address(hexadecimal: str) -> str:
    """The kernel prints addresses as 32-bit words in the machine's byte order (little-endian here)."""
    raw = bytes.fromhex(hexadecimal)
    words = b"".join(raw[i : i + 4][::-1] for i in range(0, len(raw), 4))
    return str(IPv4Address(words) if len(words) == 4 else IPv6Address(words))
