"""An ssh_config by which `ssh NODE` is no plain shell: ours runs, the tunnel opens, and theirs stays as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from laptop_container import Person, root

#: Has two ports, until it is ended.
HOLDER = """\
import signal, socket
held = [socket.create_server(("127.0.0.1", port)) for port in (9898, 9899)]
signal.pause()
"""


@pytest.fixture
def taken(odd: Person) -> Iterator[None]:
    """The ports of the node's own forwardings belong to another program."""
    odd.write("holder.py", HOLDER.encode())
    odd.run("(exec python3 holder.py </dev/null >/dev/null 2>&1 &); sleep 1")
    yield
    odd.run("pkill -f holder.py; rm holder.py", check=False)


def test_a_run_beside_an_odd_ssh_config(odd: Person, taken: None) -> None:
    assert json.loads(odd.server_version())["version"].startswith("2.")
    assert "changed=0" in odd.site()


def test_their_own_ssh_is_as_they_wrote_it(odd: Person) -> None:
    odd.site("playbooks/disconnect.yml")
    assert odd.run("ls ~/.jupyter-cluster/cm") == ""
    assert odd.run(f"ssh {odd.node} </dev/null").replace("\r", "").split() == ["local", "theirs"]


@pytest.mark.parametrize("command", ["ssh -fN {0}", "ssh -fN {1} && ssh -N {0}"], ids=["alone", "on the node's"])
def test_the_tunnel_opens_beside_an_odd_ssh_config(odd: Person, command: str) -> None:
    odd.site("playbooks/disconnect.yml")
    shown = odd.run(f"{{ {command.format(odd.tunnel, odd.node)}; }} </dev/null >shown 2>&1; cat shown")
    assert "theirs" not in shown
    assert json.loads(odd.server_version())["version"].startswith("2.")


def test_stop_leaves_their_own_forwardings(odd: Person) -> None:
    odd.site("playbooks/disconnect.yml")
    odd.run(f"ssh -fN {odd.node} </dev/null >/dev/null 2>&1")
    odd.site()
    odd.site("playbooks/stop.yml")
    assert odd.server_version() == ""
    listening = odd.run("ss -Hltn || netstat -ltn", check=False)
    assert ":9899 " in listening
    assert ":9898 " in listening


@pytest.mark.parametrize(("place", "chosen"), [("~/.ssh", {}), ("~/.jupyter-cluster", {"ssh_config_persist": "9h"})])
def test_a_place_that_cannot_be_written(odd: Person, place: str, chosen: dict[str, str]) -> None:
    """One line says which, and why."""
    # What there is to write: our line in an ssh_config without it, or another time.
    config = odd.read(".ssh/config")
    odd.write(".ssh/config", config.replace(odd.include.encode(), b""))
    odd.run(f"chmod 500 {place}")
    try:
        shown = odd.site("playbooks/doctor.yml", check=False, **chosen)
    finally:
        odd.run(f"chmod 700 {place}")
        odd.write(".ssh/config", config)
    (line,) = [line for line in shown.splitlines() if "This machine's part cannot be written: " in line]
    assert "yours to write to, on a disk with room; or choose others by my_folder and my_ssh_config." in line
    assert "not writable" in line or "Permission denied" in line


def test_a_disk_that_is_full(odd: Person) -> None:
    root(odd.machine, "install -d -m 0777 /dev/small && head -c 1G /dev/zero >/dev/small/full", check=False)
    try:
        shown = odd.site("playbooks/doctor.yml", check=False, my_folder="/dev/small/j")
    finally:
        root(odd.machine, "rm -rf /dev/small")
    assert "This machine's part cannot be written: No space left on device (Write the blocks for gateway" in shown
