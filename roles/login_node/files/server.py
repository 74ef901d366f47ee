"""Ask, start or end the server: python - COMMAND FOLDER PATIENCE OPTION...

    ask    FOLDER PATIENCE                      one line: `server.answer`, a tab, and JSON
    start  FOLDER PATIENCE SECONDS SCREEN NAME KIND ADDRESS
    stop   FOLDER PATIENCE SECONDS

FOLDER is ours on the node, and PATIENCE how many times longer than usual a wait may be. A server is found by its
process, which names our configuration on its command line; a record may be old, cut short or another node's. Whatever
led to the home when the server was started may have another name by now: what counts is the path's end.

The answer has `pid`, `version`, `started`, `last_activity` (as Jupyter writes times), `kernels` (a list of `name`,
`state`, `last_activity`), and of the server and all its kernels `memory` in bytes and `cpu` in percent of one core; or
`error`, where it does not answer. `start` and `stop` print one line, or several, of what is wrong, and exit with 1;
with 3 where another start was first, whose server answers.
"""

from __future__ import annotations

import sys

# Not from the home directory, where a file of the user's may have the name of a module.
sys.path[:] = [path for path in sys.path if path not in ("", ".")]

import contextlib
import glob
import http.client
import json
import os
import re
import secrets
import signal
import socket
import ssl
import stat
import struct
import subprocess
import time
from typing import TYPE_CHECKING, Any, NoReturn

COMMAND, FOLDER, PATIENCE = sys.argv[1], sys.argv[2], float(sys.argv[3])
#: How every path of ours ends.
END = "/" + "/".join(FOLDER.split("/")[-2:])
CONFIG = f"{END}/jupyter_server_config.py"
LAUNCHER = os.path.join(FOLDER, "launch")
SOCKET = "/run/jupyter.sock"
#: How long the server may take to answer, and how long its CPU time is watched, in seconds.
ANSWER, WATCH = 3 * PATIENCE, 0.3
#: The most that a log has, in bytes.
LOG = 10 * 2**20

if TYPE_CHECKING:
    Endpoint = tuple[str, str]


class Process:
    """One of this user's processes, as it is now."""

    def __init__(self, pid: int) -> None:
        """Read what it is; OSError where it has ended, or is somebody else's."""
        if os.stat(f"/proc/{pid}").st_uid != os.getuid():
            raise PermissionError(pid)
        with open(f"/proc/{pid}/cmdline", "rb") as line, open(f"/proc/{pid}/stat") as status:
            self.words = [os.fsdecode(word) for word in line.read().split(b"\0")]
            # What comes after the name, which may have anything in it: the state, the parent, ...
            fields = status.read().rpartition(")")[2].split()
        self.pid, self.parent, self.begun = pid, int(fields[1]), int(fields[19])
        self.memory, self.ticks = int(fields[21]), int(fields[11]) + int(fields[12])
        self.dead = fields[0] == "Z"
        self.serves = any(word.startswith("--config=/") and word.endswith(CONFIG) for word in self.words)
        # `sh LAUNCHER`, or `bash -l LAUNCHER`; not screen, which has it further behind.
        self.launches = any(word.endswith(f"{END}/launch") for word in self.words[1:3])

    def option(self, name: str) -> str:
        """Return the value of an option on its command line."""
        begin = f"--ServerApp.{name}="
        return next((word[len(begin) :] for word in self.words if word.startswith(begin)), "")


