"""Start the launcher, and wait until the server answers on its socket and is seen to be ours.

Usage: python - FOLDER SECONDS SCREEN NAME, where SCREEN is the program and NAME the session's name.
Exit status 0 with the server's process number, or 1 with one line that says what is wrong and the end of its log.
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

folder, seconds, screen, name = sys.argv[1], float(sys.argv[2]), sys.argv[3], sys.argv[4]
address = os.path.join(folder, "run", "jupyter.sock")
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


def server() -> int | None:
    """Return the process that answers https on the socket with our certificate, or None while there is none."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        try:
            connection.connect(address)
            pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            if uid != os.getuid():
                fail(f"The socket {address} belongs to another user (number {uid}).")
            context = ssl.create_default_context(cafile=os.path.join(folder, "ca.crt"))
            with context.wrap_socket(connection, server_hostname="localhost") as secure:
                secure.sendall(b"GET /api HTTP/1.0\r\nHost: localhost\r\n\r\n")
                return pid if b" 200 " in secure.recv(64) else None
        except ssl.SSLCertVerificationError as error:
            fail(f"What listens on {address} does not show our certificate: {error}")
        except OSError:
            return None


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
    pid = server()
    if pid is not None:
        print(pid)
        sys.exit(0)
    if not lives:
        fail("The server ended before it answered.")
    time.sleep(0.1)
fail(f"The server did not answer within {seconds:.0f} s.")
