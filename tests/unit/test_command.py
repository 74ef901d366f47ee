"""What is typed becomes the playbook that it means, or one line that says what is wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from patience import seconds
from variables import PROJECT

from jupyter_cluster import __version__, command, places, playbook
from jupyter_cluster.verbs import COMMON, VERBS, Verb

HYDRA = "hydra:\n  hosts:\n    hydra08i.example.org:\n  vars:\n    cluster_name: hydra\n"
Typed = Callable[..., list[str]]
Refused = Callable[..., tuple[int, str]]


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """A person's inventory of one cluster, where the command looks by itself."""
    folder = tmp_path / "config" / "jupyter-cluster" / "inventory"
    folder.mkdir(parents=True)
    (folder / "hydra.yml").write_text(HYDRA)
    return folder


@pytest.fixture
def typed(inventory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Type something, and return the command that it becomes."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in (places.VARIABLE, *playbook.VAULT_VARIABLES):
        monkeypatch.delenv(name, raising=False)

    class BecomesError(Exception):
        pass

    def become(program: str, words: list[str], _: dict[str, str]) -> None:
        raise BecomesError(program, words)

    monkeypatch.setattr(os, "execve", become)

    def types(*words: str) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["jupyter-cluster", *words])
        with pytest.raises(BecomesError) as became:
            command.main()
        program, argv = became.value.args
        assert program == argv[0] == sys.executable
        return list(argv[1:])

    return types


