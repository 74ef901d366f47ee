"""The four questions that everything answers which keeps a server alive, on the node, with the real thing."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from cluster import Laptop
from login_node import node_program
from node.keepers import KEEPERS
from patience import seconds
from variables import PROJECT

PACKAGE = PROJECT / "roles" / "login_node" / "files" / "node"
#: Asks a keeper one question, in a process that has ended when the next one is asked.
ASK = """
import json, shutil
from node.keepers import keeper

def run(sent):
    by = keeper({**sent["data"], "program": shutil.which(sent["data"]["kind"])}, [], 1.0)
    print(json.dumps(getattr(by, sent["command"])(*sent["data"]["arguments"])))
"""


class Asked:
    """A keeper of the account's on the node."""

    def __init__(self, laptop: Laptop, kind: str, package: Path) -> None:
        package.mkdir()
        for path in PACKAGE.glob("*.py"):
            (package / path.name).write_text(ASK if path.name == "main.py" else path.read_text())
        self.account, self.kind, self.packed = laptop.account, kind, node_program([str(package)])

    def __call__(self, question: str, *arguments: Any) -> Any:
        data = {"kind": self.kind, "name": "contract", "arguments": arguments}
        sent = {"program": self.packed["program"], "folder": "/", "command": question, "data": data}
        argv = ["podman", "exec", "-i", "--user", self.account, "jupyter-test-hydra08i"]
        done = subprocess.run(
            [*argv, "python3", "-c", self.packed["loader"]],
            input=json.dumps(sent), capture_output=True, text=True, timeout=seconds(60), check=True,
        )  # fmt: skip
        return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("kind", KEEPERS)
def test_a_keeper_answers_its_four_questions(laptop: Laptop, kind: str, tmp_path: Path) -> None:
    asked, record = Asked(laptop, kind, tmp_path / "node"), "/tmp/contract"
    assert asked("alive") == []
    asked("start", ["/bin/sh", "-c", f"echo $$ >{record}; trap '' HUP; exec sleep 300"])
    kept = int(
        laptop.ssh(f"for _ in $(seq 50); do [ -s {record} ] && break; sleep 0.1; done; cat {record}; rm {record}")
    )
    try:
        # Who has started it is gone, and so is each login by which one looks.
        assert len(asked("alive")) == 1
        assert laptop.ssh(f"ps -o stat= -p {kept}").strip()
        look = asked("look")
        assert laptop.ssh(f"type {look.split()[0]}")
        assert "contract" in look
    finally:
        assert asked("end", [kept], 20.0) == []
    assert laptop.ssh(f"ps -o stat= -p {kept} || true") == ""
    deadline = time.monotonic() + seconds(10)
    while asked("alive"):
        assert time.monotonic() < deadline
