"""A home whose name leaves no room for the name of a socket: 112 bytes, where a socket may have 107."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cluster import GATEWAY, NODE, Laptop, node_root

LONG = "/home/" + "/".join(["of-a-member-of-a-group-with-a-long-name"] * 2 + ["in-an-institute-of-some-kind"])


@pytest.fixture
def long_home(laptop: Laptop) -> Iterator[str]:
    """The same home by a longer name, which sshd learns at a login."""
    if laptop.servers():
        assert laptop.playbook("playbooks/stop.yml", my_end_kernels=True).returncode == 0
    move = "mkdir -p $(dirname {1}) && mv {0} {1} && sed -i 's#^\\({2}:.*:\\){0}:#\\1{1}:#' /etc/passwd"
    home = f"/home/{laptop.account}"

    def log_out() -> None:
        for host in (NODE, GATEWAY):
            laptop.control("exit", host)

    node_root(move.format(home, LONG, laptop.account))
    log_out()
    yield LONG
    node_root(move.format(LONG, home, laptop.account) + f" && rm -r {LONG.rsplit('/', 2)[0]}")
    log_out()


def test_everything_works_in_a_long_home(laptop: Laptop, long_home: str) -> None:
    assert len(long_home) > 107
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
