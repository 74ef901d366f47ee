"""Reads what the probe on the login node prints."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

#: Keys of the probe that may come several times, and so are lists.
_LISTS = {"sessions", "processes", "certificate_leftovers", "places", "full"}
#: Keys whose values are whole numbers.
_NUMBERS = {"asked", "time", "ended", "private", "wrong_modes"}
#: Keys whose values are yes or no.
_YES = {"directory_exists", "directory_opens", "password_set", "root_exists"}
#: Keys whose values travel as base64, since they may have anything in them.
_CODED = {"certificate", "ca", "root", "lock", "password_hash"}


def probe_facts(stdout: str, *, mark: str, node: str) -> dict[str, Any]:
    """Read the lines of the probe into facts.

    Args:
        stdout: what the login shell printed. Whatever a login script prints around the probe's own lines is ignored.
        mark: the word that begins the probe's first and last line, followed by ``begin`` and ``end``.
        node: the name that the gateway knows the node by.

    Returns:
        The facts. ``server`` is an empty dictionary where none runs; text that the node does not have is ``""``.

    Raises:
        AnsibleFilterError: the probe's lines are not there whole.
    """
    text = str(stdout).replace("\r\n", "\n")
    found = re.search(rf"^{re.escape(mark)} begin\n(.*)^{re.escape(mark)} end$", text, re.DOTALL | re.MULTILINE)
    if found is None:
        said = " / ".join(line.strip() for line in text.splitlines() if line.strip())[:300] or "nothing"
        raise AnsibleFilterError(
            "The login shell on the node did not run the probe to its end. Look for a line in ~/.bash_profile or "
            "~/.bashrc there that starts another shell, waits for an answer, ends this one, or leaves something in the "
            f"background that still prints here. It printed: {said}"
        )
    facts: dict[str, Any] = {
        "host": "", "user": "", "home": "", "directory": "", "asked": 0, "time": 0, "ended": 0,
        "directory_exists": False, "directory_opens": False, "left_folder": "", "places": [], "place": "",
        "full": [],
        "modules_failed": [], "jupyter": "", "screen": "", "openssl": "", "unwritable": "", "no_room": "",
        "root": "", "root_exists": True,
        "python": {}, "packages": {}, "sessions": [], "session_record": "",
        "private": 0, "wrong_modes": 0, "digests": {}, "password_set": False, "password_hash": "",
        "certificate": "", "ca": "", "key_digest": "", "certificate_modes": {}, "certificate_leftovers": [],
        "lock": "", "files": "", "processes": [], "ticks": "", "endpoint_record": "", "server": {},
    }  # fmt: skip
    for line in found[1].splitlines():
        key, tab, value = line.partition("\t")
        if not tab:
            continue
        group, _, name = key.partition(".")
        if group not in facts:
            continue
        read = _value(name or group, value)
        if group in _LISTS:
            facts[group].append(read)
        elif name:
            facts[group][name] = read
        else:
            facts[group] = read
    asked = facts["server"]
    servers = _servers(facts, node)
    facts["server"] = {**servers[0], **asked} if servers else {}
    facts["session_ours"] = facts["server"].get("session") or facts["session_record"]
    return facts


def _value(name: str, value: str) -> Any:
    if name in _NUMBERS:
        return int(value)
    if name in _CODED:
        # Whatever is in them, a file that is damaged is to be judged, and not to end the run.
        return base64.b64decode(value).decode(errors="replace")
    if name in _YES:
        return value == "yes"
    if name == "answer":
        return json.loads(value)
    if name == "modules_failed":
        return value.split()
    return value


def _servers(facts: dict[str, Any], node: str) -> list[dict[str, Any]]:
    """Read the processes that have our configuration on their command line; the one that has the lock comes first.

    A child has the command line of its parent until it becomes something else.
    """
    rows = [row.split(" ") for row in facts["processes"]]
    rows = [row for row in rows if len(row) == 5 and all(map(str.isdigit, row[:3]))]
    pids = {row[0] for row in rows}
    lock = facts["lock"].split()
    holder = lock[2] if len(lock) == 4 else ""
    servers = []
    for pid, parent, tick, words, session in rows:
        if parent not in pids:
            line = base64.b64decode(words).decode(errors="replace").split("\0")
            uptime, per_second = map(float, facts["ticks"].split())
            servers.append(
                {
                    "pid": int(pid),
                    "started": round(facts["time"] - uptime + int(tick) / per_second),
                    "endpoint": _endpoint(line, facts, node),
                    "current": facts["files"] in line,
                    "session": base64.b64decode(session).decode(errors="replace").strip(),
                }
            )
    return sorted(servers, key=lambda server: (str(server["pid"]) != holder, server["started"]))


def _endpoint(line: list[str], facts: dict[str, Any], node: str) -> dict[str, str]:
    options = dict(word[2:].split("=", 1) for word in line if word.startswith("--ServerApp.") and "=" in word)
    own = f"{facts['directory']}/run/jupyter.sock"
    if address := options.get("ServerApp.sock"):
        # What led to the home when it was started may have another name by now.
        moved = address.split("/")[-4:] == own.split("/")[-4:]
        return {"kind": "socket", "address": own if moved else address}
    if options.get("ServerApp.port"):
        port, everywhere = options["ServerApp.port"], options.get("ServerApp.ip") == "0.0.0.0"  # noqa: S104  Not bound.
        return {"kind": "network", "address": f"{node}:{port}"} if everywhere else {
            "kind": "loopback", "address": f"127.0.0.1:{port}"
        }  # fmt: skip
    # One that was started by an older version of this, which left it in a record.
    kind, _, address = facts["endpoint_record"].partition(" ")
    if kind in {"loopback", "network"} and address:
        return {"kind": kind, "address": address}
    return {"kind": "socket", "address": own}


def not_of_digest(files: Mapping[str, str], digests: Mapping[str, str]) -> dict[str, str]:
    """Choose the files that a node does not have as they shall be.

    Args:
        files: their contents, by name.
        digests: what the node has, by name, as SHA-256 in hexadecimal.

    Returns:
        Those of the files that are missing there, or have other contents.
    """
    return {
        name: text for name, text in files.items() if hashlib.sha256(text.encode()).hexdigest() != digests.get(name)
    }


class FilterModule:
    """Filters for the login_node role."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"not_of_digest": not_of_digest, "probe_facts": probe_facts}
