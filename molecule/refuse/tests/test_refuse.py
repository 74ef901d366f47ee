"""Each refusal, its exact message, and nothing changed on the node."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from cluster import GATEWAY, NODE

Refusal = Callable[..., str]
SshConfig = Callable[[str], dict[str, str]]


@pytest.mark.parametrize("port", ["nine", 80, 70000])
def test_port(refusal: Refusal, port: object) -> None:
    shown = f'"{port}"' if isinstance(port, str) else port
    assert refusal(my_port=port) == (
        f"The local port is {shown}: a number from 1024 to 65535 is needed (lower ones belong to the system). Set "
        "my_port in inventory/group_vars/hydra/me.yml, or cluster_port in the cluster's inventory file."
    )


def test_port_of_another_program(refusal: Refusal) -> None:
    me = Path("/proc/self/comm").read_text().strip()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert refusal(my_port=port) == (
            f"Port {port} on this machine is taken by {me} (process {os.getpid()}), so the tunnel cannot open. End "
            "that program, or set my_port to a free port in inventory/group_vars/hydra/me.yml."
        )


def test_no_password(refusal: Refusal) -> None:
    assert refusal(my_password="") == (
        "The server needs a password, and none was given. Run this on a terminal, which asks for it, or set "
        "my_password (keep it in Ansible Vault), or JUPYTER_CLUSTER_PASSWORD in the environment."
    )


@pytest.mark.parametrize(
    ("password", "message"),
    [
        ("short", "The password must have at least 8 characters, got 5. Choose a longer one."),
        (12345678, "The password must be text, got int. Write it in quotes."),
        ("a line\nand another", "The password must have no control characters, got a line break. A browser's "),
        (" blanks around ", "The password must not begin or end with a blank, got one that does. "),
    ],
    ids=["short", "number", "newline", "blanks"],
)
def test_password(refusal: Refusal, password: object, message: str) -> None:
    assert refusal(my_password=password).startswith(message)


@pytest.mark.parametrize("user", ["Jane Doe", "jane;reboot", "jane\nProxyCommand evil"])
def test_user(refusal: Refusal, user: str) -> None:
    assert refusal(my_user=user).startswith("my_user is ")


def test_interface(refusal: Refusal) -> None:
    assert refusal(my_interface="rstudio") == 'my_interface is "rstudio": it is auto, lab or notebook.'


def test_interface_that_is_not_installed(refusal: Refusal) -> None:
    assert refusal(my_interface="notebook") == (
        f"There is no Jupyter notebook on {NODE}. Leave my_interface at auto, or install it there: python3 -m pip "
        "install --user notebook"
    )


def test_module_that_is_no_name(refusal: Refusal) -> None:
    assert refusal(cluster_modules=["anaconda/3; reboot"]) == (
        'cluster_modules has "anaconda/3; reboot", which is no module\'s name. Write a list as in `module load`, for '
        "example [anaconda/3], in the cluster's inventory file."
    )


def test_module_that_does_not_load(refusal: Refusal) -> None:
    assert refusal(cluster_modules=["anaconda/4"]) == (
        f"`module load anaconda/4` does not work on {NODE}. See what `module avail` lists there, and correct "
        "cluster_modules in the cluster's inventory file."
    )


def test_no_jupyter(refusal: Refusal) -> None:
    assert refusal(cluster_modules=[]) == (
        f"There is no `jupyter` on {NODE}. Name the module that has it in cluster_modules in the cluster's inventory "
        "file, or install it there: python3 -m pip install --user jupyterlab"
    )


def test_certificate_days(refusal: Refusal) -> None:
    assert refusal(tls_cert_days=1000) == "tls_cert_days is 1000: it is a number of days from 2 to 397."


def test_gateway_refuses_connections(refusal: Refusal, ssh_config: SshConfig) -> None:
    assert refusal(**ssh_config(f"Host {GATEWAY}\n  Port 1\n")) == (
        f"The gateway {GATEWAY} cannot be reached. Check the network (a VPN?); the gateway may be down or rebooting: "
        "see the cluster's status page. (ssh: ssh: connect to host 127.0.0.1 port 1: Connection refused)"
    )


def test_gateway_that_never_answers(refusal: Refusal, ssh_config: SshConfig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert refusal(**ssh_config(f"Host {GATEWAY}\n  Port {port}\n")).startswith(
            f"The gateway {GATEWAY} cannot be reached. Check the network (a VPN?); the gateway may be down or "
            "rebooting: see the cluster's status page. (ssh: "
        )


def test_gateway_that_is_not_found(refusal: Refusal, ssh_config: SshConfig) -> None:
    assert refusal(**ssh_config(f"Host {GATEWAY}\n  HostName gate..invalid\n")).startswith(
        f"This machine does not find the gateway {GATEWAY}. Check the network (a VPN?), and cluster_gateway in the "
        "cluster's inventory file. (ssh: ssh: Could not resolve hostname gate..invalid: "
    )


def test_gateway_that_does_not_know_the_key(refusal: Refusal, ssh_config: SshConfig, stranger_s_key: Path) -> None:
    config = ssh_config(f"Host {GATEWAY}\n  User nobody\n  IdentityFile {stranger_s_key}\n  IdentitiesOnly yes\n")
    assert refusal(**config).startswith(
        f"The gateway {GATEWAY} does not let you in. Is my_user in inventory/group_vars/all/me.yml right, and your "
        f"key known there? See what this says: ssh {GATEWAY} (ssh: nobody@127.0.0.1: Permission denied ("
    )


def test_node_that_does_not_know_the_user(refusal: Refusal, ssh_config: SshConfig) -> None:
    assert refusal(**ssh_config(f"Host {NODE}\n  User nobody\n")).startswith(
        f"{NODE} does not let you in, though the gateway did. Is your key known there? See what this says: ssh {NODE} "
        f"(ssh: nobody@{NODE}: Permission denied ("
    )


def test_node_that_cannot_be_reached(refusal: Refusal, ssh_config: SshConfig) -> None:
    assert refusal(**ssh_config(f"Host {NODE}\n  Port 1\n")).startswith(
        f"The gateway {GATEWAY} lets you in, but {NODE} cannot be reached from it. The node may be down: see the "
        "cluster's status page, or name another login node in the cluster's inventory file. (ssh: "
    )


def test_host_key_that_is_not_known(refusal: Refusal, ssh_config: SshConfig, tmp_path: Path) -> None:
    assert refusal(**ssh_config(f"Host {GATEWAY}\n  UserKnownHostsFile {tmp_path}/none\n")).startswith(
        f"This machine does not know the host key of {GATEWAY} or {NODE} yet. Log in once by hand, and compare the "
        f"fingerprint with the one that the cluster publishes: ssh {NODE} (ssh: "
    )


def test_host_key_that_has_changed(
    refusal: Refusal, ssh_config: SshConfig, stranger_s_key: Path, tmp_path: Path
) -> None:
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(f"{GATEWAY} {stranger_s_key.with_suffix('.pub').read_text()}")
    assert refusal(**ssh_config(f"Host {GATEWAY}\n  UserKnownHostsFile {known_hosts}\n")).startswith(
        f"The host key of {GATEWAY} or {NODE} is not the one in your known_hosts. Either the cluster changed it, which "
        "its pages or its support confirm, or somebody stands in between: do not log in before you know which. (ssh: "
    )
