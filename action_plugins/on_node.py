"""Runs a program of this project on the login node, by one command, so that nothing of it lies there."""

from __future__ import annotations

import json
import shlex
from typing import Any

from ansible.plugins.action import ActionBase

#: What a login script prints comes before this.
MARK = "jupyter-on-a-cluster-program"


def after_mark(printed: str) -> str | None:
    """Return what the program itself has printed; nothing where it was not even begun."""
    _, mark, said = printed.replace("\r\n", "\n").rpartition(f"\n{MARK}\n")
    return said if mark else None


def _line(text: str) -> str:
    return " ".join(text.split()) or "nothing"


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types.
    """The task ``on_node``."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run it with the Python that the probe has found."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        if self._task.check_mode:
            return {**result, "skipped": True, "msg": "nothing is run on the node in check mode"}
        known, given = task_vars or {}, self._task.args
        facts, problem = known["login_node_facts"], str(given.get("problem", "{said}"))
        packed = self._templar.template(known["login_node_program"])
        python = facts["runs_with"]
        if not python:
            why = f"There is no Python on {facts['host']} to run this with: 3.8 or newer is needed."
            return {
                **result, "rc": 127, "stdout": "", "stderr": why, "failed": True, "msg": problem.replace("{said}", why),
            }  # fmt: skip
        secrets = {
            name: f"{self._templar.template(known[variable])}\n"
            for name, variable in given.get("secrets", {}).items()
            if variable in known
        }
        sent = {
            "program": packed["program"],
            "folder": facts["directory"],
            "library_path": facts["library_path"],
            "command": given["command"],
            "data": {**given.get("data", {}), "secrets": secrets},
        }
        command = f"{shlex.quote(python)} -c {shlex.quote(packed['loader'])}"
        if facts["library_path"]:
            # As its module has set it, which is not loaded here; by env, since a login shell may be tcsh.
            command = f"env LD_LIBRARY_PATH={shlex.quote(facts['library_path'])} {command}"
        done = self._low_level_execute_command(command, in_data=json.dumps(sent).encode(), sudoable=False)
        said = after_mark(done["stdout"])
        # An exit status of a login script is none of the program's.
        rc = done["rc"] if said is not None else -1
        text = (
            said if said is not None else f"{python} did not begin. It said: {_line(done['stdout'] + done['stderr'])}"
        )
        result |= {"rc": rc, "stdout": text.strip(), "stderr": done["stderr"], "changed": False}
        # Else Ansible takes each exit status but 0 for a failure.
        result["failed"] = False
        if rc not in given.get("accepts", [0]):
            # Of what Python says of itself, the last line is the error.
            why = result["stdout"] or next(iter(reversed(done["stderr"].strip().splitlines())), f"exit status {rc}")
            return {**result, "failed": True, "msg": problem.replace("{said}", why)}
        if rc == 0:
            # What a login script has left in the background may print, too.
            found = json.loads(text.splitlines()[0])
            result |= {"said": found, "changed": bool(found.get("changed")), "diff": found.pop("diff", [])}
            result["warnings"] = found.pop("warnings", [])
        return result
