"""What goes wrong with Slurm, a job, or what it was asked for: it is named, nothing is submitted twice or lost."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from cluster import Laptop, node_root
from patience import seconds
from slurm import LOGIN, NODES, Slurm, drained, hung, stopped

SILENT = {"stopped": stopped, "hung": hung}


@contextlib.contextmanager
def silent(how: str) -> Iterator[None]:
    """Let Slurm not answer, in one of three ways."""
    with stopped("munge") if how == "munge" else SILENT[how]("slurmctld"):
        yield


#: What is run meanwhile. Without munge the nodes do not answer the controller either, which gives their jobs up soon.
MEANWHILE = {
    "stopped": ("site.yml", "playbooks/stop.yml", "playbooks/restart.yml", "playbooks/remove.yml"),
    "hung": ("site.yml", "playbooks/stop.yml"),
    "munge": ("playbooks/stop.yml",),
}


@pytest.mark.parametrize("how", MEANWHILE)
def test_a_slurm_that_does_not_answer_is_no_end_of_a_job(laptop: Laptop, in_a_job: str, slurm: Slurm, how: str) -> None:
    with silent(how):
        for verb in MEANWHILE[how]:
            begun = time.monotonic()
            refused = laptop.playbook(verb)
            flat = " ".join(refused.stdout.split())
            assert refused.returncode != 0, verb
            assert f"Slurm does not answer on {laptop.node}" in flat, refused.stdout
            assert f"Last known: job {in_a_job} on " in flat
            assert time.monotonic() - begun < seconds(12), verb
        if how == "stopped":
            assert f"job {in_a_job}, Slurm does not answer)" in laptop.playbook("playbooks/status.yml").stdout
            # The page goes on, and so does the way to it.
            back = laptop.playbook("playbooks/connect.yml", my_browser=False)
            assert back.returncode == 0, back.stdout
            assert laptop.browser().login(laptop.password)
    assert slurm.there() == [in_a_job]
    assert slurm.jobs()[in_a_job] == "RUNNING"


def test_a_slurm_that_does_not_answer_gets_no_job(laptop: Laptop, no_job: None, slurm: Slurm) -> None:
    with stopped("slurmctld"):
        refused = laptop.playbook("site.yml")
        assert refused.returncode != 0
        assert "Slurm does not answer" in " ".join(refused.stdout.split())
    assert slurm.there() == []


def test_a_submission_that_timed_out_is_found_by_the_next_run(laptop: Laptop, no_job: None, slurm: Slurm) -> None:
    with hung("slurmctld"):
        # As a run that asked for the queue a moment before.
        laptop.ssh("mkdir -p .jupyter-cluster/hydra08i/run")
        launcher = f"{laptop.node_folder}/launch"
        laptop.ssh(
            'printf \'{"number": 0, "start": "timedout", "asked": ["--time=30:00", "--cpus-per-task=1"]}\''
            " >.jupyter-cluster/hydra08i/run/job"
        )
        asked = slurm.run(
            "sbatch", "--job-name=jupyter-hydra", "--time=30:00", "--cpus-per-task=1", "--output=/dev/null",
            "--signal=B:TERM@60", launcher, "timedout", "/dev/null", "compute", check=False,
        )  # fmt: skip
        assert asked.returncode != 0
    (number,) = slurm.there()
    done = laptop.playbook("site.yml")
    assert done.returncode == 0, done.stdout
    assert slurm.there() == [number]
    assert laptop.browser().login(laptop.password)


def test_another_job_of_one_s_own_is_not_taken_for_the_server_s(laptop: Laptop, no_job: None, slurm: Slurm) -> None:
    """Not by its name, nor by its number, which begin anew where Slurm has lost its state."""
    other = slurm.submit("--job-name=jupyter-hydra", "--time=10:00")
    slurm.wait(other, "RUNNING")
    laptop.ssh(f'printf \'{{"number": {other}, "start": "x", "asked": []}}\' >.jupyter-cluster/hydra08i/run/job')
    assert "none runs" in laptop.playbook("playbooks/status.yml").stdout
    stopped_it = laptop.playbook("playbooks/stop.yml")
    assert stopped_it.returncode == 0, stopped_it.stdout
    assert slurm.there() == [other]
    slurm.run("scancel", other)


def test_two_machines_at_the_same_moment_have_one_job(laptop: Laptop, no_job: None, slurm: Slurm) -> None:
    """Also where Slurm takes its time."""
    slow = "/usr/local/bin/sbatch"
    node_root(f"printf '#!/bin/sh\\nsleep 2; exec /usr/bin/sbatch \"$@\"\\n' >{slow}; chmod 755 {slow}", LOGIN)
    try:
        with ThreadPoolExecutor(2) as pool:
            both = [pool.submit(laptop.playbook, "site.yml") for _ in range(2)]
        ended = [one.result() for one in both]
    finally:
        node_root(f"rm {slow}", LOGIN)
    assert len(slurm.there()) == 1, [one.stdout for one in ended]
    assert all(one.returncode == 0 for one in ended), [one.stdout for one in ended]
    assert laptop.browser().login(laptop.password)


def test_what_a_job_has_left_that_was_ended_by_force_goes_with_the_next_one(
    laptop: Laptop, in_a_job: str, slurm: Slurm
) -> None:
    node = slurm.node(in_a_job)
    node_root(f"pkill -KILL -u {laptop.account} -f '[s]erve.py'", node)
    slurm.wait(in_a_job, "FAILED", "COMPLETED", "CANCELLED")
    other = next(name for name in NODES if name != node)
    with drained(other):
        again = laptop.playbook("site.yml")
    assert again.returncode == 0, again.stdout
    (number,) = slurm.there()
    assert node_root("ls -d /tmp/jupyter-cluster-*", node).strip().partition(".")[0].endswith(f"-{number}")


@pytest.mark.parametrize(
    ("wishes", "reason"),
    [({"time": "99:00:00"}, "PartitionTimeLimit"), ({"time": "10:00", "cpus": 99}, "")],
)
def test_what_slurm_would_never_start_is_refused_and_taken_back(
    laptop: Laptop, no_job: None, slurm: Slurm, wishes: dict[str, object], reason: str
) -> None:
    refused = laptop.playbook("site.yml", my_job=wishes)
    flat = " ".join(refused.stdout.split())
    assert refused.returncode != 0
    assert re.search(rf"Slurm would never start this job: {reason}|Slurm refuses the job: ", flat), refused.stdout
    assert slurm.there() == []


@pytest.mark.parametrize("wish", [{"partition": "none_such"}, {"gres": "gpu:9"}, {"memory": "999G"}])
def test_what_slurm_refuses_is_said_in_its_words(
    laptop: Laptop, no_job: None, slurm: Slurm, wish: dict[str, str]
) -> None:
    refused = laptop.playbook("site.yml", my_job={"time": "10:00", **wish})
    flat = " ".join(refused.stdout.split())
    assert refused.returncode != 0
    assert re.search("Slurm refuses the job: .*(invalid partition|not available)", flat), refused.stdout
    assert slurm.there() == []


def test_a_restart_with_a_wish_that_slurm_refuses_ends_nothing(laptop: Laptop, in_a_job: str, slurm: Slurm) -> None:
    wrong = {"time": "10:00", "partition": "none_such"}
    refused = laptop.playbook("playbooks/restart.yml", my_job=wrong)
    flat = " ".join(refused.stdout.split())
    assert refused.returncode != 0
    assert re.search("Slurm would refuse the job: .*invalid partition.* What runs goes on", flat), refused.stdout
    assert slurm.there() == [in_a_job]
    assert laptop.browser().login(laptop.password)


def test_wishes_that_are_wrong_are_all_named_before_anything_is_asked(laptop: Laptop, slurm: Slurm) -> None:
    refused = laptop.playbook("site.yml", my_job={"time": 7200, "memory": "16 G", "gpus": 1, "options": ["-p;id"]})
    flat = " ".join(refused.stdout.split())
    assert refused.returncode != 0
    for said in ("my_job.time is no text", "my_job.memory is not right", "my_job.gpus is no wish", "has '-p;id'"):
        assert said in flat, refused.stdout


def test_a_job_needs_a_time(laptop: Laptop, no_job: None) -> None:
    refused = laptop.playbook("site.yml", my_job={})
    assert refused.returncode != 0
    assert "A job has to say how long it may take" in " ".join(refused.stdout.split())


def test_a_job_that_was_cancelled_is_named_and_none_is_submitted_unasked(
    laptop: Laptop, in_a_job: str, slurm: Slurm
) -> None:
    slurm.run("scancel", in_a_job)
    slurm.wait(in_a_job, "CANCELLED")
    said = laptop.playbook("playbooks/connect.yml", my_browser=False)
    flat = " ".join(said.stdout.split())
    assert said.returncode != 0
    assert re.search(rf"The job {in_a_job} has ended: CANCELLED.*Another one: -e my_start=true", flat), said.stdout
    assert f"job {in_a_job} has ended (CANCELLED" in laptop.playbook("playbooks/status.yml").stdout
    assert slurm.there() == []
    assert f"JOB {in_a_job} ON" in laptop.playbook("playbooks/logs.yml").stdout
    again = laptop.playbook("playbooks/connect.yml", my_browser=False, my_start=True)
    assert again.returncode == 0, again.stdout
    assert laptop.browser().login(laptop.password)


def test_a_job_whose_node_fails_while_its_server_lives_on_gets_no_second_one_beside_it(
    laptop: Laptop, in_a_job: str, slurm: Slurm
) -> None:
    node = slurm.node(in_a_job)
    with stopped("slurmd", node):
        deadline = time.monotonic() + seconds(90)
        while slurm.jobs().get(in_a_job) != "NODE_FAIL":
            assert time.monotonic() < deadline
            time.sleep(1)
        said = laptop.playbook("playbooks/connect.yml", my_browser=False)
        assert re.search(r"has ended: .*(NODE FAIL|NODE_FAIL)", " ".join(said.stdout.split())), said.stdout
    again = laptop.playbook("site.yml")
    assert again.returncode == 0, again.stdout
    assert len(slurm.there()) == 1
    assert laptop.browser().login(laptop.password)
    found = [node_root(f"pgrep -u {laptop.account} -f '[s]erve.py' || true", host).split() for host in NODES]
    assert sum(map(len, found)) == 1


def test_a_requeued_job_is_found_as_it_is(laptop: Laptop, in_a_job: str, slurm: Slurm) -> None:
    node_root(f"scontrol update jobid={in_a_job} requeue=1 || true; scontrol requeue {in_a_job}")
    said = laptop.playbook("site.yml", slurm_job_wait=1)
    assert said.returncode == 0, said.stdout
    assert f"Job {in_a_job} waits: " in " ".join(said.stdout.split()), said.stdout


def test_a_launcher_that_fails_in_the_job_is_said_at_once(laptop: Laptop, no_job: None, slurm: Slurm) -> None:
    begun = time.monotonic()
    with broken_modules():
        refused = laptop.playbook("site.yml")
    flat = " ".join(refused.stdout.split())
    assert refused.returncode != 0
    assert "module load anaconda/3 does not work" in flat, refused.stdout
    assert time.monotonic() - begun < seconds(30)
    deadline = time.monotonic() + seconds(20)
    while slurm.there():
        assert time.monotonic() < deadline
        time.sleep(0.5)


@contextlib.contextmanager
def broken_modules() -> Iterator[None]:
    """Let the compute nodes, and not the login node, lack Jupyter's module."""
    found = node_root(
        "dirname $(find / -xdev -path '*anaconda/3*' -name '3*' -not -type d | head -n 1)", NODES[0]
    ).strip()
    for node in NODES:
        node_root(f"mv {found} {found}.away", node)
    try:
        yield
    finally:
        for node in NODES:
            node_root(f"mv {found}.away {found}", node)


