"""Which connections are open, as roles/ssh_tunnel/files/connections.py finds out by an ssh that is made up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from patience import seconds

SCRIPT = Path(__file__).resolve().parents[2] / "roles" / "ssh_tunnel" / "files" / "connections.py"
#: Its hosts are named for how they are.
SSH = """\
#!/bin/sh
for host; do :; done
echo "$*" >>"$(dirname "$0")/asked"
case "$*" in
  *"-G "*) cat "$(dirname "$0")/options"; exit ;;
  *"-O exit "*) exit ;;
esac
case $host in
  open) echo "Stdio forwarding request failed: Session open refused by peer" >&2; exit 255 ;;
  dead*) exec sleep 60 ;;
  *) echo "Connection closed by UNKNOWN port 65535" >&2; exit 255 ;;
esac
"""


@pytest.fixture
def ssh(tmp_path: Path) -> Path:
    program = tmp_path / "ssh"
    program.write_text(SSH)
    program.chmod(0o755)
    (tmp_path / "options").write_text("hostname h\nsessiontype default\nstdinnull no\nforkafterauthentication no\n")
    return program


def ask(task: str, ssh: Path, node: str, gateway: str, limit: str = "0.3") -> dict[str, Any]:
    """Ask, as the role does."""
    command = [sys.executable, str(SCRIPT), task, limit, str(ssh), "--", node, gateway]
    return dict(json.loads(subprocess.run(command, capture_output=True, check=True, timeout=seconds(20)).stdout))


def closed(ssh: Path) -> list[str]:
    """The hosts whose connections were closed."""
    return [line.split()[-1] for line in ssh.with_name("asked").read_text().splitlines() if "-O exit" in line]


@pytest.mark.parametrize(
    ("task", "node", "gateway", "ended"),
    [
        ("look", "dead", "dead-too", []),
        ("close", "dead", "dead-too", ["dead", "dead-too"]),
        ("close", "dead", "open", ["dead"]),
        ("close", "closed", "dead", ["dead"]),
        # The node answers by way of it.
        ("close", "open", "dead", []),
        ("close", "open", "closed", []),
    ],
)
def test_what_is_closed(ssh: Path, task: str, node: str, gateway: str, ended: list[str]) -> None:
    states = ask(task, ssh, node, gateway)["states"]
    assert states == {node: node.partition("-")[0], gateway: gateway.partition("-")[0]}
    assert closed(ssh) == ended


def test_a_host_gets_as_long_as_it_may_take(ssh: Path) -> None:
    begun, limit = time.monotonic(), 1.5
    ask("look", ssh, "dead", "dead-too", str(limit))
    assert limit <= time.monotonic() - begun < seconds(5)


def test_no_question_can_log_in(ssh: Path) -> None:
    ask("close", ssh, "dead", "closed")
    asked = [line for line in ssh.with_name("asked").read_text().splitlines() if not line.startswith("-G ")]
    assert len(asked) == 3
    assert all("-o ProxyCommand=false -o BatchMode=yes" in line for line in asked)


def test_what_a_command_needs_beside_the_person_s_own(ssh: Path) -> None:
    assert ask("look", ssh, "open", "open")["options"] == []
    ssh.with_name("options").write_text("sessiontype none\nstdinnull yes\nforkafterauthentication yes\n")
    assert ask("look", ssh, "open", "open")["options"] == [
        "SessionType=default",
        "ForkAfterAuthentication=no",
        "StdinNull=no",
    ]
    # An older ssh, which knows none of them.
    ssh.with_name("options").write_text("hostname h\n")
    assert ask("look", ssh, "open", "open")["options"] == []


def test_without_an_ssh(tmp_path: Path) -> None:
    found = ask("close", tmp_path / "none", "node", "gateway")
    assert found["states"] == {"node": "closed", "gateway": "closed"}
    assert os.strerror(2) in found["problem"]
