"""The node's ports: who listens there, and one for a server that needs one."""

from __future__ import annotations

import contextlib
import os
import re
from typing import Any

from node.folder import Folder

#: How many ports are looked at, from the first on; and the last that there is.
RANGE, LAST = 1000, 65535


def connections() -> list[list[str]]:
    """Return the node's connections.

    Lines as `0: 0100007F:2694 0100007F:C5A2 01 00000000:00000000 00:00000000 00000000  2001 0 40960 ...`: its end and
    the other, in hexadecimal, the state (0A listens), and further on the user's number, and the inode's.
    """
    lines = []
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError), open(f"/proc/net/{table}") as file:
            lines += [line.split() for line in file.readlines()[1:]]
    return lines


def listener(port: int) -> int:
    """Return the user who listens on a port of the loopback; OSError where nobody does."""
    for row in connections():
        address, _, number = row[1].partition(":")
        if row[3] == "0A" and int(number, 16) == port and (address.endswith("0100007F") or not address.strip("0")):
            return int(row[7])
    raise ConnectionRefusedError(f"nobody listens on port {port}")


def choose(folder: Folder, data: dict[str, Any], running: int) -> tuple[int, bool]:
    """Return the port for a server, and whether it is taken: `port`, or one that is free, where `port_free` lets it.

    That is where one of ours runs, or where the last one was; or else the first from `port` on, further by the
    account's number, so that those who start at the same time do not take the same.
    """
    first = int(data["port"])
    taken = {int(row[1].rpartition(":")[2], 16) for row in connections() if row[3] == "0A"} - {running}
    if not data["port_free"]:
        return first, first in taken
    if running:
        return running, False
    begin, size = min(first, LAST - RANGE), RANGE
    ports = [begin + (first - begin + os.getuid() + further) % size for further in range(size)]
    return next(((port, False) for port in [*_last(folder), *ports] if port not in taken), (first, True))


def _last(folder: Folder) -> list[int]:
    """Return the port that the launcher has, unless it starts a server with a socket."""
    words = " ".join(folder.lines("launch", 10**5))
    port = re.search(r"--ServerApp[.]port=(\d{4,5}) ", words)
    return [int(port[1])] if port and "--ServerApp.sock='' " in words else []
