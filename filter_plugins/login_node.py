"""What goes to the login node, and what it says: this project's own program, and the answer of the probe."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleFilterError


def node_program(paths: Sequence[str]) -> dict[str, str]:
    """Pack the program that runs on the node.

    Args:
        paths: the folder of the package, whose ``__main__.py`` begins, and the modules that it needs besides.

    Returns:
        ``loader``, which Python gets by ``-c`` (it has nothing that a shell would change), and ``program``, which
        comes on its standard input as a part of a JSON object.
    """
    package, *others = map(Path, paths)
    modules = {f"node.{path.stem}": path.read_text() for path in sorted(package.glob("*.py"))}
    modules["node"] = modules.pop("node.__init__")
    loader = base64.b64encode(modules.pop("node.__main__").encode()).decode()
    modules |= {path.stem: path.read_text() for path in others}
    return {
        # Not from the home directory, where a file of the user's may have the name of a module.
        "loader": 'import sys; sys.path[:] = [path for path in sys.path if path not in ("", ".")]; import base64; '
        f'exec(compile(base64.b64decode("{loader}"), "node", "exec"))',
        "program": base64.b64encode(zlib.compress(json.dumps(modules).encode(), 9)).decode(),
    }


def probe_facts(stdout: str, *, mark: str, node: str, schema: str) -> dict[str, Any]:
    """Read the lines of the probe into facts.

    Args:
        stdout: what the login shell printed. Whatever a login script prints around the probe's own lines is ignored.
        mark: the word that begins the probe's first and last line, followed by ``begin`` and ``end``.
        node: the name that the gateway knows the node by.
        schema: the JSON schema of the facts, whose defaults stand where the node says nothing.

    Returns:
        The facts. ``server`` is an empty dictionary where none runs.

    Raises:
        AnsibleFilterError: the probe's lines are not there whole.
    """
    text = str(stdout).replace("\r\n", "\n")
    found = re.search(rf"^{re.escape(mark)} begin\n(.*)^{re.escape(mark)} end$", text, re.DOTALL | re.MULTILINE)
    if found is None:
        said = " / ".join(line.strip() for line in text.splitlines() if line.strip())[:300] or "nothing"
        raise AnsibleFilterError(
            "The login shell on the node did not run the probe to its end. Look for a line in ~/.bash_profile or "
            "~/.bashrc there that starts another shell, waits for an answer, sets a trap, ends this one, or leaves "
            f"something in the background that still prints here. It printed: {said}"
        )
    known = json.loads(schema)["properties"]
    facts: dict[str, Any] = {name: json.loads(json.dumps(fact["default"])) for name, fact in known.items()}
    for line in found[1].splitlines():
        key, _, value = line.partition("\t")
        name, _, part = key.partition(".")
        if name == "facts":
            facts |= {fact: says for fact, says in json.loads(value).items() if fact in known}
        elif name in known and value:
            read = _value(value, "integer" if part == "pid" else "string" if part else known[name]["type"])
            if part:
                facts[name][part] = read
            else:
                facts[name] = facts[name] + read if known[name]["type"] == "array" else read
    if facts["server"].get("endpoint", {}).get("kind") == "network":
        facts["server"]["endpoint"]["address"] = f"{node}:{facts['server']['endpoint']['address'].rpartition(':')[2]}"
    return facts


def _value(text: str, kind: str) -> Any:
    if kind == "integer":
        return int(text)
    if kind == "boolean":
        return text == "yes"
    return text.split() if kind == "array" else text


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
        return {"node_program": node_program, "not_of_digest": not_of_digest, "probe_facts": probe_facts}
