"""Start, judge and end the server in a job of Slurm's."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import TYPE_CHECKING, Any

from node import job, relay, slurm
from node.folder import Failure, Folder, put
from node.keepers import keeper
from node.processes import servers
from node.start import JOINED, Start, watch

if TYPE_CHECKING:
    from collections.abc import Iterator

#: How often Slurm is asked, in seconds: at first a free node may have it already.
ASK = (2.0, 5.0, 10.0)
#: How long what waits for nothing but a message may take, in seconds.
ANSWER = 20.0


def _slurm(folder: Folder, data: dict[str, Any]) -> slurm.Slurm:
    by = slurm.Slurm("sbatch", job.job_name(data["cluster"]), [], float(data["patience"]))
    by.wishes, by.output = data["asked"], folder.file(job.LOG)
    return by


def _ask(folder: Folder, patience: float) -> tuple[slurm.Job | None, str]:
    found = job.find(folder, patience)
    return found, job.state(folder, found)


@contextlib.contextmanager
def _alone(folder: Folder, seconds: float) -> Iterator[None]:
    """Let one run submit at a time, and the others find what it has submitted."""
    deadline = time.monotonic() + seconds
    with open(os.open(folder.file("run/submit.lock"), os.O_RDWR | os.O_CREAT, 0o600), "w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Failure(
                        "Another run is about to submit a job, and does not come to an end. Run this again."
                    ) from None
            time.sleep(0.1)
        yield


class Submission:
    """One run's way to a server in a job: its own job, or the one that is there already."""

    def __init__(self, folder: Folder, data: dict[str, Any]) -> None:
        """Remember what is wanted: `cluster`, `asked`, `keeper`, `address`, `wait`, `seconds`, `patience`."""
        self.folder, self.data, self.patience = folder, data, float(data["patience"])
        self.number, self.own = 0, False
        self.by = _slurm(folder, data)
        self.begun = Start(folder, self.by, ("socket", data["address"]), float(data["seconds"]),
                           self.patience)  # fmt: skip

    def known(self) -> dict[str, Any]:
        """Return what a record says of any job of this folder."""
        return {name: self.data[name] for name in ("cluster", "address", "way_in")}

    def submit(self) -> None:
        """Submit the job, if there is none."""
        folder = self.folder
        found, state = _ask(folder, self.patience)
        # Behind one that ends, Slurm keeps the next one waiting.
        if found and state in ("pending", "starting", "running"):
            known = job.record(folder)
            self.number, self.begun.id = found.number, "".join(found.command[len(folder.launcher) :].split()[:1])
            if (known.get("number"), known.get("start")) != (self.number, self.begun.id):
                # A run that was interrupted, or that Slurm did not answer, has submitted it all the same.
                its = {"number": self.number, "start": self.begun.id}
                job.write_record(folder, {"asked": [], **known, **self.known(), **its})
            return
        job.clear(folder)
        self.own = True
        wanted = {"number": 0, "start": self.begun.id, "asked": self.data["asked"], **self.known()}
        # Private from the beginning, whatever the umask there is.
        for path in (self.begun.report, folder.file(job.LOG)):
            put(path, b"", 0o600)
        job.write_record(folder, wanted)
        try:
            self.number = self.by.submit([folder.launcher, self.begun.id, self.begun.report, "compute"])
        except slurm.Unknown as unknown:
            raise Failure(
                f"Slurm does not answer ({unknown}). It may have taken the job all the same: run this again, which "
                "looks for it first."
            ) from None
        except Failure as failure:
            os.unlink(folder.file(job.RECORD))
            raise Failure(f"Slurm refuses the job: {failure}") from None
        job.write_record(folder, {**wanted, "number": self.number})

    def wait(self) -> str:
        """Wait until the server in the job has begun; return a sentence where it is only a matter of time."""
        begun = asked = time.monotonic()
        pauses = list(ASK)
        while True:
            if job.server(self.folder, self.number):
                return ""
            if self.begun.said()[1:]:
                self.fail(self.begun.said()[1])
            if time.monotonic() > asked + pauses[0] * self.patience:
                asked, pauses = time.monotonic(), pauses[1:] or pauses
                found, state = _ask(self.folder, self.patience)
                if state == "ended" or found is None:
                    why = job.why_ended(self.folder, found) or "it has ended"
                    self.fail(f"{why}. {self.begun.explain()[0]}")
                elif state == "pending" and slurm.NEVER.search(found.reason):
                    self.refuse(found)
                elif state == "pending" and time.monotonic() > begun + float(self.data["wait"]):
                    return pending(found)
            if time.monotonic() > begun + float(self.data["wait"]) + float(self.data["seconds"]):
                found, _ = _ask(self.folder, self.patience)
                return pending(found) if found else ""
            time.sleep(0.2)

    def refuse(self, found: slurm.Job) -> None:
        """Take a job back that would wait for ever."""
        if not self.own:
            raise Failure(
                f"Job {found.number} will not start as it is: {found.reason}. Ask for less (my_job), then have it end, "
                "and start another one, by `restart`."
            )
        cancel(self.folder, self.data)
        raise Failure(
            f"Slurm would never start this job: {found.reason}. It was taken back. Ask for something else: my_job."
        )

    def fail(self, why: str) -> None:
        """Say why the job has come to nothing."""
        raise Failure(f"Job {self.number} has started no server: {why}", *slurm_lines(self.folder, self.number))

    def judge(self) -> list[str]:
        """Have the job itself see that its server is ours, private, and of use; return what its owner should know."""
        begun, data = time.monotonic(), {**self.data, "start": self.begun.id, "own": self.own}
        while True:
            there = job.server(self.folder, self.number)
            if not there:
                self.fail(self.begun.explain()[0])
            try:
                said = relay.run_there(
                    self.folder, there, "judge", {**data, "address": there["socket"]}, float(data["seconds"]) + ANSWER
                )
            except relay.Silent:
                if time.monotonic() > begun + float(data["seconds"]):
                    raise Failure(
                        f"Job {self.number} runs on {there['host']}, and nothing leads there from this node. "
                        f"{relay.said(self.folder, self.number)}"
                    ) from None
                time.sleep(0.2)
                continue
            except Failure as failure:
                if failure.status != JOINED:
                    raise
                return []
            return list(said["warnings"])