def test_a_neighbour_reaches_nothing(laptop: Laptop, in_a_job: str, slurm: Slurm, neighbour: Slurm) -> None:
    node = slurm.node(in_a_job)
    for words in (
        ("srun", f"--jobid={in_a_job}", "--overlap", "--ntasks=1", "id"),
        ("scancel", in_a_job),
        ("ls", f"{laptop.node_folder}/run"),
        ("cat", f"{laptop.node_folder}/run/relay/key"),
    ):
        refused = neighbour.run(*words, check=False)
        assert refused.returncode != 0, words
        assert "denied" in refused.stderr, refused.stderr
    place = node_root(f"ls -d /tmp/jupyter-cluster-*-{in_a_job}.*", node).strip()
    denied = node_root(f"runuser -u {neighbour.account} -- ls {place} 2>&1 || true", node)
    assert "Permission denied" in denied
    # What everybody may see of it: names and paths.
    shown = neighbour.run("squeue", f"--jobs={in_a_job}", "--format=%all").stdout
    assert "jupyter-hydra" in shown
    owner = laptop.ssh("cat .jupyter-cluster/hydra08i/run/owner").strip()
    for secret in (owner, laptop.password):
        assert secret not in shown


def test_preempted(laptop: Laptop, no_job: None, slurm: Slurm, neighbour: Slurm) -> None:
    first = laptop.playbook("site.yml", my_job={"time": "30:00", "cpus": 1, "partition": "low"})
    assert first.returncode == 0, first.stdout
    (number,) = slurm.there()
    with drained(next(node for node in NODES if node != slurm.node(number))):
        other = neighbour.submit("--exclusive", "--partition=batch", "--time=5")
        deadline = time.monotonic() + seconds(60)
        while slurm.jobs().get(number) not in ("PREEMPTED", "CANCELLED", "COMPLETED"):
            assert time.monotonic() < deadline, slurm.jobs()
            time.sleep(0.5)
        neighbour.run("scancel", other)
    said = laptop.playbook("playbooks/connect.yml", my_browser=False)
    assert f"The job {number} has ended" in " ".join(said.stdout.split()), said.stdout


