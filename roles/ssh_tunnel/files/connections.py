"""Say which of ssh's shared connections are open: connections.py look|close SECONDS SSH... -- NODE GATEWAY.

Prints a JSON object. `states` has each host's: `open`, `closed`, or `dead`, which is one that looked open and answered
nothing for so many seconds: it may be dead, or stall for a while. `close` closes the dead ones, unless the node's own
is open; `look` leaves them, since what else uses them may go on. `options` are those with which ssh runs a command on
the node after all, where the person's own ssh_config keeps it from that; they are there only where it does, since an
older ssh does not know them. `problem` says what keeps ssh from being asked at all.

`ssh -O check` only asks whether the process is there, which on a dead network it is for a minute yet. So this asks the
host itself for something that it refuses: a connection to a port where nobody listens. That needs no session, which
may be all in use, and starts no shell, which may take its time. And this ssh cannot log in: without an open connection,
its way to the host is a program that fails.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

#: ssh logs in by itself where a connection ends while it is asked, even to end it; and with `ControlMaster yes` it does
#: not ask any.
NO_LOGIN = ("-o", "ProxyCommand=false", "-o", "BatchMode=yes", "-o", "ControlMaster=no")

#: What a command needs, by the names of `ssh -G`: a session, in the foreground, with an input.
NEEDED = {
    "sessiontype": "SessionType=default",
    "forkafterauthentication": "ForkAfterAuthentication=no",
    "stdinnull": "StdinNull=no",
}


@dataclass
class Connections:
    """The shared connections, as an ssh with this person's configuration finds them."""

    ssh: list[str]
    #: How long a host may take to answer, in seconds.
    patience: float

    def state(self, host: str) -> str:
        """Ask one host."""
        try:
            asked = subprocess.run(
                [*self.ssh, *NO_LOGIN, "-o", "LogLevel=ERROR", "-W", "localhost:1", host],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=self.patience,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return "dead"
        return "open" if asked.returncode == 0 or b"orwarding" in asked.stderr else "closed"

    def close(self, host: str) -> None:
        """Close a dead one, which may have ended in between, or stand still itself."""
        command = [*self.ssh, *NO_LOGIN, "-O", "exit", host]
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(command, capture_output=True, timeout=self.patience, check=False)

    def needed(self, host: str) -> list[str]:
        """Return the options that a command on a host needs, where the person's configuration has others."""
        asked = subprocess.run(
            [*self.ssh, "-G", host], capture_output=True, text=True, timeout=self.patience, check=False
        )
        found = dict(line.partition(" ")[::2] for line in asked.stdout.splitlines())
        if "fork into background" in asked.stderr:
            # ssh shows nothing then: it has no command that it could leave there.
            found["forkafterauthentication"] = "yes"
        return [
            option
            for name, option in NEEDED.items()
            if found.get(name, option.partition("=")[2]) != option.partition("=")[2]
        ]


def main() -> None:
    """Ask all at the same time; close one after the other, in their order."""
    task, seconds, *ssh = sys.argv[1 : sys.argv.index("--")]
    hosts = sys.argv[sys.argv.index("--") + 1 :]
    connections = Connections(ssh, float(seconds))
    try:
        with ThreadPoolExecutor(len(hosts) + 1) as pool:
            options = pool.submit(connections.needed, hosts[0])
            states = dict(zip(hosts, pool.map(connections.state, hosts), strict=True))
        found = {"states": states, "options": options.result()}
    except (OSError, subprocess.TimeoutExpired) as error:
        json.dump({"states": dict.fromkeys(hosts, "closed"), "options": [], "problem": str(error)}, sys.stdout)
        return
    for host in hosts:
        if task == "close" and states[hosts[0]] != "open" and states[host] == "dead":
            connections.close(host)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
