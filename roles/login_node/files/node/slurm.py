"""Slurm, by its own commands. That it does not answer is no news of a job."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, NamedTuple

from node import programs
from node.folder import Failure
from node.keepers import Keeper

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Listing = subprocess.CompletedProcess[bytes]

#: How long a look may take, and what changes something, in seconds: a controller that hangs keeps a command for longer.
LOOK, CHANGE = 5.0, 20.0
#: Variables that would make something else of a command.
UNASKED = re.compile(r"(SQUEUE|SINFO|SCANCEL)_|SBATCH_(ARRAY_INX|WAIT|EXPORT|REQUEUE|NO_REQUEUE|TEST_ONLY|CLUSTERS)$")
#: What `squeue` is asked for. What has no fixed form comes last.
FIELDS = "%i|%T|%S|%e|%B|%P|%r|%j|%o"
#: What it says of a job that has not begun, or goes on, or is about to end; all else has ended.
PENDING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD")
RUNNING = ("RUNNING", "CONFIGURING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING")
ENDING = ("COMPLETING",)
SUSPENDED = ("SUSPENDED", "STOPPED")
#: Why a job would wait for ever. Who has held it, or the day on which more is let in, only the user knows.
NEVER = re.compile(
    r"PartitionTimeLimit|PartitionNodeLimit|PartitionConfig|BadConstraints|DependencyNeverSatisfied|InvalidAccount"
    r"|InvalidQOS|Assoc\w*Max\w*PerJob\w*|QOSMax\w*PerJob\w*|AccountNotAllowed|QOSNotAllowed|PartitionInactive"
    r"|JobArrayTaskLimit|ReservationDeleted"
)


class Unknown(Failure):
    """Slurm does not answer; what a job does is not known then."""


class Job(NamedTuple):
    """A job as Slurm has it; times are seconds since 1970, and 0 where it does not know."""

    number: int
    state: str
    start: int
    end: int
    host: str
    partition: str
    reason: str
    name: str
    command: str


def there(program: str = "squeue") -> bool:
    """Tell whether this node has Slurm's commands."""
    return shutil.which(program) is not None


def call(words: Sequence[str], seconds: float) -> str:
    """Return what one of Slurm's commands prints; Failure with what it says instead."""
    # Whatever the user likes to see: %s is seconds since 1970. What a centre has everybody ask for stays.
    around = {name: value for name, value in os.environ.items() if not UNASKED.match(name)}
    try:
        done = programs.run(
            list(words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds,
            env={**around, "SLURM_TIME_FORMAT": "%s", "LC_ALL": "C"},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Unknown(f"{words[0]} has not answered within {seconds:.0f} s") from None
    if done.returncode == 0:
        return str(done.stdout.decode(errors="replace"))
    said = " ".join(done.stderr.decode(errors="replace").split()) or f"{words[0]} ended with {done.returncode}"
    if re.search(r"[Uu]nable to contact|Socket timed out|authentication|Connection (refused|reset)|Zero Bytes", said):
        raise Unknown(said)
    raise Failure(said)


def jobs(patience: float) -> list[Job]:
    """Return this user's jobs, with those that have ended a moment ago; Unknown where Slurm does not say."""
    try:
        # Without numbers: of one that is not known any more it would say the same as of itself when it is down.
        said = call(["squeue", "--noheader", "--user", str(os.getuid()), "--states=all", f"--format={FIELDS}"],
                    LOOK * patience)  # fmt: skip
    except Failure as failure:
        raise failure if isinstance(failure, Unknown) else Unknown(str(failure)) from None
    found = []
    for line in said.splitlines():
        words = line.split("|", 8)
        if len(words) == 9 and words[0].isdigit():
            start, end = (int(time) if time.isdigit() else 0 for time in words[2:4])
            found.append(Job(int(words[0]), words[1], start, end, *words[4:]))
    return found


def version(patience: float) -> str:
    """Return what Slurm calls itself, such as `slurm-wlm 22.05.8`."""
    try:
        return call(["sbatch", "--version"], LOOK * patience).strip()
    except (Failure, OSError):
        return ""


def partitions(patience: float) -> list[str]:
    """Return the partitions with their limits: time, CPUs and MiB of a node, and what else there is by count."""
    try:
        said = call(["sinfo", "--noheader", "--format=%R|%a|%l|%c|%m|%G"], LOOK * patience)
    except (Failure, OSError):
        return []
    rows = [line.split("|") for line in said.splitlines()]
    return [
        f"{name} ({state}, at most {time}; {cpus} CPUs, {memory} MiB{'' if gres == '(null)' else ', ' + gres} a node)"
        for name, state, time, cpus, memory, gres in (row for row in rows if len(row) == 6)
    ]


class Slurm(Keeper):
    """A job of Slurm's: its nodes keep what runs there, and end it in time."""

    kind = "slurm"
    #: What a job is asked for, as words of sbatch's; and where what it prints goes.
    wishes: Sequence[str] = ()
    output = "/dev/null"

    def start(self, command: list[str]) -> None:
        """Submit a program, a script with its arguments; its number is what `alive` names."""
        self.submit(command)

    def test(self) -> str:
        """Return what Slurm says of a job like this, which is not submitted; Failure where it would refuse it."""
        words = [self.program, "--test-only", *self.wishes, "--wrap=true"]
        try:
            done = programs.run(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                timeout=LOOK * self.patience,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise Unknown("sbatch does not answer") from None
        said = " ".join(done.stdout.decode(errors="replace").replace("sbatch: ", "").split())
        if done.returncode:
            raise Failure(said)
        return said

    def submit(self, command: list[str]) -> int:
        """Submit it, and return its number."""
        said = call(
            [
                self.program, "--parsable", f"--job-name={self.name}", "--dependency=singleton", "--no-requeue",
                "--nodes=1", "--ntasks=1", "--signal=B:TERM@60", f"--chdir={os.path.expanduser('~')}",
                "--open-mode=append", f"--output={self.output.replace('%', '%%')}", *self.wishes, *command,
            ],
            CHANGE * self.patience,
        )  # fmt: skip
        number = said.strip().partition(";")[0]
        if not number.isdigit():
            raise Failure(f"sbatch has not said the number of the job, but: {' '.join(said.split())}")
        return int(number)

    def listing(self) -> Listing:
        """Ask for the jobs of this name."""
        words = ["squeue", "--noheader", "--user", str(os.getuid()), "--name", self.name, "--format=%i|%T"]
        return programs.run(words, stdout=subprocess.PIPE, timeout=LOOK * self.patience)

    def alive(self, listed: Listing | None = None) -> list[str]:
        """Return their numbers."""
        rows = (listed or self.listing()).stdout.decode(errors="replace").splitlines()
        return [row.partition("|")[0] for row in rows]

    def look(self, session: str = "") -> str:
        """Return it."""
        return f"scontrol show job {session}" if session else f"squeue --me --name {self.name}"

    @staticmethod
    def session(variable: Callable[[str], str]) -> str:
        """Return the job's number."""
        return variable("SLURM_JOB_ID")


def ended(job: Job) -> bool:
    """Tell whether a job has come to its end."""
    return job.state not in (*PENDING, *RUNNING, *ENDING)
