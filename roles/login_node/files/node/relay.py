"""The way from this node into the job: a relay at our socket, over one step of the job, and commands through it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from typing import Any

from node import programs
from node.folder import Failure, Folder, make_private, put
from node.keepers import Keeper
from node.logind import keeps
from node.processes import Process, processes

#: The program that the keeper runs, and its own folder, with its keys.
PROGRAM, OWN = "jupyter_cluster_relay.py", "run/relay"
#: Its master connection. Paths in that folder are short where they are used: a socket's name may have 107 bytes.
CONTROL = "control"
MARK = "\njupyter-on-a-cluster-program\n"
#: What the compute node's sshd is told: nobody but the relay's key, which may forward to a socket, and run a command.
SSHD = """\
HostKey "{here}/host_key"
AuthorizedKeysFile "{there}/authorized_keys"
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitTTY no
PermitUserRC no
X11Forwarding no
AllowAgentForwarding no
PermitTunnel no
AllowTcpForwarding local
AllowStreamLocalForwarding local
"""


def relays(folder: Folder) -> list[Process]:
    """Return the relays of this folder that run on this node."""
    # python -E -s PROGRAM SOCKET; a keeper has it further on.
    return [one for one in processes().values() if "".join(one.words[3:4]).endswith(f"{folder.end}/{PROGRAM}")]


def make_keys(folder: Folder) -> None:
    """Make the relay's keys, once: one for each end of it, in a private folder."""
    here = folder.file(OWN)
    make_private(here)
    for name in ("host_key", "key"):
        path = os.path.join(here, name)
        if not (os.path.exists(path) and os.path.exists(f"{path}.pub")):
            for old in (path, f"{path}.pub"):
                if os.path.lexists(old):
                    os.unlink(old)
            made = programs.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20,
            )  # fmt: skip
            if made.returncode:
                raise Failure(f"ssh-keygen makes no key: {' '.join(made.stdout.decode(errors='replace').split())}")
    public = {name: _public(os.path.join(here, f"{name}.pub")) for name in ("host_key", "key")}
    texts = {
        "known_hosts": f"job {public['host_key']}\n",
        "authorized_keys": f"restrict,port-forwarding {public['key']}\n",
        "sshd_config": SSHD.format(here=here, there=here.replace("%", "%%")),
    }
    for name, text in texts.items():
        put(os.path.join(here, name), text.encode(), 0o600)


def _public(path: str) -> str:
    with open(path) as file:
        return " ".join(file.read().split()[:2])


def begin(folder: Folder, by: Keeper, address: str) -> bool:
    """Have a relay at a socket, kept by this node's keeper, where none runs; tell whether one was begun."""
    if relays(folder):
        return False
    make_keys(folder)
    by.within = keeps(folder, by.needs_lingering)
    libraries = [f"LD_LIBRARY_PATH={programs.LIBRARY_PATH[0]}"] if programs.LIBRARY_PATH else []
    by.start(["env", *libraries, sys.executable, "-E", "-s", folder.file(PROGRAM), address])
    return True


def stop(folder: Folder, by: Keeper, seconds: float) -> list[int]:
    """End it; return those that stay."""
    return by.end([one.pid for one in relays(folder)], seconds)


class Silent(Failure):
    """Nothing leads into the job yet, or any more."""


def run_there(folder: Folder, there: dict[str, Any], command: str, data: dict[str, Any], seconds: float) -> Any:
    """Run one of this program's commands in the job, by the relay's connection; return what it says.

    `there` is the record of the server in it. Silent where nothing leads there.
    """
    if not os.path.exists(folder.file(f"{OWN}/{CONTROL}")):
        raise Silent("Nothing leads into the job yet.")
    main: Any = sys.modules["__main__"]
    sent = {"program": main.SENT["program"], "folder": folder.path, "command": command, "data": data}
    own = Process(os.getpid()).words
    words = [there["python"], "-c", own[own.index("-c") + 1]]
    if there.get("library_path"):
        words = ["env", f"LD_LIBRARY_PATH={there['library_path']}", *words]
        sent["library_path"] = True
    ssh = [shutil.which("ssh") or "ssh", "-F", "none", "-S", CONTROL, "-o", "BatchMode=yes", "-o", "ProxyCommand=false"]
    srun = [
        shutil.which("srun") or "srun", f"--jobid={there['job']}", "--overlap", "--nodes=1", "--ntasks=1", "--quiet",
        "--unbuffered", "--chdir=/",
    ]  # fmt: skip
    # Where the node lets nobody log in (nologin), its sshd forwards, and runs nothing: that costs a step of its own.
    for way in ([*ssh, "-T", "job", " ".join(map(shlex.quote, words))], [*srun, *words]):
        try:
            done = subprocess.run(
                way, input=json.dumps(sent).encode(), capture_output=True, timeout=seconds, cwd=folder.file(OWN),
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise Silent(f"The job does not answer within {seconds:.0f} s.") from None
        except FileNotFoundError:
            continue
        _, mark, said = done.stdout.decode(errors="replace").rpartition(MARK)
        if mark:
            break
    else:
        raise Silent("Nothing leads into the job.")
    if done.returncode != 0:
        raise Failure(*said.strip().splitlines(), status=done.returncode)
    return json.loads(said.splitlines()[0])


def said(folder: Folder, number: int) -> str:
    """Return the last that the relay has noted of a job, of srun first, in a sentence with the remedy."""
    lines = [line.split(" ", 1)[-1] for line in folder.lines(f"{OWN}/log", 10**5)]
    first = next(
        (place for place, line in enumerate(lines) if line.startswith(f"leads into job {number} ")), len(lines)
    )
    lines = lines[first + 1 :]
    what = ([line for line in lines if line.startswith("srun: ")] or lines or ["nothing"])[-1]
    return (
        f"The relay says: {what}. Whether `srun` leads from this node into a job, or an ssh to its node "
        "(cluster_way_in), the cluster's support knows."
    )
