"""Start the launcher, and wait until the server answers at its endpoint and is seen to be ours.

Usage: python - FOLDER SECONDS SCREEN NAME KIND ADDRESS: the screen program, the session's name, and the endpoint, which
is `socket PATH`, or `loopback HOST:PORT` or `network HOST:PORT`.
Exit status 0, or 1 with one line that says what is wrong and the end of the server's log.
"""

from __future__ import annotations

import os
import socket
import ssl
import struct
import subprocess
import sys
import time
from typing import NoReturn

folder, seconds, screen, name, kind, address = sys.argv[1], float(sys.argv[2]), *sys.argv[3:]
record = os.path.join(folder, "run", "pid")
launcher = os.path.join(folder, "launch")


def fail(what: str) -> NoReturn:
    """Print what is wrong and the end of the server's log, and end."""
    print(what)
    try:
        with open(os.path.join(folder, "jupyter.log"), errors="replace") as log:
            print("The end of its log:", *log.readlines()[-15:], sep="\n", end="")
    except OSError:
        print("It has no log yet.")
    sys.exit(1)


def launcher_lives() -> bool:
    """Tell whether the launcher, or the server that it has become, is still there; it may not have begun yet."""
    try:
        with open(record) as pid:
            os.kill(int(pid.read()), 0)
    except (FileNotFoundError, ValueError):
        return time.monotonic() < begun + 15
    except ProcessLookupError:
        return False
    return True


def connect() -> tuple[socket.socket, int]:
    """Connect to the endpoint; return the connection, and the number of the user who listens there."""
    if kind == "socket":
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(5)
        connection.connect(address)
        return connection, struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
    port = int(address.rpartition(":")[2])
    connection = socket.create_connection(("127.0.0.1", port), timeout=5)
    # Lines as `0: 0100007F:2694 00000000:0000 0A 00000000:00000000 00:00000000 00000000  2001 ...`: address and port in
    # hexadecimal, 0A for a socket that listens, and the user's number.
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table]
    return connection, next(int(row[7]) for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}"))


def server() -> bool:
    """Tell whether https answers at the endpoint with our certificate."""
    try:
        connection, user = connect()
        with connection:
            if user != os.getuid():
                fail(f"{address} belongs to another user (number {user}). Choose another cluster_port.")
            context = ssl.create_default_context(cafile=os.path.join(folder, "ca.crt"))
            with context.wrap_socket(connection, server_hostname="localhost") as secure:
                secure.sendall(b"GET /api HTTP/1.0\r\nHost: localhost\r\n\r\n")
                return b" 200 " in secure.recv(64)
    except ssl.SSLCertVerificationError as error:
        fail(f"What listens at {address} does not show our certificate: {error}")
    except (OSError, StopIteration):
        return False


def start() -> None:
    """Start the launcher in our last session, if another window of the person's kept it alive, else in a new one."""
    try:
        with open(os.path.join(folder, "run", "session")) as session:
            again = [screen, "-S", session.read().strip(), "-X", "screen", "-t", name, launcher]
        if subprocess.run(again, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL).returncode == 0:
            return
    except FileNotFoundError:
        pass
    subprocess.run([screen, "-dmS", name, launcher], check=True, stdin=subprocess.DEVNULL)


if os.path.exists(record):
    os.remove(record)
begun = time.monotonic()
start()
while time.monotonic() < begun + seconds:
    lives = launcher_lives()
    if server():
        sys.exit(0)
    if not lives:
        fail("The server ended before it answered.")
    time.sleep(0.1)
fail(f"The server did not answer within {seconds:.0f} s.")
