"""The home directory: what of its disk people have to know, and who else can write in it."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from typing import Any

#: The file systems that several nodes share, as /proc/self/mountinfo names them (proc(5)).
NETWORK = re.compile(
    r"nfs4?|lustre|gpfs|beegfs|cifs|smb3|ceph|afs|auristorfs|panfs|wekafs|pvfs2|9p|fuse\.(?!fuse-overlayfs).*"
)
MOUNTS = "/proc/self/mountinfo"


def facts() -> dict[str, Any]:
    """Return the file system of the home, and what its user has to know: of the disk, and of who can write there."""
    home = os.path.realpath(os.path.expanduser("~"))
    with contextlib.suppress(OSError), open(MOUNTS) as table:
        kind, options = mount(home, table.read())
        return {
            "home_disk": kind, "home_shared": shared(kind), "home_traps": traps(kind, options),
            "home_opens": opens(home),
        }  # fmt: skip
    return {"home_opens": opens(home)}


def mount(path: str, table: str) -> tuple[str, str]:
    """Return the file system that a path is on, and its options, by the table of mounts."""
    found, longest = ("", ""), -1
    for line in table.splitlines():
        before, _, after = line.partition(" - ")
        # A blank in a path is written as \040.
        at = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), before.split()[4])
        # Of several mounts at one place, the last one is seen.
        if os.path.commonpath([at, path]) == at and len(at) >= longest:
            kind, _, options = after.split(" ", 2)
            found, longest = (kind, options), len(at)
    return found


def shared(kind: str) -> bool:
    """Tell whether several nodes have such a disk."""
    return NETWORK.fullmatch(kind) is not None


def traps(kind: str, options: str) -> list[str]:
    """Say what may go wrong on such a disk, and what helps."""
    said = []
    if shared(kind):
        said.append(
            "IPython keeps its history in SQLite there, whose locks hang on some disks of a network. Where kernels "
            'start slowly: c.HistoryManager.hist_file = ":memory:" in your '
            "~/.ipython/profile_default/ipython_kernel_config.py"
        )
    if kind in ("afs", "auristorfs") or "sec=krb5" in options:
        said.append(
            "It needs a ticket of Kerberos, and what runs loses it when the ticket ends. Keep it renewed on the node: "
            "krenew -b -K 60"
        )
    return said


def opens(home: str) -> str:
    """Return the mode of a home where others can write, who may replace what runs as its user; an empty string else."""
    with contextlib.suppress(OSError):
        bits = stat.S_IMODE(os.stat(home).st_mode)
        return f"{bits:04o}" if bits & 0o022 else ""
    return ""
