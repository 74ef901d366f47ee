"""Whether there is room: for what is written in our folder, and for the kernels' sockets."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import stat
import time
from typing import Any

from node.folder import Folder, make_private
from node.processes import Process

#: Where the private place for sockets may be: not in the home, since their names may have 107 bytes.
ABOVE = ("/tmp", "/var/tmp")  # noqa: S108  What is made there is private, and a foreign folder is passed by.
PROBE = ".jupyter-cluster-probe."
#: What an interrupted run may leave of it, also one of an earlier version.
LEFT = re.compile(re.escape(PROBE) + r"[0-9a-f]+")


def full(path: str) -> bool:
    """Tell whether the disk of a folder takes no more."""
    try:
        disk = os.statvfs(path)
    except OSError:
        return False
    # Some file systems have no number of files.
    return disk.f_bavail == 0 or (disk.f_files > 0 and disk.f_favail == 0)


def place(server: Process | None) -> tuple[str, list[str]]:
    """Return the place for the kernels' sockets, or nothing; and all those that are ours.

    It is where those of a server that runs are, or a folder that is ours already, or else the first that can be made.
    """
    ours = [path for path in places() if _ours(path)]
    used = used_by(server)
    # One that has only gone, its server makes again.
    kept = used in places() and not _foreign(used)
    new = (path for path in places() if not os.path.lexists(path) and _takes_folders(os.path.dirname(path)))
    fitting = [used] if kept else [path for path in ours if not full(path)]
    return next((path for path in (*fitting, *new)), ""), ours


def places() -> list[str]:
    """Return all that may be such a place of this user's."""
    return [os.path.join(above, f"jupyter-cluster-{os.getuid()}") for above in ABOVE]


def used_by(server: Process | None) -> str:
    """Return where the sockets of a server's kernels are; an empty string without a server."""
    return server.environment("JUPYTER_RUNTIME_DIR") if server else ""


def _foreign(path: str) -> bool:
    return os.path.lexists(path) and not _ours(path)


def _ours(path: str) -> bool:
    with contextlib.suppress(OSError):
        found = os.lstat(path)
        private = stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) & 0o777 == 0o700
        return private and found.st_uid == os.getuid() and os.path.exists(os.path.join(path, ".jupyter-cluster"))
    return False


def _takes_folders(above: str) -> bool:
    with contextlib.suppress(OSError):
        return bool(os.stat(above).st_mode & stat.S_ISVTX) and os.access(above, os.W_OK | os.X_OK) and not full(above)
    return False


def heal(folder: Folder) -> None:
    """Open what is ours, and somebody has closed; and take away what interrupted runs have left."""
    for path in (folder.above, folder.path, folder.run):
        with contextlib.suppress(OSError):
            found = os.lstat(path)
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and found.st_mode & 0o700 != 0o700:
                make_private(path)
    # Where Ansible's own modules were, in earlier versions.
    for path in _old(os.path.join(folder.above, "tmp")):
        shutil.rmtree(path, ignore_errors=True)
    for above in _written(folder):
        with contextlib.suppress(OSError):
            left = [os.path.join(above, name) for name in os.listdir(above) if LEFT.fullmatch(name)]
            for path in filter(os.path.isfile, left):
                os.unlink(path)


def _old(above: str) -> list[str]:
    with contextlib.suppress(OSError):
        paths = [os.path.join(above, name) for name in os.listdir(above)]
        return [path for path in paths if os.lstat(path).st_mtime < time.time() - 3600]
    return []


def _written(folder: Folder) -> list[str]:
    """Return where files of ours may be, the innermost first, and the home at last."""
    home = os.path.dirname(folder.above)
    return [path for path in (folder.run, folder.path, folder.above) if os.path.isdir(path)] + [home]


def unwritable(folder: Folder, place: str) -> str:
    """Say where nothing can be written, and why, as `PATH: REASON`, by writing; an empty string where all can."""
    for shown, path, size in ((folder.path, _written(folder)[0], 65536), (place, place, 4096)):
        if not os.path.isdir(path):
            continue
        probe = os.path.join(path, PROBE + secrets.token_hex(8))
        try:
            with open(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(bytes(size))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            return f"{shown}: {error.strerror or error}"
        finally:
            with contextlib.suppress(OSError):
                os.unlink(probe)
    return ""


def no_room(folder: Folder, place: str) -> str:
    """Say where nothing could be written, as far as a look shows it; an empty string where all could."""
    above = _written(folder)[0]
    if not os.access(above, os.W_OK):
        return f"{above} takes no new file: it is read-only, or not yours"
    for path in (above, place):
        if os.path.isdir(path) and full(path):
            return f"the disk of {path} is full"
    return ""


def facts(folder: Folder, server: Process | None, writes: bool) -> dict[str, Any]:
    """Say where the sockets go, and whether there is room."""
    chosen, ours = place(server)
    return {
        "place": chosen,
        "places": ours,
        "foreign_place": used_by(server) if _foreign(used_by(server)) else "",
        "full": [above for above in ABOVE if full(above)],
        "unwritable": unwritable(folder, chosen) if writes else "",
        "no_room": "" if writes else no_room(folder, chosen),
    }
