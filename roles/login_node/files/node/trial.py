"""Use a server that has just been started as its owner will: its page, a session, and an empty cell of a kernel."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import re
import secrets
import select
import socket
import ssl
import struct
import time
from typing import Any, NamedTuple

from node.client import Client, Foreign, shows_owner
from node.folder import Failure, Folder
from node.processes import KERNEL, Endpoint, family, processes

#: Where the session would be in the user's files. Nothing is written there.
PATH = "jupyter-cluster-first-use"
#: Requests are as long as those of a browser (2 kB of headers, 400 kB of a notebook), which a configuration may forbid.
FILLER = "x" * 2000
#: The most that a log has, in bytes.
LOG = 10 * 2**20
#: What a websocket's frames are, by their number.
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Unusable(Exception):
    """Somebody who has logged in could do nothing there; the message says why, in a sentence."""


class Slow(Unusable):
    """Nothing has gone wrong, but somebody would wait for a long time: a disk may be busy."""


def require_reader() -> None:
    """End what nobody waits for any more: the run was interrupted, and another one may be using the server."""
    output = select.poll()
    output.register(1, 0)
    if output.poll(0):
        raise Failure("The run was interrupted.")


class Kernel(NamedTuple):
    """A kernel that has been started: its session and itself, as Jupyter numbers them, and its processes here."""

    session: str
    number: str

    def processes(self) -> set[int]:
        """Return those that have its connection file; none of one that runs elsewhere."""
        return {one.pid for one in processes().values() if any(self.number in word for word in one.words)}


class Channel:
    """A kernel's websocket, as pages open it (RFC 6455)."""

    def __init__(self, connection: Client, headers: dict[str, str], kernel: Kernel, number: str) -> None:
        """Ask for it, under a number of our own; it opens once the kernel has said that it is there."""
        connection.connect()
        self.sock, self.got, self.open = connection.sock, b"", False
        lines = {
            "Host": "localhost",
            "Origin": "https://localhost",
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(secrets.token_bytes(16)).decode(),
            **headers,
        }
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.sock.sendall(
            f"GET /api/kernels/{kernel.number}/channels?session_id={number} HTTP/1.1\r\n{text}\r\n".encode()
        )
        self.sock.settimeout(0.2)

    def more(self) -> None:
        """Read what comes within a moment."""
        with contextlib.suppress(socket.timeout):
            read = self.sock.recv(1 << 16)
            if not read:
                raise Unusable("its messages are cut off")
            self.got += read
        if not self.open and b"\r\n\r\n" in self.got:
            head, _, self.got = self.got.partition(b"\r\n\r\n")
            status = head.split(b" ", 2)[1].decode()
            if status != "101":
                raise Unusable(f"its messages are refused ({status})")
            self.open = True

    def send(self, kind: int, content: bytes) -> None:
        """Send a frame; a client's are masked."""
        mask, size = secrets.token_bytes(4), len(content)
        length = struct.pack("!B", 128 | size) if size < 126 else struct.pack("!BH", 128 | 126, size)
        masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(content))
        self.sock.sendall(bytes([128 | kind]) + length + mask + masked)

    def frame(self) -> tuple[int, bytes] | None:
        """Return the next frame, if all of it has come."""
        if not self.open or len(self.got) < 2:
            return None
        kind, size, begin = self.got[0] & 15, self.got[1] & 127, 2
        if size > 125:
            begin = 4 if size == 126 else 10
            if len(self.got) < begin:
                return None
            size = int.from_bytes(self.got[2:begin], "big")
        if len(self.got) < begin + size:
            return None
        content, self.got = self.got[begin : begin + size], self.got[begin + size :]
        return kind, content

    def next(self) -> dict[str, Any]:
        """Return the next message of the kernel, or an empty one where none has come within a moment."""
        found = self.frame()
        if found is None:
            self.more()
            return {}
        kind, content = found
        if kind == PING:
            self.send(PONG, content)
        if kind == CLOSE:
            raise Unusable("its messages are cut off")
        message: dict[str, Any] = json.loads(content) if kind == TEXT else {}
        return message


