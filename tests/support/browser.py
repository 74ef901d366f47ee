"""What a browser does with a Jupyter server, without the pictures: log in, use the API, run cells."""

from __future__ import annotations

import contextlib
import http.cookiejar
import json
import ssl
import struct
import urllib.error
import urllib.parse
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import websocket
from patience import seconds

#: How JupyterLab and VS Code speak with a kernel, where the server can: the parts of a message, after a table of where
#: each begins. Older ones speak JSON.
PROTOCOL = "v1.kernel.websocket.jupyter.org"


class Browser:
    """One person's session, which trusts one certificate authority and no other, and uses no proxy."""

    def __init__(self, url: str, authority: Path) -> None:
        self.url, self.protocols = url, [PROTOCOL]
        self.tls = ssl.create_default_context(cafile=str(authority))
        self.cookies = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=self.tls),
            urllib.request.HTTPCookieProcessor(self.cookies),
        )

    def request(
        self, path: str, data: bytes | None = None, method: str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str, dict[str, str]]:
        """Ask for a page; return its status, its text and its headers."""
        everything = {"X-XSRFToken": self.cookie("_xsrf"), **(headers or {})}
        request = urllib.request.Request(self.url + path, data, everything, method=method)
        try:
            with self.opener.open(request, timeout=seconds(20)) as answer:
                return answer.status, answer.read().decode(errors="replace"), dict(answer.headers)
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(), dict(error.headers)

    def api(self, path: str, body: dict[str, Any] | None = None, method: str | None = None) -> Any:
        """Use the REST API; return what it answers, and fail where it refuses."""
        data = None if body is None else json.dumps(body).encode()
        status, text, _ = self.request(f"/api/{path}", data, method)
        assert status < 300, f"{path}: {status} {text}"
        return json.loads(text) if text else None

    def cookie(self, name: str) -> str:
        """Return a cookie's value, or an empty string."""
        return next((cookie.value or "" for cookie in self.cookies if cookie.name == name), "")

    def login(self, password: str) -> bool:
        """Log in by the form, as people do; tell whether it worked."""
        self.request("/login")
        form = urllib.parse.urlencode({"password": password, "_xsrf": self.cookie("_xsrf")})
        self.request("/login?next=%2Fapi%2Fstatus", form.encode())
        return self.request("/api/status")[0] == 200

    def download(self, path: str) -> bytes:
        """Fetch a file as the file browser does, byte by byte."""
        with self.opener.open(f"{self.url}/files/{path}?_xsrf={self.cookie('_xsrf')}", timeout=seconds(60)) as answer:
            return bytes(answer.read())

    def identification(self) -> tuple[str, str | None]:
        """Return what a websocket shows: the cookies, and the page that opens it."""
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.cookies), self.url

    def channel(self, kernel: str) -> contextlib.closing[websocket.WebSocket]:
        """Open a websocket to a kernel, as an open notebook has it."""
        cookies, origin = self.identification()
        channel = websocket.create_connection(
            f"{self.url.replace('https', 'wss')}/api/kernels/{kernel}/channels?session_id={uuid.uuid4()}",
            sslopt={"context": self.tls},
            cookie=cookies,
            origin=origin,
            suppress_origin=origin is None,
            subprotocols=self.protocols,
            timeout=seconds(30),
            http_no_proxy=["*"],
        )
        return contextlib.closing(channel)

    def execute(self, channel: websocket.WebSocket, code: str) -> str:
        """Send a cell, and do not wait for it; return the message's name."""
        sent = uuid.uuid4().hex
        header = {"msg_id": sent, "msg_type": "execute_request", "session": sent, "username": "", "version": "5.3"}
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
        _say(channel, "shell", header, content)
        return sent

    def run(self, kernel: str, code: str) -> str:
        """Run a cell over the websocket; return what it prints, and fail with what it raises."""
        with self.channel(kernel) as channel:
            sent = self.execute(channel, code)
            printed = ""
            while True:
                kind, parent, said = _read(channel.recv())
                if parent.get("msg_id") != sent:
                    continue
                if kind == "stream":
                    printed += said["text"]
                if kind == "error":
                    raise AssertionError("\n".join(said["traceback"]))
                if kind == "status" and said["execution_state"] == "idle":
                    return printed

    def debug(self, kernel: str, command: str) -> dict[str, Any]:
        """Send the kernel's debugger a request, as JupyterLab does; return what is answered."""
        sent = uuid.uuid4().hex
        header = {"msg_id": sent, "msg_type": "debug_request", "session": sent, "username": "", "version": "5.3"}
        asked = {"type": "request", "seq": 1, "command": command, "arguments": {"clientID": "it", "adapterID": ""}}
        with self.channel(kernel) as channel:
            _say(channel, "control", header, asked)
            while True:
                kind, parent, said = _read(channel.recv())
                if (kind, parent.get("msg_id")) == ("debug_reply", sent):
                    return said


def _say(websocket: websocket.WebSocket, channel: str, header: dict[str, Any], content: dict[str, Any]) -> None:
    """Send a message, in the form that the server speaks."""
    if websocket.subprotocol != PROTOCOL:
        message = {"channel": channel, "header": header, "parent_header": {}, "metadata": {}, "content": content}
        websocket.send(json.dumps(message))
        return
    pieces = [channel.encode(), *(json.dumps(part).encode() for part in (header, {}, {}, content))]
    begin = 8 * (len(pieces) + 2)
    offsets = [begin + sum(map(len, pieces[:count])) for count in range(len(pieces) + 1)]
    websocket.send_binary(struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets) + b"".join(pieces))


def _read(message: str | bytes) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Return a message's type, its parent's header, and its content."""
    if isinstance(message, str):
        whole = json.loads(message)
        return whole["header"]["msg_type"], whole["parent_header"], whole["content"]
    (count,) = struct.unpack_from("<Q", message)
    offsets = struct.unpack_from(f"<{count}Q", message, 8)
    _, header, parent, _, content = (message[offsets[i] : offsets[i + 1]] for i in range(5))
    return json.loads(header)["msg_type"], json.loads(parent), json.loads(content)
