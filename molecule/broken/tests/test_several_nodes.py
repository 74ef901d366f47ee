"""One server in a cluster whose login nodes share a home, and two clusters whose nodes have the same short name."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from cluster import NODE, PROJECT, Laptop, node_root
from patience import seconds

OTHER = "hydra11i.rzg.mpg.de"
MACHINES = {NODE: "hydra08i", OTHER: "hydra11i"}


@pytest.fixture
def inventory(laptop: Laptop, tmp_path: Path) -> Path:
    """Both nodes as those of one cluster."""
    both = yaml.safe_load(laptop.inventory.read_text())
    both["hydra"]["hosts"][OTHER] = None
    path = tmp_path / "both.yml"
    path.write_text(yaml.safe_dump(both))
    return path


@pytest.fixture
def left_as_it_was(laptop: Laptop) -> Iterator[None]:
    """What the other node has of this goes, and the way leads to the first one again."""
    yield
    for machine in MACHINES.values():
        node_root(f"pkill -u {laptop.account} -f '[s]erve.py' || true", machine)
    node_root(f"rm -rf /home/{laptop.account}/.jupyter-cluster/{{hydra11i,hydra.lock,hydra08i/node}}")
    assert laptop.playbook("site.yml").returncode == 0


def servers(laptop: Laptop, machine: str) -> list[str]:
    """The servers that run on a node."""
    return node_root(f"pgrep -u {laptop.account} -f '[s]erve.py' || true", machine).split()


def test_a_server_on_another_node_is_named_and_none_is_started_beside_it(
    laptop: Laptop, running: str, inventory: Path, left_as_it_was: None
) -> None:
    lock = f"/home/{laptop.account}/.jupyter-cluster/hydra.lock"
    says = (
        f"Your server runs on hydra08i, by its record, and {OTHER} cannot look there. Go on there: -l {NODE}. If "
        f"nothing runs there any more, or another one shall run beside it: ssh {OTHER} rm {lock}"
    )
    for verb in (
        "site.yml",
        *(f"playbooks/{name}.yml" for name in ("connect", "stop", "restart", "password", "remove")),
    ):
        refused = laptop.playbook(verb, "-l", OTHER, inventory=inventory, my_start=True)
        assert refused.returncode != 0, verb
        assert says in " ".join(refused.stdout.split()), refused.stdout
    assert says in " ".join(laptop.playbook("playbooks/logs.yml", "-l", OTHER, inventory=inventory).stdout.split())
    status = laptop.playbook("playbooks/status.yml", "-l", OTHER, inventory=inventory)
    assert "on hydra08i, not looked at" in status.stdout
    shown = laptop.playbook(
        "playbooks/status.yml", "-l", OTHER, inventory=inventory, errors=subprocess.DEVNULL, status_format="json"
    )
    (one,) = json.loads(shown.stdout)
    assert (one["running"], one["elsewhere"]) == (False, "hydra08i")
    assert servers(laptop, "hydra11i") == []
    # There it is found, and the tunnel leads to it.
    there = laptop.playbook("playbooks/connect.yml", "-l", NODE, inventory=inventory, my_browser=False)
    assert there.returncode == 0, there.stdout
    assert laptop.server() == running
    assert laptop.browser().login(laptop.password)
    # Without a node's name, the tunnel says which.
    again = laptop.playbook("site.yml", "-l", "hydra", inventory=inventory)
    assert again.returncode == 0, again.stdout
    assert "changed=0" in again.stdout
    assert "Runs on: hydra08i" in " ".join(again.stdout.split())


def test_of_two_starts_on_two_nodes_at_once_one_is_left(
    laptop: Laptop, stopped: None, inventory: Path, left_as_it_was: None
) -> None:
    begun = laptop.playbook("site.yml", "-l", OTHER, inventory=inventory)
    assert begun.returncode == 0, begun.stdout
    again = laptop.playbook("site.yml", "-l", "hydra", inventory=inventory)
    assert "Runs on: hydra11i" in " ".join(again.stdout.split()), again.stdout
    for pid in servers(laptop, "hydra11i"):
        node_root(f"kill {pid}; while test -e /proc/{pid}; do sleep 0.1; done", "hydra11i")
    folder = f"/home/{laptop.account}/.jupyter-cluster"

    def launch(machine: str) -> str:
        command = f"cd /; timeout {seconds(20)} sh {folder}/{machine}/launch by-hand /tmp/{machine}.report"
        node_root(f"su - {laptop.account} -c {shlex.quote(command)} </dev/null >/dev/null 2>&1 || true", machine)
        return node_root(f"cat /tmp/{machine}.report; rm /tmp/{machine}.report", machine)

    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(launch, machine) for machine in MACHINES.values()]
        deadline = time.monotonic() + seconds(15)
        while not any(run.done() for run in runs):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert [len(servers(laptop, machine)) > 0 for machine in MACHINES.values()].count(True) == 1
    said = "".join(run.result() for run in runs)
    assert said.count(f"Not started: {folder}/hydra.lock is held on hydra") == 1


@pytest.mark.parametrize(
    ("record", "folder"),
    [
        ("viper hydra08i.viper.example", NODE),
        # A node that does not know its full name.
        ("viper hydra08i", "hydra08i.hydra"),
        ("hydra hydra08i", "hydra08i"),
        ("mine hydra08i.rzg.mpg.de", "hydra08i"),
        ("", "hydra08i"),
    ],
)
def test_a_probe_finds_the_cluster_s_own_folder_by_the_record_in_it(laptop: Laptop, record: str, folder: str) -> None:
    probe = (PROJECT / "roles" / "login_node" / "files" / "probe.sh").read_text().partition("\ntell host ")[0]
    home = ".another-home"
    laptop.ssh(f"mkdir -p {home}/.jupyter-cluster/hydra08i; echo {record} >{home}/.jupyter-cluster/hydra08i/node")
    try:
        script = f"HOME=~/{home} mark=mark cluster=hydra\n{probe}\necho $directory\n"
        said = laptop.ssh(f"bash -c {shlex.quote(script)}").splitlines()
        assert said[-1] == f"/home/{laptop.account}/{home}/.jupyter-cluster/{folder}"
    finally:
        laptop.ssh(f"rm -r {home}")


def test_another_cluster_s_node_of_the_same_short_name_keeps_its_folder(laptop: Laptop, stopped: None) -> None:
    """Where both share a home."""
    above = f"/home/{laptop.account}/.jupyter-cluster"
    theirs = f"find {above}/hydra08i -type f ! -path '*/run/*' | sort | xargs sha256sum"
    laptop.ssh(f"cp {above}/hydra08i/node .node; echo viper hydra08i.viper.example >{above}/hydra08i/node")
    before = laptop.ssh(theirs)
    try:
        started = laptop.playbook("site.yml")
        assert started.returncode == 0, started.stdout
        assert laptop.ssh(f"pgrep -u $(id -u) -f '^[^ ]*python[^ ]* {above}/{NODE}/serve[.]py '")
        assert laptop.playbook("playbooks/stop.yml").returncode == 0
        assert laptop.ssh(theirs) == before
        laptop.ssh(f"rm -r {above}/{NODE}")
    finally:
        laptop.ssh(f"mv .node {above}/hydra08i/node")
