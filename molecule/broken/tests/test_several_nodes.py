"""One server in a cluster whose login nodes share a home, and two clusters whose nodes have the same short name."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from cluster import NODE, PROJECT, Laptop, node_root
from counts import commands_of
from patience import seconds

OTHER = "hydra11i.rzg.mpg.de"
MACHINES = {NODE: "hydra08i", OTHER: "hydra11i"}


def inventory_of(laptop: Laptop, path: Path, *nodes: str) -> Path:
    """An inventory file of the cluster with these nodes, in this order."""
    cluster = yaml.safe_load(laptop.inventory.read_text())
    cluster["hydra"]["hosts"] = dict.fromkeys(nodes)
    path.write_text(yaml.safe_dump(cluster, sort_keys=False))
    return path


@pytest.fixture
def inventory(laptop: Laptop, tmp_path: Path) -> Path:
    """Both nodes as those of one cluster."""
    return inventory_of(laptop, tmp_path / "both.yml", NODE, OTHER)


@pytest.fixture
def left_as_it_was(laptop: Laptop) -> Iterator[None]:
    """What the other node has of this goes, and the way leads to the first one again."""
    yield
    for machine in MACHINES.values():
        node_root(f"pkill -u {laptop.account} -f '[s]erve.py' || true", machine)
    node_root(f"cd /home/{laptop.account}/.jupyter-cluster && rm -rf hydra11i hydra.lock hydra08i/node")
    assert laptop.playbook("site.yml").returncode == 0


def servers(laptop: Laptop, machine: str) -> list[str]:
    """The servers that run on a node."""
    return node_root(f"pgrep -u {laptop.account} -f '[s]erve.py' || true", machine).split()


def test_a_server_on_another_node_is_named_and_none_is_started_beside_it(
    laptop: Laptop, running: str, inventory: Path, left_as_it_was: None
) -> None:
    says = (
        f"Your server runs on hydra08i, by its record, and {OTHER} cannot look there. Go on there: -l {NODE}. If "
        "nothing runs there any more, or another one shall run beside it: ansible-playbook site.yml -l "
        f"{OTHER} -e my_beside=true"
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


def tunnel_leads(laptop: Laptop, where: str) -> None:
    """Have this machine's tunnel closed, and written as one to this node, or to none."""
    file = laptop.folder / "ssh_config"
    begin, end = (f"# {mark} hydra, the tunnel." for mark in ("BEGIN", "END"))
    found = re.search(rf"(?ms)^{re.escape(begin)}.*?^{re.escape(end)}[^\n]*\n", file.read_text())
    assert found
    block = re.sub(r"(?m)^(\s+HostName ).*", rf"\g<1>{where}", found[0]) if where else ""
    file.write_text(file.read_text().replace(found[0], block))
    for node in MACHINES:
        laptop.control("exit", node)


def asked(laptop: Laptop) -> dict[str, int]:
    """How many commands the sshd of each node has had of this account."""
    return {machine: len(commands_of(laptop.account, machine)) for machine in MACHINES.values()}


@pytest.mark.parametrize("where", ["", NODE])
def test_wherever_the_tunnel_leads_it_goes_on_with_the_node_that_has_the_server(
    laptop: Laptop, stopped: None, inventory: Path, left_as_it_was: None, where: str
) -> None:
    begun = laptop.playbook("site.yml", "-l", OTHER, inventory=inventory)
    assert begun.returncode == 0, begun.stdout
    there = servers(laptop, "hydra11i")
    tunnel_leads(laptop, where)
    before = asked(laptop)
    found = laptop.playbook("playbooks/connect.yml", "-l", "hydra", inventory=inventory, my_browser=False)
    assert found.returncode == 0, found.stdout
    assert f"Your server runs on {OTHER}, by its record." in found.stdout
    # The way to both has been written before.
    assert "Write the blocks for gateway and login node" not in found.stdout
    after = asked(laptop)
    assert {machine: after[machine] - before[machine] for machine in after} == {"hydra08i": 1, "hydra11i": 1}
    assert laptop.browser().login(laptop.password)
    assert (servers(laptop, "hydra08i"), servers(laptop, "hydra11i")) == ([], there)
    # From now on the tunnel leads there, and no other node is asked.
    again = laptop.playbook("site.yml", "-l", "hydra", inventory=inventory)
    assert "changed=0" in again.stdout, again.stdout
    assert asked(laptop) == {**after, "hydra11i": after["hydra11i"] + 1}
    # Each node has its line.
    shown = laptop.playbook(
        "playbooks/status.yml", "-l", "hydra", inventory=inventory, errors=subprocess.DEVNULL, status_format="json"
    )
    said = {one["node"]: one for one in json.loads(shown.stdout)}
    assert (said[OTHER]["running"], said[NODE]["elsewhere"]) == (True, "hydra11i")
    tunnel_leads(laptop, where)
    ended = laptop.playbook("playbooks/stop.yml", "-l", "hydra", inventory=inventory)
    assert ended.returncode == 0, ended.stdout
    assert servers(laptop, "hydra11i") == []


