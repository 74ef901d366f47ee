"""`jupyter-cluster init` asks, looks, and writes what is missing; nothing that is there is changed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pexpect
import pytest
import yaml
from click.testing import CliRunner, Result
from patience import seconds
from variables import PROJECT

from jupyter_cluster import begin, command

Init = Callable[..., Result]
#: What `doctor` prints, by the labels that its playbook has.
FOUND = "Node:     node, as jane\nJupyter:  {jupyter} ()\nOn offer: the modules anaconda/3, python/3.12\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "inventory"


@pytest.fixture
def init(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Init:
    """Type `init` at a terminal, and answer."""
    monkeypatch.setattr(begin, "is_terminal", lambda: True)

    def types(*words: str, answers: tuple[str, ...] = ()) -> Result:
        return CliRunner().invoke(
            command.program(), ["init", *words, "-i", str(folder)], input="".join(f"{answer}\n" for answer in answers)
        )

    return types


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What is run to look: the playbook and ssh, which are not there."""
    ran: list[tuple[str, ...]] = []
    asked = [("", 2, "Log in first, then run this again: ssh -fN login.example.edu (It asks for login.example.edu)")]

    def run(argv: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        ran.append(tuple(argv))
        if argv[0] == "sh":
            asked.clear()
            return subprocess.CompletedProcess(argv, 0)
        out, status, err = asked[0] if asked else (FOUND.format(jupyter="none"), 2, "")
        return subprocess.CompletedProcess(argv, status, out, err)

    monkeypatch.setattr(subprocess, "run", run)
    return ran


def files(folder: Path) -> dict[str, Any]:
    return {
        str(path.relative_to(folder)): yaml.safe_load(path.read_text()) for path in folder.rglob("*") if path.is_file()
    }


def group(**changed: Any) -> dict[str, Any]:
    return {
        "mine": {
            "hosts": {"login.example.edu": None},
            "vars": {
                "cluster_name": "mine", "cluster_gateway": [], "cluster_login": "prompt", "cluster_port": 9901,
                "cluster_modules": [], **changed,
            },
        }
    }  # fmt: skip


def test_five_questions(init: Init, folder: Path) -> None:
    done = init("mine", answers=("login.example.edu", "gate.example.edu", "jane", "y", "n", "python/3.12", "y"))
    assert done.exit_code == 0, done.output
    assert files(folder) == {
        "mine.yml": group(cluster_gateway="gate.example.edu", cluster_modules=["python/3.12"]),
        "group_vars/all/me.yml": {"my_user": "jane"},
    }
    assert done.output.endswith(f"\nNext: jupyter-cluster start mine -i {folder}\n")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    again = init("mine")
    assert again.exit_code == 0
    assert "is written down already" in again.output
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_direct_way_a_key_and_an_environment(init: Init, folder: Path) -> None:
    done = init("mine", answers=("login.example.edu", "", "", "n", "n", "~/venvs/astro", "y"))
    assert done.exit_code == 0, done.output
    assert files(folder) == {
        "mine.yml": group(cluster_login="key"),
        "group_vars/mine/me.yml": {"my_environment": "~/venvs/astro"},
    }


def test_several_gateways_and_a_second_cluster(init: Init, folder: Path) -> None:
    init("other", answers=("n1.example.edu", "", "jane", "n", "n", "", "y"))
    done = init("mine", answers=("login.example.edu", "a.example.edu, b.example.edu", "no", "y", "n", "", "y"))
    assert done.exit_code == 0, done.output
    found = files(folder)
    assert found["mine.yml"] == group(cluster_gateway=["a.example.edu", "b.example.edu"], cluster_port=9902)
    # Not for all, where another one is written; and text, whatever YAML makes of the word.
    assert found["group_vars/mine/me.yml"] == {"my_user": "no"}
    assert found["group_vars/all/me.yml"] == {"my_user": "jane"}


def test_a_shipped_one(init: Init, folder: Path) -> None:
    done = init(answers=("viper", "jane", "y"))
    assert done.exit_code == 0, done.output
    assert (folder / "viper.yml").read_text() == (PROJECT / "examples" / "clusters" / "viper.yml").read_text()
    assert files(folder)["group_vars/all/me.yml"] == {"my_user": "jane"}


@pytest.mark.parametrize("name", sorted(begin.samples()))
def test_a_shipped_one_that_is_not_for_this_says_so(init: Init, name: str) -> None:
    said = "Its nodes are not for this, and a start is refused there: " in init(name, answers=("jane", "n")).output
    assert said == ("cluster_interactive: false" in begin.samples()[name].read_text())


def test_it_logs_in_looks_and_offers_what_it_found(init: Init, folder: Path, looked: list[tuple[str, ...]]) -> None:
    done = init("mine", answers=("login.example.edu", "", "jane", "y", "y", "", "y"))
    assert done.exit_code == 0, done.output
    assert looked[1][-3:] == ("ssh", "-fN", "login.example.edu")
    assert [argv[4] for argv in (looked[0], looked[2])] == [str(PROJECT / "playbooks" / "doctor.yml")] * 2
    # The first of the modules that were found, by Enter; and what it looked by has gone.
    assert files(folder)["mine.yml"] == group(cluster_modules=["anaconda/3"])
    (temporary,) = {argv[argv.index("-i") + 1] for argv in looked if "-i" in argv}
    assert not Path(temporary).exists()


def test_what_it_reads_is_what_doctor_says() -> None:
    said = (PROJECT / "playbooks" / "doctor.yml").read_text()
    assert "\"Jupyter:  {{ login_node_facts.jupyter or 'none' }} " in said
    assert '"On offer: {{ __doctor_offer }}"' in said
    assert "{{ 'the modules ' ~ login_node_facts.modules | join(', ') if " in said
    found = begin.JUPYTER.search(FOUND.format(jupyter="/opt/bin/jupyter"))
    assert found
    assert found[1] == "/opt/bin/jupyter"


@pytest.mark.parametrize("answers", [("login.example.edu", "", "jane", "y", "n", "", "n"), ("login.example.edu", "")])
def test_nothing_is_written_that_was_not_agreed_to(init: Init, folder: Path, answers: tuple[str, ...]) -> None:
    assert init("mine", answers=answers).exit_code == 1
    assert not folder.exists()


def test_nothing_is_written_over(init: Init, folder: Path) -> None:
    folder.mkdir()
    (folder / "mine.yml").write_text("theirs:\n  hosts:\n    n1.example.edu:\n")
    done = init("mine", answers=("login.example.edu", "", "jane", "y", "n", "", "y"))
    assert f"{folder}/mine.yml is there already, without mine in it. Nothing was written." in done.output
    assert init("other", answers=("n1.example.edu",)).output.endswith("a node belongs to one cluster.\n")
    assert list(files(folder)) == ["mine.yml"]


@pytest.mark.parametrize(
    ("words", "answers", "said"),
    [
        (["my-cluster"], (), "'my-cluster' is no name: it has letters, digits and _."),
        (["mine"], ("jane@login",), "jane@login is none: letters, digits, dots and dashes, as in ssh NAME."),
        (["mine"], ("login.example.edu", "a b;c"), "'b;c' is no name: it has letters, digits, dots and dashes"),
    ],
)
def test_a_wrong_answer(init: Init, folder: Path, words: list[str], answers: tuple[str, ...], said: str) -> None:
    assert said in init(*words, answers=answers).output
    assert not folder.exists()


@pytest.mark.parametrize("name", ["mine", "viper"])
def test_without_a_terminal_it_says_what_to_write(folder: Path, name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "jupyter_cluster", "init", name, "-i", str(folder)], cwd=PROJECT, text=True,
        stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds(10), check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(f"There is no terminal to ask at. Write {folder}/{name}.yml:\n\n---\n")
    assert f"  vars:\n    # Names the tunnel: ssh -N jupyter-{name}\n    cluster_name: {name}\n" in done.stderr
    assert done.stderr.endswith(f"then: jupyter-cluster doctor {name}\n")
    assert not folder.exists()


OLD = "# mine\r\nscreen_session_end_busy: true  # screen_session_end_busy\nmy_aliases: [bash]\nmy_user: jane\n"


@pytest.mark.parametrize(("answer", "moved"), [("y", True), ("n", False)])
def test_an_option_of_another_name_is_moved_after_asking(init: Init, folder: Path, answer: str, moved: bool) -> None:
    me = folder / "group_vars" / "all" / "me.yml"
    me.parent.mkdir(parents=True)
    me.write_bytes(OLD.encode())
    (folder / "mine.yml").write_text("mine:\n  hosts:\n    n1:\n  vars:\n    screen_session_state: restarted\n")
    done = init("mine", answers=(answer,))
    assert done.exit_code == 0, done.output
    assert f"{folder}/mine.yml, line 5: screen_session_state is my_restart now. Correct it there.\n" in done.output
    assert f"{me}, line 2: screen_session_end_busy is my_end_kernels now. Write that name there? [Y/n]" in done.output
    assert f"{me}, line 3: my_aliases is the command jupyter-cluster VERB CLUSTER now. Correct it" in done.output
    assert me.read_bytes().decode() == (OLD.replace("screen_session_end_busy", "my_end_kernels", 1) if moved else OLD)


def test_at_a_real_terminal_control_c_writes_nothing(folder: Path) -> None:
    argv = ["-m", "jupyter_cluster", "init", "mine", "-i", str(folder)]
    child = pexpect.spawn(
        sys.executable, argv, cwd=str(PROJECT), env=dict(os.environ), encoding="utf-8", timeout=seconds(10)
    )
    child.expect("Which node do you log in to")
    child.sendintr()
    child.expect("Stopped.")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130
    assert not folder.exists()