def pending(found: slurm.Job) -> str:
    """Say in a sentence what a job waits for."""
    if found.state not in slurm.PENDING:
        return f"Job {found.number} has begun on {found.host}, and its server has not yet."
    when = time.strftime(" Slurm expects it to start on %b %d at %H:%M.", time.localtime(found.start))
    return f"Job {found.number} waits: {found.reason}.{when if found.start else ''}"


def slurm_lines(folder: Folder, number: int) -> list[str]:
    """Return what Slurm has told a job of itself."""
    return [line for line in folder.lines(job.LOG, 10**6) if f"JOB {number} " in line][-3:]


def submit(folder: Folder, data: dict[str, Any]) -> dict[str, Any]:
    """Have a server in a job: submit it, or find it, have a relay lead there, and wait for a while until it answers."""
    wanted = Submission(folder, data)
    try:
        with _alone(folder, 2 * slurm.CHANGE * wanted.patience):
            wanted.submit()
        by = keeper(data["keeper"], folder.lines("run/session"), wanted.patience)
        led = relay.begin(folder, by, data["address"])
        waits = wanted.wait()
        warnings = [] if waits else wanted.judge()
        if not waits:
            job.take_away(folder.file(f"run/start.{wanted.begun.id}"))
        found = job.find(folder, wanted.patience)
    except slurm.Unknown as unknown:
        what = f"Job {wanted.number} may go on" if wanted.number else "No job was submitted"
        raise Failure(f"Slurm does not answer ({unknown}). {what}. Run this again later.") from None
    when = {"host": found.host, "end": found.end} if found else {"host": "", "end": 0}
    return {
        "number": wanted.number, "waits": waits, "warnings": warnings, "changed": wanted.own or led, **when,
    }  # fmt: skip


