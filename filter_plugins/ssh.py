"""Reads what ssh and its helpers print, and says what it means."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

#: What a host says before there is a login, and where the message depends on whether a gateway is on the way.
_DENIED = r"Permission denied \(|Too many authentication failures"
_UNKNOWN = r"Could not resolve hostname"
_UNREACHED = (
    r"connect to host .*(Connection refused|timed out|No route to host|Network is unreachable)"
    r"|Connection to (?!UNKNOWN).* timed out"
)
_CLOSED = r"Connection (closed|reset) by (?!remote|peer|UNKNOWN)"
_CLOSED_BEHIND = r"Connection (closed|reset) by"

#: What ssh says, and what it means. The first pattern that matches counts, so the more telling ones come first. Of what
#: it matches, the group `line` is shown, or else the line that it begins in.
_SSH_SAYS = (
    (
        r"not in cluster_host_keys",
        "{gateway} or {node} does not show the host key that the cluster's inventory file pins (cluster_host_keys). "
        "Either the cluster changed it, which its pages or its support confirm, or somebody stands in between: do not "
        "log in before you know which.",
    ),
    (
        r"(REMOTE HOST IDENTIFICATION HAS CHANGED|REVOKED HOST KEY DETECTED)",
        "The host key of {gateway} or {node} is not the one in your known_hosts. Either the cluster changed it, which "
        "its pages or its support confirm, or somebody stands in between: do not log in before you know which.",
    ),
    (
        r"no matching .* found\. Their offer",
        "The ssh of this machine and that of {gateway} or {node} have too little in common: one of the two is too old. "
        "Install a newer OpenSSH here; or, for that host in your ssh_config, allow what it offers (man ssh_config: "
        "HostKeyAlgorithms, KexAlgorithms, Ciphers, MACs).",
    ),
    (
        r"Host key verification failed",
        "This machine does not know the host key of {gateway} or {node} yet. Log in once by hand, and compare the "
        "fingerprint with the one that the cluster publishes: {log_in}",
    ),
    (
        r"unix_listener: .*|ControlPath too long.*|ControlPath .* too long.*",
        "ssh cannot make the socket of an open connection. Make its folder, let it be yours to write to, with a short "
        "name, and its disk have room: ControlPath in your ssh_config, or else my_folder.",
    ),
    (
        r"session request failed: Permission denied|Master refused",
        "The connection that is open does not let others use it. Your ssh_config must not have ControlMaster ask or "
        "autoask for {node}: take it out, and close the connection: ssh -O exit {node}",
    ),
    (
        r"session request failed|(?s:\(via proxy\).*?)(?P<line>\nchannel [^\n]*open failed[^\n]*)",
        "{node} takes no further session on the connection that is open (MaxSessions in its sshd). Close what else "
        "uses it, an ssh, scp or editor, and run this again.",
    ),
    (
        r"(?i)required to change your password|your password has expired|password change required",
        "Your password on {where} has expired. Log in there at a terminal, and choose another.",
    ),
    (
        r"(?i)account (has|is) expired|account .*(locked|disabled)",
        "Your account on {where} has expired, or is locked. Ask the cluster's support.",
    ),
    (
        r"administratively prohibited|forwards nowhere",
        "The gateway {gateway} lets you in, but does not forward connections to {node} (AllowTcpForwarding, PermitOpen "
        "or DisableForwarding in its sshd{or_down}). Ask the cluster's support which gateway does, and set "
        "cluster_gateway in the cluster's inventory file{another_gateway}.",
    ),
    (
        r"open failed: connect failed: (Name or service not known|No address|Temporary failure in name|nodename nor)",
        "The gateway {gateway} lets you in, but knows no host {node}. Correct its name among the hosts of the "
        "cluster's inventory file.",
    ),
    (
        r"(?ms)^Connecting to (?!.*\nAuthenticated to ).*(?P<line>\nConnection to UNKNOWN port 65535 timed out)",
        "The gateway {gateway} does not let you in in time. Check the network (a VPN?); the gateway may be down or "
        "rebooting: see the cluster's status page{another_gateway}. On a slow network: -e my_patience=3",
    ),
    (
        r"(?i)channel \d+: open failed|stdio forwarding (request )?failed|to UNKNOWN port 65535 timed out",
        "The gateway {gateway} lets you in, but {node} cannot be reached from it. The node may be down: see the "
        "cluster's status page, or name another login node in the cluster's inventory file.",
    ),
    (
        r"Tunnel device open failed|tunnel forwarding",
        "Your ssh_config says Tunnel of {gateway} or {node}, which does not work here, and is not needed: take it "
        "out for them.",
    ),
    (
        r"ssh_dispatch_run_fatal: Connection to UNKNOWN port 65535: Broken pipe",
        "ssh has no way through the gateway {gateway}. Where your ssh_config says StdinNull yes of it, take that out: "
        "it leaves the way without an input.",
    ),
    (
        r"bad permissions|Permissions .* are too open",
        "ssh does not use a key of yours that others may read, and nothing else lets you in. Make it private: chmod "
        "600, and the file's name.",
    ),
    (
        r"(?i)agent refused operation|signing failed for .* from agent",
        "Your ssh agent did not sign with your key. Unlock it; or, where it asks you for something, set my_login: "
        "prompt in inventory/group_vars/all/me.yml. See what this says: {log_in}",
    ),
    (
        r"(?s)(Permission denied \(|Too many authentication failures).*UNKNOWN port 65535",
        "The gateway {gateway} does not let you in. Is my_user in inventory/group_vars/all/me.yml right, and your key "
        "known there{key}? Where a login asks you for something, set my_login: prompt there. See what this says: "
        "{log_in}",
    ),
    (
        _DENIED,
        "{node} does not let you in, though the gateway did. Is your key known there{key}? Where a login asks you for "
        "something, set my_login: prompt in inventory/group_vars/all/me.yml. See what this says: {log_in}",
    ),
    (
        _UNKNOWN,
        "This machine does not find the gateway {gateway}. Check the network (a VPN?), and cluster_gateway in the "
        "cluster's inventory file.",
    ),
    (
        _UNREACHED,
        "The gateway {gateway} cannot be reached. Check the network (a VPN?); the gateway may be down or rebooting: "
        "see the cluster's status page{another_gateway}.",
    ),
    (
        r"^\s*works now$",
        "The connection to {node} broke off, and a new one works. Run this again.",
    ),
    (
        r"no answer within",
        "The open connection to {node}, or the way to it, does not answer: it stalls, or is dead. Run this again; the "
        "playbook connect closes what is dead.",
    ),
    (
        _CLOSED,
        "The gateway {gateway} ends the connection before the login. Too many log in at once (MaxStartups in its "
        "sshd), it has banned your address for a while, or your account is locked: wait some minutes{another_gateway}. "
        "See what this says: {log_in}",
    ),
    (
        _CLOSED_BEHIND,
        "{node} ends the connection before the login. Too many log in at once (MaxStartups in its sshd), it has "
        "banned the gateway for a while, or your account is locked: wait some minutes. See what this says: {log_in}",
    ),
    (r"", "The login to {node} through {gateway} fails. See what this says: {log_in}"),
)
#: What it means instead where no gateway is on the way.
_DIRECTLY = {
    _DENIED: "{node} does not let you in. Is my_user in inventory/group_vars/all/me.yml right, and your key known "
    "there{key}? Where a login asks you for something, set my_login: prompt there. See what this says: {log_in}",
    _UNKNOWN: "This machine does not find {node}. Check the network (a VPN?), and its name among the hosts of the "
    "cluster's inventory file.",
    _UNREACHED: "{node} cannot be reached. Check the network (a VPN?); it may be down or rebooting: see the cluster's "
    "status page. On a slow network: -e my_patience=3",
    _CLOSED: "{node} ends the connection before the login. Too many log in at once (MaxStartups in its sshd), it has "
    "banned your address for a while, or your account is locked: wait some minutes. See what this says: {log_in}",
    "": "The login to {node} fails. See what this says: {log_in}",
}
_DIRECTLY[_CLOSED_BEHIND] = _DIRECTLY[_CLOSED]
#: From which of them on nobody has said what is wrong, so that what others than ssh said counts more.
_VAGUE = (_CLOSED, _CLOSED_BEHIND, "")

#: What `ssh -v` says of itself. Some of it tells how far it came, and is kept, without the mark of its kind.
_KEPT = re.compile(r"^debug1: (?=Connecting to |Executing proxy command: )", re.MULTILINE)
_CHATTER = re.compile(
    r"^(debug\d: .*|OpenSSH_.*|Transferred: sent .*|Bytes per second: .*|Killed by signal 1\.)(\n|$)", re.MULTILINE
)
#: ssh's own lines, beside which a proxy's or a host's words are somebody else's.
_SSH_S_OWN = re.compile(
    r"^(Connecting to |Executing proxy command: |Authenticated to |(kex|ssh)_exchange_identification: "
    r"|banner exchange: |Connection (closed|reset|to) |ssh: |Warning: Permanently added |\*\* |\s*$)"
)


def _somebody_s_words(text: str) -> str:
    """Return what others than ssh said, the last of it, or an empty string."""
    lines = [line.strip() for line in text.splitlines() if not _SSH_S_OWN.match(line)]
    return lines[-1] if lines else ""


def _own_proxy(text: str) -> str:
    """Return the command that the person's own ssh_config goes by, where nothing came of it, or an empty string."""
    # One that ssh makes of a ProxyJump has the host in brackets.
    own = [
        command
        for command in re.findall(r"^Executing proxy command: exec (.*)", text, re.MULTILINE)
        if not re.search(r" -W '\[", command)
    ]
    return str(own[-1]).replace("{", "{{").replace("}", "}}") if own and "Authenticated to " not in text else ""


