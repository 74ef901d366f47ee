"""What the login node and ssh say, as facts and as sentences."""

from __future__ import annotations

import base64
import re
from typing import Any

from ansible.errors import AnsibleFilterError

#: Keys of the probe that may come several times, and so are lists.
_LISTS = {"sessions"}
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
        "host": "", "user": "", "home": "", "directory": "", "time": 0,
        "modules_failed": [], "jupyter": "", "screen": "", "openssl": "",
        "python": {}, "packages": {}, "sessions": [], "session_ours": "",
        "private": 0, "digests": {}, "password_set": False, "certificate": "", "ca": "", "key_digest": "",
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
        return base64.b64decode(value).decode()
    if name == "modules_failed":
        return value.split()
    if name in {"password_set", "current"}:
        return value == "yes"
    return value


#: What ssh says, and what it means. The first pattern that matches counts, so the more telling ones come first.
_SSH_SAYS = (
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        "The host key of {gateway} or {node} is not the one in your known_hosts. Either the cluster changed it, which "
        "its pages or its support confirm, or somebody stands in between: do not log in before you know which.",
    ),
    (
        r"Host key verification failed",
        "This machine does not know the host key of {gateway} or {node} yet. Log in once by hand, and compare the "
        "fingerprint with the one that the cluster publishes: ssh {node}",
    ),
    (
        r"administratively prohibited",
        "The gateway {gateway} does not forward connections to {node} (AllowTcpForwarding in its sshd). Ask the "
        "cluster's support which gateway does, and set cluster_gateway in the cluster's inventory file.",
    ),
    (
        r"(?i)open failed|stdio forwarding (request )?failed|to UNKNOWN port 65535 timed out",
        "The gateway {gateway} lets you in, but {node} cannot be reached from it. The node may be down: see the "
        "cluster's status page, or name another login node in the cluster's inventory file.",
    ),
    (
        r"(?s)(Permission denied \(|Too many authentication failures).*UNKNOWN port 65535",
        "The gateway {gateway} does not let you in. Is my_user in inventory/group_vars/all/me.yml right, and your key "
        "known there? See what this says: ssh {gateway}",
    ),
    (
        r"Permission denied \(|Too many authentication failures",
        "{node} does not let you in, though the gateway did. Is your key known there? See what this says: ssh {node}",
    ),
    (
        r"Could not resolve hostname",
        "This machine does not find the gateway {gateway}. Check the network (a VPN?), and cluster_gateway in the "
        "cluster's inventory file.",
    ),
    (
        r"Connection refused|timed out|No route to host|Network is unreachable",
        "The gateway {gateway} cannot be reached. Check the network (a VPN?); the gateway may be down or rebooting: "
        "see the cluster's status page.",
    ),
    (r"", "The login to {node} through {gateway} fails. See what this says: ssh {node}"),
)


def ssh_failure(said: str, *, node: str, gateway: str) -> str:
    """Say in one line what a failed ssh connection means, and what to do.

    Args:
        said: what ssh printed, both hops together.
        node: the login node's name.
        gateway: the gateway's name.

    Returns:
        One line that names the host and the remedy, with the telling line of ssh at its end.
    """
    text = str(said)
    found, meaning = next((match, words) for pattern, words in _SSH_SAYS if (match := re.search(pattern, text)))
    line = text[text.rfind("\n", 0, found.start()) + 1 :].partition("\n")[0].strip(" @\r")
    return f"{meaning.format(node=node, gateway=gateway)} (ssh: {line or 'no message'})"


def port_holder(listing: str) -> str:
    """Name the program that listens on a port.

    Args:
        listing: what ``ss -Hltnp`` or ``lsof -nP -iTCP:PORT -sTCP:LISTEN`` printed for that port.

    Returns:
        The program and its process number, or ``"another program"`` where the listing does not show them (it shows
        them for one's own processes only).
    """
    from_ss = re.search(r'\(\("([^"]+)",pid=(\d+)', str(listing))
    from_lsof = re.search(r"^(?!COMMAND)(\S+)\s+(\d+)\s", str(listing), re.MULTILINE)
    found = from_ss or (None if "LISTEN 0" in str(listing) else from_lsof)
    return f"{found[1]} (process {found[2]})" if found else "another program"


class FilterModule:
    """Filters for the ssh_tunnel and login_node roles."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"port_holder": port_holder, "probe_facts": probe_facts, "ssh_failure": ssh_failure}
