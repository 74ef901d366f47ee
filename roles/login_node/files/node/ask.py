"""What the server says of itself and of its kernels."""

from __future__ import annotations

import http.client
import json
import os
import time
from typing import Any

from node import job
from node.client import Client, Foreign, shows_owner
from node.folder import Failure, Folder
from node.processes import KERNEL, Endpoint, endpoint, family, processes, servers
from node.relay import run_there

#: How long the server may take to answer, and how long its CPU time is watched, in seconds.
ANSWER, WATCH = 3.0, 0.3


def ask(at: Endpoint, folder: Folder, patience: float) -> dict[str, Any]:
    """Ask a server for everything that it knows."""

    def api(path: str) -> Any:
        for _ in range(2):
            connection = Client(at, ANSWER * patience)
            status, text = connection.ask(f"/api{path}?no_track_activity=1", shows_owner(folder))
            if status != 403:
                break
        if status != 200:
            raise OSError(f"{status} at /api{path}")
        return json.loads(text), connection.pid

    (status, pid), before, begun = api("/status"), processes(), time.monotonic()
    (version, _), (sessions, _), (kernels, _) = api(""), api("/sessions"), api("/kernels")
    notebooks = {session["kernel"]["id"]: session["path"] for session in sessions if session.get("kernel")}
    time.sleep(max(0.0, begun + WATCH - time.monotonic()))
    after, seconds = processes(), time.monotonic() - begun
    members = family({pid}, after)
    ways = [match[0] for one in members.values() for word in one.words if (match := KERNEL.search(word))]
    used = sum(one.ticks - before[one.pid].ticks for one in members.values() if one.pid in before)
    return {
        "pid": pid,
        "version": version["version"],
        "started": status["started"],
        "last_activity": status["last_activity"],
        "kernels": [
            {
                "name": notebooks.get(kernel["id"], kernel["name"]),
                "state": _state(kernel, ways),
                "last_activity": kernel["last_activity"],
            }
            for kernel in kernels
        ],
        "memory": sum(one.memory for one in members.values()) * os.sysconf("SC_PAGE_SIZE"),
        "cpu": round(100 * used / os.sysconf("SC_CLK_TCK") / seconds),
    }


def _state(kernel: dict[str, Any], ways: list[str]) -> str:
    """Return what a kernel does; `ways` are the files of all connections that are known."""
    own = [path for path in ways if path.endswith(f"/kernel-{kernel['id']}.json")]
    if own and not any(map(os.path.exists, own)):
        # Its sockets went with its file: no page reaches what it has in its memory.
        return "cut off"
    # Of one that nobody has ever talked to, Jupyter knows no more than that it was started.
    unused = kernel["execution_state"] == "starting" and not kernel.get("connections")
    return "unused" if unused else str(kernel["execution_state"])


def answer(folder: Folder, data: dict[str, Any]) -> dict[str, Any]:
    """Return what our server says, or all that there are; or why it says nothing."""
    found = servers(folder)
    in_job = job.server_there(folder)
    if not found and in_job and in_job["host"] != os.uname().nodename:
        return _in_job(folder, in_job, data)
    if not found:
        return {"error": "it has ended"}
    try:
        places = dict.fromkeys(endpoint(server, folder) for server in found)
        said = [ask(at, folder, float(data["patience"])) for at in places]
    except (OSError, http.client.HTTPException, ValueError, KeyError, Foreign) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    silent = {one.pid for one in found} - {one["pid"] for one in said}
    if silent:
        return {"error": f"process {min(silent)} does not answer at its endpoint"}
    # That of the lock, with the kernels of all: whatever ends them, ends all.
    first = next((one for one in said if str(one["pid"]) in folder.record("lock").split()[2:3]), said[0])
    together = {name: sum(one[name] for one in said) for name in ("memory", "cpu")}
    return {**first, **together, "kernels": [kernel for one in said for kernel in one["kernels"]]}


def _in_job(folder: Folder, there: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """Return what a server in a job says, which is asked there, where its processes are."""
    try:
        said: dict[str, Any] = run_there(folder, there, "ask", data, 3 * ANSWER * float(data["patience"]))
    except Failure as failure:
        return {"error": str(failure)}
    return said
