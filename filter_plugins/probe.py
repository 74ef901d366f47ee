"""Reads what the probe on the login node prints."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from ansible.errors import AnsibleFilterError

#: Keys of the probe that may come several times, and so are lists.
_LISTS = {"sessions", "certificate_leftovers"}
#: Keys whose values are whole numbers.
_NUMBERS = {"time", "private", "pid", "started"}
#: Keys whose values are files, which travel as base64.
_FILES = {"certificate", "ca"}


def probe_facts(stdout: str, *, mark: str) -> dict[str, Any]:
    """Read the lines of the probe into facts.

    Args:
        stdout: what the login shell printed. Whatever a login script prints around the probe's own lines is ignored.
        mark: the word that begins the probe's first and last line, followed by ``begin`` and ``end``.

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
            f"~/.bashrc there that starts another shell or ends this one. It printed: {said}"
        )
    facts: dict[str, Any] = {
        "host": "", "user": "", "home": "", "directory": "", "directory_exists": False, "time": 0,
        "modules_failed": [], "jupyter": "", "screen": "", "openssl": "",
        "python": {}, "packages": {}, "sessions": [], "session_ours": "",
        "private": 0, "digests": {}, "password_set": False, "certificate": "", "ca": "", "key_digest": "",
        "certificate_modes": {}, "certificate_leftovers": [],
        "server": {},
    }  # fmt: skip
    for line in found[1].splitlines():
        key, tab, value = line.partition("\t")
        if not tab:
            continue
        group, _, name = key.partition(".")
        read = _value(name or group, value)
        if group in _LISTS:
            facts[group].append(read)
        elif name:
            facts[group][name] = read
        else:
            facts[group] = read
    return facts


def _value(name: str, value: str) -> Any:
    if name in _NUMBERS:
        return int(value)
    if name in _FILES:
        # Whatever is in them, a file that is damaged is to be judged, and not to end the run.
        return base64.b64decode(value).decode(errors="replace")
    if name == "answer":
        return json.loads(value)
    if name == "modules_failed":
        return value.split()
    if name == "endpoint":
        kind, _, address = value.partition(" ")
        return {"kind": kind, "address": address}
    if name in {"directory_exists", "password_set", "current"}:
        return value == "yes"
    return value


class FilterModule:
    """Filters for the login_node role."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"probe_facts": probe_facts}
