"""Lead from a socket on the login node into the job that the server runs in: python relay.py SOCKET

The keeper on the login node runs it, where the server is in a job of Slurm's. It is an ssh over one step of the job
(srun), to an sshd there that belongs to the user and takes no other key than the relay's, so that nothing listens but
the socket. It looks at files in its folder, which the server in the job writes, and seldom at Slurm: centres forbid
programs that ask it all the time. It ends with the job.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
OWN = os.path.join(HERE, "run", "relay")
LOG, LARGEST = os.path.join(OWN, "log"), 20000
#: How often it is looked whether the server has begun, how often Slurm is asked meanwhile, at first once one has been
#: there, and how long a new beginning may be put off, in seconds.
LOOK, ASK, FIRST, LONGEST = 0.5, 300.0, 5.0, 60.0
#: How long the server's record may be away, in seconds: it writes it again where somebody has taken it.
GONE_FOR = 20.0
#: What srun says of a job that is not there any more.
GONE = re.compile(r"[Ii]nvalid job id|has expired|already completed|Job/step already completing")


def say(text: str) -> None:
    """Note something, for the next run, and for whoever looks at the session."""
    line = time.strftime("%H:%M:%S ") + text
    # A full disk, or a terminal that has gone, ends no way into a job.
    with contextlib.suppress(OSError):
        print(line, flush=True)
    # Bounded: what matters is at its end.
    with contextlib.suppress(OSError), open(LOG, "a+") as log:
        if log.tell() > LARGEST:
            log.truncate(0)
        log.write(line + "\n")


def read(name: str) -> dict[str, Any]:
    """Return a record in our folder; nothing where there is none that makes sense."""
    with contextlib.suppress(OSError, ValueError):
        # A pipe would not end.
        with open(os.open(os.path.join(HERE, "run", name), os.O_RDONLY | os.O_NONBLOCK)) as file:
            found = json.load(file)
        if isinstance(found, dict):
            return found
    return {}


def server_of(number: int) -> dict[str, Any]:
    """Return what the server in a job has written down; nothing where that is another's, or not whole."""
    found = read("server")
    whole = all(isinstance(found.get(name), str) for name in ("job", "host", "socket"))
    return found if whole and found["job"] == str(number) else {}


def job() -> int:
    """Return the number of the job that is wanted, or that a server says; 0 where there is none (any more)."""
    number = str(read("job").get("number") or read("server").get("job"))
    return int(number) if number.isdigit() else 0


