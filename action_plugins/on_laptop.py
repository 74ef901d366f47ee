"""Runs commands on this machine for so many seconds at most, in the process of the task, without an input."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from typing import IO, Any

from ansible.plugins.action import ActionBase

#: The exit status of a command that was given up, as timeout(1) has it; and of one that is not there, as a shell has.
TIMED_OUT, NOT_FOUND = 124, 127


def run(command: Sequence[str], seconds: float) -> tuple[int, str, str]:
    """Run a command; return its exit status, and what it printed.

    macOS has no timeout(1), and Ansible's own fails a task that may fail.
    """
    # Not by pipes, which what it leaves in the background may keep.
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as complaints:
        try:
            # A session of its own, so that ssh's proxies end with it.
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=printed, stderr=complaints, start_new_session=True
            )
        except OSError as error:
            return NOT_FOUND, "", f"{command[0]}: {error.strerror}"
        late = ""
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            status, late = TIMED_OUT, f"no answer within {seconds:g} s\n"
        return status, _text(printed), _text(complaints) + late


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace").replace("\r\n", "\n")


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types.
    """The task ``on_laptop``."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the commands, one after the other."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        if self._task.check_mode:
            return {**result, "skipped": True, "msg": "nothing is run in check mode"}
        seconds = float(self._task.args["seconds"])
        done = [run([str(word) for word in command], seconds) for command in self._task.args["commands"]]
        rc, stdout, stderr = done[-1]
        return {
            **result, "rc": rc, "stdout": stdout, "stderr": stderr, "failed": rc != 0,
            "succeeded": sum(status == 0 for status, _, _ in done),
        }  # fmt: skip
