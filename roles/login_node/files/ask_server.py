"""Ask the running server what it does: python - FOLDER PID. Prints one line: `server.answer`, a tab, and JSON.

It shows the server the key that only this account can read, at the endpoint that the server has recorded, and counts as
no activity. The JSON has `version`, `started`, `last_activity` (as Jupyter writes times), `kernels` (a list of `name`,
`state`, `last_activity`), and of the server and all its kernels `memory` in bytes and `cpu` in percent of one core; or
`error`, where it does not answer.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import sys
import time
from typing import Any

folder, server = sys.argv[1], int(sys.argv[2])
#: How long the server may take to answer, and how long its CPU time is watched, in seconds.
PATIENCE, WATCH = 3, 0.3


class Server(http.client.HTTPConnection):
    """https over the endpoint, with the certificate verified."""

    def connect(self) -> None:
        """Connect to the socket or the port."""
        with open(os.path.join(folder, "run", "endpoint")) as endpoint:
            kind, _, address = endpoint.read().strip().partition(" ")
        if kind == "socket":
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(PATIENCE)
            connection.connect(address)
        else:
            connection = socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), PATIENCE)
        context = ssl.create_default_context(cafile=os.path.join(folder, "ca.crt"))
        self.sock = context.wrap_socket(connection, server_hostname="localhost")


def ask(path: str) -> Any:
    """Return what the server says at a path of its interface."""
    with open(os.path.join(folder, "run", "owner")) as key:
        headers = {"Owner-Key": key.read().strip()}
    connection = Server("localhost", timeout=PATIENCE)
    connection.request("GET", f"/api{path}?no_track_activity=1", headers=headers)
    response = connection.getresponse()
    if response.status != 200:
        raise OSError(f"{response.status} {response.reason}")
    return json.loads(response.read())


def usage() -> dict[int, tuple[int, int]]:
    """Return the memory, in pages, and the CPU time, in ticks, of the server's process and of all below it."""
    rows = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as stat:
                # What comes after the name, which may have anything in it: the state, the parent, ...
                fields = stat.read().rpartition(")")[2].split()
        except OSError:
            continue
        rows[int(pid)] = (int(fields[1]), int(fields[21]), int(fields[11]) + int(fields[12]))
    ours = {server}
    while more := {pid for pid, (parent, _, _) in rows.items() if parent in ours} - ours:
        ours |= more
    return {pid: rows[pid][1:] for pid in ours if pid in rows}


def look() -> dict[str, Any]:
    """Ask for everything."""
    before, begun = usage(), time.monotonic()
    status, version = ask("/status"), ask("")
    notebooks = {session["kernel"]["id"]: session["path"] for session in ask("/sessions") if session.get("kernel")}
    kernels = [
        {
            "name": notebooks.get(kernel["id"], kernel["name"]),
            "state": kernel["execution_state"],
            "last_activity": kernel["last_activity"],
        }
        for kernel in ask("/kernels")
    ]
    time.sleep(max(0.0, begun + WATCH - time.monotonic()))
    after, seconds = usage(), time.monotonic() - begun
    ticks = sum(used - before[pid][1] for pid, (_, used) in after.items() if pid in before)
    return {
        "version": version["version"],
        "started": status["started"],
        "last_activity": status["last_activity"],
        "kernels": kernels,
        "memory": sum(pages for pages, _ in after.values()) * os.sysconf("SC_PAGE_SIZE"),
        "cpu": round(100 * ticks / os.sysconf("SC_CLK_TCK") / seconds),
    }


try:
    answer = look()
except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
    answer = {"error": f"{type(error).__name__}: {error}"}
print("server.answer\t" + json.dumps(answer))
