"""What the node has, and what of ours is there and runs. It changes nothing, unless `writes` asks for a try."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import shutil
import stat
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from jupyter_cluster_password import whole_hash

from node import certificate, disk, home, job, ports
from node.ask import answer
from node.find import jupyters, modules
from node.folder import Folder
from node.keepers import choose, keeper, kept_by, sessions, sessions_of
from node.logind import ends_processes
from node.processes import Process, endpoint, left_kernels, servers

#: How long kernels without their server may take to end by themselves, in seconds.
SPARED = 2.0
PACKAGES = ("jupyter_server", "jupyterlab", "notebook")


def look(folder: Folder, data: dict[str, Any]) -> dict[str, Any]:
    """Return the facts.

    `cluster` is the cluster's name; `root` is where the server shall begin; `port` and `port_free` are for
    `ports.choose`; `writes` tries whether anything can be written; `hash` asks for the password's hash, too, `server` a
    server that runs, and `find` for other Jupyters; `keeper` is what would keep it, and `place` where it shall run:
    `login`, here, or `compute`, in a job of Slurm's.
    """
    data = {**data, "openssl": shutil.which("openssl") or ""}
    if data["writes"]:
        disk.heal(folder)
    running = servers(folder)
    # That of the lock comes first.
    holder = folder.record("lock").split()[2:3]
    running.sort(key=lambda one: [str(one.pid)] != holder)
    kept = kept_by(data["keeper"]["kind"], running[0].environment) if running else ""
    chosen = choose(data["keeper"], kept, running[0].environment if running else lambda _: "")
    chosen, there, trouble = sessions_of(chosen, folder, data["patience"])
    in_job = job.facts(folder, data)
    if running and (in_job.get("state") == "ended" or not in_job.get("number")):
        # The server that runs here has come after it, or needs no Slurm.
        in_job = {**in_job, "state": "none"} if in_job else {}
    port, taken = ports.choose(folder, data, port_of(running[0], folder) if running else 0)
    facts: dict[str, Any] = {
        **installed(),
        **root(data["root"]),
        **files(folder, data),
        **home.facts(),
        **disk.facts(folder, running[0] if running else None, data["writes"]),
        **elsewhere(folder, data["cluster"], in_job),
        "job": in_job,
        "keeper": chosen,
        "sessions": there,
        "keeper_trouble": trouble,
        "looks": {name: keeper(chosen, [], 1).look(name) for name in there},
        "own_sessions": sessions(running[0].environment) if running else folder.lines("run/session"),
        "openssl": data["openssl"],
        "node_port": port,
        "node_port_taken": taken,
        "server": {**describe(running[0], folder), "kept_by": kept}
        if running
        else job.describe(folder, in_job, current(folder)),
        "left_folder": gone(running, folder),
        "left_kernels": sorted(left_kernels(folder, disk.places(), SPARED)),
        "jupyters": jupyters() if data["find"] else [],
        "modules": modules() if data["find"] else [],
    }
    if facts["server"] and data["server"]:
        facts["server"]["answer"] = answer(folder, data)
    return facts


def installed() -> dict[str, Any]:
    """Return the versions of what this Python has of Jupyter."""
    found = {}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return {"packages": found, "runs_with": sys.executable, "library_path": os.environ.get("LD_LIBRARY_PATH", "")}


def elsewhere(folder: Folder, cluster: str, in_job: dict[str, Any]) -> dict[str, Any]:
    """Return the lock that a server of the cluster has, and the other node that shares this home where it runs.

    That of our job is no other node: Slurm says of it. Into another job leads the login node that has submitted it.
    """
    path = os.path.join(folder.above, f"{cluster}.lock")
    held = (folder.lines(path) or [""])[0].split()
    here = os.uname().nodename, in_job.get("host", "")
    away = len(held) == 4 and held[0] not in here and " ".join(held) != in_job.get("lock", "")
    node = (job.led_from(folder, " ".join(held)) or held[0]) if away else ""
    return {"elsewhere": node, "elsewhere_host": full_name(folder, cluster, node) if away else "", "cluster_lock": path}


def full_name(folder: Folder, cluster: str, node: str) -> str:
    """Return the full name of another node, by the record in its folder; else the one that it calls itself."""
    for path in glob.glob(os.path.join(glob.escape(folder.above), "*", "node")):
        its_cluster, _, its_host = (folder.lines(path) or [""])[0].partition(" ")
        if its_cluster == cluster and its_host.split(".")[0] == node.split(".")[0]:
            return its_host
    return node


def root(asked: str) -> dict[str, Any]:
    """Return where the server shall begin: a path from `/` or `~`, or nothing for the home directory."""
    path = os.path.expanduser(asked or "~")
    return {"root": path, "root_exists": os.path.isdir(path)}


def files(folder: Folder, data: dict[str, Any]) -> dict[str, Any]:
    """Return what is in the folder."""
    facts: dict[str, Any] = {"directory_exists": os.path.lexists(folder.path), "directory_opens": False}
    if not (os.path.isdir(folder.path) and os.access(folder.path, os.R_OK | os.X_OK)):
        return facts
    facts.update(
        {
            "directory_opens": True,
            "private": sum(map(_private, (folder.above, folder.path, folder.run))),
            "wrong_modes": len(folder.wrong_modes()),
            "digests": {os.path.basename(path): digest for path, digest in _digests(folder)},
            **certificate.found(folder, data["openssl"]),
        }
    )
    with contextlib.suppress(OSError, ValueError):
        whole = whole_hash(folder.file("password_hash"))
        facts.update({"password_set": True, "password_hash": whole if data["hash"] else ""})
    return facts


def _private(path: str) -> bool:
    with contextlib.suppress(OSError):
        found = os.stat(path)
        return stat.S_IMODE(found.st_mode) & 0o6777 == 0o700 and found.st_uid == os.getuid()
    return False


def _programs(folder: Folder) -> list[str]:
    """Return the files that a server starts with, in the order of the launcher's `cat launch *.py`."""
    return [folder.launcher, *sorted(glob.glob(os.path.join(glob.escape(folder.path), "*.py")))]


