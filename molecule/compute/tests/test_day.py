"""A server in a job of Slurm's: the same page, tunnel and verbs, and nothing that anybody else can reach."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

from cluster import Laptop, node_root
from counts import count
from patience import seconds
from slurm import LOGIN, NODES, Slurm, drained

SOCKET = "/tmp/jupyter-cluster-*/jupyter.sock"


def test_the_page_comes_from_a_compute_node(laptop: Laptop, in_a_job: str, slurm: Slurm) -> None:
    page = laptop.browser()
    assert page.login(laptop.password)
    kernel = page.api("kernels", {"name": "python3"})["id"]
    host = page.run(kernel, "import os; print(os.uname().nodename, os.environ['SLURM_JOB_ID'])").split()
    assert host == [slurm.node(in_a_job), in_a_job]
    assert laptop.server() == "", "on the login node"
    # A page's files, and what a cell prints, through one connection.
    assert len(page.run(kernel, "print('x' * 10**6)")) == 10**6 + 1
    page.api(f"kernels/{kernel}", method="DELETE")


def test_nothing_listens_but_private_sockets(laptop: Laptop, in_a_job: str, slurm: Slurm) -> None:
    for host in (LOGIN, *NODES):
        shown = node_root(f"ss -Hltunpe | grep uid:$(id -u {laptop.account}) || true", host)
        # ipykernel's own, and srun's for its nodes, which ask for Slurm's credentials: docs/security.md speaks of both.
        assert [line for line in shown.splitlines() if not re.search('"(python3?|srun)"', line)] == [], host
    # The job's is on its own node's disk: what is shared could not carry it on a network's disk.
    assert node_root(f"ls {SOCKET} 2>/dev/null || true") == ""
    shown = node_root(f"stat -c '%a %U' {SOCKET} $(dirname {SOCKET})", slurm.node(in_a_job))
    # Jupyter sets the sticky bit of the folder.
    assert shown.split() == ["600", laptop.account, "1700", laptop.account]
    assert laptop.ssh("stat -c '%a %F' .jupyter-cluster/hydra08i/run/jupyter.sock").strip() == "600 socket"


def test_a_run_that_changes_nothing_is_one_command_and_submits_nothing(
    laptop: Laptop, in_a_job: str, slurm: Slurm
) -> None:
    counted = count(laptop, "site.yml")
    assert counted.tasks <= 14
    assert len(counted.commands) == 1, counted.commands
    assert slurm.there() == [in_a_job]


def test_status_shows_the_job(laptop: Laptop, in_a_job: str, slurm: Slurm) -> None:
    shown = laptop.playbook("playbooks/status.yml")
    assert f"({slurm.node(in_a_job)}, job {in_a_job}, 0:" in shown.stdout, shown.stdout
    found = laptop.playbook("playbooks/status.yml", status_format="json", errors=subprocess.DEVNULL)
    (one,) = json.loads(found.stdout)
    assert one["running"]
    assert one["tunnel"]
    assert one["memory"] > 10**7, "of the processes in the job"
    assert {name: one["job"][name] for name in ("number", "state", "host", "partition", "asked")} == {
        "number": int(in_a_job), "state": "running", "host": slurm.node(in_a_job), "partition": "batch",
        "asked": ["--time=30:00", "--cpus-per-task=1"],
    }  # fmt: skip


def test_a_relay_that_was_killed_comes_back_with_the_same_kernels(laptop: Laptop, in_a_job: str) -> None:
    page = laptop.browser()
    assert page.login(laptop.password)
    kernel = page.api("kernels", {"name": "python3"})["id"]
    page.run(kernel, "kept = 6 * 7")
    laptop.ssh(f"kill -KILL {relay(laptop)}")
    back = laptop.playbook("playbooks/connect.yml", my_browser=False)
    assert back.returncode == 0, back.stdout
    assert page.run(kernel, "print(kept)") == "42\n"
    assert relay(laptop)
    page.api(f"kernels/{kernel}", method="DELETE")


def relay(laptop: Laptop) -> str:
    """The process number of the one relay that runs; its keeper has the same words further on."""
    (number,) = laptop.ssh("pgrep -f '^[^ ]*python3 -E -s .*/jupyter_cluster_relay.py'").split()
    return number


def test_a_job_that_waits_is_said_and_the_page_answers_by_itself(laptop: Laptop, no_job: None, slurm: Slurm) -> None:
    with drained(*NODES):
        said = laptop.playbook("site.yml", slurm_job_wait=1)
        assert said.returncode == 0, said.stdout
        (number,) = slurm.there()
        flat = " ".join(said.stdout.split())
        assert f"Job {number} waits: " in flat
        assert "The tunnel is open already" in flat
        again = laptop.playbook("playbooks/connect.yml", my_browser=False)
        assert again.returncode == 0, again.stdout
        assert f"Job {number} waits: " in " ".join(again.stdout.split())
        assert f"job {number} waits: " in laptop.playbook("playbooks/status.yml").stdout
        assert slurm.there() == [number]
    deadline = time.monotonic() + seconds(60)
    while not answers(laptop):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert laptop.browser().login(laptop.password)


def answers(laptop: Laptop) -> bool:
    """Whether the page answers, with nothing done on the laptop."""
    try:
        return laptop.browser().request("/login")[0] == 200
    except OSError:
        return False


def test_stop_ends_the_job_in_order_and_leaves_nothing(laptop: Laptop, in_a_job: str, slurm: Slurm) -> None:
    node = slurm.node(in_a_job)
    ended = laptop.playbook("playbooks/stop.yml")
    assert ended.returncode == 0, ended.stdout
    assert slurm.jobs()[in_a_job] == "COMPLETED"
    assert nothing_left(laptop, node) == ""
    run = laptop.ssh("ls -A .jupyter-cluster/hydra08i/run").split()
    assert {"job", "server", "jupyter.sock", "slurm.log"} & set(run) == set()


def nothing_left(laptop: Laptop, node: str) -> str:
    """What of the account's runs, or lies in /tmp, on the compute node; and the relay."""
    left = node_root(
        f"pgrep -u {laptop.account} -a | grep -vE 'systemd|sd-pam'; ls -d /tmp/jupyter-cluster-* 2>/dev/null || true",
        node,
    )
    return left + node_root(f"pgrep -u {laptop.account} -af '[r]elay' || true")


