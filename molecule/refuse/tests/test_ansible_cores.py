"""The same refusals, word for word, by the oldest and the newest ansible-core, and by the one between them."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cluster import PROJECT, Laptop
from patience import seconds

#: Each is refused at another place: the values, those of the roles, and what comes after them.
WRONG = {
    "a choice": {"my_interface": "rstudio"},
    "a list": {"cluster_modules": "anaconda/3"},
    "a role's option": {"ssh_config_persist": "8h\nProxyCommand x"},
    "a type": {"my_restart": "maybe"},
    "a misspelled name": {"my_usr": "jane"},
    "what does not fit": {"my_gateway": "gate3.rzg.mpg.de"},
    "the password": {"my_password": "short"},
    "another account for Ansible alone": {"ansible_ssh_user": "bob"},
}
#: Where the laptop's container has each.
CORES = {"2.21": "/opt/ansible", "2.22": "/opt/ansible-2.22"}
MACHINE = "jupyter-test-laptop"

PLAY = """\
- hosts: localhost
  gather_facts: false
  tasks:
    - name: stem | Read it
      ansible.builtin.debug:
        msg: "{{ item | probe_facts(mark='m', node='n', schema='{}') }}"
      loop: [rubbish]
"""
MESSAGE = (
    "The login shell on the node did not run the probe to its end. Look for a line in ~/.bash_profile or ~/.bashrc "
    "there that starts another shell, waits for an answer, sets a trap, ends this one, or leaves something in the "
    "background that still prints here. It printed: rubbish"
)


def in_container(folder: str, command: str) -> str:
    """Run a command with the programs of a folder, in the project, as nobody in particular; return what it prints."""
    script = f"cd /srv/jupyter-on-a-cluster && export PATH={folder}/bin:$PATH HOME=/tmp && {command}"
    argv = ["podman", "exec", "--user", "nobody", MACHINE, "sh", "-c", script]
    return subprocess.run(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds(120), check=False
    ).stdout


@pytest.mark.parametrize("core", CORES)
def test_core_is_the_one_that_is_meant(core: str) -> None:
    assert f"[core {core}." in in_container(CORES[core], "ansible --version")


@pytest.mark.parametrize("case", WRONG)
def test_refusal_is_the_same_on_each_core(laptop: Laptop, case: str) -> None:
    here: dict[str, Any] = {
        "my_ssh_config": "/tmp/no-ssh_config",
        "my_folder": "/tmp/refused",
        "my_password": "",
        **WRONG[case],
    }
    said = laptop.playbook("site.yml", **here).stdout
    refusal = [line for line in said.splitlines() if not line.startswith("... ")]
    assert len(refusal) == 3
    assert len(refusal[1]) > 20
    arguments = f"site.yml -i inventory/hydra.yml -e {shlex.quote(json.dumps(here))}"
    for core, folder in CORES.items():
        other = in_container(folder, f"ansible-playbook {arguments}").splitlines()
        assert [line for line in other if not line.startswith("... ")] == refusal, core


def test_filter_s_error_is_its_message_on_each_core(tmp_path: Path) -> None:
    """Without what Ansible puts around it; and an item of a loop is not lost."""
    play = tmp_path / "play.yml"
    play.write_text(PLAY)
    options = ["-i", "localhost,", "-c", "local"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "ANSIBLE_FORCE_COLOR": "0"}
    environment |= {"ANSIBLE_FILTER_PLUGINS": str(PROJECT / "filter_plugins"), "ANSIBLE_STDOUT_CALLBACK": "steps"}
    command = ["ansible-playbook", str(play), *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds(60), check=False)
    assert done.stderr.splitlines()[1:-1] == [MESSAGE]
    for core, folder in CORES.items():
        begin = f"printf %s {shlex.quote(PLAY)} >/tmp/play.yml && ANSIBLE_FILTER_PLUGINS=$PWD/filter_plugins"
        said = in_container(folder, f"{begin} ansible-playbook {shlex.join(options)} /tmp/play.yml")
        assert said.splitlines()[1:-1] == [MESSAGE], core
