"""What a browser does with a Jupyter server, without the pictures: log in, use the API, run cells."""

from __future__ import annotations

import http.cookiejar
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import websocket


class Browser:
    """One person's session, which trusts one certificate authority and no other, and uses no proxy."""

    def __init__(self, url: str, authority: Path) -> None:
        self.url = url
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
            with self.opener.open(request, timeout=20) as answer:
                return answer.status, answer.read().decode(), dict(answer.headers)
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

    def run(self, kernel: str, code: str) -> str:
        """Run a cell over the websocket; return what it prints."""
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.cookies)
        channel = websocket.create_connection(
            f"{self.url.replace('https', 'wss')}/api/kernels/{kernel}/channels",
            sslopt={"context": self.tls},
            cookie=cookies,
            origin=self.url,
            timeout=30,
            http_no_proxy=["*"],
        )
        sent = uuid.uuid4().hex
        header = {"msg_id": sent, "msg_type": "execute_request", "session": sent, "username": "", "version": "5.3"}
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        try:
            channel.send(json.dumps(message))
            printed = ""
            while True:
                answer = json.loads(channel.recv())
                if answer["parent_header"].get("msg_id") != sent:
                    continue
                if answer["msg_type"] == "stream":
                    printed += answer["content"]["text"]
                if answer["msg_type"] == "error":
                    raise AssertionError("\n".join(answer["content"]["traceback"]))
                if answer["msg_type"] == "status" and answer["content"]["execution_state"] == "idle":
                    return printed
        finally:
            channel.close()
