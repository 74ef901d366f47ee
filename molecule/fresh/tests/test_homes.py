"""Homes as centres have them: long names, blanks, other modes, our folder on another disk."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest
from cluster import GATEWAY, NODE, Laptop, node_root

#: It leaves no room for the name of a socket: 112 bytes, where a socket may have 107.
LONG = "/home/" + "/".join(["of-a-member-of-a-group-with-a-long-name"] * 2 + ["in-an-institute-of-some-kind"])


@pytest.fixture(params=[LONG, "/home/a group's/own home"], ids=["long", "with blanks"])
def other_home(laptop: Laptop, request: pytest.FixtureRequest) -> Iterator[str]:
    """The same home by another name, which sshd learns at a login."""
    if laptop.servers():
        assert laptop.playbook("playbooks/stop.yml", my_end_kernels=True).returncode == 0
    home, other = f"/home/{laptop.account}", str(request.param)

    def move(old: str, new: str) -> None:
        said = shlex.quote(f"s#^\\({laptop.account}:.*:\\){old}:#\\1{new}:#")
        old, new = shlex.quote(old), shlex.quote(new)
        node_root(f'mkdir -p "$(dirname {new})" && mv {old} {new} && sed -i {said} /etc/passwd')
        for host in (NODE, GATEWAY):
            laptop.control("exit", host)

    move(home, other)
    yield other
    move(other, home)
    node_root(f"rm -r {shlex.quote('/'.join(other.split('/')[:3]))}")


def test_everything_works_in_a_home_of_another_name(laptop: Laptop, other_home: str) -> None:
    assert other_home != LONG or len(other_home) > 107
    assert "Works:    yes" in laptop.playbook("playbooks/doctor.yml").stdout
    done = laptop.playbook("site.yml")
    assert done.returncode == 0, done.stdout
    browser = laptop.browser()
    assert browser.login(laptop.password)
    kernel = browser.api("kernels", {"name": "python3"}, "POST")["id"]
    assert browser.run(kernel, "print(6 * 7)") == "42\n"
    assert "1 idle" in laptop.playbook("playbooks/status.yml").stdout
    # The tunnel goes where the socket is, also when everything was closed.
    assert laptop.playbook("playbooks/disconnect.yml").returncode == 0
    assert laptop.playbook("playbooks/connect.yml", my_browser=False).returncode == 0
    assert browser.run(kernel, "print(6 * 7)") == "42\n"
    assert "changed=0" in laptop.playbook("site.yml").stdout
    assert laptop.playbook("playbooks/stop.yml").returncode == 0
    assert node_root(f"ls -d /tmp/jupyter-cluster-$(id -u {laptop.account}) 2>/dev/null || true") == ""


@pytest.mark.parametrize("mode", ["0755", "0711", "0770"])
def test_the_mode_of_a_home_does_no_harm_and_one_that_others_write_in_is_said(
    laptop: Laptop, stopped: None, mode: str
) -> None:
    """sshd takes no key from such a home; who logs in by a password, or has a connection, gets there."""
    before = laptop.ssh(f"stat -c %a ~ && chmod {mode} ~").strip()
    try:
        done = laptop.playbook("site.yml")
        assert done.returncode == 0, done.stdout
        said = (
            "Others can write in your home on hydra08i.rzg.mpg.de (mode 0770), and so replace what runs as you: chmod"
        )
        assert (said in " ".join(done.stdout.split())) == (mode == "0770")
        assert (said in " ".join(laptop.playbook("playbooks/doctor.yml").stdout.split())) == (mode == "0770")
        assert laptop.ssh("stat -c %a ~/.jupyter-cluster") == "700\n"
    finally:
        laptop.ssh(f"chmod {before} ~")


def test_our_folder_may_be_a_link_to_another_disk(laptop: Laptop, stopped: None) -> None:
    scratch = f"/srv/scratch-{laptop.account}"
    node_root(f"mkdir {scratch} && mount -t tmpfs -o size=64m none {scratch} && chown {laptop.account} {scratch}")
    try:
        laptop.ssh(f"mv .jupyter-cluster {scratch}/clusters && ln -s {scratch}/clusters .jupyter-cluster")
        assert laptop.playbook("site.yml").returncode == 0
        assert "changed=0" in laptop.playbook("site.yml").stdout
        browser = laptop.browser()
        assert browser.login(laptop.password)
        assert laptop.playbook("playbooks/stop.yml").returncode == 0
        assert laptop.ssh("readlink .jupyter-cluster") == f"{scratch}/clusters\n"
    finally:
        laptop.end_server()
        laptop.ssh(f"rm .jupyter-cluster && mv {scratch}/clusters .jupyter-cluster")
        node_root(f"umount -l {scratch} && rmdir {scratch}")


def test_what_the_server_keeps_for_itself_is_on_the_node(laptop: Laptop, running: str) -> None:
    """In SQLite, whose locks hang on some disks of a network; unless its user says where."""
    laptop.ssh("rm -f .local/share/jupyter/nbsignatures.db")
    browser = laptop.browser()
    assert browser.login(laptop.password)
    notebook = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    browser.api("contents/mine.ipynb", {"type": "notebook", "content": notebook}, "PUT")
    place = f"/tmp/jupyter-cluster-{laptop.ssh('id -u').strip()}"
    assert "nbsignatures.db" in laptop.ssh(f"ls {place}")
    assert laptop.ssh("ls .local/share/jupyter/nbsignatures.db 2>/dev/null || true") == ""
    laptop.end_server()
    laptop.ssh(
        "mkdir -p .jupyter && echo 'c.NotebookNotary.db_file = \"/home/fresh/own.db\"' >.jupyter/jupyter_config.py"
    )
    try:
        assert laptop.playbook("site.yml").returncode == 0
        browser.api("contents/mine.ipynb", {"type": "notebook", "content": notebook}, "PUT")
        assert laptop.ssh("ls own.db") == "own.db\n"
    finally:
        laptop.ssh("rm -f .jupyter/jupyter_config.py mine.ipynb own.db")
        laptop.end_server()