def processes() -> dict[int, Process]:
    """Return all of this user's."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, IndexError, ValueError):
            found[int(pid)] = Process(int(pid))
    return {pid: process for pid, process in found.items() if not process.dead}


def servers() -> list[Process]:
    """Return our servers, the oldest first, without the children that have not yet become something else."""
    found = {pid: process for pid, process in processes().items() if process.serves}
    return sorted((one for one in found.values() if one.parent not in found), key=lambda one: one.begun)


def family(pids: set[int], everybody: dict[int, Process]) -> dict[int, Process]:
    """Return these processes, and all that they have started, and so on."""
    while more := {one.pid for one in everybody.values() if one.parent in pids} - pids:
        pids = pids | more
    return {pid: everybody[pid] for pid in pids if pid in everybody}


def read_lines(name: str, size: int = 300) -> list[str]:
    """Return what a file of ours begins with; nothing where it cannot be read, or is a pipe, which would not end."""
    with contextlib.suppress(OSError):
        path = os.open(os.path.join(FOLDER, name), os.O_RDONLY | os.O_NONBLOCK)
        with open(path, errors="replace") as file:
            if stat.S_ISREG(os.fstat(path).st_mode):
                return file.read(size).splitlines()
    return []


def record(name: str) -> str:
    """Return the first line of a record; an empty string where there is none."""
    return (read_lines(f"run/{name}") or [""])[0].strip()


def endpoint(server: Process) -> Endpoint:
    """Return where a server listens: its kind, and the path of a socket or HOST:PORT."""
    if path := server.option("sock"):
        return "socket", FOLDER + path[-len(SOCKET) :] if path.endswith(END + SOCKET) else path
    if server.option("port"):
        return "loopback", f"127.0.0.1:{server.option('port')}"
    # One that was started by an older version of this, which left it in a record.
    kind, _, address = record("endpoint").partition(" ")
    return kind, address


def listens_at(server: Process, kind: str, address: str) -> bool:
    """Tell whether a server's command line has it listen at an endpoint."""
    if kind == "socket":
        return endpoint(server) == (kind, address)
    everywhere = server.option("ip") == "0.0.0.0"  # noqa: S104  Not bound here.
    return server.option("port") == address.rpartition(":")[2] and everywhere == (kind == "network")


def rows() -> list[list[str]]:
    """Return the node's connections.

    Lines as `0: 0100007F:2694 0100007F:C5A2 01 00000000:00000000 00:00000000 00000000  2001 0 40960 ...`: its end and
    the other, in hexadecimal, the state (0A listens), and further on the user's number, and the inode's.
    """
    lines = []
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError), open(f"/proc/net/{table}") as file:
            lines += [line.split() for line in file.readlines()[1:]]
    return lines


def listener(port: int) -> int:
    """Return the user who listens on a port of the loopback; OSError where nobody does."""
    for row in rows():
        address, _, number = row[1].partition(":")
        if row[3] == "0A" and int(number, 16) == port and (address.endswith("0100007F") or not address.strip("0")):
            return int(row[7])
    raise ConnectionRefusedError(f"nobody listens on port {port}")


def peer(connection: socket.socket) -> tuple[int, int]:
    """Return the user and the process that a connection leads to; a process of 0 where nothing says which."""
    if connection.family == socket.AF_UNIX:
        pid, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return user, pid
    ours, its = (f":{name[1]:04X}" for name in (connection.getsockname(), connection.getpeername()))
    row = next((row for row in rows() if row[1].endswith(its) and row[2].endswith(ours)), None)
    if row is None:
        raise OSError("nothing says whose the answer is")
    for pid in processes():
        with contextlib.suppress(OSError):
            for descriptor in os.listdir(f"/proc/{pid}/fd"):
                if os.readlink(f"/proc/{pid}/fd/{descriptor}") == f"socket:[{row[9]}]":
                    return int(row[7]), pid
    return int(row[7]), 0


