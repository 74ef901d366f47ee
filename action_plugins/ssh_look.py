"""Looks at what this machine's ssh makes of gateway and login node, and at which of its shared connections are open."""

from __future__ import annotations

import contextlib
import re
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

#: ssh logs in by itself where a connection ends while it is asked, even to end it; and with `ControlMaster yes` it does
#: not ask any.
NO_LOGIN = ("-o", "ProxyCommand=false", "-o", "BatchMode=yes", "-o", "ControlMaster=no")

#: ssh takes the first user that it reads, and would fill in that of this machine where it reads none.
NOBODY = "nobody-says"
UNSAID = f"\nMatch all\nUser {NOBODY}\n"

#: What a command needs, by the names of `ssh -G`: a session, in the foreground, with an input.
NEEDED = {
    "sessiontype": "SessionType=default",
    "forkafterauthentication": "ForkAfterAuthentication=no",
    "stdinnull": "StdinNull=no",
}

#: How long ssh may take to read its configuration, which may run programs of the user's, in seconds.
READING = 10.0
#: How long an open connection takes to answer where all is well, in seconds.
AT_ONCE = 0.2


def options_in(listing: str) -> dict[str, str]:
    """Read the options that ssh uses for a host.

    Args:
        listing: what ``ssh -G HOST`` printed, a line an option: its name in small letters, a blank, its value.

    Returns:
        The options by name. Of one that may be there several times, such as ``identityfile``, the first. ssh leaves
        out a proxy and a ControlPath that are not set; they are empty here.
    """
    options: dict[str, str] = {}
    for line in listing.splitlines():
        name, _, value = line.partition(" ")
        options.setdefault(name, value)
    return {"proxyjump": "", "proxycommand": "", "controlpath": "", "user": ""} | options


def _is_open(state: Future[str]) -> bool:
    try:
        return state.result(AT_ONCE) == "open"
    except (OSError, TimeoutError):
        return False


def _own(options: dict[str, str]) -> dict[str, str]:
    """Take what the user's own configuration does not say out of what ssh makes of it."""
    return {**options, "user": "" if options["user"] == NOBODY else options["user"]}


