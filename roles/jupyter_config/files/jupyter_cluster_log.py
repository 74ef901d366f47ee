"""Keep what comes on standard input in a file of a bounded size, and show it: python jupyter_cluster_log.py FILE

A neighbour on the node can make a kernel print (through the port that ipykernel opens for its children), so the file
has a limit: at ten MiB it becomes FILE.previous, and a new one begins. A full disk loses what comes meanwhile, and no
more. A terminal that takes nothing, since somebody has stopped it, misses what comes; the server never waits for it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys

#: The most that a file gets, in bytes.
LIMIT = 10 * 2**20


class Log:
    """A file that begins anew when it is full."""

    def __init__(self, path: str) -> None:
        """Remember where it is; it is opened when something comes."""
        self.path = path
        self.file = -1
        self.lost = 0

    def write(self, data: bytes) -> None:
        """Add to the file, or count what cannot be added."""
        try:
            if self.file < 0 or os.fstat(self.file).st_nlink == 0:
                self.open()
            if os.fstat(self.file).st_size + len(data) > LIMIT:
                self.begin_anew()
            if self.lost:
                note = f"[{self.lost} bytes are missing here: nothing could be written.]\n".encode()
                self.lost -= self.lost if os.write(self.file, note) else 0
            written = os.write(self.file, data)
            self.lost += len(data) - written
        except OSError:
            self.lost += len(data)

    def open(self) -> None:
        """Open it, at its end."""
        if self.file >= 0:
            os.close(self.file)
            self.file = -1
        self.file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def begin_anew(self) -> None:
        """Put it aside, or where that cannot be, empty it."""
        try:
            os.replace(self.path, f"{self.path}.previous")
            self.open()
        except OSError:
            os.ftruncate(self.file, 0)


def terminal() -> int:
    """Open the terminal once more, not to wait for it; elsewhere, standard output is as good."""
    try:
        return os.open(os.ttyname(1), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return 1


def main() -> None:
    """Go on until nobody can print any more, whatever is typed at the terminal."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)
    log, screen = Log(sys.argv[1]), terminal()
    while data := os.read(0, 65536):
        log.write(data)
        with contextlib.suppress(OSError):
            os.write(screen, data)


if __name__ == "__main__":
    main()