class Server(http.client.HTTPConnection):
    """https to an endpoint, once it is seen that it is this user's.

    That is what a certificate would prove, which may have ended, or be damaged; `verify` asks for it all the same.
    """

    def __init__(self, at: Endpoint, verify: bool = False) -> None:
        """Remember where it is."""
        super().__init__("localhost", timeout=ANSWER)
        self.at, self.verify = at, verify
        self.pid = 0

    def connect(self) -> None:
        """Connect to the socket or the port, and see whose it is."""
        kind, address = self.at
        if kind == "socket":
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(ANSWER)
            connection.connect(address)
        else:
            port = int(address.rpartition(":")[2] or 0)
            self.require_ours(listener(port))
            connection = socket.create_connection(("127.0.0.1", port), ANSWER)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.verify:
            context.load_verify_locations(os.path.join(FOLDER, "ca.crt"))
        else:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        # What has been accepted has a process.
        self.sock = context.wrap_socket(connection, server_hostname="localhost")
        user, self.pid = peer(self.sock)
        self.require_ours(user)

    def require_ours(self, user: int) -> None:
        """Refuse what is another user's."""
        if user != os.getuid():
            raise Foreign(f"{self.at[1]} belongs to another user (number {user}). Choose another cluster_port.")

    def ask(self, path: str, **headers: str) -> tuple[int, bytes]:
        """Return the status and the text of a page."""
        self.request("GET", path, headers=headers)
        answer = self.getresponse()
        return answer.status, answer.read()


class Foreign(Exception):
    """What answers is not ours."""


def shows_owner() -> dict[str, str]:
    """Return what shows that one is the server's owner."""
    return {"Owner-Key": record("owner") or "unknown"}


def ask(at: Endpoint) -> dict[str, Any]:
    """Ask the server for everything that it knows."""

    def api(path: str) -> Any:
        for _ in range(2):
            connection = Server(at)
            status, text = connection.ask(f"/api{path}?no_track_activity=1", **shows_owner())
            # A server that is shown another key than its own writes that down again.
            if status != 403:
                break
        if status != 200:
            raise OSError(f"{status} at /api{path}")
        return json.loads(text), connection.pid

    (status, pid), before, begun = api("/status"), processes(), time.monotonic()
    (version, _), (sessions, _), (kernels, _) = api(""), api("/sessions"), api("/kernels")
    notebooks = {session["kernel"]["id"]: session["path"] for session in sessions if session.get("kernel")}
    time.sleep(max(0.0, begun + WATCH - time.monotonic()))
    after, seconds = processes(), time.monotonic() - begun
    members = family({pid}, after)
    used = sum(one.ticks - before[one.pid].ticks for one in members.values() if one.pid in before)
    return {
        "pid": pid,
        "version": version["version"],
        "started": status["started"],
        "last_activity": status["last_activity"],
        "kernels": [
            {
                "name": notebooks.get(kernel["id"], kernel["name"]),
                "state": kernel["execution_state"],
                "last_activity": kernel["last_activity"],
            }
            for kernel in kernels
        ],
        "memory": sum(one.memory for one in members.values()) * os.sysconf("SC_PAGE_SIZE"),
        "cpu": round(100 * used / os.sysconf("SC_CLK_TCK") / seconds),
    }


def answer() -> dict[str, Any]:
    """Return what our server says, or all that there are; or why it says nothing."""
    found = servers()
    if not found:
        return {"error": "it has ended"}
    try:
        said = [ask(at) for at in dict.fromkeys(map(endpoint, found))]
    except (OSError, http.client.HTTPException, ValueError, KeyError, Foreign) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    silent = {one.pid for one in found} - {one["pid"] for one in said}
    if silent:
        return {"error": f"process {min(silent)} does not answer at its endpoint"}
    # That of the lock, with the kernels of all: whatever ends them, ends all.
    first = next((one for one in said if str(one["pid"]) in record("lock").split()[2:3]), said[0])
    together = {name: sum(one[name] for one in said) for name in ("memory", "cpu")}
    return {**first, **together, "kernels": [kernel for one in said for kernel in one["kernels"]]}


def fail(*lines: str) -> NoReturn:
    """Print what is wrong, without what lets somebody in, and end."""
    print(re.sub(r"(token=)[^&\s]+", r"\1[secret]", "\n".join(lines)))
    sys.exit(1)


def end(doomed: list[int], seconds: float) -> list[int]:
    """End processes in order; return those that are still there after so many seconds."""
    for pid in doomed:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        left = sorted(set(doomed) & set(processes()))
        if not left:
            return []
        time.sleep(0.1)
    return sorted(set(doomed) & set(processes()))


