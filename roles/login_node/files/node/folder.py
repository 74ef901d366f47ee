"""The project's folder on the node, and what is written, read and removed in it."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from typing import Any

#: What the role tls_cert has there, which has its own modes.
CERTIFICATE = ("server.key", "server.crt", "ca.crt")
SOCKET = "/run/jupyter.sock"


class Failure(Exception):
    """Why something cannot be done: a line, or several."""

    def __init__(self, *lines: str, status: int = 1) -> None:
        """Keep them, and the exit status."""
        super().__init__("\n".join(lines))
        self.status = status


class Folder:
    """`~/.jupyter-cluster/NODE`."""

    def __init__(self, path: str) -> None:
        """Remember where it is."""
        self.path = path
        #: How every path in it ends. Whatever led to the home when a server was started may have another name by now.
        self.end = "/" + "/".join(path.split("/")[-2:])
        self.above, self.run = os.path.dirname(path), os.path.join(path, "run")
        self.launcher = os.path.join(path, "launch")
        self.socket = path + SOCKET

    def file(self, name: str) -> str:
        """Return the path of a file in it."""
        return os.path.join(self.path, name)

    def lines(self, name: str, size: int = 300) -> list[str]:
        """Return what a file begins with; nothing where it cannot be read, or is a pipe, which would not end."""
        with contextlib.suppress(OSError):
            return read(self.file(name), size).decode(errors="replace").splitlines()
        return []

    def record(self, name: str) -> str:
        """Return the first line of a record; an empty string where there is none."""
        return (self.lines(f"run/{name}") or [""])[0].strip()

    def write(self, data: dict[str, Any]) -> dict[str, Any]:
        """Write the files that are not there as they shall be, into folders that are private."""
        check, changed, diff = bool(data["check"]), [], []
        for path in (self.above, self.path, self.run):
            if make_private(path, check):
                changed.append(path)
        if self.mend_modes(check):
            changed.append(f"modes in {self.path}")
        for name, text in {**data["files"], **data["secrets"]}.items():
            path, mode = self.file(name), 0o700 if name in data["programs"] else 0o600
            old = _content(path)
            if old == text.encode() and stat.S_IMODE(os.stat(path).st_mode) == mode:
                continue
            changed.append(path)
            if data["diff"] and name not in data["secrets"]:
                before = (old or b"").decode(errors="replace")
                diff.append({"before": before, "after": text, "before_header": path, "after_header": path})
            if not check:
                put(path, text.encode(), mode)
        return {"changed": changed, "diff": diff}

    def wrong_modes(self) -> list[str]:
        """Return the files in it that this user cannot read or write, or that others can; down to the second level."""
        wrong = []
        for above, folders, names in os.walk(self.path):
            if above != self.path:
                folders.clear()
            for path in (os.path.join(above, name) for name in names if not _of_certificate(name)):
                # What another start or run has there for a moment may be gone by now.
                with contextlib.suppress(FileNotFoundError):
                    found = os.lstat(path)
                    if stat.S_ISREG(found.st_mode) and stat.S_IMODE(found.st_mode) != private(found.st_mode):
                        wrong.append(path)
        return wrong

    def mend_modes(self, check: bool) -> bool:
        """Make them readable, and for one user only; tell whether there was something to do."""
        wrong = self.wrong_modes()
        for path in [] if check else wrong:
            with contextlib.suppress(FileNotFoundError):
                os.chmod(path, private(os.lstat(path).st_mode))
        return bool(wrong)

    def clear(self, names: list[str]) -> list[str]:
        """Take away what is named, a folder with all that is in it; return what was there."""
        gone = []
        for path in map(self.file, names):
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            elif os.path.lexists(path):
                os.unlink(path)
            else:
                continue
            gone.append(path)
        return gone


def private(mode: int) -> int:
    """Return the mode that a file shall have, by the one that it has."""
    return (stat.S_IMODE(mode) & ~0o077) | 0o600


def _of_certificate(name: str) -> bool:
    return name.startswith("server.") or name == "ca.crt"


def make_private(path: str, check: bool = False) -> bool:
    """Make a folder, or make it private; tell whether there was something to do.

    Not by a whole mode: Jupyter sets the sticky bit of the folder that has its sockets.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        if not check:
            os.mkdir(path, 0o700)
            os.chmod(path, 0o700)
        return True
    if not stat.S_ISDIR(found.st_mode):
        raise Failure(f"{path} is no folder. Move it away, then run this again.")
    bits = stat.S_IMODE(found.st_mode)
    wanted = (bits & ~0o077) | 0o700
    if bits == wanted:
        return False
    if os.path.islink(path):
        # Whatever it leads to has modes for purposes of its own.
        raise Failure(f"{path} is a link to {os.path.realpath(path)}, which is not private. Take the link away.")
    if not check:
        os.chmod(path, wanted)
    return True


def read(path: str, size: int) -> bytes:
    """Return what a file begins with; OSError where it cannot be read, or is none: a pipe would not end."""
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, "it is no file", path)
        return file.read(size)


def _content(path: str) -> bytes | None:
    """Return what is in a file of the user's own, and nothing where it is none, or cannot be read."""
    with contextlib.suppress(OSError):
        if stat.S_ISREG(os.lstat(path).st_mode):
            with open(path, "rb") as file:
                return file.read()
    return None


def put(path: str, text: bytes, mode: int) -> None:
    """Write a file whole, or not at all."""
    handle, new = tempfile.mkstemp(prefix=".new.", dir=os.path.dirname(path))
    try:
        with open(handle, "wb") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        if os.path.isdir(path) and not os.path.islink(path):
            raise Failure(f"{path} is a folder. Move it away, then run this again.")
        os.replace(new, path)
    except BaseException:
        os.unlink(new)
        raise
