"""What the node's logind does with what a user leaves running at a logout, and the way around it.

Measured: where it ends that (KillUserProcesses), only a scope of the user's own service manager outlives a logout, and
that only where the user lingers. Where it does not, a scope would die without lingering, and all else lives.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shlex
import subprocess

from node.folder import Failure, Folder, put

MANAGER = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
#: Where logind remembers who lingers.
LINGER = "/var/lib/systemd/linger"
#: The record that we have asked for it, so that `remove` takes it back.
RECORD = "run/lingers"
#: How long it may take to answer, in seconds.
ANSWER = 5.0
#: What starts a program in a scope.
SCOPE = ["systemd-run", "--user", "--scope", "--quiet", "--collect", "--"]


def _user() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


def ends_processes() -> bool:
    """Tell whether it ends this user's processes at the logout; it does not where there is none."""
    names = ("KillUserProcesses", "KillOnlyUsers", "KillExcludeUsers")
    try:
        said = subprocess.run(
            ["busctl", "get-property", *MANAGER, *names],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=ANSWER, check=False,
        ).stdout.decode(errors="replace").splitlines()  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    if len(said) != len(names):
        return False
    # As `b true`, and `as 2 "root" "jane"`.
    only, never = (shlex.split(line)[2:] for line in said[1:])
    return (said[0] == "b true" if not only else _user() in only) and _user() not in never


def lingers() -> bool:
    """Tell whether this user's service manager outlives the logout."""
    return os.path.exists(os.path.join(LINGER, _user()))


def keeps(folder: Folder, by_manager: bool = False) -> list[str]:
    """Return what a program has to be started by, to outlive the logout: nothing, or a scope; see to the lingering.

    What the user's own service manager keeps ends with it, unless its user lingers, also where logind ends nothing.
    """
    ends = ends_processes()
    if not (ends or by_manager):
        return []
    if not lingers():
        put(folder.file(RECORD), b"loginctl enable-linger\n", 0o600)
        said = _loginctl("enable-linger")
        if not lingers():
            with contextlib.suppress(OSError):
                os.unlink(folder.file(RECORD))
            why = (
                "This node ends whatever you leave running when you log out (KillUserProcesses)"
                if ends
                else "Your service manager on this node ends when you log out (my_keeper: scope)"
            )
            raise Failure(
                f"{why}, and does not let you linger: {said}. Ask the cluster's support for `loginctl enable-linger "
                f"{_user()}`, or take another login node."
            )
    os.environ.setdefault("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    return SCOPE


def _loginctl(command: str) -> str:
    try:
        done = subprocess.run(
            ["loginctl", "--no-ask-password", command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=ANSWER, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return " ".join(done.stdout.decode(errors="replace").split()).rstrip(".") or "logind says nothing"
