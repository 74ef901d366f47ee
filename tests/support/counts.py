"""Counts what a run consists of: tasks, commands on the node, and programs on this machine. Counts have no noise."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from cluster import GATEWAY, Laptop, node_root

#: Python reads it at its start, in each of Ansible's processes, and so notes each program that one of them starts.
NOTES = """\
import os, sys
def note(event, arguments):
    if event == "subprocess.Popen":
        with open(os.environ["NOTES"], "a") as notes:
            notes.write(" ".join(map(os.fsdecode, arguments[1])).replace("\\n", " ") + "\\n")
sys.addaudithook(note)
"""

#: The ssh of a command on the node; what Python itself starts to find a library; and the question to the gateway, which
#: is asked where the node's connection takes its time, on a busy machine.
NOT_OURS = rf"KbdInteractiveAuthentication=no|ldconfig|-W localhost:1 {re.escape(GATEWAY)}$"


#: A `meta`, which runs nothing; the output has one that depends on something as it has tasks.
META = "login_node : Leave it at that where the cluster has one login node"


class Counts(NamedTuple):
    """What a run came to."""

    #: Those that begin, skipped ones included; `meta` is none.
    tasks: int
    #: On the node, by its sshd's log.
    commands: list[str]
    #: On this machine: Python for a module, or what a task or lookup runs; not the ssh of a command on the node.
    programs: list[str]


def commands_of(account: str, host: str = "hydra08i") -> list[str]:
    """Return the sessions of an account that a node's sshd has logged."""
    # Not by the unit: what it says of a session belongs to the session's own.
    log = node_root("journalctl --sync && journalctl --quiet --identifier sshd --output cat", host)
    return re.findall(rf"Starting session: command (?:on \S+ )?for {account} .*", log)


def count(laptop: Laptop, playbook: str, **variables: Any) -> Counts:
    """Run a playbook, and count."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sitecustomize.py").write_text(NOTES)
        notes = Path(folder) / "notes"
        notes.touch()
        before = len(commands_of(laptop.account))
        shown = {"ANSIBLE_STDOUT_CALLBACK": "default", "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "1"}
        done = laptop.playbook(playbook, env={**shown, "PYTHONPATH": folder, "NOTES": str(notes)}, **variables)
        assert done.returncode == 0, done.stdout
        programs = [line for line in notes.read_text().splitlines() if not re.search(NOT_OURS, line)]
    tasks = len(re.findall(rf"^(?:TASK|RUNNING HANDLER) \[(?!{META})", done.stdout, re.MULTILINE))
    return Counts(tasks, commands_of(laptop.account)[before:], programs)
