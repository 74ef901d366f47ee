"""What keeps a server alive when its user logs out: each answers the same four questions.

`start` begins a program that goes on by itself; `alive` names what is there; `end` ends a program, and says which of it
is still there; `look` is what a person types to see it. `session` is what its own program tells what it runs, of which
`start` gets what the last one was told.
"""

from __future__ import annotations

import abc
import os
import re
import secrets
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

from node import programs
from node.folder import Failure, Folder
from node.processes import end

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Listing = subprocess.CompletedProcess[bytes]

#: How long the name of a folder with sockets may be, in bytes, to leave room for that of a socket.
LONGEST = 80


class Keeper(abc.ABC):
    """What they have in common: a program that keeps what it has started."""

    #: What it is called, and its program; what that says of its sessions where all is well; what helps where it is not.
    kind, command, well, remedy = "", "", "", ""
    #: Whether what it keeps ends at the logout of a user who does not linger, whatever the node does with others.
    needs_lingering = False
    #: The variable that names the folder with its sockets; and one of ours for it, where the node's cannot be used.
    variable, own = "", ""

    def __init__(self, program: str, name: str, last: list[str], patience: float) -> None:
        """Take the program's path, the session's name, and those that our server ran in last, as `session` has them."""
        self.program, self.name, self.last, self.patience = program, name, last, patience
        #: What a new session is started by, where one would end with the login.
        self.within: list[str] = []
        #: The folder with its sockets, where that is not the node's.
        self.folder = ""

    @abc.abstractmethod
    def start(self, command: list[str]) -> None:
        """Start a program in our last session, if another window of the user's kept it alive, else in a new one."""

    @abc.abstractmethod
    def alive(self, listed: Listing | None = None) -> list[str]:
        """Return the sessions of that name, of those that are listed, or that there are."""

    def end(self, doomed: list[int], seconds: float) -> list[int]:
        """End what runs in it: the session ends with its last window, and other windows are the user's own."""
        return end(doomed, seconds)

    @abc.abstractmethod
    def look(self, session: str = "") -> str:
        """Return the command that shows our session, or one that `alive` has named."""

    def there(self) -> str:
        """Return what such a command begins with, in any shell, where the user's own has another folder."""
        if self.folder == os.environ.get(self.variable, ""):
            return ""
        return f"env {self.variable}={shlex.quote(self.folder)} "

    @staticmethod
    @abc.abstractmethod
    def session(variable: Callable[[str], str]) -> str:
        """Return the session that a program runs in, by its environment; an empty string where it is in none."""

    @abc.abstractmethod
    def listing(self) -> Listing:
        """Ask for its sessions."""

    def trouble(self, listed: Listing) -> str:
        """Return why it would start nothing, with the remedy, by what it lists; an empty string where it would."""
        said = " ".join(listed.stdout.decode(errors="replace").split())
        return "" if not said or re.search(self.well, said) else f"{self.kind} does not start: {said} {self.remedy}"

    def begin(self, *arguments: str) -> Listing:
        """Run the keeper's program, which goes on by itself then."""
        return self.run(*arguments, within=self.within)

    def run(self, *arguments: str, within: Sequence[str] = ()) -> Listing:
        """Run the keeper's program."""
        return self.call([*within, self.program, *arguments])

    def call(self, words: list[str]) -> Listing:
        """Run a program of its, for a bounded time."""
        try:
            return programs.run(
                words,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                timeout=10 * self.patience, env={**os.environ, **({self.variable: self.folder} if self.folder else {})},
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise Failure(
                f"{self.kind} does not answer. See on the node what hangs, and the disk of its folder."
            ) from None

    def require(self, done: Listing) -> None:
        """Require that a program was started."""
        if done.returncode != 0:
            said = " ".join(done.stdout.decode(errors="replace").split()) or f"exit status {done.returncode}"
            raise Failure(f"{self.kind} does not start: {said} {self.remedy}")


class Screen(Keeper):
    """A window of GNU screen, in a session that the tutorial's `screen -r jupyter` comes back to."""

    kind = command = "screen"
    well = r"No Sockets found|There (is|are) "
    variable, own = "SCREENDIR", "screen"
    remedy = (
        "Where its folder cannot be used, ask the cluster's support, or set SCREENDIR to a private folder (mode 0700) "
        "of yours in your ~/.bash_profile."
    )

    def start(self, command: list[str]) -> None:
        """Start it."""
        for last in self.last:
            if re.fullmatch(rf"\d+\.{re.escape(self.name)}", last):
                if self.run("-S", last, "-X", "screen", "-t", self.name, *command).returncode == 0:
                    return
                # Of a session that died, screen keeps the name, and would ask at `screen -r jupyter` which is meant.
                self.run("-wipe", last)
        self.require(self.begin("-dmS", self.name, *command))

    def listing(self) -> Listing:
        """Ask for them."""
        return self.run("-ls")

    def alive(self, listed: Listing | None = None) -> list[str]:
        """Return them; a dead one is no more than a name."""
        rows = (listed or self.listing()).stdout.decode(errors="replace").splitlines()
        found = (re.fullmatch(rf"\t(\d+\.{re.escape(self.name)})\t(.*)", row) for row in rows)
        return [row[1] for row in found if row and "Dead" not in row[2]]

    def look(self, session: str = "") -> str:
        """Return it; several sessions may have one name."""
        return f"{self.there()}screen -r {session or self.name}"

    @staticmethod
    def session(variable: Callable[[str], str]) -> str:
        """Return it, as PID.NAME."""
        return variable("STY")


class Tmux(Keeper):
    """A window of tmux, in a session of the user's own tmux server."""

    kind = command = "tmux"
    well = r"no server running|error connecting to .*\(No such file or directory\)|^\d+,\$"
    variable = "TMUX_TMPDIR"
    remedy = (
        "Where its folder cannot be used, set TMUX_TMPDIR to a private folder (mode 0700) of yours in your "
        "~/.bash_profile."
    )

    def start(self, command: list[str]) -> None:
        """Start it. Several words are a program's, which no shell of the user's reads."""
        for last in self.last:
            if last in self.alive():
                self.require(self.run("new-window", "-d", "-t", f"={self.name}:", "-n", self.name, *command))
                return
        self.require(self.begin("new-session", "-d", "-s", self.name, "-n", self.name, *command))

    def listing(self) -> Listing:
        """Ask for them."""
        return self.run("list-sessions", "-F", "#{pid},#{session_id}.#{session_name}")

    def alive(self, listed: Listing | None = None) -> list[str]:
        """Return them, as the number of tmux's process and that of the session."""
        rows = (listed or self.listing()).stdout.decode(errors="replace").splitlines()
        found = (re.fullmatch(rf"(\d+),\$(\d+)\.{re.escape(self.name)}", row) for row in rows)
        return [f"{row[1]},{row[2]}" for row in found if row]

    def look(self, session: str = "") -> str:
        """Return it; a name is that of one session."""
        return f"{self.there()}tmux attach -t {self.name}"

    @staticmethod
    def session(variable: Callable[[str], str]) -> str:
        """Return it, as the number of tmux's process and that of the session."""
        return ",".join(variable("TMUX").split(",")[1:])


class Scope(Keeper):
    """A unit of the user's own service manager: no terminal, and no window that anybody could close."""

    kind, command = "scope", "systemd-run"
    well = r"^\S+[.]service loaded "
    remedy = "Another keeper does without a service manager of yours: my_keeper: screen, or tmux."
    needs_lingering = True
    #: The kernels of a server that was killed go on; and so does all else where one kernel takes all the memory, which
    #: ends a whole unit that has no groups of its own.
    properties = ("--collect", "--property=KillMode=process", "--property=Delegate=yes")

    def start(self, command: list[str]) -> None:
        """Start it. Where kernels of one before go on, its unit is still there, under its own name."""
        unit = f"{self.name}-{secrets.token_hex(4)}.service"
        named = (f"--unit={unit}", f"--setenv={UNIT}={unit}")
        # It would put variables of its own in place of what begins with a dollar.
        words = [word.replace("$", "$$") for word in command]
        self.require(self.ask(self.command, "--quiet", *named, *self.properties, "--", *words))

    def listing(self) -> Listing:
        """Ask for them."""
        return self.ask("systemctl", "list-units", "--plain", "--no-legend", "--state=active", f"{self.name}-*")

    def alive(self, listed: Listing | None = None) -> list[str]:
        """Return them."""
        rows = (listed or self.listing()).stdout.decode(errors="replace").splitlines()
        found = (re.match(rf"{re.escape(self.name)}-[0-9a-f]{{8}}[.]service(?= )", row) for row in rows)
        return [row[0] for row in found if row]

    def ask(self, program: str, *arguments: str) -> Listing:
        """Ask the user's service manager, which a command without a login does not find by itself."""
        os.environ.setdefault("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
        return self.call([program, "--user", *arguments])

    def look(self, session: str = "") -> str:
        """Return it; in quotes, since shells have a meaning for a star, too."""
        return f"systemctl --user status {session or shlex.quote(f'{self.name}-*')}"

    @staticmethod
    def session(variable: Callable[[str], str]) -> str:
        """Return the unit's name."""
        return variable(UNIT)


#: The variable that names the unit to what runs in it; as screen and tmux have one of their own.
UNIT = "JUPYTER_CLUSTER_UNIT"
KEEPERS: dict[str, type[Keeper]] = {"screen": Screen, "tmux": Tmux, "scope": Scope}
#: What `auto` takes, in this order. The other one is chosen, since it asks for more: that its user may linger.
AUTO = ["screen", "tmux"]


def keeper(data: dict[str, Any], last: list[str], patience: float) -> Keeper:
    """Return the keeper that was chosen: `kind`, `program`, `name` and `folder`."""
    by = KEEPERS[data["kind"]](data["program"], data["name"], last, patience)
    by.folder = data.get("folder", "")
    return by


def choose(data: dict[str, Any], kept: str, variable: Callable[[str], str]) -> dict[str, Any]:
    """Find the program of a keeper; its path is empty where there is none.

    `auto` is the one that keeps a server which runs, or else the first that is there. Of such a server, `variable` has
    the environment.
    """
    kinds = ([kept] if kept else []) + AUTO if data["kind"] == "auto" else [data["kind"]]
    paths = {kind: shutil.which(KEEPERS[kind].command) or "" for kind in kinds}
    kind = next((kind for kind in kinds if paths[kind]), kinds[0])
    named = KEEPERS[kind].variable
    folder = (variable(named) if kind == kept else "") or os.environ.get(named, "")
    found = {"kind": kind, "program": paths[kind], "name": data["name"], "folder": folder}
    return {**found, "look": keeper(found, [], 1).look()}


def sessions_of(chosen: dict[str, Any], folder: Folder, patience: float) -> tuple[dict[str, Any], list[str], str]:
    """Return a keeper, the sessions that it has of that name, ours or not, and why it would start none, and what helps.

    Where the node's folder for its sockets cannot be used, and the user names no other, it gets one of ours.
    """
    if not chosen["program"]:
        return chosen, [], ""
    by = keeper(chosen, [], patience)
    try:
        listed = by.listing()
        trouble, own = by.trouble(listed), folder.file(by.own)
        if not trouble or by.folder or not by.own or len(os.fsencode(own)) > LONGEST:
            return chosen, by.alive(listed), trouble
        by.folder = own
        # It makes the folder itself, by no more than a look.
        there = by.alive() if os.path.isdir(own) else []
        return {**chosen, "folder": own, "look": by.look()}, there, ""
    except (Failure, OSError) as failure:
        return chosen, [], str(failure)


def kept_by(wanted: str, variable: Callable[[str], str]) -> str:
    """Return which of them a program runs in, by its environment; an empty string where it is in none.

    One may run in the other: then it is the one that is wanted.
    """
    kinds = [kind for kind, one in KEEPERS.items() if one.session(variable)]
    return wanted if wanted in kinds else "".join(kinds[:1])


def sessions(variable: Callable[[str], str]) -> list[str]:
    """Return all the sessions that a program runs in, by its environment."""
    return [name for name in (one.session(variable) for one in KEEPERS.values()) if name]
