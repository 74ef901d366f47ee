"""Reads what ssh and its helpers print, and says what it means."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

#: What ssh says, and what it means. The first pattern that matches counts, so the more telling ones come first.
_SSH_SAYS = (
    (
        r"not in cluster_host_keys|no matching host key type",
        "{gateway} or {node} does not show the host key that the cluster's inventory file pins (cluster_host_keys). "
        "Either the cluster changed it, which its pages or its support confirm, or somebody stands in between: do not "
        "log in before you know which.",
    ),
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        "The host key of {gateway} or {node} is not the one in your known_hosts. Either the cluster changed it, which "
        "its pages or its support confirm, or somebody stands in between: do not log in before you know which.",
    ),
    (
        r"Host key verification failed",
        "This machine does not know the host key of {gateway} or {node} yet. Log in once by hand, and compare the "
        "fingerprint with the one that the cluster publishes: {log_in}",
    ),
    (
        r"session request failed",
        "{node} takes no further session on the connection that is open (MaxSessions in its sshd). Close what else "
        "uses it, an ssh, scp or editor, and run this again.",
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
        "known there? Where a login asks you for something, set my_login: prompt there. See what this says: {log_in}",
    ),
    (
        r"Permission denied \(|Too many authentication failures",
        "{node} does not let you in, though the gateway did. Is your key known there? Where a login asks you for "
        "something, set my_login: prompt in inventory/group_vars/all/me.yml. See what this says: {log_in}",
    ),
    (
        r"Could not resolve hostname",
        "This machine does not find the gateway {gateway}. Check the network (a VPN?), and cluster_gateway in the "
        "cluster's inventory file.",
    ),
    (
        r"connect to host .*(Connection refused|timed out|No route to host|Network is unreachable)"
        r"|Connection to (?!UNKNOWN).* timed out",
        "The gateway {gateway} cannot be reached. Check the network (a VPN?); the gateway may be down or rebooting: "
        "see the cluster's status page{another_gateway}.",
    ),
    (
        r"Connection (closed|reset) by (?!remote|peer|UNKNOWN)",
        "The gateway {gateway} ends the connection before the login. Too many log in at once (MaxStartups in its "
        "sshd), it has banned your address for a while, or your account is locked: wait some minutes{another_gateway}. "
        "See what this says: {log_in}",
    ),
    (
        r"Connection (closed|reset) by",
        "{node} ends the connection before the login. Too many log in at once (MaxStartups in its sshd), it has "
        "banned the gateway for a while, or your account is locked: wait some minutes. See what this says: {log_in}",
    ),
    (r"", "The login to {node} through {gateway} fails. See what this says: {log_in}"),
)


def ssh_failure(said: str, *, node: str, gateway: str, log_in: str, other_gateways: Sequence[str] = ()) -> str:
    """Say in one line what a failed ssh connection means, and what to do.

    Args:
        said: what ssh printed, both hops together.
        node: the login node's name.
        gateway: the gateway's name.
        log_in: the command that a person logs in with.
        other_gateways: the names of those that can take the gateway's place.

    Returns:
        One line that names the host and the remedy, with the telling line of ssh at its end.
    """
    another = f", or take another gateway: -e my_gateway={other_gateways[0]}" if other_gateways else ""
    text = str(said)
    found, meaning = next((match, words) for pattern, words in _SSH_SAYS if (match := re.search(pattern, text)))
    line = text[text.rfind("\n", 0, found.start()) + 1 :].partition("\n")[0].strip(" @\r")
    names = {"node": node, "gateway": gateway, "log_in": log_in, "another_gateway": another}
    return f"{meaning.format(**names)} (ssh: {line or 'no message'})"


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
        The options by name. Of one that may be there several times, such as ``identityfile``, the first. ssh leaves
        out a proxy and a ControlPath that are not set; they are empty here.
    """
    options: dict[str, str] = {}
    for line in str(listing).splitlines():
        name, _, value = line.partition(" ")
        options.setdefault(name, value)
    return {"proxyjump": "", "proxycommand": "", "controlpath": ""} | options


class FilterModule:
    """Filters for the ssh_tunnel role."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"port_holder": port_holder, "ssh_failure": ssh_failure, "ssh_options": ssh_options}