@pytest.fixture
def refused(typed: Typed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Type something, and return the exit status and what is said, without becoming anything."""

    def types(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["jupyter-cluster", *words])
        with pytest.raises(SystemExit) as ended:
            command.main()
        return int(ended.value.code or 0), capsys.readouterr().err

    return types


def of(verb: str, inventory: Path, *more: str) -> list[str]:
    """The command that a verb becomes."""
    (path,) = [one.playbook for one in VERBS if one.name == verb]
    return ["-P", "-m", "ansible.cli.playbook", str(PROJECT / path), "-i", str(inventory), *more]


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_a_verb_is_its_playbook(typed: Typed, inventory: Path, verb: Verb) -> None:
    assert (PROJECT / verb.playbook).is_file()
    assert typed(verb.name) == of(verb.name, inventory)
    assert typed(verb.name, "hydra") == of(verb.name, inventory, "-l", "hydra")
    assert typed(verb.name, "hydra08i.example.org")[-2:] == ["-l", "hydra08i.example.org"]


def test_every_playbook_has_a_verb() -> None:
    there = {"site.yml", *(f"playbooks/{path.name}" for path in (PROJECT / "playbooks").glob("*.yml"))}
    assert {verb.playbook for verb in VERBS} == there


@pytest.mark.parametrize(
    ("words", "variables"),
    [
        (["start", "--restart", "--end-kernels"], ["my_restart=true", "my_end_kernels=true"]),
        (["start", "--next-port"], ["my_next_port=true"]),
        (["connect", "hydra", "--start", "--no-browser"], ["my_start=true", "my_browser=false"]),
        (["status", "--json"], ["status_format=json"]),
        (["logs", "-f", "-n", "7"], ["logs_lines=7", "logs_follow=true"]),
        (["logs", "--follow", "--lines=7"], ["logs_lines=7", "logs_follow=true"]),
        (["remove", "--authority"], ["tls_cert_ca_keep=false"]),
        (["stop", "--gateway", "gate2", "--patience", "3"], ["my_gateway=gate2", "my_patience=3"]),
        # As the playbooks' messages have it.
        (["start", "-e", "my_next_port=true", "-e", "my_port=9"], ["my_next_port=true", "my_port=9"]),
    ],
)
def test_an_option_is_a_variable(typed: Typed, inventory: Path, words: list[str], variables: list[str]) -> None:
    last = [word for variable in variables for word in ("-e", variable)]
    assert typed(*words) == of(words[0], inventory, *(["-l", "hydra"] if "hydra" in words else []), *last)


def test_every_option_s_variable_may_be_set() -> None:
    specs = yaml.safe_load((PROJECT / "roles" / "preflight" / "meta" / "argument_specs.yml").read_text())
    known: dict[str, Any] = {}
    for entry in ("inventory", "playbooks"):
        known |= specs["argument_specs"][entry]["options"]
    certificates = yaml.safe_load((PROJECT / "roles" / "tls_cert" / "meta" / "argument_specs.yml").read_text())
    known |= certificates["argument_specs"]["main"]["options"]
    for option in (*COMMON, *(option for verb in VERBS for option in verb.options)):
        spec = known[option.variable]
        if option.value is not None:
            assert option.value in (["true", "false"] if spec["type"] == "bool" else spec["choices"])
            assert option.value != str(spec.get("default")).lower()


def test_what_follows_two_dashes_is_ansible_s(typed: Typed, inventory: Path) -> None:
    assert typed("status", "--", "--check", "--", "-v") == of("status", inventory, "--check", "--", "-v")
    assert typed("stop", "hydra", "--", "-e", "x=1") == of("stop", inventory, "-l", "hydra", "-e", "x=1")


def test_where_the_clusters_are(typed: Typed, inventory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "hydra.yml").write_text(HYDRA)
    ours, theirs = str(tmp_path / "ours"), str(tmp_path / "theirs")
    assert typed("stop")[-2:] == ["-i", str(inventory)]
    monkeypatch.setenv(places.VARIABLE, ours)
    assert typed("stop")[-2:] == ["-i", ours]
    assert typed("stop", "-i", theirs)[4:] == ["-i", theirs]
    assert typed("stop", "-i", theirs, "-i", str(inventory))[4:] == ["-i", theirs, "-i", str(inventory)]
    monkeypatch.delenv(places.VARIABLE)
    # A group's, by a link.
    (inventory / "hydra.yml").unlink()
    inventory.rmdir()
    inventory.symlink_to(ours)
    assert typed("stop")[-2:] == ["-i", str(inventory)]
    inventory.unlink()
    assert places.inventories([]) == [PROJECT / "inventory"]


def test_what_the_person_has_else_stays() -> None:
    around = {"ANSIBLE_CONFIG": "/theirs", "ANSIBLE_VERBOSITY": "1", "HOME": "/home/jane"}
    assert playbook.environment(around) == {**around, "ANSIBLE_CONFIG": f"{PROJECT}/ansible.cfg"}


def test_the_exit_status_is_ansible_s(inventory: Path, tmp_path: Path) -> None:
    """From another directory, in which there is a module of the name of one of Ansible's."""
    (tmp_path / "yaml.py").write_text("raise SystemExit(9)\n")
    argv = [sys.executable, "-P", "-m", "jupyter_cluster", "status", "-i", str(inventory), "--", "--no-such-option"]
    around = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        argv, cwd=tmp_path, env=around, capture_output=True, text=True, timeout=seconds(30), check=False
    )
    assert done.returncode == 2
    assert "unrecognized arguments: --no-such-option" in done.stderr


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["strat", "hydra"], 2, "strat is no verb; did you mean start? See: jupyter-cluster --help"),
        (["hydra", "stop"], 2, "The verb comes first: jupyter-cluster stop hydra. See: jupyter-cluster --help"),
        (["blah"], 2, "blah is no verb. See: jupyter-cluster --help"),
        (["start", "hydar"], 1, "There is no hydar in {inventory}; did you mean hydra?"),
        (["start", "viper"], 1, "There is no viper in {inventory}, but hydra. To add it: jupyter-cluster init viper"),
        (["connect", "--strt"], 2, "No such option '--strt'. Did you mean '--start'? See: jupyter-cluster connect "
        "--help"),
        (["password", "--start"], 2, "No such option '--start'. See: jupyter-cluster password --help"),
        (["stop", "hydra", "viper"], 2, "Got unexpected extra argument (viper). See: jupyter-cluster stop --help"),
        (["stop", "-i", "/nowhere"], 1, "There is no /nowhere: name the folder with your clusters' files by -i, or "
        "JUPYTER_CLUSTER_INVENTORY."),
    ],
)  # fmt: skip
def test_a_slip_of_the_fingers(refused: Refused, inventory: Path, words: list[str], status: int, said: str) -> None:
    assert refused(*words) == (status, said.format(inventory=inventory) + "\n")