def _digests(folder: Folder) -> list[Any]:
    found = []
    for path in [*_programs(folder), folder.file("node")]:
        with contextlib.suppress(OSError):
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    found.append((path, hashlib.sha256(file.read()).hexdigest()))
    return found


def current(folder: Folder) -> str:
    """Return what stands for the files that a server would start with, as the launcher works it out."""
    digest = hashlib.sha256()
    for path in _programs(folder):
        with contextlib.suppress(OSError):
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    digest.update(file.read())
    return digest.hexdigest()[:16]


def describe(server: Process, folder: Folder) -> dict[str, Any]:
    """Say what a server is that runs."""
    kind, address = endpoint(server, folder)
    with open("/proc/uptime") as uptime:
        begun = time.time() - float(uptime.read().split()[0]) + server.begun / os.sysconf("SC_CLK_TCK")
    return {
        "pid": server.pid,
        "started": round(begun),
        "endpoint": {"kind": kind, "address": address},
        "current": current(folder) in server.words,
        "tried": folder.record("tried") == server.name(),
        "ends_at_logout": server.in_a_login() and ends_processes(),
    }


def port_of(server: Process, folder: Folder) -> int:
    """Return the port where a server listens; 0 where that is a socket."""
    kind, address = endpoint(server, folder)
    return 0 if kind == "socket" else int(address.rpartition(":")[2])


def gone(running: list[Process], folder: Folder) -> str:
    """Return the folder that a server was started in, where there is none any more; an empty string else."""
    paths = [os.path.dirname(server.config(folder)) for server in running]
    return next((path for path in paths if not os.path.exists(path)), "")