def test_the_end_of_the_time_is_orderly(laptop: Laptop, no_job: None, slurm: Slurm) -> None:
    """The shortest job: it gets its signal a minute before two have gone by."""
    done = laptop.playbook("site.yml", my_job={"time": "2:00", "cpus": 1})
    assert done.returncode == 0, done.stdout
    (number,) = slurm.there()
    node = slurm.node(number)
    page = laptop.browser()
    assert page.login(laptop.password)
    kernel = page.api("kernels", {"name": "python3"})["id"]
    page.run(kernel, "open('kept.txt', 'w').write('whole')")
    slurm.wait(number, "COMPLETED", usual=150)
    assert laptop.ssh("cat kept.txt").strip() == "whole"
    assert node_root("ls -d /tmp/jupyter-cluster-* 2>/dev/null || true", node) == ""
    deadline = time.monotonic() + seconds(30)
    while node_root(f"pgrep -u {laptop.account} -af '[r]elay' || true", LOGIN):
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_a_job_that_nobody_uses_ends_by_itself(laptop: Laptop, no_job: None, slurm: Slurm) -> None:
    """After an hour, or as here after seconds; Jupyter looks once a minute."""
    done = laptop.playbook("site.yml", cluster_idle_hours=0.003)
    assert done.returncode == 0, done.stdout
    (number,) = slurm.there()
    slurm.wait(number, "COMPLETED", usual=150)
    said = laptop.playbook("playbooks/connect.yml", my_browser=False)
    assert f"The job {number} has ended. Another one: -e my_start=true" in " ".join(said.stdout.split()), said.stdout


