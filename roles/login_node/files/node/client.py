"""https to a server's endpoint, once it is seen to be this user's."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import socket
import ssl
import struct

from node.folder import Folder
from node.ports import connections, listener
from node.processes import Endpoint, processes


class Foreign(Exception):
    """What answers is not ours."""


class Client(http.client.HTTPConnection):
    """A connection to an endpoint.

    Whose it is, is what a certificate would prove, which may have ended, or be damaged; `authority` asks for it all the
    same, by the file that has signed it.
    """

    def __init__(self, at: Endpoint, seconds: float, authority: str = "") -> None:
        """Remember where it is, and how long it may take to answer."""
        super().__init__("localhost", timeout=seconds)
        self.at, self.seconds, self.authority = at, seconds, authority
        self.pid = 0

    def connect(self) -> None:
        """Connect to the socket or the port, and see whose it is."""
        kind, address = self.at
        if kind == "socket":
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(self.seconds)
            connection.connect(address)
        else:
            port = int(address.rpartition(":")[2] or 0)
            self.require_ours(listener(port))
            connection = socket.create_connection(("127.0.0.1", port), self.seconds)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.authority:
            context.load_verify_locations(self.authority)
        else:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        # What has been accepted has a process.
        self.sock = context.wrap_socket(connection, server_hostname="localhost")
        user, self.pid = _peer(self.sock)
        self.require_ours(user)

    def require_ours(self, user: int) -> None:
        """Refuse what is another user's."""
        if user != os.getuid():
            raise Foreign(f"{self.at[1]} belongs to another user (number {user}). Choose another one: my_node_port.")

    def ask(self, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        """Return the status and the text of a page."""
        self.request("GET", path, headers=headers)
        answer = self.getresponse()
        return answer.status, answer.read()


def shows_owner(folder: Folder) -> dict[str, str]:
    """Return what shows a server that one is its owner. One that is shown another key writes its own down again."""
    key = folder.record("owner")
    return {"Owner-Key": key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else "unknown"}


def _peer(connection: socket.socket) -> tuple[int, int]:
    """Return the user and the process that a connection leads to; a process of 0 where nothing says which."""
    if connection.family == socket.AF_UNIX:
        pid, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return user, pid
    ours, its = (f":{name[1]:04X}" for name in (connection.getsockname(), connection.getpeername()))
    row = next((row for row in connections() if row[1].endswith(its) and row[2].endswith(ours)), None)
    if row is None:
        raise OSError("nothing says whose the answer is")
    for pid in processes():
        with contextlib.suppress(OSError):
            for descriptor in os.listdir(f"/proc/{pid}/fd"):
                if os.readlink(f"/proc/{pid}/fd/{descriptor}") == f"socket:[{row[9]}]":
                    return int(row[7]), pid
    return int(row[7]), 0
