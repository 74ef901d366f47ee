"""What of this user's runs: servers, launchers, kernels. A server is found by its process, and not by a record."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from typing import Tuple

from node.folder import SOCKET, Folder

#: A kind (socket, loopback or network), and the path of a socket, or HOST:PORT.
Endpoint = Tuple[str, str]


#: The file of a kernel's connection, with the kernel's number, in a command line.
KERNEL = re.compile(r"/\S*/kernel-([0-9a-f-]+)[.]json")


class Process:
    """One of this user's processes, as it is now."""

    def __init__(self, pid: int) -> None:
        """Read what it is; OSError where it has ended, or is somebody else's."""
        if os.stat(f"/proc/{pid}").st_uid != os.getuid():
            raise PermissionError(pid)
        with open(f"/proc/{pid}/cmdline", "rb") as line, open(f"/proc/{pid}/stat", errors="replace") as status:
            self.words = [os.fsdecode(word) for word in line.read().split(b"\0")]
            # What comes after the name, which may have anything in it: the state, the parent, ...
            fields = status.read().rpartition(")")[2].split()
        self.pid, self.parent, self.begun = pid, int(fields[1]), int(fields[19])
        self.memory, self.ticks = int(fields[21]), int(fields[11]) + int(fields[12])
        self.dead = fields[0] == "Z"

    def name(self) -> str:
        """Name it for as long as the node runs, whatever becomes of its number."""
        return f"{self.pid} {self.begun}"

    def config(self, folder: Folder) -> str:
        """Return the path of our configuration, as it stands on the command line of a server."""
        end = f"{folder.end}/jupyter_server_config.py"
        return next((word[9:] for word in self.words if word.startswith("--config=/") and word.endswith(end)), "")

    def launches(self, folder: Folder) -> bool:
        """Tell whether it is our launcher: `sh LAUNCHER`, `bash -l LAUNCHER`; screen has it further on."""
        return any(word.endswith(f"{folder.end}/launch") for word in self.words[1:3])

    def option(self, name: str) -> str:
        """Return the value of one of Jupyter's options on its command line."""
        begin = f"--ServerApp.{name}="
        return next((word[len(begin) :] for word in self.words if word.startswith(begin)), "")

    def is_kernel(self, places: list[str]) -> bool:
        """Tell whether a server with one of these places has started it, with a connection file there."""
        named = any(f"{place}/kernel-" in word for place in places for word in self.words)
        return named and self.environment("JUPYTER_RUNTIME_DIR") in places

    def has_parent(self, everybody: dict[int, Process]) -> bool:
        """Tell whether another process of this user has started it: a kernel, of which it is a part, or a program."""
        above = everybody.get(self.parent)
        # Whose parent has ended comes to the user's service manager, where there is one.
        return above is not None and "systemd" not in os.path.basename(above.words[0])

    def in_a_login(self) -> bool:
        """Tell whether it belongs to a login, as logind has it, and not to the user's own service manager."""
        with contextlib.suppress(OSError), open(f"/proc/{self.pid}/cgroup", errors="replace") as groups:
            return any(re.search(r"/session-\w+[.]scope", line) for line in groups)
        return False

    def environment(self, name: str) -> str:
        """Return what a variable was when it began; an empty string where there is none."""
        with contextlib.suppress(OSError), open(f"/proc/{self.pid}/environ", "rb") as variables:
            begin = os.fsencode(f"{name}=")
            for variable in variables.read().split(b"\0"):
                if variable.startswith(begin):
                    return variable[len(begin) :].decode(errors="replace")
        return ""


def processes() -> dict[int, Process]:
    """Return all of this user's."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, IndexError, ValueError):
            found[int(pid)] = Process(int(pid))
    return {pid: process for pid, process in found.items() if not process.dead}


def servers(folder: Folder) -> list[Process]:
    """Return our servers, the oldest first, without the children that have not yet become something else."""
    found = {pid: process for pid, process in processes().items() if process.config(folder)}
    return sorted((one for one in found.values() if one.parent not in found), key=lambda one: one.begun)


def family(pids: set[int], everybody: dict[int, Process]) -> dict[int, Process]:
    """Return these processes, and all that they have started, and so on."""
    while True:
        more = {one.pid for one in everybody.values() if one.parent in pids} - pids
        if not more:
            return {pid: everybody[pid] for pid in pids if pid in everybody}
        pids = pids | more


def left_kernels(folder: Folder, places: list[str], seconds: float) -> dict[int, Process]:
    """Return the kernels, with their sockets in one of these places, of a server that was killed.

    IPython's end by themselves within a second or two: so long they are waited for.
    """
    deadline = time.monotonic() + seconds
    while True:
        everybody = processes()
        there = [one for one in everybody.values() if one.config(folder)]
        kept = family({one.pid for one in there}, everybody)
        # What a kernel of a server that runs has left in the background is younger than that server.
        before = min((one.begun for one in there), default=float("inf"))
        left = {
            pid: one for pid, one in everybody.items()
            if pid not in kept and one.begun < before and one.is_kernel(places) and not one.has_parent(everybody)
        }  # fmt: skip
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.1)


def endpoint(server: Process, folder: Folder) -> Endpoint:
    """Return where a server listens."""
    path, port = server.option("sock"), server.option("port")
    if path:
        return "socket", folder.socket if path.endswith(folder.end + SOCKET) else path
    if port:
        everywhere = server.option("ip") == "0.0.0.0"  # noqa: S104  Not bound here.
        return ("network", f"0.0.0.0:{port}") if everywhere else ("loopback", f"127.0.0.1:{port}")
    # One that was started by an older version of this, which left it in a record.
    kind, _, address = folder.record("endpoint").partition(" ")
    return (kind, address) if kind in ("loopback", "network") and address else ("socket", folder.socket)


def end(doomed: list[int], seconds: float) -> list[int]:
    """End processes in order; return those that are still there after so many seconds."""
    for pid in doomed:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGTERM)
            # One that was suspended hears nothing else.
            os.kill(pid, signal.SIGCONT)
    deadline = time.monotonic() + seconds
    while True:
        left = sorted(set(doomed) & set(processes()))
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.1)