def test_records_that_are_taken_away_come_back_and_cost_no_kernel(laptop: Laptop, in_a_job: str, slurm: Slurm) -> None:
    page = laptop.browser()
    assert page.login(laptop.password)
    kernel = page.api("kernels", {"name": "python3"})["id"]
    with page.channel(kernel) as channel:
        page.execute(channel, "import time; time.sleep(600)")
        laptop.ssh("cd .jupyter-cluster; rm -rf hydra.lock hydra08i/run/job hydra08i/run/server hydra08i/run/lock")
        # At once, and once they are there again; also for a machine that asks for no job.
        for place in ("compute", "login"):
            refused = laptop.playbook("playbooks/stop.yml", my_place=place)
            assert refused.returncode != 0, refused.stdout
            assert re.search("has not said yet|Kernels are busy|on co00", " ".join(refused.stdout.split())), (
                refused.stdout
            )
            deadline = time.monotonic() + seconds(20)
            while "server" not in laptop.ssh("ls .jupyter-cluster/hydra08i/run").split():
                assert time.monotonic() < deadline
                time.sleep(0.5)
        assert slurm.there() == [in_a_job]
        shown = laptop.playbook("playbooks/status.yml", my_place="login")
        assert f"job {in_a_job}, " in shown.stdout
        assert "1 busy" in shown.stdout
    back = laptop.playbook("playbooks/connect.yml", my_browser=False)
    assert back.returncode == 0, back.stdout
    page.api(f"kernels/{kernel}", method="DELETE")


