"""The wishes for a job are words that no shell reads; and what is known of a job is one word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from node import job
from node.compute import pending
from node.folder import Folder
from node.slurm import NEVER, Job
from wishes import slurm_refusals, slurm_words


def test_wishes_become_words_in_a_fixed_order() -> None:
    wishes = {"options": ["--exclusive", "--mail-type=END"], "memory": "16G", "cpus": 4, "time": "1-12:00:00"}
    assert slurm_words(wishes) == ["--time=1-12:00:00", "--cpus-per-task=4", "--mem=16G", "--exclusive",
                                   "--mail-type=END"]  # fmt: skip
    assert slurm_refusals(wishes, "my_job") == []


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        ([], "my_job is no dictionary"),
        # As YAML reads 2:00:00 without quotes.
        ({"time": 7200}, "my_job.time is no text"),
        ({"time": "tomorrow"}, "my_job.time is not right"),
        ({"time": "1"}, "my_job.time is too short"),
        ({"time": "1:59"}, "my_job.time is too short"),
        ({"time": "0:01:59"}, "my_job.time is too short"),
        ({"time": "0-0"}, "my_job.time is too short"),
        ({"time": "--wrap=id"}, "my_job.time is not right"),
        ({"time": "2:00:00\n"}, "my_job.time is not right"),
        ({"cpus": 0}, "my_job.cpus is not right"),
        ({"cpus": True}, "my_job.cpus is not right"),
        ({"memory": "16 G"}, "my_job.memory is not right"),
        ({"gres": "gpu:1;id"}, "my_job.gres is not right"),
        ({"partition": "-batch"}, "my_job.partition is not right"),
        ({"account": "a b"}, "my_job.account is not right"),
        ({"account": "'a'"}, "my_job.account is not right"),
        ({"qos": ["high"]}, "my_job.qos is not right"),
        ({"gpus": 1}, "my_job.gpus is no wish: time, cpus,"),
        ({"options": "--exclusive"}, "my_job.options is no list"),
        ({"options": ["-p", "batch"]}, "my_job.options has '-p'"),
        ({"options": ["--job-name=x"]}, "my_job.options has '--job-name=x', which this project says by itself"),
        ({"options": ["--output=/tmp/x"]}, "by itself"),
        ({"options": ["--time=1"]}, "a name of its own here"),
        ({"options": ["--wrap=id"]}, "by itself"),
        # As sbatch takes them, too.
        ({"options": ["--arra=0-1"]}, "by itself"),
        ({"options": ["--exp=NONE"]}, "by itself"),
        ({"options": ["--mail-user=a\nb"]}, "my_job.options has"),
    ],
)
def test_a_wish_that_is_wrong_is_named(wishes: Any, said: str) -> None:
    (problem,) = slurm_refusals(wishes, "my_job")
    assert said in problem


@pytest.mark.parametrize("time", ["2", "2:00", "0:02:00", "1-0", "0-1:00", "0-0:02:00", "30", "4:00:00"])
def test_a_time_that_is_long_enough_is_taken(time: str) -> None:
    assert slurm_refusals({"time": time}, "my_job") == []


@pytest.mark.parametrize("name", ["time", "cpus", "memory", "gres", "partition", "account", "qos", "constraint",
                                  "reservation"])  # fmt: skip
@pytest.mark.parametrize(
    "text",
    ["", " ", "a b", "'", '"', ";id", "$(id)", "`id`", "-x", "--wrap=id", "a\n", "\0", "{{ 7 }}", "~/x", "é", "\\"],
)
def test_a_wish_is_one_word_of_plain_letters(name: str, text: str) -> None:
    assert slurm_refusals({name: text}, "my_job"), text


def job_of(state: str, number: int = 7, start: int = 0, reason: str = "None") -> Job:
    return Job(number, state, start, 0, "co001", "batch", reason, "jupyter-hydra", "/home/x/launch")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / ".jupyter-cluster" / "hydra08i" / "run").mkdir(parents=True)
    return Folder(str(tmp_path / ".jupyter-cluster" / "hydra08i"))


SERVER: dict[str, Any] = {
    "job": "7", "host": "co001", "pid": 1, "name": "1 2", "lock": "co001 b 1 2", "started": 1000, "python": "/p",
    "socket": "/tmp/x", "digest": "d", "library_path": "",
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in SERVER if name != "library_path"])
def test_a_server_s_record_that_is_not_whole_is_none(folder: Folder, name: str) -> None:
    whole = Path(folder.file(job.SERVER))
    whole.write_text(json.dumps(SERVER))
    assert job.server(folder, 7) == SERVER
    for damaged in ({key: SERVER[key] for key in SERVER if key != name}, {**SERVER, name: None}, {**SERVER, name: []}):
        whole.write_text(json.dumps(damaged))
        assert job.server(folder, 7) == {}


def remember(folder: Folder, number: int, started: int | None = None) -> None:
    job.write_record(folder, {"number": number, "start": "abc", "asked": []})
    if started is not None:
        Path(folder.file(job.SERVER)).write_text(json.dumps({**SERVER, "job": str(number), "started": started}))


def test_the_state_of_a_job_is_one_word(folder: Folder) -> None:
    assert job.state(folder, None) == "none"
    # A submission that has come to nothing.
    remember(folder, 0)
    assert job.state(folder, None) == "none"
    remember(folder, 7)
    assert job.state(folder, None) == "ended"
    assert job.state(folder, job_of("PENDING")) == "pending"
    assert job.state(folder, job_of("RUNNING")) == "starting"
    assert job.state(folder, job_of("COMPLETING")) == "ending"
    for state in ("COMPLETED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY", "FAILED"):
        assert job.state(folder, job_of(state)) == "ended"


def test_a_server_s_record_is_believed_of_its_own_job_alone(folder: Folder) -> None:
    remember(folder, 7, started=1000)
    # Whatever the clocks of the nodes are.
    for start in (0, 990, 5000):
        assert job.state(folder, job_of("RUNNING", start=start)) == "running"
    assert job.state(folder, job_of("RUNNING", number=8)) == "starting"


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"number": "7"}', "\0\xff"])
def test_a_damaged_record_is_none(folder: Folder, text: str) -> None:
    Path(folder.file(job.RECORD)).write_text(text)
    Path(folder.file(job.SERVER)).write_text(text)
    assert job.record(folder) == {}
    assert job.server(folder, 7) == {}


def test_why_a_job_has_ended_is_what_slurm_has_told_that_job(folder: Folder) -> None:
    remember(folder, 24)
    Path(folder.file(job.LOG)).write_text(
        "slurmstepd: error: *** JOB 2 ON co001 CANCELLED AT 2026-01-01T10:00:00 ***\n"
        "slurmstepd: error: *** JOB 24 ON co001 CANCELLED AT 2026-01-01T12:00:00 DUE TO TIME LIMIT ***\n"
        "slurmstepd: error: *** JOB 240 ON co001 CANCELLED AT 2026-01-02T12:00:00 DUE TO NODE FAILURE ***\n"
    )
    assert job.why_ended(folder, None) == "CANCELLED AT 2026-01-01T12:00:00 DUE TO TIME LIMIT"
    assert job.why_ended(folder, job_of("TIMEOUT", number=25)) == "TIMEOUT"


def test_what_would_wait_for_ever_is_known_by_its_reason() -> None:
    for reason in ("PartitionTimeLimit", "PartitionConfig", "AssocMaxCpuPerJobLimit", "BadConstraints"):
        assert NEVER.search(reason)
    for reason in ("Resources", "Priority", "Dependency", "AssocGrpCpuLimit", "QOSMaxJobsPerUserLimit", "JobHeldUser"):
        assert not NEVER.search(reason)


def test_what_a_job_waits_for_is_a_sentence() -> None:
    assert pending(job_of("PENDING", reason="Resources")) == "Job 7 waits: Resources."
    assert "Resources. Slurm expects it to start on " in pending(job_of("PENDING", start=1000, reason="Resources"))
    assert pending(job_of("RUNNING")) == "Job 7 has begun on co001, and its server has not yet."
