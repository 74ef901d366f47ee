"""What the version before has left on node and laptop: its server, with its kernels, is this one's too.

files/before-rooms.tar.xz has its playbooks, roles and plugins, of when one role did all that is now done by ssh_config,
ssh_connection and ssh_tunnel, and Ansible's own modules did what `on_node` and `laptop_files` do.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Laptop, node_root
from patience import SLOWLY, seconds

ARCHIVE = Path(__file__).resolve().parents[1] / "files" / "before-rooms.tar.xz"


@pytest.fixture
def before(laptop: Laptop, tmp_path: Path) -> Iterator[str]:
    """The process of a server that it has started, where nothing else of ours was."""
    # Not tarfile, whose safe way Debian 12's Python does not have.
    subprocess.run(["tar", "-xJf", ARCHIVE, "-C", tmp_path], check=True)
    project = tmp_path / "before"
    assert laptop.playbook("playbooks/remove.yml", my_end_kernels=True).returncode == 0
    done = subprocess.run(
        [
            "ansible-playbook", project / "site.yml", "-i", project / "inventory" / "hydra.yml",
            f"-e@{laptop.scenario}/vars/me.yml", *[f"-e{name}={value}" for name, value in SLOWLY.items()],
        ],
        env={**os.environ, "ANSIBLE_CONFIG": str(project / "ansible.cfg"), "ANSIBLE_STDOUT_CALLBACK": "default"},
        cwd=project, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds(180), check=False,
    )  # fmt: skip
    try:
        assert done.returncode == 0, done.stdout
        yield laptop.server()
    finally:
        # The tests that follow find what there was.
        assert laptop.playbook("site.yml").returncode == 0


def test_its_server_goes_on_and_all_of_it_can_be_removed(laptop: Laptop, before: str) -> None:
    browser = laptop.browser()
    assert browser.login(laptop.password)
    kernel = browser.api("kernels", {"name": "python3"}, "POST")["id"]
    assert browser.run(kernel, "answer = 6 * 7") == ""

    assert "1 idle" in laptop.playbook("playbooks/status.yml").stdout
    for verb in ("site.yml", "playbooks/connect.yml", "site.yml"):
        done = laptop.playbook(verb, my_browser=False)
        assert done.returncode == 0, done.stdout
        assert laptop.servers() == [before]
        assert browser.run(kernel, "print(answer)") == "42\n"
    assert "changed=0" in done.stdout

    removed = laptop.playbook("playbooks/remove.yml")
    assert removed.returncode == 0, removed.stdout
    left = f"pgrep -u {laptop.account} -f jupyter; ls -d /home/{laptop.account}/.jupyter-cluster"
    left += f" /tmp/jupyter-cluster-$(id -u {laptop.account})"
    assert node_root(f"({left}) 2>/dev/null || true") == ""
    assert laptop.ssh_config.read_text().splitlines()[0] == "# BEGIN of the test cluster"
    # The authority alone is kept.
    assert [path.name for path in laptop.folder.iterdir()] == ["ca"]