def test_a_login_node_that_was_rebooted_leads_to_the_same_kernels_again(laptop: Laptop, in_a_job: str) -> None:
    """As far as the account sees: all that it had there has ended, and what was in /tmp and /run has gone."""
    page = laptop.browser()
    assert page.login(laptop.password)
    kernel = page.api("kernels", {"name": "python3"})["id"]
    page.run(kernel, "kept = 6 * 7")
    node_root(f"pkill -KILL -u {laptop.account}; rm -rf /run/screen/S-{laptop.account} /tmp/jupyter-cluster-*", LOGIN)
    back = laptop.playbook("playbooks/connect.yml", my_browser=False)
    if back.returncode:
        # The connection that was open has gone with it.
        back = laptop.playbook("playbooks/connect.yml", my_browser=False)
    assert back.returncode == 0, back.stdout
    assert page.run(kernel, "print(kept)") == "42\n"
    page.api(f"kernels/{kernel}", method="DELETE")


def test_a_login_node_whose_srun_leads_nowhere_is_named(laptop: Laptop, no_job: None) -> None:
    where = node_root("command -v srun", LOGIN).strip()
    node_root(f"mv {where} {where}.away; printf '#!/bin/sh\\necho srun: forbidden here >&2; exit 1\\n' >{where}", LOGIN)
    node_root(f"chmod 755 {where}", LOGIN)
    try:
        refused = laptop.playbook("site.yml", slurm_job_timeout=10)
    finally:
        node_root(f"mv {where}.away {where}", LOGIN)
    flat = " ".join(refused.stdout.split())
    assert refused.returncode != 0
    assert "and nothing leads there from this node" in flat, refused.stdout
    assert "srun: forbidden here" in flat, refused.stdout


def test_a_compute_node_that_lets_nobody_log_in_serves_all_the_same(laptop: Laptop, no_job: None) -> None:
    for node in NODES:
        node_root("touch /etc/nologin", node)
    try:
        done = laptop.playbook("site.yml")
        assert done.returncode == 0, done.stdout
        assert laptop.browser().login(laptop.password)
        assert "none" in laptop.playbook("playbooks/status.yml").stdout
    finally:
        for node in NODES:
            node_root("rm /etc/nologin", node)


def test_doctor_says_what_slurm_has_and_makes_of_the_wishes(laptop: Laptop, no_job: None) -> None:
    found = laptop.playbook("playbooks/doctor.yml")
    flat = " ".join(found.stdout.split())
    assert found.returncode == 0, found.stdout
    assert re.search(
        r"Slurm: slurm-wlm 22\.05.*; batch \(up, at most 1:00:00; 4 CPUs, \d+\S* MiB, gpu:1 a node\)", flat
    )
    assert "of --time=30:00 --cpus-per-task=1 it says: Job " in flat, found.stdout
    wrong = laptop.playbook("playbooks/doctor.yml", my_job={"time": "10:00", "partition": "none_such"})
    assert "invalid partition specified: none_such" in " ".join(wrong.stdout.split()), wrong.stdout