def _gateway(text: str, gateways: Sequence[str]) -> str:
    """Name the one on the way that a message is about: the first that has not let this in yet, where ssh tells."""
    waiting = [name for name in gateways if f"\nAuthenticated to {name} " not in f"\n{text}"]
    return waiting[0] if 0 < len(waiting) < len(gateways) else " or ".join(gateways)


def _where(text: str, position: int, node: str, gateway: str) -> str:
    """Name the host that said something, by what was said before and after it."""
    # What the gateway says when it is asked by itself.
    if "forwards nowhere" in text[position:]:
        return gateway
    # It let this in now; or before, where ssh goes by way of it and does not call it.
    by_open_connection = re.search(r"^Executing proxy command: .* -W '\[", text, re.MULTILINE) and (
        "Connecting to " not in text
    )
    if by_open_connection or "\nAuthenticated to " in f"\n{text[:position]}":
        return node
    gave_up = r"Connection closed by (?!UNKNOWN|remote)|_exchange_identification: Connection closed|forwarding failed"
    return gateway if re.search(gave_up, text[position:]) else f"{gateway} or {node}"


def ssh_hops(way: str | Sequence[str | Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Say of each host on the way to a login node what the inventory says.

    Args:
        way: the gateway's name, or the hosts in their order: names, or dictionaries of ``host``, ``user`` and ``port``.

    Returns:
        Dictionaries of these three; ``""`` and ``0`` where the inventory does not say one.
    """
    hops = [way] if isinstance(way, str) else list(way)
    said = [{"host": str(hop)} if isinstance(hop, str) else dict(hop) for hop in hops]
    return [{"host": hop["host"], "user": hop.get("user", ""), "port": int(hop.get("port", 0))} for hop in said]


def ssh_failure(
    said: str,
    *,
    node: str,
    gateways: Sequence[str],
    log_in: str,
    other_gateways: Sequence[str] = (),
    pinned: bool = False,
) -> str:
    """Say in one line what a failed ssh connection means, and what to do.

    Args:
        said: what ssh printed, all hops together, with or without ``-v``.
        node: the login node's name.
        gateways: the names of the hosts on the way there, in their order.
        log_in: the command that a person logs in with.
        other_gateways: the names of those that can take the gateway's place.
        pinned: whether the cluster's inventory file has host keys.

    Returns:
        One line that names the host and the remedy, with the telling line of ssh at its end.
    """
    text = _CHATTER.sub("", _KEPT.sub("", str(said).replace("\r", "")))
    says: Sequence[tuple[str, str]] = _SSH_SAYS
    if not gateways:
        says = tuple((pattern, _DIRECTLY.get(pattern, meaning)) for pattern, meaning in says)
    gateway = _gateway(text, gateways) or node
    if pinned:
        # They alone are accepted, by their types, too.
        says = ((r"no matching host key type|" + says[0][0], says[0][1]), *says[1:])
    pattern, found, meaning = next(
        (pattern, match, words) for pattern, words in says if (match := re.search(pattern, text))
    )
    start = found.start("line") + 1 if found.groupdict().get("line") else found.start()
    line = text[text.rfind("\n", 0, start) + 1 :].partition("\n")[0]
    if pattern in _VAGUE:
        line = " / ".join(filter(None, (_somebody_s_words(text), line)))
        proxy = _own_proxy(text)
        if proxy:
            meaning = "The way to {node} by the ProxyCommand in your ssh_config fails. Try it by itself: " + proxy
    missing = re.search(r"no such identity: (.*?): ", text)
    names = {
        "node": node,
        "gateway": gateway,
        "log_in": log_in,
        "another_gateway": f", or take another gateway: -e my_gateway={other_gateways[0]}" if other_gateways else "",
        "where": _where(text, found.start(), node, gateway),
        "or_down": "; or it leads to other nodes alone, and this one is down" if found[0] == "forwards nowhere" else "",
        "key": f" (ssh finds no {missing[1]})" if missing else "",
    }
    said_so = meaning.format(**names).replace(f"{node} or {node}", node)
    return f"{said_so} (ssh: {line.strip(' @') or 'no message'})"


def port_holder(listing: str) -> str:
    """Name the program that listens on a port.

    Args:
        listing: what ``ss -Hltnp`` or ``lsof -nP -iTCP:PORT -sTCP:LISTEN`` printed for that port; before it, each after
            ``ssh: ``, what ``ssh -O check`` printed of the connection that the tunnel goes by.

    Returns:
        The program and its process number; ``"that connection"`` where it is the connection itself; ``"another
        program"`` where the listing does not show which (it shows one's own processes only); an empty string where
        nobody listens.
    """
    rows = "\n".join(line for line in str(listing).splitlines() if not line.startswith("ssh: ")).strip()
    if not rows:
        return ""
    from_ss = re.search(r'\(\("([^"]+)",pid=(\d+)', rows)
    from_lsof = re.search(r"^(?!COMMAND)(\S+)\s+(\d+)\s", rows, re.MULTILINE)
    found = from_ss or (None if "LISTEN 0" in rows else from_lsof)
    if found and f"Master running (pid={found[2]})" in str(listing):
        return "that connection"
    return f"{found[1]} (process {found[2]})" if found else "another program"


#: ssh_config's names for the types of host keys, as ``ssh-keygen -l`` names them.
_HOST_KEY_ALGORITHMS = {
    "ED25519": "ssh-ed25519",
    "ECDSA": "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521",
    "RSA": "rsa-sha2-512,rsa-sha2-256",
}
#: A known_hosts would go before it. ssh hides what it says of a gateway, so this tells the terminal, where there is
#: one.
_KNOWN_HOST = (
    '/bin/sh -c \'case $1 in NONE) exit ;; {keys}) echo "$2 $3 $4"; exit ;; esac; '
    'say="{host} shows the host key $3 $1, which is not in cluster_host_keys: do not log in before you know why."; '
    '{{ echo "$say" >/dev/tty; }} 2>/dev/null || echo "$say" >&2\' known_host %f %H %t %K'
)


def _host_key(host: str, host_keys: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the settings that accept the keys that the cluster publishes for a host, and no other."""
    keys = [key.split() for key in host_keys.get(host, ())]
    if not keys:
        return []
    types = dict.fromkeys(kind for kind, _ in keys)
    command = _KNOWN_HOST.format(host=host, keys="|".join(digest for _, digest in keys))
    return [
        "# The key that the cluster publishes, and no other.",
        "StrictHostKeyChecking yes",
        "UserKnownHostsFile none",
        "GlobalKnownHostsFile none",
        "FingerprintHash sha256",
        f"HostKeyAlgorithms {','.join(_HOST_KEY_ALGORITHMS[kind] for kind in types)}",
        f"KnownHostsCommand {command}",
    ]


def _word(text: str) -> str:
    """Return a path as ssh_config has it: in quotes, where a blank would end it, or an apostrophe begin another one."""
    return f'"{text}"' if re.search(r"[\s']", text) else text


def _block(host: str, settings: Sequence[str]) -> str:
    return "".join([f"Host {host}\n", *(f"    {setting}\n" for setting in settings)])


def ssh_way_in(
    own: Mapping[str, Mapping[str, str]],
    *,
    nodes: Sequence[str],
    hops: Sequence[Mapping[str, Any]],
    user: str,
    port: int,
    control_path: str,
    persist: str,
    connect_timeout: int,
    host_keys: Mapping[str, Sequence[str]],
) -> str:
    """Say in ssh_config's words how the way to the login nodes is, beside what the user's own says of the same hosts.

    Args:
        own: of each host, the nodes last, what ``ssh -G`` says by the user's own configuration alone; ``user`` is
            ``""`` where that says none.
        nodes: the cluster's login nodes.
        hops: the hosts on the way there, in their order, as ``ssh_hops`` has them.
        user: the user name on the nodes, and on a hop for which nobody says one; ``""`` leaves it to the user's own
            configuration.
        port: the port of the nodes' sshd; ``0`` leaves it to the user's own configuration.
        control_path: where the sockets of open connections are, as ssh_config's ``ControlPath``.
        persist: how long a connection stays open after its last use, as ssh_config's ``ControlPersist``.
        connect_timeout: how long the first host may take to answer, in seconds.
        host_keys: the keys that a host must show, where the cluster publishes them: a type and a SHA-256 fingerprint.

    Returns:
        A block for each host.
    """
    ways = {host: (options["proxyjump"] + options["proxycommand"]) for host, options in own.items()}
    ends = [{"host": node, "user": user, "port": port} for node in nodes]
    before = {hop["host"]: last["host"] for end in ends for last, hop in pairwise([*hops, end])}
    said = {hop["host"]: hop for hop in [*hops, *ends]}
    first = [*hops, *ends][0]["host"]
    text = (
        "# Connections to these hosts share one login a hop. What your own ssh_config says of them is left out here, "
        "and counts.\n"
    )
    for host, options in own.items():
        hop = said.get(host, {"user": "", "port": 0})
        # What the inventory says, else the user's own configuration, else what they are called on the node.
        name = hop["user"] or ("" if options["user"] else user)
        settings = [f"User {name}"] if name else []
        settings += [f"Port {hop['port']}"] if hop["port"] else []
        # A proxy that the first one has too is the way out of this network, not the way to this host.
        if host in before and ways[host] in ("", ways[first]):
            settings.append(f"ProxyJump {before[host]}")
            # Of another proxy, that of the way out, which hands over what it has opened; this one does not.
            settings += ["ProxyUseFdpass no"] if options.get("proxyusefdpass") == "yes" else []
        settings += ["ControlMaster auto"] if options.get("controlmaster") == "false" else []
        settings += [] if options["controlpath"] else [f'ControlPath "{control_path}"']
        settings += [f"ControlPersist {persist}"] if options.get("controlpersist") == "no" else []
        # That of a host further on would run while one before it waits for a person to answer.
        if host not in before and options.get("connecttimeout") == "none":
            settings.append(f"ConnectTimeout {connect_timeout}")
        if options.get("serveraliveinterval") == "0":
            settings += ["ServerAliveInterval 15", "ServerAliveCountMax 4"]
        text += _block(host, [*settings, *_host_key(host, host_keys)])
    return text


def ssh_jumps(hops: Sequence[Mapping[str, Any]], *, own: Mapping[str, Mapping[str, str]], user: str) -> list[str]:
    """Say where ssh jumps, where nothing of the way is written.

    Args:
        hops: the hosts on the way, as ``ssh_hops`` has them.
        own: of each, what ``ssh -G`` says by the user's own configuration, as ``ssh_way_in`` has it.
        user: what the user is called on one for which nobody says it; or ``""``.

    Returns:
        What ``ProxyJump`` takes, one of each host.
    """
    names = [hop["user"] or ("" if own[hop["host"]]["user"] else user) for hop in hops]
    return [
        (f"{name}@" if name else "") + hop["host"] + (f":{hop['port']}" if hop["port"] else "")
        for name, hop in zip(names, hops, strict=True)
    ]


#: First the connection's own process, as `ssh: Master running (pid=7)`. Where ss is missing (macOS), lsof is there.
_WHO_LISTENS = (
    'port=$1; shift; "$@" 2>&1 | sed "s/^/ssh: /"; '
    'ss -Hltnp "sport = :$port" 2>/dev/null || lsof -nP -iTCP:"$port" -sTCP:LISTEN'
)


def ssh_local_port(written: str, alias: str) -> str:
    """Say where a tunnel begins that is written already.

    Args:
        written: an ssh_config of ours.
        alias: the tunnel's name.

    Returns:
        The port on this machine, or an empty string.
    """
    found = re.search(rf"(?s)\nHost {re.escape(alias)}\n.*?LocalForward 127[.]0[.]0[.]1:([0-9]+)", written)
    return found[1] if found else ""


def ssh_tunnel(
    now: Mapping[str, Mapping[str, str]],
    *,
    endpoint: Mapping[str, str],
    hops: Sequence[Mapping[str, Any]],
    host_keys: Mapping[str, Sequence[str]],
    alias: str,
    url: str,
    listen: Sequence[str],
    port: int,
    written: str,
    close: Sequence[str],
) -> dict[str, Any]:
    """Say what the tunnel is, in ssh_config's words, and what opens it.

    Args:
        now: what ``ssh -G`` says of the node and of the hosts on the way there, by name.
        endpoint: where it leads: ``host``, ``kind`` (socket, loopback or network) and ``address``.
        hops: the hosts on the way, in their order, as ``ssh_hops`` has them.
        host_keys: as ``ssh_way_in`` has them.
        alias: the tunnel's name, for ``ssh -N``.
        url: what is at its other end.
        listen: the addresses on this machine where it begins.
        port: the port there.
        written: what our ssh_config has in it.
        close: the command that closes a tunnel which is written there.

    Returns:
        ``block``, the text; ``is_written``, whether that is in the ssh_config; ``open``, a list of commands, of which
        the first closes a tunnel from the same port to another endpoint, where one is written; ``cancel``, the
        command that closes what they open; and ``who``, the one
        that lists who listens there, for ``port_holder``.
    """
    # It leaves ssh at the server's host, or, as in the tutorial, at the gateway in front of it.
    way = [endpoint["host"], *(hop["host"] for hop in hops)]
    end = way[-1] if endpoint["kind"] == "network" else way[0]
    effective = now[end]
    proxy = (
        [f"ProxyJump {effective['proxyjump']}"]
        if effective["proxyjump"]
        else [f"ProxyCommand {effective['proxycommand']}"]
        if effective["proxycommand"]
        else []
    )
    forwards = [(f"{begin}:{port}", endpoint["address"]) for begin in listen]
    block = f"# ssh -N {alias}, then {url}\n" + _block(
        alias,
        [
            f"HostName {end}",
            "# As for the real name: ssh would take the first from `Host *`, and some have the real name in them.",
            f"User {effective['user']}",
            f"Port {effective['port']}",
            *proxy,
            "ControlMaster auto",
            f'ControlPath "{effective["controlpath"]}"',
            *_host_key(end, host_keys),
            "# Makes ssh read the blocks of the real name too, for all the rest.",
            "CanonicalizeHostname yes",
            *(f"LocalForward {begin} {_word(address)}" for begin, address in forwards),
            "ExitOnForwardFailure yes",
            "# A `Host *` may have these otherwise, and then nothing would be forwarded, ssh would give up, or run a",
            "# command.",
            "ClearAllForwardings no",
            "Tunnel no",
            "RemoteCommand none",
        ],
    )
    # By the connection's socket alone: with the user's ssh_config, ssh would ask for their forwardings, too.
    control = ["ssh", "-F", "none", "-S", effective["controlpath"], "-O"]
    arguments = [word for begin, address in forwards for word in ("-L", f"{begin}:{address}")]
    is_written = block in written
    # It would keep the local port.
    moved = not is_written and ssh_local_port(written, alias) == str(port)
    return {
        "block": block,
        "is_written": is_written,
        "open": [*([list(close)] if moved else []), [*control, "forward", *arguments, end]],
        "cancel": [*control, "cancel", *arguments, end],
        "who": ["sh", "-c", _WHO_LISTENS, "sh", str(port), *control, "check", end],
    }


class FilterModule:
    """Filters for the ssh_tunnel role."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "port_holder": port_holder,
            "ssh_failure": ssh_failure,
            "ssh_hops": ssh_hops,
            "ssh_jumps": ssh_jumps,
            "ssh_local_port": ssh_local_port,
            "ssh_tunnel": ssh_tunnel,
            "ssh_way_in": ssh_way_in,
        }
