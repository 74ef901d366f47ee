"""Reads what ssh and its helpers print, and says what it means."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

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


def ssh_options(listing: str) -> dict[str, str]:
    """Read the options that ssh uses for a host.

    Args:
        listing: what ``ssh -G HOST`` printed, a line an option: its name in small letters, a blank, its value.

    Returns:
        The options by name. Of one that may be there several times, such as ``identityfile``, the first.
    """
    options: dict[str, str] = {}
    for line in str(listing).splitlines():
        name, _, value = line.partition(" ")
        options.setdefault(name, value)
    return options


class FilterModule:
    """Filters for the ssh_tunnel role."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"port_holder": port_holder, "ssh_failure": ssh_failure, "ssh_options": ssh_options}
