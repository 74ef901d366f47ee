"""A node whose logind ends at a logout what its user has left running (KillUserProcesses).

That it does so is not seen here: on the hybrid cgroups of a container nothing ends. What is seen is where the server
runs, which decides about it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cluster import Laptop, node_root

CONF = "/etc/systemd/logind.conf.d/zz-kill.conf"
RULE = "/etc/polkit-1/rules.d/00-nobody-lingers.rules"
DENIED = "polkit.addRule(function(a) { if (/set-(self|user)-linger/.test(a.id)) return polkit.Result.NO; });"


@pytest.fixture
def killing(laptop: Laptop, stopped: None) -> Iterator[None]:
    """It ends what this account leaves, and nobody else's."""
    node_root(f"printf '[Login]\\nKillOnlyUsers={laptop.account}\\n' >{CONF} && systemctl restart systemd-logind")
    yield
    laptop.end_server()
    node_root(
        f"rm -f {CONF} {RULE} && loginctl disable-linger {laptop.account}; systemctl restart systemd-logind polkit"
    )


def lingers(laptop: Laptop) -> bool:
    return bool(node_root(f"ls -d /var/lib/systemd/linger/{laptop.account} || true"))


@pytest.mark.parametrize("keeper", ["screen", "tmux", "scope"])
def test_a_server_outlives_the_logout_in_a_scope_of_its_own(laptop: Laptop, killing: None, keeper: str) -> None:
    started = laptop.playbook("site.yml", my_keeper=keeper)
    assert started.returncode == 0, started.stdout
    uid = laptop.ssh("id -u").strip()
    groups = laptop.ssh(f"cat /proc/{laptop.server()}/cgroup")
    assert f"/user@{uid}.service/" in groups
    assert "/session-" not in groups
    assert lingers(laptop)
    assert "changed=0" in laptop.playbook("site.yml", my_keeper=keeper).stdout
    # What was asked of logind is taken back.
    assert laptop.playbook("playbooks/remove.yml").returncode == 0
    assert not lingers(laptop)
    assert laptop.playbook("site.yml", my_keeper=keeper).returncode == 0


def test_where_nobody_may_linger_no_server_is_started(laptop: Laptop, killing: None) -> None:
    node_root(f"echo '{DENIED}' >{RULE} && systemctl restart polkit")
    refused = laptop.playbook("site.yml")
    assert refused.returncode != 0
    said = " ".join(refused.stdout.split())
    assert (
        "This node ends whatever you leave running when you log out (KillUserProcesses), and does not let you" in said
    )
    assert f"Ask the cluster's support for `loginctl enable-linger {laptop.account}`" in said
    assert laptop.servers() == []


def test_a_server_that_a_login_has_started_is_said_to_end_with_it(laptop: Laptop, stopped: None) -> None:
    assert laptop.playbook("site.yml").returncode == 0
    running = laptop.server()
    node_root(f"printf '[Login]\\nKillOnlyUsers={laptop.account}\\n' >{CONF} && systemctl restart systemd-logind")
    try:
        told = laptop.playbook("site.yml")
        assert told.returncode == 0, told.stdout
        assert "ends when you log out (KillUserProcesses), with its kernels" in " ".join(told.stdout.split())
        assert laptop.servers() == [running]
        looked = laptop.playbook("playbooks/doctor.yml")
        assert looked.returncode != 0
        assert "The server that runs ends when you log out (KillUserProcesses)" in " ".join(looked.stdout.split())
        assert laptop.playbook("playbooks/restart.yml").returncode == 0
        assert "/session-" not in laptop.ssh(f"cat /proc/{laptop.server()}/cgroup")
    finally:
        laptop.end_server()
        node_root(f"rm -f {CONF} && loginctl disable-linger {laptop.account}; systemctl restart systemd-logind")
