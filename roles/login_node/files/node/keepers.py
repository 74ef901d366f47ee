"""What keeps a server alive when its user logs out: each answers the same four questions.

`start` begins a program that goes on by itself; `alive` names what is there; `end` ends a program, and says which of it
is still there; `look` is what a person types to see it.
"""

from __future__ import annotations

import re
import subprocess
from typing import Any

from node.folder import Failure
from node.processes import end


class Screen:
    """A window of GNU screen, in a session that the tutorial's `screen -r jupyter` comes back to."""

    def __init__(self, program: str, name: str, last: str, patience: float) -> None:
        """Take the program's path, the session's name, and the one that our server ran in last, as `PID.NAME`."""
        self.program, self.name, self.last, self.patience = program, name, last, patience

    def start(self, command: list[str]) -> None:
        """Start in our last session, if another window of the user's kept it alive, else in a new one."""
        if re.fullmatch(rf"\d+\.{re.escape(self.name)}", self.last):
            if self._run("-S", self.last, "-X", "screen", "-t", self.name, *command).returncode == 0:
                return
            # Of a session that died, screen keeps the name, and would ask at `screen -r jupyter` which is meant.
            self._run("-wipe", self.last)
        done = self._run("-dmS", self.name, *command)
        if done.returncode != 0:
            said = " ".join(done.stdout.decode(errors="replace").split()) or f"exit status {done.returncode}"
            raise Failure(
                f"screen does not start: {said} Where its folder cannot be used, ask the cluster's support, or set "
                "SCREENDIR to a private folder (mode 0700) of yours in your ~/.bash_profile."
            )

    def alive(self) -> list[str]:
        """Return the sessions of that name; a dead one is no more than a name."""
        rows = self._run("-ls").stdout.decode(errors="replace").splitlines()
        found = (re.fullmatch(rf"\t(\d+\.{re.escape(self.name)})\t(.*)", row) for row in rows)
        return [row[1] for row in found if row and "Dead" not in row[2]]

    def end(self, doomed: list[int], seconds: float) -> list[int]:
        """End what runs in it: the session ends with its last window, and other windows are the user's own."""
        return end(doomed, seconds)

    def look(self) -> str:
        """Return the command."""
        return f"screen -r {self.name}"

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                [self.program, *arguments],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                timeout=10 * self.patience, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise Failure(
                "screen does not answer. See on the node what hangs: `screen -ls`, and the disk of its folder."
            ) from None


KEEPERS: dict[str, type[Screen]] = {"screen": Screen}


def keeper(data: dict[str, Any], last: str, patience: float) -> Screen:
    """Return the keeper that was chosen: `kind`, `program` and `name`."""
    return KEEPERS[data["kind"]](data["program"], data["name"], last, patience)