class Trial:
    """The first use of a server."""

    def __init__(self, folder: Folder, at: Endpoint, seconds: float) -> None:
        """Remember where the server is, and how long all of it may take."""
        self.folder, self.at, self.seconds, self.end = folder, at, seconds, time.monotonic() + seconds
        # As scripts of a page have it, a cookie and a header that agree; and cookies of other servers at localhost.
        agreed = secrets.token_hex(16)
        self.headers = {**shows_owner(folder), "Cookie": f"_xsrf={agreed}; filler={FILLER}", "X-XSRFToken": agreed}
        self.before = len(self.log())
        #: The kernels that it has started, as Jupyter numbers them.
        self.kernels: set[str] = set()

    def log(self) -> list[str]:
        """Return the log."""
        return self.folder.lines("jupyter.log", LOG)

    def client(self) -> Client:
        """Return a connection, which waits as long as there is time."""
        return Client(self.at, max(1.0, self.end - time.monotonic()))

    def ask(self, path: str, method: str = "GET", content: Any = None) -> Any:
        """Return the answer to a request of the API."""
        client, body = self.client(), None if content is None else json.dumps(content)
        try:
            client.request(method, path, body, self.headers)
            answer = client.getresponse()
            text = answer.read()
        except (ConnectionError, ssl.SSLEOFError) as error:
            raise Unusable(f"a request of {len(body or '')} bytes is broken off at {path}") from error
        if answer.status // 100 != 2:
            with contextlib.suppress(ValueError):
                why = str(json.loads(text).get("message") or "no reason")
                raise Unusable(f"status {answer.status} at {path}, {' '.join(why.split())}")
            raise Unusable(f"status {answer.status} at {path}")
        return json.loads(text or b"null")

    def open_page(self, path: str, headers: dict[str, str]) -> None:
        """Open a page, or the one that a browser is led to."""
        for _ in range(5):
            client = self.client()
            client.request("GET", path, headers=headers)
            answer = client.getresponse()
            answer.read()
            if answer.status not in (301, 302, 303, 307, 308):
                break
            # Of one with a host, that is this server's.
            path = re.sub(r"^https?://[^/]*", "", answer.headers["Location"]) or "/"
        if answer.status != 200:
            raise Unusable(f"The page {path} answers {answer.status}.")

    def run_empty_cell(self, name: str, end: float) -> None:
        """Start a kernel as a page does, have it run nothing until a time, and end it."""
        wanted = {"path": PATH, "name": PATH, "type": "console", "kernel": {"name": name}, "filler": FILLER * 200}
        made = self.ask("/api/sessions", "POST", wanted)
        kernel = Kernel(made["id"], made["kernel"]["id"])
        self.kernels.add(kernel.number)
        try:
            self.talk(kernel, end)
        except BaseException:
            with contextlib.suppress(Unusable, OSError, http.client.HTTPException):
                self.ask(f"/api/sessions/{kernel.session}", "DELETE")
            raise
        self.ask(f"/api/sessions/{kernel.session}", "DELETE")

    def talk(self, kernel: Kernel, end: float) -> None:
        """Have a kernel run nothing."""
        begun = time.monotonic()
        first, number = kernel.processes(), secrets.token_hex(16)
        channel, sent = Channel(self.client(), self.headers, kernel, number), False
        header = {"msg_id": number, "username": "", "session": number, "date": "", "version": "5.3"}
        content = {
            "code": "", "silent": True, "store_history": False, "user_expressions": {}, "allow_stdin": False,
            "stop_on_error": True,
        }  # fmt: skip
        message = {
            "header": {**header, "msg_type": "execute_request"}, "parent_header": {}, "metadata": {},
            "content": content, "buffers": [], "channel": "shell",
        }  # fmt: skip
        while time.monotonic() < end:
            require_reader()
            got = channel.next()
            if channel.open and not sent:
                channel.send(TEXT, json.dumps(message).encode())
                sent = True
            if got.get("msg_type") == "execute_reply" and got.get("parent_header", {}).get("msg_id") == number:
                return
            there = kernel.processes()
            first = first or there
            # One that ends at once is not seen itself; that Jupyter starts one again and again is.
            again = any("KernelRestarter: restarting kernel" in line for line in self.log()[self.before :])
            if (again and not there) or (first and not first & there):
                self.before = len(self.log())
                raise Unusable("it ends while it starts")
        raise Slow(f"it does not answer within {end - begun:.0f} s")

    def run(self) -> list[str]:
        """Require that the pages open, and that a kernel runs, if there are any; return what does not, in sentences."""
        try:
            self.open_page("/login", {})
            self.open_page("/", self.headers)
            known = self.ask("/api/kernelspecs")
            names = sorted(known["kernelspecs"], key=lambda name: (name != known["default"], name))
            if not names:
                return ["There is no kernel: notebooks run nothing until one is installed, such as ipykernel."]
            problems: list[str] = []
            kind = Unusable
            for name in names:
                # One that never answers leaves time for others.
                left = self.end - time.monotonic()
                try:
                    self.run_empty_cell(name, self.end - (left / 2 if name != names[-1] else 0))
                    return [f"A kernel does not start, and `logs` says why. {problem}." for problem in problems]
                except Unusable as error:
                    problems.append(f"{name}: {error}")
                    kind = Slow if isinstance(error, Slow) else kind
            raise kind(f"No kernel starts. {'; '.join(problems)}.")
        except socket.timeout as error:
            raise Slow(f"The page does not open within {self.seconds:.0f} s.") from error
        except (OSError, http.client.HTTPException, Foreign) as error:
            raise Unusable(f"The server stopped answering ({type(error).__name__}: {error}).") from error
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise Unusable(f"What the server says makes no sense ({type(error).__name__}: {error}).") from error

    def others(self) -> list[int]:
        """Return the processes with kernels that somebody else has started on this server meanwhile."""
        everybody = processes()
        found = family({one.pid for one in everybody.values() if one.config(self.folder)}, everybody)
        kernels = {pid: match[1] for pid, one in found.items() for word in one.words if (match := KERNEL.search(word))}
        return sorted(pid for pid, number in kernels.items() if number not in self.kernels)
