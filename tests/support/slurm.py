"""Slurm on the test cluster: its commands as an account runs them on the login node, and what can go wrong with it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from cluster import node_root
from containers import inside
from patience import seconds

LOGIN = "hydra08i"
NODES = ("co001", "co002")
#: States of a job that Slurm has not forgotten, and that will not run again.
ENDED = {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "PREEMPTED", "TIMEOUT"}


class Slurm:
    """The commands of Slurm, as an account runs them on the login node."""

    def __init__(self, account: str) -> None:
        self.account = account

    def run(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the account's home, with nothing to read."""
        home = f"/home/{self.account}"
        become = ["runuser", "-u", self.account, "--", "env", f"--chdir={home}", f"HOME={home}", f"USER={self.account}"]
        done = subprocess.run(
            [*inside(f"jupyter-test-{LOGIN}"), *become, *argv],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds(60), check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stderr
        return done

    def submit(self, *options: str, command: str = "sleep 600") -> str:
        """Submit a job; return its number."""
        # Its output would lie in the home.
        return self.run("sbatch", "--parsable", "--output=/dev/null", *options, f"--wrap={command}").stdout.strip()

    def jobs(self) -> dict[str, str]:
        """Return the state of each of the account's jobs that Slurm has not forgotten, by number."""
        listed = self.run("squeue", "--noheader", "--states=all", f"--user={self.account}", "--format=%i %T")
        return dict(line.split() for line in listed.stdout.splitlines())

    def there(self) -> list[str]:
        """Return the numbers of those that have not ended."""
        return [job for job, state in self.jobs().items() if state not in ENDED]

    def wait(self, job: str, *states: str, usual: float = 30) -> str:
        """Wait until a job has one of these states; return which. A job that has ended otherwise fails."""
        _until(lambda: self.jobs().get(job, "") in ENDED.union(states), usual)
        state = self.jobs().get(job, "")
        assert state in states, f"Job {job} is {state or 'unknown'}."
        return state

    def node(self, job: str) -> str:
        """Return the name of the compute node that a job runs on."""
        return self.run("squeue", "--noheader", f"--jobs={job}", "--format=%N").stdout.strip()

    def cancel_all(self) -> None:
        """Cancel all jobs of the account, and wait until they have ended."""
        self.run("scancel", f"--user={self.account}")
        _until(lambda: set(self.jobs().values()) <= ENDED, 30)


@contextmanager
def _without(service: str, host: str, begin: str, end: str) -> Iterator[None]:
    node_root(f"systemctl {begin} {service}", host)
    try:
        yield
    finally:
        node_root(f"systemctl {end} {service}", host)
        ready()


def stopped(service: str, host: str = LOGIN) -> AbstractContextManager[None]:
    """Keep slurmctld, munge, or a compute node's slurmd stopped for a while."""
    return _without(service, host, "stop", "start")


def hung(service: str, host: str = LOGIN) -> AbstractContextManager[None]:
    """Let slurmctld, munge, or a compute node's slurmd stand still for a while: calls are taken, and not answered."""
    return _without(service, host, "kill --signal=STOP", "kill --signal=CONT")


@contextmanager
def drained(*nodes: str) -> Iterator[None]:
    """Let no job begin on some compute nodes, for a while; what runs there goes on."""
    names = ",".join(nodes)
    node_root(f"scontrol update nodename={names} state=drain reason=tested")
    try:
        yield
    finally:
        node_root(f"scontrol update nodename={names} state=resume")
        ready()


def ready() -> None:
    """Wait until Slurm answers, and can use all its nodes, whatever runs there."""
    usable = {"idle", "mix", "alloc", "comp"}
    shown = "timeout 5 sinfo --noheader --Node --partition=batch --format=%t || true"
    _until(lambda: node_root(shown).split() != [] and set(node_root(shown).split()) <= usable, 40)


def _until(done: Callable[[], bool], usual: float) -> None:
    deadline = time.monotonic() + seconds(usual)
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.2)