class Start:
    """One start of the launcher, from before it begins until its server answers."""

    def __init__(self, seconds: str, screen: str, name: str, kind: str, address: str) -> None:
        """Give it a name, which the processes that come of it carry."""
        self.id = secrets.token_hex(8)
        self.report = os.path.join(FOLDER, "run", f"start.{self.id}")
        self.seconds, self.screen, self.name = float(seconds), screen, name
        self.endpoint = (kind, address)

    def processes(self) -> list[Process]:
        """Return the launcher, or the server that it has become."""
        return [one for one in processes().values() if self.id in one.words and (one.launches or one.serves)]

    def begin(self) -> None:
        """Start the launcher in our last session, if another window of the user's kept it alive, else in a new one."""
        for old in glob.glob(os.path.join(FOLDER, "run", "start.*")):
            # What an interrupted run has left; one of another start is young, and goes by itself.
            with contextlib.suppress(OSError):
                if os.stat(old).st_mtime < time.time() - 600 * PATIENCE:
                    os.unlink(old)
        with open(self.report, "w"):
            pass
        launch = ["/bin/sh", LAUNCHER, self.id, self.report]
        last = record("session")
        if re.fullmatch(rf"\d+\.{re.escape(self.name)}", last):
            done = self.run([self.screen, "-S", last, "-X", "screen", "-t", self.name, *launch])
            if done.returncode == 0:
                return
            # Of a session that died, screen keeps the name, and would ask at `screen -r jupyter` which is meant.
            self.run([self.screen, "-wipe", last])
        done = self.run([self.screen, "-dmS", self.name, *launch])
        if done.returncode != 0:
            said = " ".join(done.stdout.decode(errors="replace").split()) or f"exit status {done.returncode}"
            fail(
                f"screen does not start: {said} Where its folder cannot be used, ask the cluster's support, or set "
                "SCREENDIR to a private folder (mode 0700) of yours in your ~/.bash_profile."
            )

    @staticmethod
    def run(command: list[str]) -> subprocess.CompletedProcess[bytes]:
        """Run screen, for ten seconds at most."""
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=10 * PATIENCE, check=False,
        )  # fmt: skip

    def said(self) -> list[str]:
        """Return what the launcher says: that it has begun, and why it starts nothing."""
        return read_lines(f"run/{os.path.basename(self.report)}", 10**5)

    def log(self) -> list[str] | None:
        """Return the log of this start, none of an earlier one's."""
        said = read_lines("jupyter.log", LOG)
        return said[1:] if said and said[0].startswith(f"Start {self.id},") else None

    def answers(self, ours: int | None = None) -> bool:
        """Tell whether the server is ours, and private; Foreign where something else is at its endpoint."""
        pid = ours or next((one.pid for one in self.processes() if one.serves), 0)
        try:
            first = Server(self.endpoint, verify=True)
            status, _ = first.ask("/api")
            if first.pid != pid and any(one.pid == first.pid for one in servers()):
                # Another start was first, which the launcher is about to say.
                return False
            if first.pid != pid:
                raise Foreign(f"{self.endpoint[1]} belongs to another process (number {first.pid}).")
            if status != 200:
                return False
            stranger, _ = Server(self.endpoint, verify=True).ask("/api/status")
            owner, _ = Server(self.endpoint, verify=True).ask("/api/status", **shows_owner())
        except ssl.SSLCertVerificationError as error:
            raise Foreign(f"What listens at {self.endpoint[1]} does not show our certificate: {error}") from error
        except ssl.SSLError as error:
            raise Foreign(f"What listens at {self.endpoint[1]} does not speak https: {error}") from error
        except (OSError, http.client.HTTPException):
            return False
        if (stranger, owner) != (403, 200):
            raise Foreign(f"The server lets in who has no password (status {stranger}), or not you ({owner}).")
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
                if one.serves and not listens_at(one, *self.endpoint):
                    self.fail(
                        [
                            f"The files on the node are older than your inventory: the server would listen at "
                            f"{endpoint(one)[1]}, and not at {self.endpoint[1]}. Have them written: ansible-playbook "
                            "site.yml"
                        ]
                    )
            if self.answers():
                return
            if other := re.search(r"runs already, as process (\d+)", " ".join(said)):
                self.join(int(other[1]), begun)
            if time.monotonic() > alive + (0.5 if said else 15) * PATIENCE:
                self.fail(self.explain())
            time.sleep(0.1)
        starting = self.processes()
        if not starting:
            self.fail(self.explain())
        print(
            f"The server has not answered within {self.seconds:.0f} s. It is still starting (process "
            f"{starting[0].pid}): look again in a while, by `status` or `logs`. To wait longer: -e "
            "screen_session_timeout=SECONDS"
        )
        sys.exit(1)

    def join(self, other: int, begun: float) -> NoReturn:
        """Another start was first: wait for its server."""
        while time.monotonic() < begun + self.seconds and other in processes():
            if self.answers(other):
                sys.exit(3)
            time.sleep(0.1)
        fail("Another run was starting the server at the same moment, and its server does not answer. Run this again.")

    def explain(self) -> list[str]:
        """Say what is wrong with a start that has ended."""
        said, log = self.said(), self.log()
        if not said:
            return [f"screen does not run {LAUNCHER}. Look at your ~/.screenrc on the node."]
        if said[1:]:
            return said[1:2]
        if log is None:
            return [
                "The login shell on the node did not run the launcher. Look for a line in ~/.bash_profile, ~/.profile "
                "or ~/.bashrc there that starts another shell or ends this one."
            ]
        errors = (line for line in log if re.match(r"\[C |\[E |Not started|\w*(Error|Exception)\b", line))
        first = next(errors, "no error in its log")
        return [f"The server ended before it answered: {first}", "The end of its log:", *log[-15:]]

    def fail(self, lines: list[str]) -> NoReturn:
        """End what this start has started, and say what is wrong."""
        left = [one.pid for one in self.processes()]
        for pid in end(left, 10 * PATIENCE):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        fail(*lines)


