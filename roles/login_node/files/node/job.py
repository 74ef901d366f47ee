"""The job that our server runs in, or shall: what we have written down of it, and what Slurm says."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import shutil
from typing import Any

from node import slurm
from node.folder import Folder, put
from node.processes import servers
from node.relay import relays

#: What we have written down: of the job, before it is submitted; and of the server in it, which does that itself.
RECORD, SERVER, LOG = "run/job", "run/server", "run/slurm.log"
#: What is read of them, in bytes.
SIZE = 10000
#: What belongs to them; the number is 0 while the job is being submitted.
RECORD_FORM = {"number": int, "start": str, "asked": list}
SERVER_FORM = {
    "job": str, "host": str, "pid": int, "name": str, "lock": str, "started": int, "socket": str, "python": str,
    "digest": str,
}  # fmt: skip
#: States of the job, in which there is one; `unknown` where Slurm does not say.
THERE = ("pending", "starting", "running", "ending", "unknown")


def job_name(cluster: str) -> str:
    """Return what jobs of a cluster's server are called: everybody can read it, in the queue."""
    return f"jupyter-{cluster}"


def _read(folder: Folder, name: str) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        found = json.loads("\n".join(folder.lines(name, SIZE)) or "{}")
        if isinstance(found, dict):
            return found
    return {}


def _is_whole(found: dict[str, Any], forms: dict[str, type]) -> bool:
    return all(isinstance(found.get(name), form) for name, form in forms.items())


def record(folder: Folder) -> dict[str, Any]:
    """Return what was written down of the job; nothing where that is damaged."""
    found = _read(folder, RECORD)
    return found if _is_whole(found, RECORD_FORM) else {}


def address(folder: Folder) -> str:
    """Return the socket of the relay into the job."""
    return str(record(folder).get("address") or folder.socket)


def write_record(folder: Folder, found: dict[str, Any]) -> None:
    """Write it down."""
    put(folder.file(RECORD), f"{json.dumps(found)}\n".encode(), 0o600)


def server_there(folder: Folder) -> dict[str, Any]:
    """Return what the server in a job has written down of itself, whichever that is; nothing where it is damaged."""
    found = _read(folder, SERVER)
    return found if _is_whole(found, SERVER_FORM) else {}


def server(folder: Folder, number: int) -> dict[str, Any]:
    """Return what the server in a job has written down of itself; nothing where that is another job's."""
    found = server_there(folder)
    return found if found.get("job") == str(number) else {}


def led_from(folder: Folder, lock: str) -> str:
    """Return the login node that leads to a server in a job, which has a lock; nothing where none in this home does."""
    for path in glob.glob(os.path.join(glob.escape(folder.above), "*", SERVER)):
        there = Folder(os.path.dirname(os.path.dirname(path)))
        if _read(there, SERVER).get("lock") == lock:
            return (there.lines("node") or [""])[0].partition(" ")[2].split(".")[0]
    return ""


def find(folder: Folder, patience: float) -> slurm.Job | None:
    """Return our job as Slurm has it; Unknown where it does not say.

    By what it runs: a number may be another job's, since they begin anew when Slurm has lost its state, and where a run
    was interrupted as it submitted, it is not known.
    """
    ours = [job for job in slurm.jobs(patience) if f"{job.command} ".startswith(f"{folder.launcher} ")]
    # Of several, one that runs: another one may wait for it, or have been submitted by hand.
    ours.sort(key=lambda job: (slurm.ended(job), job.state in slurm.PENDING, -job.number))
    return ours[0] if ours else None


def state(folder: Folder, job: slurm.Job | None) -> str:
    """Say in a word what a job does: none, pending, starting, running, ending or ended."""
    if job is None:
        # Of a submission that timed out, nothing has come.
        return "ended" if record(folder).get("number") else "none"
    if job.state in slurm.PENDING:
        return "pending"
    if job.state in slurm.ENDING:
        return "ending"
    if job.state not in slurm.RUNNING:
        return "ended"
    # Not by its times: a compute node's clock may be another than the controller's.
    return "running" if server(folder, job.number) else "starting"


def why_ended(folder: Folder, job: slurm.Job | None) -> str:
    """Say why a job has ended, as Slurm has told the job itself; or its state, or nothing."""
    number = job.number if job else record(folder).get("number", 0)
    said = [
        line for line in folder.lines(LOG, 10**6) if re.search(rf"(JOB|STEP) {number}\b.* (CANCELLED|DUE TO)", line)
    ]
    if said:
        return re.sub(r"^.*?(CANCELLED|DUE TO)", r"\1", said[-1]).strip(" *")
    return job.state if job and job.state not in ("COMPLETED", "") else ""


def facts(folder: Folder, data: dict[str, Any]) -> dict[str, Any]:
    """Say what is known of the job; nothing where none was ever asked for, nor is now."""
    known, patience = record(folder), float(data["patience"])
    if not known and not _read(folder, SERVER) and data["place"] != "compute":
        return {}
    programs = {name: shutil.which(name) or "" for name in ("sbatch", "srun")}
    found: dict[str, Any] = {
        "number": known.get("number", 0), "asked": known.get("asked", []), "state": "none", "why": "",
        "lock": server_there(folder).get("lock", ""),
        "relay": bool(relays(folder)), **programs,
    }  # fmt: skip
    if not slurm.there():
        return {**found, "state": "unknown" if known else "none", "why": "there is no squeue on this node"}
    try:
        job = find(folder, patience)
    except slurm.Unknown as unknown:
        # What is known of it last.
        last = server(folder, found["number"])
        return {**found, "state": "unknown", "why": str(unknown), "host": last.get("host", ""), "end": 0}
    found["state"] = state(folder, job)
    if job:
        found |= {
            "number": job.number, "reason": job.reason, "start": job.start, "end": job.end, "host": job.host,
            "partition": job.partition, "suspended": job.state in slurm.SUSPENDED,
        }  # fmt: skip
    if found["state"] == "ended":
        found["why"] = why_ended(folder, job)
    return found


def describe(folder: Folder, found: dict[str, Any], current: str) -> dict[str, Any]:
    """Say what the server in the job is, as `look.describe` does of one on this node; nothing where there is none."""
    there = server(folder, found.get("number", 0)) if found.get("state") in ("running", "ending", "unknown") else {}
    if not there:
        return {}
    return {
        "pid": there["pid"],
        "started": there["started"],
        "endpoint": {"kind": "socket", "address": address(folder)},
        "current": there["digest"] == current,
        "tried": folder.record("tried") == there["name"],
        "ends_at_logout": False,
        "kept_by": "slurm",
    }


def clear(folder: Folder) -> None:
    """Take away what a job has left that is over, also by force: its locks, its records, and the relay's socket."""
    known = record(folder)
    lock = server_there(folder).get("lock", "")
    if not relays(folder) and not servers(folder):
        take_away(address(folder))
    for path in (os.path.join(folder.run, "lock"), os.path.join(folder.above, f"{known.get('cluster', '')}.lock")):
        if lock and (folder.lines(path) or [""])[0].strip() == lock:
            take_away(path)
    for name in (SERVER, LOG, f"run/start.{known.get('start', '')}", RECORD):
        take_away(folder.file(name))


def clear_if_over(folder: Folder, patience: float) -> None:
    """Take that away before a server starts on this node, which no job shall keep from it."""
    if record(folder) and state(folder, find(folder, patience)) in ("ended", "none"):
        clear(folder)


def take_away(path: str) -> None:
    """Take a file away, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
