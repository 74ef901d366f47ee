"""The real jupyter_server with our identity provider, on a socket in a folder of its own, and browsers for it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import argon2
import websocket
from patience import seconds

PROVIDER = Path(__file__).parents[2] / "roles/jupyter_config/files/jupyter_cluster_identity.py"
#: As ours is started: the provider's folder is on the path of the server, and not on that of its kernels. One module,
#: which checks the form of addresses in events, takes seconds to import.
START = """
import sys
sys.path.insert(0, sys.argv.pop(1))
sys.modules["rfc3987_syntax"] = None
from jupyter_server.serverapp import main
main()
"""
FORM = "application/x-www-form-urlencoded"


def hashed(password: str, memory: int = 64, passes: int = 1, lanes: int = 1) -> str:
    """Hash a password, at next to no cost."""
    return "argon2:" + argon2.PasswordHasher(passes, memory, lanes).hash(password)


class Connection(http.client.HTTPConnection):
    """A connection over a socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", 9876, timeout=seconds(30))
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class Answer:
    """What the server has answered."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.status, self.text = answer.status, answer.read().decode()
        self.cookies = answer.headers.get_all("Set-Cookie") or []
        self.location = answer.headers.get("Location", "")


class Visitor:
    """A browser, with its cookies."""

    def __init__(self, path: Path, cookies: dict[str, str] | None = None) -> None:
        self.connection = Connection(path)
        self.path, self.cookies = path, dict(cookies or {})

    def headers(self) -> dict[str, str]:
        """Return what it sends with each request."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"Cookie": cookie, "X-XSRFToken": self.cookies.get("_xsrf", "")}

    def ask(
        self, path: str, method: str = "GET", body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Ask for a page, and keep its cookies."""
        self.connection.request(method, path, body, {**self.headers(), **(headers or {})})
        answer = Answer(self.connection.getresponse())
        for line in answer.cookies:
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies.pop(name, None) if value in ("", '""') else self.cookies.update({name: value})
        return answer

    def login(self, password: str, page: str = "/login") -> Answer:
        """Send the form of the login page."""
        if "_xsrf" not in self.cookies:
            self.ask("/login")
        body = urllib.parse.urlencode({"password": password}).encode()
        return self.ask(page, "POST", body, {"Content-Type": FORM})

    def inside(self) -> bool:
        """Tell whether it may use the server."""
        return self.ask("/api/contents").status == 200

    def websocket(self, path: str) -> int:
        """Open a websocket; return the status of the answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30)
            connection.connect(str(self.path))
            try:
                websocket.create_connection(
                    f"ws://localhost:9876{path}", socket=connection, cookie=self.headers()["Cookie"]
                ).close()
            except websocket.WebSocketBadStatusException as error:
                return error.status_code
            return 101


class Server:
    """A server in a folder, which can be started again."""

    def __init__(self, folder: Path, password: str, configuration: str = "") -> None:
        self.folder, self.log = folder, folder / "jupyter.log"
        self.socket, self.key = folder / "run" / "jupyter.sock", folder / "run" / "owner"
        self.hash, self.logouts = folder / "password_hash", folder / "run" / "logouts"
        (folder / "run").mkdir()
        (folder / "config").mkdir()
        (folder / "work").mkdir()
        for name in ("identity", "logins", "password"):
            shutil.copy(PROVIDER.with_name(f"jupyter_cluster_{name}.py"), folder)
        for name in ("jupyter_config.py", "jupyter_server_config.py"):
            (folder / "config" / name).write_text(configuration)
        self.set(password)
        self.environment = {
            **{name: value for name, value in os.environ.items() if "JUPYTER" not in name},
            "HOME": str(folder / "work"),
            "JUPYTER_CONFIG_DIR": str(folder / "config"),
            "JUPYTER_RUNTIME_DIR": str(folder / "run"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def set(self, password: str) -> None:
        """Give it another password."""
        self.hash.write_text(hashed(password) + "\n")

    def launch(self) -> subprocess.Popen[bytes]:
        """Start it, and do not wait for its answer."""
        command = [sys.executable, "-c", START, str(self.folder), "--allow-root", "--no-browser", "--debug"]
        options = {
            "identity_provider_class": "jupyter_cluster_identity.Owner",
            "sock": str(self.socket),
            "root_dir": str(self.folder / "work"),
        }
        command += [f"--ServerApp.{name}={value}" for name, value in options.items()]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=self.environment, cwd=self.folder / "work", stdout=log, stderr=log
            )
        return self.process

    def start(self) -> None:
        """Start it, and wait until it answers."""
        process, end = self.launch(), time.monotonic() + seconds(60)
        while time.monotonic() < end and process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if Visitor(self.socket).ask("/api").status == 200:
                    return
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def stop(self) -> None:
        """End it."""
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(seconds(30))
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise

    def __enter__(self) -> Server:
        """Use it."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it, whatever a test has seen."""
        self.stop()

    def visitor(self, password: str = "") -> Visitor:
        """Return another browser, which logs in."""
        visitor = Visitor(self.socket)
        if password:
            answer = visitor.login(password)
            assert answer.status == 302, answer.text
        return visitor


@contextlib.contextmanager
def flood(server: Server, many: int) -> Iterator[list[int]]:
    """Try wrong passwords over many connections, as fast as there are answers, which are listed."""
    visitor = server.visitor()
    visitor.ask("/login")
    body = b"password=wrong+password"
    lines = [f"{name}: {value}" for name, value in visitor.headers().items()]
    lines = ["POST /login HTTP/1.1", "Host: localhost:9876", f"Content-Type: {FORM}", *lines]
    request = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body
    answers: list[int] = []

    async def try_again_and_again() -> None:
        while True:
            with contextlib.suppress(OSError, EOFError):
                reader, writer = await asyncio.open_unix_connection(server.socket)
                with contextlib.closing(writer):
                    while True:
                        writer.write(request)
                        head = (await reader.readuntil(b"\r\n\r\n")).decode()
                        length = next(line for line in head.splitlines() if line.startswith("Content-Length"))
                        await reader.readexactly(int(length.partition(":")[2]))
                        answers.append(int(head.split()[1]))

    loop = asyncio.new_event_loop()
    tasks = [loop.create_task(try_again_and_again()) for _ in range(many)]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield answers
    finally:
        loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0.1), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(seconds(10))
        loop.close()
