"""Each option does what it says, and each endpoint works."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
import yaml
from cluster import GATEWAY, NODE, PROJECT, Laptop, node_root
from patience import seconds


def options(role: str) -> dict[str, Any]:
    """The options of a role's main entry point."""
    return dict(
        yaml.safe_load((PROJECT / "roles" / role / "meta" / "argument_specs.yml").read_text())["argument_specs"][
            "main"
        ]["options"]
    )


def ssh_config(laptop: Laptop, host: str) -> dict[str, str]:
    """What ssh makes of a host."""
    command = ["ssh", "-G", "-F", str(laptop.ssh_config), host]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    # Of two lines, the first, as that of the tunnel for 127.0.0.1.
    return dict(line.split(" ", 1) for line in reversed(lines) if " " in line)


def test_no_option_is_forgotten() -> None:
    given = yaml.safe_load((PROJECT / "molecule" / "all_options" / "vars" / "me.yml").read_text())
    # What a role is told by the play; and what `compute` is about.
    elsewhere = {
        "login_node_place",
        "ssh_tunnel_endpoint",
        "screen_session_endpoint",
        "screen_session_outdated",
        "tls_cert_renew",
    }
    for role in (
        "ssh_config",
        "ssh_connection",
        "ssh_tunnel",
        "login_node",
        "jupyter_config",
        "tls_cert",
        "screen_session",
    ):
        defaults = yaml.safe_load((PROJECT / "roles" / role / "defaults" / "main.yml").read_text())
        for option in {*options(role), *defaults} - elsewhere:
            assert option in given, f"{option} is not in molecule/all_options/vars/me.yml"
            assert option == "ssh_tunnel_ca" or given[option] != defaults[option], f"{option} has its default"


def test_the_laptop_s_side(laptop: Laptop) -> None:
    tunnel = ssh_config(laptop, "jupyter-colourful")
    assert tunnel["controlpersist"] == "7200"
    assert tunnel["user"] == "vivid"
    assert (laptop.folder / "authority" / "ca.key").exists()
    assert ssh_config(laptop, "gate2.rzg.mpg.de")["controlpersist"] == "7200"
    for host in (GATEWAY, "jupyter-colourful"):
        pinned = ssh_config(laptop, host)
        assert pinned["knownhostscommand"].startswith("/bin/sh -c 'case $1 in NONE) exit ;; SHA256:")
        assert pinned["userknownhostsfile"] == pinned["globalknownhostsfile"] == "none"
        assert pinned["hostkeyalgorithms"] == "ssh-ed25519"


def test_the_certificates(laptop: Laptop) -> None:
    text = laptop.ssh(f"openssl x509 -in {laptop.node_folder}/server.crt -noout -checkend $((91 * 86400)) || true")
    assert "will expire" in text
    text = laptop.ssh(f"openssl x509 -in {laptop.node_folder}/ca.crt -noout -checkend $((401 * 86400)) || true")
    assert "will expire" in text
    assert "will not expire" in laptop.ssh(
        f"openssl x509 -in {laptop.node_folder}/ca.crt -noout -checkend $((399 * 86400))"
    )


def test_the_session_and_the_server(laptop: Laptop) -> None:
    assert ".notebooks\t" in laptop.ssh("screen -ls")
    log = laptop.ssh(f"cat {laptop.node_folder}/jupyter.log")
    assert "Serving notebooks from local directory: /home/vivid/work" in log
    assert "Will shut down after 1800 seconds with no kernels." in log


def test_the_environment_and_the_manners(laptop: Laptop) -> None:
    environment = laptop.ssh(f"tr '\\0' '\\n' </proc/{laptop.server()}/environ")
    assert "\nSET_UP=yes\n" in f"\n{environment}"
    assert "\nVIRTUAL_ENV=/home/vivid/environment\n" in f"\n{environment}"
    assert "\nOMP_NUM_THREADS=2\n" in f"\n{environment}"
    assert laptop.ssh(f"ps -o ni= -p {laptop.server()}").strip() == "3"


def listeners() -> str:
    """The ports of the account on the node."""
    return node_root("ss -Hltn | awk '{print $4}' | grep ':9881$' || true").strip()


def test_network_is_the_tutorial_s_own_way(laptop: Laptop) -> None:
    """ssh -L 9876:hydra08i...:9876 user@gate, with its warning."""
    tunnel = ssh_config(laptop, "jupyter-colourful")
    assert tunnel["hostname"] == GATEWAY
    assert "proxyjump" not in tunnel
    assert tunnel["localforward"] == f"[127.0.0.1]:9880 [{NODE}]:9881"
    assert listeners() == "0.0.0.0:9881"
    again = laptop.playbook("site.yml")
    assert "changed=0" in again.stdout
    said = " ".join(again.stdout.split())
    assert "Everybody in the cluster's network can reach port 9881 of hydra08i.rzg.mpg.de" in said
    assert laptop.browser().login(laptop.password)


def test_loopback_is_a_port_on_the_node_s_own_address(laptop: Laptop) -> None:
    changed = laptop.playbook("site.yml", jupyter_config_listen="loopback")
    assert changed.returncode == 0, changed.stdout
    assert "Every account on hydra08i.rzg.mpg.de can reach port 9881" in " ".join(changed.stdout.split())
    tunnel = ssh_config(laptop, "jupyter-colourful")
    assert (tunnel["hostname"], tunnel["proxyjump"]) == (NODE, GATEWAY)
    assert tunnel["localforward"] == "[127.0.0.1]:9880 [127.0.0.1]:9881"
    assert listeners() == "127.0.0.1:9881"
    assert laptop.browser().login(laptop.password)


def test_a_running_server_stays_at_its_endpoint(laptop: Laptop) -> None:
    before = laptop.server()
    changed = laptop.playbook("site.yml", jupyter_config_listen="socket", jupyter_config_restarts=False)
    assert changed.returncode == 0, changed.stdout
    assert laptop.server() == before
    assert ssh_config(laptop, "jupyter-colourful")["localforward"] == "[127.0.0.1]:9880 [127.0.0.1]:9881"
    assert laptop.browser().login(laptop.password)


@pytest.mark.parametrize("kind", ["loopback"])
def test_a_port_of_a_neighbour_is_refused(laptop: Laptop, kind: str) -> None:
    assert laptop.playbook("playbooks/stop.yml").returncode == 0
    with subprocess.Popen(
        [
            "podman",
            "exec",
            "--user",
            "fresh",
            "jupyter-test-hydra08i",
            "timeout",
            str(seconds(40)),
            "nc",
            "-lk",
            "127.0.0.1",
            "9881",
        ]
    ) as neighbour:
        try:
            refused = laptop.playbook("site.yml", jupyter_config_listen=kind)
        finally:
            node_root("pkill -u fresh nc")
            neighbour.wait(timeout=seconds(10))
    assert refused.returncode != 0
    said = " ".join(refused.stdout.split())
    assert "Port 9881 of hydra08i.rzg.mpg.de is taken. Choose another one: my_node_port." in said
