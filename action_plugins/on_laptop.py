"""Runs commands on this machine for so many seconds at most, in the process of the task, without an input."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from typing import Any

from ansible.plugins.action import ActionBase

#: The exit status of a command that was given up, as timeout(1) has it; and of one that is not there, as a shell has.
TIMED_OUT, NOT_FOUND = 124, 127


def run(command: Sequence[str], seconds: float) -> tuple[int, str, str]:
    """Run a command; return its exit status, and what it printed.

    macOS has no timeout(1), and Ansible's own fails a task that may fail.
    """
    try:
        # A session of its own, so that ssh's proxies end with it.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            errors="replace", start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        return NOT_FOUND, "", f"{command[0]}: {error.strerror}"
    try:
        stdout, stderr = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = process.communicate()
        return TIMED_OUT, stdout, f"{stderr}no answer within {seconds:g} s\n"
    return process.returncode, stdout, stderr


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