@dataclass(frozen=True)
class Ssh:
    """This machine's ssh, with the user's configuration."""

    #: The program and the options that choose the configuration.
    command: Sequence[str]
    #: The user's ssh_config, and the line in it that includes ours.
    config: Path
    include: str
    #: Whether ssh reads the system's configuration behind it.
    system: bool
    #: How long a host may take to answer, in seconds.
    patience: float

    def look(
        self,
        node: str,
        hops: Sequence[str],
        gateways: Sequence[str],
        close: bool,
        pinned: bool,
        nodes: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Ask for everything at the same time; close what is dead afterwards, one after the other.

        Args:
            node: the login node, by its name.
            hops: the hosts on the way there, in their order.
            gateways: all hosts on this way and others.
            close: close connections that are dead, unless the node's own is open.
            pinned: ask for the version, too.
            nodes: all login nodes of the cluster, where it has several.

        Returns:
            As ``DOCUMENTATION`` has it.
        """
        hosts = list(dict.fromkeys([*gateways, *nodes, node]))
        nothing = options_in("")
        found: dict[str, Any] = {
            "problem": "", "slow": 0, "version": "", "mistake": "", "options": [], "states": {node: "closed"},
            "own": dict.fromkeys(hosts, nothing), "now": dict.fromkeys([node, *hops], nothing),
        }  # fmt: skip
        try:
            self._look(found, node, hops, pinned, nodes or [node])
        except subprocess.TimeoutExpired as error:
            found["slow"] = round(error.timeout)
        except OSError as error:
            found["problem"] = str(error)
        for host in found["states"]:
            if close and found["states"][node] != "open" and found["states"][host] == "dead":
                self._close(host, Path(found["now"][host]["controlpath"]))
        return found

    def _look(self, found: dict[str, Any], node: str, hops: Sequence[str], pinned: bool, nodes: Sequence[str]) -> None:
        with (
            tempfile.NamedTemporaryFile("w", prefix="ssh_config-", errors="surrogateescape") as without,
            ThreadPoolExecutor(16) as pool,
        ):
            without.write(self._without_ours())
            without.flush()
            own = {host: pool.submit(self._ask, "-F", without.name, "-G", host) for host in found["own"]}
            now = {host: pool.submit(self._run, *self.command, "-G", host) for host in found["now"]}
            states = {node: pool.submit(self._state, node)}
            # Where the node's connection is open, the others' answer by it; else all have their time at once.
            if not _is_open(states[node]):
                states |= {hop: pool.submit(self._state, hop) for hop in hops}
            version = pool.submit(self._version) if pinned else None
            found["states"] = dict.fromkeys(states, "closed")
            found["states"] = {host: state.result() for host, state in states.items()}
            found["own"] = {host: _own(options_in(listing.result().stdout)) for host, listing in own.items()}
            found["now"] = {host: options_in(listing.result().stdout) for host, listing in now.items()}
            found["version"] = version.result() if version else ""
            understood = now[node].result()
            found["options"] = self._needed(understood)
            if not re.search(r"^hostname ", understood.stdout, re.MULTILINE):
                found["mistake"] = (understood.stderr.splitlines() or ["it says nothing"])[0]
            for one in nodes:
                if not (own_path := found["own"][one]["controlpath"]):
                    continue
                # Newer OpenSSH mixes the jump host into %C, and Ansible goes without one where only the user logs in.
                moved = self._ask("-F", without.name, "-o", "ProxyJump=another", "-G", one)
                if options_in(moved.stdout)["controlpath"] != own_path:
                    found["own"][one]["controlpath"] = ""

    def _without_ours(self) -> str:
        """Return what the user's own configuration says; with -F, ssh would leave the system's out."""
        with contextlib.suppress(OSError):
            lines = self.config.read_text(errors="surrogateescape").split("\n")
            text = "\n".join(line for line in lines if self.include not in line)
            return f"{text}\n{self._system()}{UNSAID}"
        return f"{self._system()}{UNSAID}"

    def _system(self) -> str:
        return "\nMatch all\nInclude /etc/ssh/ssh_config\n" if self.system else ""

    def _run(self, *arguments: str, seconds: float = 0) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="surrogateescape",
            timeout=seconds or max(READING, 4 * self.patience), check=False,
        )  # fmt: skip

    def _ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run(self.command[0], *arguments)

    def _version(self) -> str:
        said = self._ask("-V").stderr
        found = re.search(r"OpenSSH_(\d+[.]\d+)", said)
        return found[1] if found else said.strip()

    def _state(self, host: str) -> str:
        """Ask one host for something that it refuses: a connection to a port where nobody listens.

        `ssh -O check` only asks whether the process is there, which on a dead network it is for a minute yet. This
        needs no session, which may be all in use, and starts no shell, which may take its time. And this ssh cannot log
        in: without an open connection, its way to the host is a program that fails.
        """
        try:
            asked = self._run(
                *self.command, *NO_LOGIN, "-o", "LogLevel=ERROR", "-W", "localhost:1", host, seconds=self.patience
            )
        except subprocess.TimeoutExpired:
            return "dead"
        return "open" if asked.returncode == 0 or "orwarding" in asked.stderr else "closed"

    def _close(self, host: str, socket: Path) -> None:
        """Close a dead one, which may have ended in between.

        One that stands still itself, such as an ssh that was suspended, hears nothing. Without its socket, another one
        can open.
        """
        try:
            self._run(*self.command, *NO_LOGIN, "-O", "exit", host, seconds=self.patience)
        except subprocess.TimeoutExpired:
            if socket.is_socket():
                socket.unlink(missing_ok=True)

    @staticmethod
    def _needed(asked: subprocess.CompletedProcess[str]) -> list[str]:
        """Return the options that a command needs, where the user's configuration has others.

        An older ssh does not know them, and so does not list them.
        """
        found = options_in(asked.stdout)
        if "fork into background" in asked.stderr:
            # ssh shows nothing then: it has no command that it could leave there.
            found["forkafterauthentication"] = "yes"
        usual = {name: option.partition("=")[2] for name, option in NEEDED.items()}
        return [option for name, option in NEEDED.items() if found.get(name, usual[name]) != usual[name]]


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types.
    """The task ``ssh_look``."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Look, in the process of the task: it starts ssh, and no other Python."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given: Callable[[str], Any] = self._task.args.__getitem__
        try:
            ssh = Ssh(
                given("ssh"),
                Path(given("config")),
                given("include"),
                boolean(given("system")),
                float(given("patience")),
            )
            found = ssh.look(
                given("node"), given("hops"), given("gateways"), boolean(given("close")), boolean(given("pinned")),
                given("nodes"),
            )  # fmt: skip
        except KeyError as missing:
            raise AnsibleError(f"ssh_look needs {missing}.") from missing
        return {**result, **found, "changed": False}
