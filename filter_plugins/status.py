"""Says what runs, for `playbooks/status.yml`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

_COLUMNS = (
    "cluster",
    "node",
    "server",
    "kernels",
    "used",
    "memory",
    "CPU",
    "endpoint",
    "tunnel",
    "certificate",
    "Jupyter",
)


def _ago(seconds: float) -> str:
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {name} ago"
    return "now"


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def status_of(facts: dict[str, Any]) -> dict[str, Any]:
    """Say what a node's server does.

    Args:
        facts: ``login_node_facts``, where the server was asked.

    Returns:
        ``running``; and, of a running server, ``pid``, ``endpoint`` (its kind), ``started`` (ISO 8601, UTC),
        ``kernels`` (a list of ``name``, ``state`` and ``last_activity``), ``last_activity``, ``memory`` (bytes),
        ``cpu`` (percent of one core), ``version`` (of jupyter_server), or ``problem``, where it does not answer; and
        ``left_kernels`` (a list of process numbers) where a server that was killed has left some; and ``elsewhere``,
        another node that shares the home, where none runs here, and one is said to run there; and ``job``, where one
        was submitted: its ``number``, ``state``, ``asked``, ``host``, ``partition``, ``reason`` or ``why``, and
        ``start`` and ``end`` (ISO 8601, UTC).
    """
    server, job = facts["server"], _job(facts["job"])
    left = {"left_kernels": facts["left_kernels"]} if facts["left_kernels"] else {}
    if "pid" not in server:
        away = {"elsewhere": facts["elsewhere"]} if facts["elsewhere"] else {}
        return {"running": False, **left, **away, **job}
    answer = dict(server.get("answer", {}))
    status = {
        "running": True,
        **left,
        **job,
        "pid": server["pid"],
        "endpoint": server["endpoint"]["kind"],
        "started": datetime.fromtimestamp(server["started"], UTC).isoformat(),
    }
    if "error" in answer or not answer:
        return status | {"problem": f"it does not answer: {answer.get('error', 'not asked')}"}
    known = {name: answer[name] for name in ("kernels", "last_activity", "memory", "cpu", "version")}
    return status | known | ({} if facts["password_set"] else {"problem": "nobody can log in: playbooks/password.yml"})


def _job(found: dict[str, Any]) -> dict[str, Any]:
    """Say what is known of a job; nothing where there never was one."""
    if found.get("state", "none") == "none":
        return {}
    names = ("number", "state", "asked", "why", "reason", "host", "partition", "suspended")
    said: dict[str, Any] = {name: found[name] for name in names if found.get(name)}
    said |= {name: datetime.fromtimestamp(found[name], UTC).isoformat() for name in ("start", "end") if found.get(name)}
    return {"job": said}


def _of_job(job: dict[str, Any]) -> str:
    """Say in a line what a job does that runs no server."""
    if job["state"] == "unknown":
        return f"job {job.get('number', 'unknown')}: Slurm does not answer"
    if job["state"] == "ended":
        return f"none runs; job {job['number']} has ended" + (f" ({job['why']})" if job.get("why") else "")
    if job["state"] == "pending":
        when = f", from {_time(job['start']).astimezone().strftime('%b %d %H:%M')}" if "start" in job else ""
        return f"job {job['number']} waits: {job.get('reason', 'Slurm does not say why')}{when}"
    return f"job {job['number']} {'ends' if job['state'] == 'ending' else 'starts'}"


def _left(job: dict[str, Any], now: datetime) -> str:
    """Say which job a server is in, and how much of its time is left."""
    minutes = max(0, round((_time(job["end"]) - now).total_seconds() / 60)) if "end" in job else None
    left = "" if minutes is None else f", {minutes // 60}:{minutes % 60:02} left"
    silent = ", Slurm does not answer" if job["state"] == "unknown" else ", suspended" if "suspended" in job else ""
    return f" ({job.get('host', 'its node')}, job {job['number']}{left}{silent})"


def _in_short(message: str) -> str:
    """Leave out what stands in brackets, which may have brackets in it."""
    return re.sub(r" \((?:[^()]|\([^()]*\))*\)", "", message)


def _row(host: dict[str, Any], now: datetime) -> list[str]:
    if "problem" in host and not host.get("running"):
        return [host["cluster"], host["node"], _in_short(host["problem"])]
    if host.get("elsewhere"):
        return [host["cluster"], host["node"], f"on {host['elsewhere']}, not looked at"]
    if not host["running"] and "job" in host:
        return [host["cluster"], host["node"], _of_job(host["job"])]
    if not host["running"]:
        left = ", ".join(map(str, host.get("left_kernels", [])))
        return [
            host["cluster"],
            host["node"],
            f"none runs; one was killed, and left process {left}" if left else "none runs",
        ]
    since = f"since {_time(host['started']).astimezone().strftime('%b %d %H:%M')}"
    since += _left(host["job"], now) if "job" in host else ""
    tunnel, until = "open" if host["tunnel"] else "closed", host["certificate"] or "none"
    if "problem" in host:
        return [host["cluster"], host["node"], since, _in_short(host["problem"])]
    states = [kernel["state"] for kernel in host["kernels"]]
    counts = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
    used = _ago((now - _time(host["last_activity"])).total_seconds())
    memory, cpu = f"{host['memory'] / 2**20:.0f} MiB", f"{host['cpu']} %"
    begin = [host["cluster"], host["node"], since, counts or "none", used, memory, cpu]
    return [*begin, host["endpoint"], tunnel, until, host["version"]]


def status_table(hosts: Sequence[dict[str, Any]], *, now: str | None = None) -> str:
    """Show what runs as a table.

    Args:
        hosts: for each node what ``status_of`` says, with ``cluster``, ``node``, ``tunnel`` (whether the server answers
            through it) and ``certificate`` (the day of its end); or with ``problem`` alone, where it was not reached.
            What stands in brackets in a problem is left out.
        now: the time, ISO 8601; the clock's where it is left out.

    Returns:
        Lines: names of columns, and one line for each node. What is wrong with a node takes the rest of its line.
    """
    moment = datetime.now(UTC) if now is None else _time(now)
    rows = [list(_COLUMNS), *(_row(host, moment) for host in hosts)]
    whole = [row for row in rows if len(row) == len(_COLUMNS)]
    widths = [max(len(row[column]) for row in whole) for column in range(len(_COLUMNS))]
    for column in (0, 1):
        widths[column] = max(len(row[column]) for row in rows)
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows]
    return "\n".join(lines) + "\n"


class FilterModule:
    """Filters for playbooks/status.yml."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"status_of": status_of, "status_table": status_table}
