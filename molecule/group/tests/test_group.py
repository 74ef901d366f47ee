"""Five people start at the same moment; each has a server of their own, whatever they have in common."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cluster import Laptop, node_root
from patience import seconds


def at_once(group: list[Any], playbook: str, **variables: Any) -> list[str]:
    """Let everybody run the same at the same time; return what each was shown."""
    with ThreadPoolExecutor(len(group)) as pool:
        runs = list(pool.map(lambda one: one.playbook(playbook, **variables), group))
    assert [run.returncode for run in runs] == [0] * len(group), "\n".join(run.stdout for run in runs)
    return [run.stdout for run in runs]


def port(member: Laptop) -> int:
    """The port of the member's server on the node, as its command line has it."""
    words = member.ssh(f"tr '\\0' ' ' </proc/{member.server()}/cmdline")
    found = re.search(r"--ServerApp[.]port=(\d+)", words)
    assert found
    return int(found[1])


@pytest.fixture(scope="module")
def endpoint(group: list[Any]) -> Iterator[str]:
    """Servers of all, on a cluster where each needs a port of the node's."""
    at_once(group, "site.yml", cluster_endpoint="loopback")
    yield "loopback"
    at_once(group, "playbooks/remove.yml", my_end_kernels=True)


def test_everybody_has_a_server_of_their_own(group: list[Any], endpoint: str) -> None:
    passwords = [member.password for member in group]
    for member in group:
        assert [word for word in passwords if member.browser().login(word)] == [member.password]
    ports = [port(member) for member in group]
    assert len(set(ports)) == len(group)
    shown = node_root("ss -Hltn").splitlines()
    assert all(any(f"127.0.0.1:{number} " in line for line in shown) for number in ports)


def test_the_next_run_of_everybody_changes_nothing(group: list[Any], endpoint: str) -> None:
    assert all("changed=0" in shown for shown in at_once(group, "site.yml", cluster_endpoint=endpoint))


def test_a_port_stays_unless_somebody_has_taken_it_meanwhile(group: list[Any], endpoint: str) -> None:
    member, chosen = group[0], {"cluster_endpoint": endpoint}
    before = port(member)
    member.end_server()
    assert member.playbook("site.yml", **chosen).returncode == 0
    assert port(member) == before
    member.end_server()
    argv = ["podman", "exec", "--user", "fresh", "jupyter-test-hydra08i"]
    with subprocess.Popen([*argv, "timeout", str(seconds(60)), "nc", "-lk", "127.0.0.1", str(before)]) as neighbour:
        try:
            node_root(f"timeout {seconds(10)} sh -c 'until ss -Hltn | grep -q :{before}; do sleep 0.1; done'")
            # The one that was asked for, and no other.
            refused = member.playbook("site.yml", my_node_port=before, **chosen)
            assert refused.returncode != 0
            said = " ".join(refused.stdout.split())
            assert f"Port {before} of hydra08i.rzg.mpg.de is taken. Choose another one: my_node_port." in said
            assert member.servers() == []
            moved = member.playbook("site.yml", **chosen)
            assert moved.returncode == 0, moved.stdout
            assert port(member) != before
            assert member.browser().login(member.password)
        finally:
            node_root(f"pkill -u fresh -f 'nc -lk 127.0.0.1 {before}'")
            neighbour.wait(timeout=seconds(10))
