"""Start the server by its keeper, and see that what answers is ours, and private."""

from __future__ import annotations

import contextlib
import glob
import http.client
import os
import re
import secrets
import signal
import ssl
import time
from typing import Any, NoReturn

from node.ask import ANSWER
from node.client import Client, Foreign, shows_owner
from node.folder import Failure, Folder, put
from node.keepers import Keeper, keeper
from node.logind import keeps
from node.processes import Endpoint, Process, endpoint, processes, servers
from node.trial import LOG, Slow, Trial, Unusable


class Start:
    """One start of the launcher, from before it begins until its server answers."""

    def __init__(self, folder: Folder, by: Keeper, at: Endpoint, seconds: float, patience: float) -> None:
        """Give it a name, which the processes that come of it carry."""
        self.folder, self.by, self.at, self.seconds, self.patience = folder, by, at, seconds, patience
        self.id = secrets.token_hex(8)
        self.report = os.path.join(folder.run, f"start.{self.id}")
        #: What the owner should know of a server that works.
        self.warnings: list[str] = []

    def processes(self) -> list[Process]:
        """Return the launcher, or the server that it has become."""
        return [
            one for one in processes().values()
            if self.id in one.words and (one.launches(self.folder) or one.config(self.folder))
        ]  # fmt: skip

    def begin(self) -> None:
        """Start the launcher."""
        for old in glob.glob(os.path.join(self.folder.run, "start.*")):
            # What an interrupted run has left; one of another start is young, and goes by itself.
            with contextlib.suppress(OSError):
                if os.stat(old).st_mtime < time.time() - 600 * self.patience:
                    os.unlink(old)
        with open(self.report, "w"):
            pass
        self.by.within = keeps(self.folder, self.by.needs_lingering)
        self.by.start(["/bin/sh", self.folder.launcher, self.id, self.report])

    def said(self) -> list[str]:
        """Return what the launcher says: that it has begun, and why it starts nothing."""
        return self.folder.lines(f"run/start.{self.id}", 10**5)

    def log(self) -> list[str] | None:
        """Return the log of this start, none of an earlier one's."""
        said = self.folder.lines("jupyter.log", LOG)
        return said[1:] if said and said[0].startswith(f"Start {self.id},") else None

    def answers(self, ours: int = 0) -> bool:
        """Tell whether the server is ours, and private; Foreign where something else is at its endpoint."""
        pid = ours or next((one.pid for one in self.processes() if one.config(self.folder)), 0)
        seconds, authority, known = ANSWER * self.patience, self.folder.file("ca.crt"), 0
        try:
            first = Client(self.at, seconds, authority)
            status, _ = first.ask("/api", {})
            if first.pid != pid and any(one.pid == first.pid for one in servers(self.folder)):
                # Another start was first, which the launcher is about to say.
                return False
            if first.pid != pid:
                raise Foreign(f"{self.at[1]} belongs to another process (number {first.pid}).")
            if status != 200:
                return False
            stranger, _ = Client(self.at, seconds, authority).ask("/api/status", {})
            for _ in range(2):
                # One that is shown another key writes its own down again.
                if known != 200:
                    known, _ = Client(self.at, seconds, authority).ask("/api/status", shows_owner(self.folder))
        except ssl.SSLCertVerificationError as error:
            raise Foreign(f"What listens at {self.at[1]} does not show our certificate: {error}") from error
        except ssl.SSLError as error:
            raise Foreign(f"What listens at {self.at[1]} does not speak https: {error}") from error
        except (OSError, http.client.HTTPException):
            return False
        if (stranger, known) != (403, 200):
            raise Foreign(f"The server lets in who has no password (status {stranger}), or not you ({known}).")
        return True

    def wait(self) -> None:
        """Wait for the answer."""
        begun = alive = time.monotonic()
        while time.monotonic() < begun + self.seconds:
            # A process that becomes another one has no command line for a moment.
            there = self.processes()
            alive = time.monotonic() if there else alive
            said = self.said()
            for one in there:
                self.require_endpoint(one)
            if self.answers():
                self.require_to_last()
                return self.require_use(begun)
            other = re.search(r"runs already, as process (\d+)", " ".join(said))
            if other:
                self.join(int(other[1]))
            if time.monotonic() > alive + (0.5 if said else 15) * self.patience:
                self.fail(self.explain())
            time.sleep(0.1)
        starting = self.processes()
        if not starting:
            self.fail(self.explain())
        raise Failure(
            f"The server has not answered within {self.seconds:.0f} s. It is still starting (process "
            f"{starting[0].pid}): look again in a while, by `status` or `logs`. To wait longer: -e "
            "screen_session_timeout=SECONDS"
        )

    def require_to_last(self) -> None:
        """Require that the server outlives the login, where the node ends what does not."""
        if self.by.within and any(one.in_a_login() for one in self.processes()):
            self.fail(
                [
                    "The server would end when you log out (KillUserProcesses), since the "
                    f"{self.by.kind} that you have running was started by a login. End it, then run this again."
                ]
            )

    def require_use(self, begun: float, joined: bool = False) -> None:
        """Require that its owner can work there, in what is left of the time; `joined` is another start's server."""
        before = len(self.log() or ())
        trial = Trial(self.folder, self.at, max(10 * self.patience, begun + self.seconds - time.monotonic()))
        try:
            self.warnings = trial.run()
        except Slow as error:
            raise Failure(
                f"The server runs, but nobody could work there yet. {error} What starts from a busy disk, say, may be "
                "there in a while: run this again. To wait longer: -e screen_session_timeout=SECONDS. `logs` shows "
                "what it does."
            ) from error
        except Unusable as error:
            # What a kernel prints as it ends stands in the log, after all else.
            since = [line.strip() for line in (self.log() or [])[before:] if not line.startswith("[I ")]
            says_why = re.compile(r"[\w.]*(Error|Exception|Exit)\b|\S+: No module named|\[\w+\] CRITICAL")
            causes = [line for line in since if says_why.match(line)]
            used = ", ".join(map(str, trial.others()))
            if joined:
                what = "was there already, and not all of it works."
            elif used:
                what = f"stays, since kernels of yours run there (process {used}), but not all of it works."
            else:
                what = "has been ended again, since nobody could work there."
            lines = [
                f"The server {what} {error} What of yours counts there: ~/.jupyter, ~/.ipython, your login scripts.",
                *(causes[-1:] or since[-5:]),
            ]
            if used or joined:
                raise Failure(*lines) from error
            self.fail(lines)
        # Where that cannot be written, the next run tries again.
        with contextlib.suppress(OSError, IndexError):
            put(os.path.join(self.folder.run, "tried"), f"{servers(self.folder)[0].name()}\n".encode(), 0o600)

    def require_endpoint(self, one: Process) -> None:
        """Require that a server will listen where it is looked for: all but the name of the host."""
        if not one.config(self.folder):
            return
        kind, address = endpoint(one, self.folder)
        wanted = self.at[1] if kind == "socket" else self.at[1].rpartition(":")[2]
        if (kind, address if kind == "socket" else address.rpartition(":")[2]) != (self.at[0], wanted):
            self.fail(
                [
                    f"The files on the node are older than your inventory: the server would listen at {address}, and "
                    f"not at {self.at[1]}. Have them written: ansible-playbook site.yml"
                ]
            )

    def join(self, other: int) -> NoReturn:
        """Another start was first: wait for its server."""
        begun = time.monotonic()
        while time.monotonic() < begun + self.seconds and other in processes():
            if self.answers(other):
                self.require_use(begun, joined=True)
                raise Failure(status=3)
            time.sleep(0.1)
        raise Failure(
            "Another run was starting the server at the same moment, and its server does not answer. Run this again."
        )

    def explain(self) -> list[str]:
        """Say what is wrong with a start that has ended."""
        said, log = self.said(), self.log()
        if not said:
            return [f"{self.by.kind} does not run {self.folder.launcher}. Look at your ~/.{self.by.kind}* on the node."]
        says_what = re.compile(r"\[C |\[E (?!.*Exception in callback)|Not started|\s*\w*(Error|Exception|Exit)\b")
        errors = [line.strip() for line in log or () if says_what.match(line) and line.strip() not in said]
        if said[1:]:
            # What the server itself has said; of what Jupyter ends by, its log says more.
            return [said[1], *errors[:1]] if said[1].endswith("its log says why.") else said[1:2]
        if log is None:
            return [
                "The login shell on the node did not run the launcher. Look for a line in ~/.bash_profile, ~/.profile "
                "or ~/.bashrc there that starts another shell, ends this one, or sets a trap."
            ]
        first = next(iter(errors), "no error in its log")
        return [f"The server ended before it answered: {first}", "The end of its log:", *log[-15:]]

    def fail(self, lines: list[str]) -> NoReturn:
        """End what this start has started, and say what is wrong."""
        for pid in self.by.end([one.pid for one in self.processes()], 10 * self.patience):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        raise Failure(*lines)


