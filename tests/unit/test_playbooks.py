"""A playbook that the scenarios' tests run in a fork does what the program does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from patience import seconds
from variables import PROJECT

import playbooks

#: In a process of its own, since it changes how YAML is read.
KEPT = """\
import preloaded, yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import trust_as_template
path = str(preloaded.PROJECT / "site.yml")
(kept,) = [said for (_, text, _), said in preloaded._said.items() if text == open(path).read()]
first, then = (DataLoader().load_from_file(path, unsafe=True, trusted_as_template=True) for _ in range(2))
assert first is kept and first == then and first is not then
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all: in another environment it would be the program that runs."""
    return tmp_path_factory.mktemp("home")


@pytest.mark.parametrize(("option", "output"), [("-f1", "steps"), ("-v", "steps"), ("-f1", "default")])
def test_it_says_the_same(tmp_path: Path, home: Path, option: str, output: str) -> None:
    """What is refused here is so after all variables have been read: roles', groups', and those that were given."""
    chosen = {"my_ssh_config": tmp_path / "config", "my_folder": tmp_path / "jupyter", "tls_cert_days": 1}
    argv = ["ansible-playbook", str(PROJECT / "site.yml"), "-i", str(PROJECT / "inventory" / "hydra.yml"), option]
    argv += [f"-e{name}={value}" for name, value in chosen.items()]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "ANSIBLE_HOME": str(home)}
    environment["ANSIBLE_STDOUT_CALLBACK"] = output
    forked = playbooks.run(argv, environment, tmp_path, seconds(60))
    done = subprocess.run(
        argv, env=environment, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=seconds(60), check=False,
    )  # fmt: skip
    assert 'tls_cert_days is "1": ' in forked.stdout
    # It may have taken long enough for its name to be shown.
    said = [[line for line in run.stdout.splitlines() if "... " not in line] for run in (forked, done)]
    assert said[0] == said[1]
    assert forked.returncode == done.returncode
    assert playbooks.read_at_import(environment) == playbooks._begun


def test_what_a_file_says_is_kept_for_one_that_reads_it() -> None:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "tests" / "support")}
    subprocess.run([sys.executable, "-c", KEPT], env=environment, timeout=seconds(30), check=True)
