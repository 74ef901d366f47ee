"""Say which of ssh's shared connections are open, and close the dead ones: connections.py SSH... -- HOST...

Prints a JSON object of the hosts: `open`, `closed`, or `dead`, which is one that looked open and answered nothing more.

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

#: How long a host may take to answer, in seconds.
PATIENCE = 2.5

#: ssh logs in by itself where a connection ends while it is asked, even to end it.
NO_LOGIN = ("-o", "ProxyCommand=false", "-o", "BatchMode=yes")


def state(ssh: list[str], host: str) -> str:
    """Ask one host."""
    try:
        asked = subprocess.run(
            [*ssh, *NO_LOGIN, "-o", "LogLevel=ERROR", "-W", "localhost:1", host],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "dead"
    return "open" if asked.returncode == 0 or b"orwarding" in asked.stderr else "closed"


def close(ssh: list[str], host: str) -> None:
    """Close a dead one, which may have ended in between, or stand still itself."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run([*ssh, *NO_LOGIN, "-O", "exit", host], capture_output=True, timeout=PATIENCE, check=False)


def main() -> None:
    """Ask all hosts at the same time; close one after the other, in their order."""
    separator = sys.argv.index("--")
    ssh, hosts = sys.argv[1:separator], sys.argv[separator + 1 :]
    with ThreadPoolExecutor(len(hosts)) as pool:
        states = dict(zip(hosts, pool.map(lambda host: state(ssh, host), hosts), strict=True))
    for host in hosts:
        if states[host] == "dead":
            close(ssh, host)
    json.dump(states, sys.stdout)


if __name__ == "__main__":
    main()
