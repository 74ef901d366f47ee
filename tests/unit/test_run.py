"""The runner of the tests, and what demo and tests take on a machine."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from patience import seconds
from variables import PROJECT

RUNNER = PROJECT / "tests" / "run"


#: A container registry that never answers, and a base that was made before.
PODMAN = """\
#!/bin/sh
echo "$*" >>"${0%/*}/asked"
case "$*" in
  "pull "*) exec sleep 60 ;;
  "image exists localhost/jupyter-on-a-cluster-base:"*) exit ;;
  *) exit 1 ;;
esac
"""


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    """tests/run, with a lock of its own."""
    loader = importlib.machinery.SourceFileLoader("runner", str(RUNNER))
    spec = importlib.util.spec_from_loader("runner", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "runner", module)
    loader.exec_module(module)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(module, "TESTBED", tmp_path / "no test cluster is up")
    return module


def written_ports(path: Path) -> set[int]:
    """The ports of this machine that a scenario's files name: those of its person, and of others at laptops."""
    return {
        int(port)
        for port in re.findall(r"(?:my_port: |tunnel_port: |Laptop\(.*?, |through\(.*?, )(\d{4})\b", path.read_text())
    }


def test_demo_and_tests_take_different_places(runner: ModuleType) -> None:
    places = yaml.safe_load((PROJECT / "molecule" / "cluster" / "vars" / "main.yml").read_text())["testbed_places"]
    networks = [place[network] for place in places.values() for network in ("outer", "inner")]
    assert len(set(networks)) == len(networks) == 6
    (port,) = written_ports(PROJECT / "molecule" / "demo" / "vars.yml.j2")
    # With the ten that it may take instead.
    assert not set(range(port, port + 11)) & set(runner.PORTS)


def test_without_an_answer_of_a_registry_the_base_is_made_here(tmp_path: Path) -> None:
    """A task that takes too long fails, whatever it says of failures."""
    podman, play = tmp_path / "podman", tmp_path / "play.yml"
    podman.write_text(PODMAN)
    podman.chmod(0o755)
    cluster = PROJECT / "molecule" / "cluster"
    image = {"name": "localhost/image:tag", "folder": "image", "suite": "bookworm", "build": ""}
    python = "{{ ansible_playbook_python }}"
    variables = {
        "ansible_python_interpreter": python,
        "__testbed_image": image,
        "__testbed_patience": seconds(12) / 900,
    }
    tasks = [{"ansible.builtin.import_tasks": str(cluster / "tasks" / "image.yml")}]
    play.write_text(
        yaml.safe_dump([
            {
                "hosts": "localhost", "connection": "local", "gather_facts": False, "vars": variables, "tasks": tasks,
                "vars_files": [str(cluster / "vars" / "main.yml")],
            }
        ])
    )  # fmt: skip
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "ANSIBLE_HOME": str(tmp_path)}
    done = subprocess.run(
        # Not among the play's variables, which those of a file come before.
        ["ansible-playbook", "-i", "localhost,", "-e", "testbed_ca_bundle=", play],
        env=environment, cwd=PROJECT, capture_output=True, text=True, timeout=seconds(60), check=False,
    )  # fmt: skip
    asked = (tmp_path / "asked").read_text().splitlines()
    assert "pull --quiet debian:12" in asked, done.stdout + done.stderr
    assert "image exists localhost/jupyter-on-a-cluster-base:bookworm" in asked, done.stdout + done.stderr
    assert any("BASE=localhost/jupyter-on-a-cluster-base:bookworm" in line for line in asked), done.stdout + done.stderr


def test_the_tests_say_all_ports_that_they_need(runner: ModuleType) -> None:
    files = [*PROJECT.glob("molecule/*/vars/me.yml"), *PROJECT.glob("molecule/*/tests/*.py")]
    named = set().union(*map(written_ports, files))
    assert {9877, 9878, 9879, 9880, 9886, 9889, 9890} <= named <= set(runner.PORTS)


def test_every_scenario_runs_once(runner: ModuleType) -> None:
    create, *others = runner.stages(runner.PARTS)
    assert create == [runner.CREATE]
    scenarios = [step[3] for stage in others for step in stage if step[:2] == ("molecule", "test")]
    assert sorted(scenarios) == sorted(path.parent.name for path in PROJECT.glob("molecule/*/molecule.yml"))
    first, *more = map(runner.scenario, runner.LAST)
    assert others[-1] == [first, *runner.UNIT, *runner.LINT, *more]