def test_restart_moves_the_server_to_the_login_node_and_back(laptop: Laptop, in_a_job: str, slurm: Slurm) -> None:
    said = laptop.playbook("site.yml", my_place="login")
    assert said.returncode == 0, said.stdout
    assert "so it is left alone" in " ".join(said.stdout.split())
    assert slurm.there() == [in_a_job]
    here = laptop.playbook("playbooks/restart.yml", my_place="login")
    assert here.returncode == 0, here.stdout
    assert (laptop.server() != "", slurm.there()) == (True, [])
    assert "job" not in laptop.playbook("playbooks/status.yml").stdout
    assert laptop.browser().login(laptop.password)
    back = laptop.playbook("playbooks/restart.yml")
    assert back.returncode == 0, back.stdout
    assert (laptop.server(), len(slurm.there())) == ("", 1)
    assert laptop.browser().login(laptop.password)


def test_remove_takes_the_job_away(laptop: Laptop, in_a_job: str, slurm: Slurm) -> None:
    node, config = slurm.node(in_a_job), Path(laptop.ssh_config)
    gone = laptop.playbook("playbooks/remove.yml")
    assert gone.returncode == 0, gone.stdout
    assert f"job {in_a_job}, and the relay that leads there" in " ".join(gone.stdout.split())
    assert slurm.there() == []
    assert nothing_left(laptop, node) == ""
    assert config.exists()
    assert node_root(f"ls -A /home/{laptop.account}/.jupyter-cluster 2>/dev/null || true") == ""


def test_ssh_to_the_node_leads_there_too(laptop: Laptop, no_job: None, slurm: Slurm) -> None:
    laptop.ssh(
        "mkdir -pm 700 .ssh; test -e .ssh/within || ssh-keygen -qt ed25519 -N '' -f .ssh/within;"
        "grep -qf .ssh/within.pub .ssh/authorized_keys || cat .ssh/within.pub >>.ssh/authorized_keys;"
        "printf 'Host co*\\n IdentityFile ~/.ssh/within\\n StrictHostKeyChecking accept-new\\n' >.ssh/config"
    )
    done = laptop.playbook("site.yml", cluster_way_in="ssh")
    assert done.returncode == 0, done.stdout
    (number,) = slurm.there()
    assert laptop.ssh("pgrep -u $USER srun || true") == ""
    page = laptop.browser()
    assert page.login(laptop.password)
    kernel = page.api("kernels", {"name": "python3"})["id"]
    assert page.run(kernel, "import os; print(os.uname().nodename)").strip() == slurm.node(number)
    ended = laptop.playbook("playbooks/stop.yml", my_end_kernels=True)
    assert ended.returncode == 0, ended.stdout
    assert slurm.there() == []
    assert nothing_left(laptop, NODES[0]) == ""