def test_no_cluster_and_several(refused: Refused, typed: Typed, inventory: Path) -> None:
    (inventory / "viper.yml").write_text(HYDRA.replace("hydra", "viper"))
    assert refused("stop") == (1, "Which one? There are hydra, viper: jupyter-cluster stop CLUSTER\n")
    assert typed("status") == of("status", inventory)
    for file in inventory.iterdir():
        file.unlink()
    assert refused("status") == (1, f"There is no cluster yet in {inventory}. To add yours: jupyter-cluster init\n")
    # What another program says of hosts is Ansible's to read.
    (inventory / "hosts.ini").write_text("[hydra]\nhydra08i\n")
    assert typed("stop", "whatever")[-2:] == ["-l", "whatever"]


def test_a_slip_in_a_file_is_said_before_ansible_starts(refused: Refused, inventory: Path) -> None:
    me = inventory / "group_vars" / "all" / "me.yml"
    me.parent.mkdir(parents=True)
    me.write_text("my_user jane\n")
    status, said = refused("stop", "hydra")
    assert status == 1
    assert said.startswith(f"{me}, line 1: `my_user …` is not what is expected there: ")


VAULTED = "my_password: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\n"


@pytest.mark.parametrize("text", [VAULTED, "$ANSIBLE_VAULT;1.1;AES256\n6162\n"])
def test_the_vault_s_password_is_asked_for_where_it_is_needed(
    typed: Typed, inventory: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    assert "--ask-vault-pass" not in typed("start", "hydra")
    (inventory / "viper.yml").write_text(HYDRA.replace("hydra", "viper"))
    me = inventory / "group_vars" / "hydra" / "me.yml"
    me.parent.mkdir(parents=True)
    me.write_text(text)
    assert typed("start", "hydra")[-1] == "--ask-vault-pass"
    assert "--ask-vault-pass" not in typed("start", "viper")
    assert "--ask-vault-pass" not in typed("start", "hydra", "--", "--vault-password-file=/secret")
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", "/secret")
    assert "--ask-vault-pass" not in typed("start", "hydra")


def test_help_has_a_line_for_each_verb() -> None:
    shown = command.program().get_help(click.Context(command.program()))
    lines = shown.splitlines()
    assert (
        max(
            map(
                len,
                lines[
                    : lines.index(
                        "Everything after -- goes to ansible-playbook: jupyter-cluster start viper -- --check --diff"
                    )
                ],
            )
        )
        <= 80
    )
    for verb in VERBS:
        (line,) = [line for line in lines if line.split()[:1] == [verb.name]]
        assert line.endswith(verb.help)
    assert __version__ in subprocess.run(
        [sys.executable, "-m", "jupyter_cluster", "--version"], cwd=PROJECT, capture_output=True, text=True,
        timeout=seconds(10), check=True,
    ).stdout  # fmt: skip


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    ("line", "offered"), [("jupyter-cluster dis", "disconnect"), ("jupyter-cluster stop hy", "hydra")]
)
def test_a_shell_completes_verbs_and_clusters(
    inventory: Path, tmp_path: Path, shell: str, line: str, offered: str
) -> None:
    around = {
        **os.environ, "XDG_CONFIG_HOME": str(tmp_path / "config"), "_JUPYTER_CLUSTER_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": line, "COMP_CWORD": line.split()[-1] if shell == "fish" else str(len(line.split()) - 1),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "jupyter_cluster"], cwd=PROJECT, env=around, capture_output=True, text=True,
        timeout=seconds(10), check=True,
    )  # fmt: skip
    assert offered in re.split(r"[\n\t,]", done.stdout), done.stdout


#: What documents say to type: in a block of commands, or within a sentence.
LINES = [
    found.partition("  #")[0].split("jupyter-cluster ", 1)[1].strip()
    for path in (PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md")))
    for found in re.findall(
        r"^[^\s`]*jupyter-cluster [a-z-].*$|(?<=`)jupyter-cluster [a-z-][^`]*(?=`)", path.read_text(), re.M
    )
]


@pytest.mark.parametrize("line", LINES)
def test_what_documents_say_to_type_can_be_typed(line: str) -> None:
    group = command.program()
    words = line.partition(" -- ")[0].split()
    if words[0] == "--help":
        return
    group.commands[words[0]].make_context(words[0], [word for word in words[1:] if word != "--help"])


def test_documents_name_the_command() -> None:
    assert "start viper" in LINES