def test_every_unit_test_runs_once(runner: ModuleType) -> None:
    *parts, (_, folder, *left_out) = runner.UNIT
    named = [path for part in parts for path in part[1:]]
    assert left_out == [f"--ignore={path}" for path in named]
    assert all((PROJECT / path).is_relative_to(PROJECT / folder) and (PROJECT / path).is_file() for path in named)


def test_without_a_test_cluster_no_scenario_runs(runner: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "CREATE", ("false",))
    assert [result.step for result in runner.run_all(["scenarios"])] == [("false",)]


def test_a_second_run_says_who_runs_already(runner: ModuleType, tmp_path: Path) -> None:
    """Also after one that was killed, which leaves nothing in the way."""
    hold = (
        "import runpy, sys, tempfile, time; tempfile.tempdir = sys.argv[2]; "
        "print(repr(runpy.run_path(sys.argv[1])['lock']()), flush=True); time.sleep(600)"
    )
    argv = [sys.executable, "-c", hold, str(RUNNER), str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout
        assert first.stdout.readline() == "''\n"
        said = runner.obstacle(["scenarios"])
        first.kill()
    assert said == (
        f"The scenarios run already, in {PROJECT} (process {first.pid}), and a machine has one test cluster: wait "
        "until they are done."
    )
    assert runner.lock() == ""


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_port_that_is_taken_is_named(
    runner: ModuleType, monkeypatch: pytest.MonkeyPatch, family: socket.AddressFamily, address: str
) -> None:
    with socket.create_server((address, 0), family=family) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setattr(runner, "PORTS", [port])
        said = runner.obstacle(["scenarios"])
    assert re.fullmatch(rf"Port {port} on this machine is taken by \S.*: the tests need {port} to {port}\.", said), said
    assert runner.obstacle(["scenarios"]) != said


@pytest.mark.parametrize("patience", ["five", "0", "21", "-1"])
def test_a_factor_that_is_none_is_refused(runner: ModuleType, monkeypatch: pytest.MonkeyPatch, patience: str) -> None:
    monkeypatch.setenv("JUPYTER_TEST_PATIENCE", patience)
    assert runner.obstacle(["unit"]) == f"JUPYTER_TEST_PATIENCE is '{patience}': it is a number from 1 to 20."


def test_a_part_that_there_is_not_is_refused(runner: ModuleType) -> None:
    assert runner.obstacle(["lint", "fresh"]).startswith("There is no fresh to test, but lint, unit, scenarios; ")


def test_a_run_that_is_told_to_stop_begins_nothing_new(runner: ModuleType) -> None:
    """What runs ends, with its own children; only the test cluster is still taken away."""
    step = ("sh", "-c", "sleep 600 & echo $!; wait")
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(runner.run(step)))
    thread.start()
    deadline = time.monotonic() + seconds(10)
    while not runner.running:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    runner.stop(signal.SIGTERM, None)
    thread.join(seconds(10))
    assert not thread.is_alive()
    assert runner.run(("true",)) is None
    assert runner.run(("true",), in_any_case=True).passed == 1


def test_the_end_says_which_tests_failed(runner: ModuleType) -> None:
    """Each once, though a step tries again; and nothing of a step that was well in the end."""
    framed = r"printf '  \033[2m│\033[0m \033[31mFAILED\033[0m tests/test_a.py::test_b - assert 1 == 2\n'"
    script = f"{framed}; echo '[ERROR]: Task failed: gone'; echo fatal; "
    failed = runner.run(("sh", "-c", f"{script * 2} exit 1"))
    assert failed.said == ("FAILED tests/test_a.py::test_b - assert 1 == 2", "[ERROR]: Task failed: gone")
    assert runner.run(("sh", "-c", script)).said == ()


def test_the_table_of_times(runner: ModuleType) -> None:
    results = [runner.Result(runner.scenario("daily"), 60, 0, 312.4), runner.Result(("ruff", "check"), 0, 1, 0.2)]
    assert runner.table(results).splitlines() == [
        "step         time  passed  failed",
        "daily       312 s      60       0",
        "ruff check    0 s       0       1",
    ]