def test_another_one_is_started_beside_it_where_that_is_asked_for(
    laptop: Laptop, running: str, inventory: Path, left_as_it_was: None
) -> None:
    begun = laptop.playbook("site.yml", "-l", OTHER, inventory=inventory, my_beside=True)
    assert begun.returncode == 0, begun.stdout
    assert len(servers(laptop, "hydra11i")) > 0
    assert laptop.server() == running
    # Each is found by its own node's name, and a restart starts again what it ends.
    for machine in (NODE, OTHER):
        again = laptop.playbook("playbooks/restart.yml", "-l", machine, inventory=inventory)
        assert again.returncode == 0, again.stdout
        assert laptop.browser().login(laptop.password)
    for machine in (OTHER, NODE):
        assert laptop.playbook("playbooks/stop.yml", "-l", machine, inventory=inventory).returncode == 0
        assert servers(laptop, MACHINES[machine]) == []


def test_a_node_that_the_inventory_does_not_have_is_named_in_full(
    laptop: Laptop, running: str, tmp_path: Path, left_as_it_was: None
) -> None:
    """As where the inventory has an alias, which leads to another node each time."""
    alone = inventory_of(laptop, tmp_path / "alone.yml", OTHER)
    refused = laptop.playbook("playbooks/connect.yml", inventory=alone, my_browser=False)
    assert refused.returncode != 0
    says = f"To go on there, write {NODE} beside {OTHER} in the cluster's inventory file; then -l hydra finds it."
    assert says in " ".join(refused.stdout.split())
    both = inventory_of(laptop, tmp_path / "both.yml", OTHER, NODE)
    tunnel_leads(laptop, "")
    assert laptop.playbook("playbooks/connect.yml", inventory=both, my_browser=False).returncode == 0
    assert laptop.browser().login(laptop.password)


@pytest.fixture
def another_home(laptop: Laptop) -> Iterator[None]:
    """The other node has another home for this account."""
    home = f"/srv/{laptop.account}"
    node_root(f"install -d -o {laptop.account} -m 0700 {home}; cp -a /home/{laptop.account}/.ssh {home}", "hydra11i")
    move = "sed -i -E 's|^({}:.*):{}:|\\1:{}:|' /etc/passwd"
    # A connection that is open has the home that was.
    close = f"pkill -u {laptop.account} sshd || true"
    node_root(move.format(laptop.account, f"/home/{laptop.account}", home) + f"; {close}", "hydra11i")
    yield
    node_root(move.format(laptop.account, home, f"/home/{laptop.account}"), "hydra11i")
    ended = f"for _ in $(seq 100); do pkill -u {laptop.account} -f '[s]erve.py' || break; sleep 0.1; done"
    node_root(f"{close}; {ended}; rm -r {home}", "hydra11i")


def test_where_each_node_has_a_home_of_its_own_each_is_asked(
    laptop: Laptop, stopped: None, inventory: Path, left_as_it_was: None, another_home: None
) -> None:
    begun = laptop.playbook("site.yml", "-l", OTHER, inventory=inventory)
    assert begun.returncode == 0, begun.stdout
    there = servers(laptop, "hydra11i")
    tunnel_leads(laptop, "")
    found = laptop.playbook("site.yml", "-l", "hydra", inventory=inventory)
    assert found.returncode == 0, found.stdout
    assert "Runs on: hydra11i" in " ".join(found.stdout.split())
    assert (servers(laptop, "hydra08i"), servers(laptop, "hydra11i")) == ([], there)
    status = laptop.playbook("playbooks/status.yml", "-l", "hydra", inventory=inventory).stdout
    assert re.search(rf"{re.escape(NODE)} +none runs\n.*{re.escape(OTHER)} +since ", status), status
    # One that cannot be asked keeps nothing from being done.
    tunnel_leads(laptop, "")
    node_root(f"mv /srv/{laptop.account}/.ssh /srv/{laptop.account}/no.ssh", "hydra11i")
    laptop.control("exit", OTHER)
    alone = laptop.playbook("site.yml", "-l", "hydra", inventory=inventory)
    assert alone.returncode == 0, alone.stdout
    assert f"{OTHER} was not looked at: " in alone.stdout
    assert "Runs on: hydra08i" in " ".join(alone.stdout.split())


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