def start(*arguments: str) -> None:
    """Start the server, and wait until it answers at its endpoint, and is seen to be ours."""
    begun = Start(*arguments)
    try:
        if there := servers():
            begun.join(there[0].pid, time.monotonic())
        begun.begin()
        begun.wait()
    except Foreign as error:
        begun.fail([str(error), *begun.explain()])
    except subprocess.TimeoutExpired:
        begun.fail(["screen does not answer. See on the node what hangs: `screen -ls`, and the disk of its folder."])
    except OSError as error:
        begun.fail([f"{error.filename or FOLDER}: {error.strerror or error}."])
    finally:
        with contextlib.suppress(OSError):
            os.unlink(begun.report)


def stop(seconds: str) -> None:
    """End the servers and what is about to become one, and see that they have."""
    ending = servers()
    before = family({one.pid for one in ending}, processes())
    left = end([one.pid for one in ending] + [one.pid for one in processes().values() if one.launches], float(seconds))
    left += [one.pid for one in servers() if one.pid not in left]
    if left:
        fail(f"The server has not ended within {float(seconds):.0f} s: process {', '.join(map(str, left))}.")
    kernels = {one.pid for one in before.values() if any("/kernel-" in word for word in one.words)}
    deadline = time.monotonic() + 5 * PATIENCE
    while left := sorted(kernels & set(processes())):
        if time.monotonic() > deadline:
            fail(f"The server has ended, and these kernels of it have not: process {', '.join(map(str, left))}.")
        time.sleep(0.1)


if COMMAND == "ask":
    print("server.answer\t" + json.dumps(answer()))
elif COMMAND == "start":
    start(*sys.argv[4:])
else:
    stop(sys.argv[4])
