"""End the server, and see that it has ended; where that is asked for, also kernels that another one has left."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import Any

from node.disk import places
from node.folder import Failure, Folder
from node.keepers import keeper, sessions_of
from node.processes import end, family, left_kernels, processes, servers


def stop(folder: Folder, data: dict[str, Any]) -> dict[str, Any]:
    """End the servers and what is about to become one; their kernels end with them.

    `sessions` are those of ours that stay, since something else of the user's is in them.
    """
    seconds, patience = float(data["seconds"]), float(data["patience"])
    ending = [one.pid for one in servers(folder)]
    before = family(set(ending), processes())
    starting = [one.pid for one in processes().values() if one.launches(folder)]
    left = keeper(data["keeper"], [], patience).end(ending + starting, seconds)
    left += [one.pid for one in servers(folder) if one.pid not in left]
    if left:
        raise Failure(f"The server has not ended within {seconds:.0f} s: process {', '.join(map(str, left))}.")
    kernels = {one.pid for one in before.values() if any("/kernel-" in word for word in one.words)}
    deadline = time.monotonic() + 5 * patience
    while True:
        there = sorted(kernels & set(processes()))
        if not there:
            break
        if time.monotonic() > deadline:
            names = ", ".join(map(str, there))
            raise Failure(f"The server has ended, and these kernels of it have not: process {names}.")
        time.sleep(0.1)
    if data["left"]:
        _end_left(folder, patience)
    return {"sessions": _sessions(folder, data["keeper"], patience)}


def _end_left(folder: Folder, patience: float) -> None:
    """End the kernels that a killed server has left, with what they have started."""
    kernels = left_kernels(folder, places(), 0)
    doomed = sorted(family(set(kernels), processes()))
    left = end(doomed, 5 * patience)
    # As Jupyter itself does with kernels that do not end when they are asked.
    for pid in left:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    stay = end(left, 5 * patience) + sorted(left_kernels(folder, places(), 0))
    if stay:
        raise Failure(f"These kernels of a server that was killed have not ended: process {', '.join(map(str, stay))}.")


def _sessions(folder: Folder, by: dict[str, Any], patience: float) -> list[str]:
    """Return the sessions of ours that are there still, a moment after what ran in them has ended."""
    deadline = time.monotonic() + 1
    while True:
        stay = [name for name in sessions_of(by, folder, patience)[1] if name in folder.lines("run/session")]
        if not stay or time.monotonic() > deadline:
            return stay
        time.sleep(0.1)