def is_over(number: int) -> bool:
    """Ask Slurm whether a job is over; where it does not answer, it is not."""
    words = ["squeue", "--noheader", "--user", str(os.getuid()), "--format=%i"]
    # Whatever else the user likes to see.
    around = {name: value for name, value in os.environ.items() if not name.startswith("SQUEUE_")}
    try:
        done = subprocess.run(
            words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=30, check=False, env=around
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and str(number) not in done.stdout.decode().split()


def by_srun(number: int) -> tuple[list[str], dict[str, str]]:
    """Return what leads into a job over one step of it: ssh's words, and its options. Its files are where it runs."""
    sshd = ["/usr/sbin/sshd", "-i", "-f", os.path.join(OWN, "sshd_config")]
    srun = [
        "srun", f"--jobid={number}", "--overlap", "--nodes=1", "--ntasks=1", "--quiet", "--unbuffered", "--chdir=/",
        "--export=ALL", *sshd,
    ]  # fmt: skip
    return ["-F", "none"], {
        "ProxyCommand": " ".join(map(shlex.quote, srun)).replace("%", "%%"),
        "HostKeyAlias": "job",
        "UserKnownHostsFile": "known_hosts",
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "IdentityFile": "key",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
    }


def ssh(number: int, server: dict[str, Any], near: str) -> list[str]:
    """Return the command that leads from a socket here to the one in a job."""
    # To the node by name, it is as the user's own ssh goes there.
    by_name = read("job").get("way_in") == "ssh"
    words, options = ([], {"RemoteCommand": "none"}) if by_name else by_srun(number)
    options.update(
        {
            "BatchMode": "yes",
            "ControlMaster": "yes",
            "ControlPath": "control",
            "ExitOnForwardFailure": "yes",
            "StreamLocalBindMask": "0177",
            "StreamLocalBindUnlink": "yes",
            "ServerAliveInterval": "30",
            "ServerAliveCountMax": "4",
            "ConnectTimeout": "60",
        }
    )
    said = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    to = str(server["host"]) if by_name else "job"
    return ["ssh", *words, "-N", "-T", *said, "-L", f"{os.path.relpath(near, OWN)}:{server['socket']}", to]


def lead(number: int, server: dict[str, Any], near: str) -> str:
    """Lead there as long as it goes, and the server is there; return what was said."""
    # One whose relay was killed goes on.
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(
            ["ssh", "-F", "none", "-S", "control", "-o", "ProxyCommand=false", "-O", "exit", "job"],
            cwd=OWN, stderr=subprocess.DEVNULL, timeout=30, check=False,
        )  # fmt: skip
    for left in (os.path.join(OWN, "control"), near):
        with contextlib.suppress(OSError):
            os.unlink(left)
    say(f"leads into job {number} on {server['host']}")
    # Whatever shell the user has: it reads the command that ssh is given.
    around = {**os.environ, "SHELL": "/bin/sh"}
    with open(os.path.join(OWN, "said"), "w+", errors="replace") as said:
        there = subprocess.Popen(ssh(number, server, near), cwd=OWN, env=around, stderr=said)
        try:
            due, seen = time.monotonic() + ASK, time.monotonic()
            while there.poll() is None and time.monotonic() < seen + GONE_FOR:
                seen = time.monotonic() if server_of(number) == server else seen
                if time.monotonic() > due:
                    due = time.monotonic() + ASK
                    if is_over(number):
                        break
                time.sleep(LOOK)
        finally:
            there.terminate()
            there.wait()
        said.seek(0)
        lines = said.read(10000).splitlines()
    for line in lines:
        say(line)
    return "\n".join(lines)


def relay(near: str) -> None:
    """Lead to the server in the job, from when it has begun until the job is over."""
    pause, rest, due = 0.0, ASK, time.monotonic() + ASK
    while True:
        number = job()
        server = server_of(number)
        if not number and not read("job"):
            say("no job is wanted any more")
            return
        if number and server:
            begun = time.monotonic()
            said = lead(number, server, near)
            if job() == number and GONE.search(said):
                say(f"job {number} is over")
                return
            # One that went on for long begins at once.
            pause = 0.0 if begun + LONGEST < time.monotonic() else min(LONGEST, max(1.0, 2 * pause))
            say(f"begins again after {pause:.0f} s")
            time.sleep(pause)
            # A job that ends takes its time.
            rest, due = FIRST, time.monotonic()
        elif number and time.monotonic() > due:
            if is_over(number):
                say(f"job {number} is over")
                return
            rest, due = min(ASK, 2 * rest), time.monotonic() + rest
        time.sleep(LOOK)


def main() -> None:
    """Relay, if no other one of this folder does."""
    os.umask(0o077)
    # So that the way ends with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with open(os.path.join(OWN, "lock"), "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another relay runs")
            return
        except OSError as error:
            # Some disks know no such locks; whoever starts a relay has looked for one.
            say(f"{lock.name} cannot be locked: {error.strerror}")
        # As the keepers have them: screen, tmux, and the user's service manager.
        sessions = [os.environ.get("STY", ""), ",".join(os.environ.get("TMUX", "").split(",")[1:])]
        sessions.append(os.environ.get("JUPYTER_CLUSTER_UNIT", ""))
        with contextlib.suppress(OSError), open(os.path.join(HERE, "run", "session"), "w") as record:
            record.writelines(f"{name}\n" for name in sessions if name)
        relay(sys.argv[1])


if __name__ == "__main__":
    main()
