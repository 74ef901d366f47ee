"""The test cluster's Slurm is a real one, and keeps people apart as a centre's does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cluster import GATEWAY, Laptop, node_root
from patience import seconds
from slurm import LOGIN, NODES, Slurm, drained, hung, stopped


@pytest.fixture(autouse=True)
def no_jobs_before_and_after(slurm: Slurm) -> Iterator[None]:
    """Nothing of the account's jobs is left."""
    slurm.cancel_all()
    yield
    slurm.cancel_all()


def listening(account: str) -> list[str]:
    """What listens on a port of the cluster for the account."""
    shown = f"ss -Hltunpe | grep uid:$(id -u {account}) || true"
    return [f"{host} {line}" for host in (LOGIN, *NODES) for line in node_root(shown, host).splitlines()]


def test_both_nodes_are_idle(slurm: Slurm) -> None:
    shown = slurm.run("sinfo", "--noheader", "--Node", "--partition=batch", "--format=%N %t").stdout
    assert shown.splitlines() == [f"{node} idle" for node in NODES]


def test_a_command_runs_on_a_compute_node(slurm: Slurm) -> None:
    assert slurm.run("srun", "-N1", "hostname").stdout.strip() in NODES


def test_a_compute_node_has_the_home_and_jupyter(slurm: Slurm) -> None:
    slurm.run("touch", "seen")
    found = "test -O seen && module load anaconda/3 && jupyter lab --version"
    assert slurm.run("srun", "-N1", "bash", "-lc", found).stdout.startswith("4.")


def test_gpus_are_counted(slurm: Slurm) -> None:
    assert slurm.run("srun", "-N1", "--gres=gpu:1", "hostname").stdout.strip() in NODES
    refused = slurm.run("srun", "-N1", "--gres=gpu:2", "hostname", check=False)
    assert "Requested node configuration is not available" in refused.stderr


def test_a_neighbour_cannot_join_a_job(slurm: Slurm, neighbour: Slurm) -> None:
    job = slurm.submit()
    slurm.wait(job, "RUNNING")
    join = ("srun", f"--jobid={job}", "--overlap", "--ntasks=1", "id", "-un")
    assert slurm.run(*join).stdout.strip() == slurm.account
    for refused in (neighbour.run(*join, check=False), neighbour.run("scancel", job, check=False)):
        assert refused.returncode != 0
        assert "Access/permission denied" in refused.stderr
    assert slurm.jobs()[job] == "RUNNING"


def test_nobody_logs_in_to_a_node_without_a_job(laptop: Laptop, slurm: Slurm) -> None:
    def log_in(node: str) -> str:
        return laptop.ssh("hostname 2>&1", "-J", GATEWAY, host=f"{node}.rzg.mpg.de", check=False).strip()

    assert [log_in(node) for node in NODES] == ["", ""]
    job = slurm.submit()
    slurm.wait(job, "RUNNING")
    node = slurm.node(job)
    assert {name: log_in(name) for name in NODES} == {name: name if name == node else "" for name in NODES}


def test_nothing_listens_for_who_has_a_job(slurm: Slurm) -> None:
    job = slurm.submit()
    slurm.wait(job, "RUNNING")
    assert listening(slurm.account) == []
    # It would be seen.
    one = slurm.submit(command="timeout 20 nc -l 39992")
    slurm.wait(one, "RUNNING")
    node_root(f"timeout {seconds(10)} sh -c 'until ss -Hltn | grep -q :39992; do sleep 0.1; done'", slurm.node(one))
    assert len(listening(slurm.account)) == 1


@pytest.mark.parametrize(("service", "said"), [("slurmctld", "Unable to contact"), ("munge", "authentication")])
def test_slurm_that_does_not_run_says_so_and_its_jobs_live(slurm: Slurm, service: str, said: str) -> None:
    job = slurm.submit()
    slurm.wait(job, "RUNNING")
    with stopped(service):
        refused = slurm.run("squeue", check=False)
        assert (refused.returncode, said in refused.stderr) == (1, True), refused.stderr
    assert slurm.jobs()[job] == "RUNNING"


def test_what_slurm_was_asked_for_while_it_hung_is_done_later(slurm: Slurm) -> None:
    with hung("slurmctld"):
        asked = slurm.run("sbatch", "--output=/dev/null", "--wrap=sleep 600", check=False)
        assert asked.returncode != 0
        assert "timed out" in asked.stderr
    assert len(slurm.there()) == 1


def test_no_job_begins_on_a_drained_node(slurm: Slurm) -> None:
    with drained(*NODES):
        job = slurm.submit()
        assert slurm.wait(job, "PENDING") == "PENDING"
    slurm.wait(job, "RUNNING")
