"""End the server, and see that it has ended."""

from __future__ import annotations

import time
from typing import Any

from node.folder import Failure, Folder
from node.keepers import keeper
from node.processes import family, processes, servers


def stop(folder: Folder, data: dict[str, Any]) -> dict[str, Any]:
    """End the servers and what is about to become one; their kernels end with them."""
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
        alive = sorted(kernels & set(processes()))
        if not alive:
            return {}
        if time.monotonic() > deadline:
            names = ", ".join(map(str, alive))
            raise Failure(f"The server has ended, and these kernels of it have not: process {names}.")
        time.sleep(0.1)
