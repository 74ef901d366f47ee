"""The playbooks work from any directory, with another ansible.cfg, and ask for a password on a terminal."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pexpect
import pytest
from cluster import PROJECT, Laptop
from patience import SLOWLY, seconds


@pytest.fixture(scope="module", autouse=True)
def running(laptop: Laptop) -> None:
    """A server runs."""
    assert laptop.playbook("site.yml").returncode == 0


def test_from_the_root_directory(laptop: Laptop) -> None:
    again = laptop.playbook("site.yml", cwd=Path("/"), env={"ANSIBLE_CONFIG": ""})
    assert "changed=0" in again.stdout, again.stdout


def test_from_a_world_writable_directory_with_another_inventory(laptop: Laptop, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    (tmp_path / "ansible.cfg").write_text("[defaults]\nroles_path = /nowhere\n")
    inventory = tmp_path / "our_clusters.yml"
    inventory.write_text((PROJECT / "inventory" / "hydra.yml").read_text())
    again = laptop.playbook("site.yml", cwd=tmp_path, env={"ANSIBLE_CONFIG": ""}, inventory=inventory)
    assert "changed=0" in again.stdout, again.stdout


def test_with_another_ansible_cfg_in_force(laptop: Laptop, tmp_path: Path) -> None:
    config = tmp_path / "ansible.cfg"
    config.write_text("[defaults]\nroles_path = /nowhere\n[ssh_connection]\npipelining = false\nssh_args = -C\n")
    again = laptop.playbook("site.yml", cwd=tmp_path, env={"ANSIBLE_CONFIG": str(config)})
    assert "changed=0" in again.stdout, again.stdout


def test_every_verb_from_the_root_directory(laptop: Laptop) -> None:
    for playbook in sorted((PROJECT / "playbooks").glob("*.yml")):
        checked = laptop.playbook(f"playbooks/{playbook.name}", "--check", cwd=Path("/"), env={"ANSIBLE_CONFIG": ""})
        assert checked.returncode == 0, checked.stdout


def test_ad_hoc_commands_work_in_the_repository(laptop: Laptop) -> None:
    done = subprocess.run(
        ["ansible", "hydra", "-i", "inventory/hydra.yml", "-m", "ping", "-e", f"my_ssh_config={laptop.ssh_config}"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=seconds(60),
        check=False,
    )
    assert "ping: pong" in done.stdout, done.stdout + done.stderr


def test_a_password_is_asked_for_twice_on_the_terminal(laptop: Laptop) -> None:
    laptop.ssh(f"rm {laptop.node_folder}/password_hash")
    arguments = [
        "-i",
        str(PROJECT / "inventory" / "hydra.yml"),
        f"-e@{laptop.scenario}/vars/me.yml",
        "-e",
        json.dumps({"my_password": "", **SLOWLY}),
    ]
    environment = {**os.environ, "MOLECULE_PROJECT_DIRECTORY": str(PROJECT), "JUPYTER_CLUSTER_PASSWORD": ""}

    def ask(first: str, second: str) -> str:
        run = pexpect.spawn(
            "ansible-playbook",
            [str(PROJECT / "site.yml"), *arguments],
            env=environment,
            encoding="utf-8",
            timeout=seconds(60),
        )
        run.expect("Choose a password for your Jupyter server.*:")
        run.sendline(first)
        run.expect("The same password again.*:")
        run.sendline(second)
        run.expect(pexpect.EOF)
        run.close()
        return f"{run.exitstatus} {run.before}"

    differ = ask("canary-on-a-terminal", "another one")
    assert differ.startswith("2 ")
    assert "The two passwords differ. Run it again." in differ
    assert laptop.ssh(f"ls {laptop.node_folder}/password_hash || true") == ""

    asked = ask("canary-on-a-terminal", "canary-on-a-terminal")
    assert asked.startswith("0 "), asked
    assert "canary-on-a-terminal" not in asked
    assert laptop.playbook("site.yml", my_restart=True, my_password="").returncode == 0
    assert laptop.browser().login("canary-on-a-terminal")