def take_record(folder: Folder, path: str, node: str) -> None:
    """Take the cluster's record from a server on another node, which goes on, so that one can start beside it."""
    if node and (folder.lines(path) or [""])[0].split()[:1] == [node]:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def start(folder: Folder, data: dict[str, Any]) -> dict[str, Any]:
    """Start the server, and wait until it answers at its endpoint, and is seen to be ours.

    `keeper` is what keeps it; `kind` and `address` are its endpoint; `seconds` is how long it may take; and `beside`,
    where it is not empty, is the other node that has the cluster's `record` now.
    """
    patience = float(data["patience"])
    by = keeper(data["keeper"], folder.lines("run/session"), patience)
    begun = Start(folder, by, (data["kind"], data["address"]), float(data["seconds"]), patience)
    try:
        there = servers(folder)
        if there:
            begun.join(there[0].pid)
        take_record(folder, data["record"], data["beside"])
        begun.begin()
        begun.wait()
    except Foreign as error:
        # What the server says of itself, once there is one.
        begun.fail([str(error), *(begun.explain() if begun.log() is not None else [])])
    except OSError as error:
        begun.fail([f"{error.filename or folder.path}: {error.strerror or error}."])
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # What nobody has foreseen leaves no server that is not seen to be private.
        begun.fail([f"What the server says makes no sense: {type(error).__name__}: {error}."])
    finally:
        with contextlib.suppress(OSError):
            os.unlink(begun.report)
    return {"warnings": begun.warnings}