def lead(folder: Folder, data: dict[str, Any]) -> dict[str, Any]:
    """Have a relay lead into the job that is there, and wait until it does."""
    patience = float(data["patience"])
    relay.begin(folder, keeper(data["keeper"], folder.lines("run/session"), patience), job.address(folder))
    there = job.server_there(folder)
    deadline = time.monotonic() + float(data["seconds"])
    while there:
        try:
            relay.run_there(folder, there, "ask", {"patience": patience}, ANSWER * patience)
            break
        except relay.Silent as silent:
            if time.monotonic() > deadline:
                raise Failure(f"{silent} {relay.said(folder, int(there['job']))}") from None
            time.sleep(0.2)
    return {"changed": True}


def offer(folder: Folder, data: dict[str, Any]) -> dict[str, Any]:
    """Say what Slurm has to offer, and what it makes of the wishes; it submits nothing."""
    patience = float(data["patience"])
    found = {"version": slurm.version(patience), "partitions": slurm.partitions(patience), "test": ""}
    try:
        found["test"] = _slurm(folder, data).test()
    except Failure as failure:
        found["test"] = str(failure)
    return found


def wish(folder: Folder, data: dict[str, Any]) -> dict[str, Any]:
    """Require that Slurm would take a job like this, before anything is ended for it."""
    try:
        return {"test": _slurm(folder, data).test()}
    except Failure as failure:
        raise Failure(
            f"Slurm would refuse the job: {failure}. What runs goes on; ask for something else: my_job."
        ) from None


def judge(folder: Folder, data: dict[str, Any]) -> dict[str, Any]:
    """In the job: see that its server is ours, private, and of use; one that this run has started ends where not."""
    begun = Start(folder, slurm.Slurm("sbatch", "", [], float(data["patience"])), ("socket", data["address"]),
                  float(data["seconds"]), float(data["patience"]))  # fmt: skip
    begun.id = data["start"]
    there = servers(folder)
    if data["own"] or not there:
        return watch(begun, begun.wait)
    return watch(begun, lambda: begun.join(there[0].pid))


def cancel(folder: Folder, data: dict[str, Any]) -> dict[str, Any]:
    """End the job in order, and its relay; see that both have ended."""
    patience, seconds = float(data["patience"]), float(data["seconds"])
    try:
        found, state = _ask(folder, patience)
        if found and state in job.THERE:
            _end(folder, found, seconds, patience)
    except slurm.Unknown as unknown:
        raise Failure(
            f"Slurm does not answer ({unknown}), so the job is left as it is. Run this again later."
        ) from None
    left = relay.stop(folder, keeper(data["keeper"], [], patience), seconds)
    if left:
        raise Failure(f"The relay has not ended within {seconds:.0f} s: process {', '.join(map(str, left))}.")
    job.clear(folder)
    return {"changed": True}


def _end(folder: Folder, found: slurm.Job, seconds: float, patience: float) -> None:
    number = str(found.number)
    # The server itself ends then, with its kernels; what has not begun has nothing to end.
    orders = [["scancel", "--batch", "--signal=TERM", number], ["scancel", number]]
    if found.state not in slurm.RUNNING:
        orders = orders[1:]
    for order in orders:
        with contextlib.suppress(Failure):
            slurm.call(order, slurm.CHANGE * patience)
        deadline, asked = time.monotonic() + seconds, time.monotonic()
        while time.monotonic() < deadline:
            # The server takes its record away as it ends; then Slurm is asked, and else seldom.
            if not job.server(folder, found.number) or time.monotonic() > asked + ASK[-1]:
                asked = time.monotonic()
                now = next((one for one in slurm.jobs(patience) if one.number == found.number), None)
                if now is None or slurm.ended(now):
                    return
                time.sleep(0.5)
            time.sleep(0.3)
    raise Failure(
        f"Job {number} has not ended within {2 * seconds:.0f} s. See what it does: scontrol show job {number}"
    )
