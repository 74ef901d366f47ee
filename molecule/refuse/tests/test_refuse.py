"""Each refusal, its exact message, and nothing changed on the node."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cluster import GATEWAY, NODE, Laptop

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
            "that program, or set my_port to a free port in inventory/group_vars/hydra/me.yml; or, for this time, take "
            "the next one: -e my_next_port=true"
        )


def test_status_says_all_that_is_wrong_with_a_cluster_in_its_line(laptop: Laptop) -> None:
    shown = laptop.playbook("playbooks/status.yml", my_port=80, my_user="Jane Doe").stdout
    (line,) = [line for line in shown.splitlines() if line.startswith("hydra ")]
    assert line.index('my_user is "Jane Doe"') < line.index("The local port is 80")


def test_short_forms_of_before(refusal: Refusal) -> None:
    assert refusal(my_aliases=["bash"]) == (
        "Unknown: my_aliases (it is the command jupyter-cluster VERB CLUSTER now). Correct it where it is set: "
        "inventory, group_vars or -e."
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
        f"There is no Jupyter notebook on {NODE}. Leave my_interface at auto, or install it there: "
        "/opt/anaconda3/bin/python3 -m pip install notebook"
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
        "file, or install it there: python3 -m venv ~/.venvs/jupyter && ~/.venvs/jupyter/bin/pip install jupyterlab && "
        "mkdir -p ~/.local/bin && ln -s ~/.venvs/jupyter/bin/jupyter ~/.local/bin/"
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
        "key known there? Where a login asks you for something, set my_login: prompt there. See what this says: "
        f"ssh -F {config['my_ssh_config']} -fN {NODE} (ssh: nobody@127.0.0.1: Permission denied ("
    )


def test_node_that_does_not_know_the_user(refusal: Refusal, ssh_config: SshConfig) -> None:
    config = ssh_config(f"Host {NODE}\n  User nobody\n")
    assert refusal(**config).startswith(
        f"{NODE} does not let you in, though the gateway did. Is your key known there? Where a login asks you for "
        "something, set my_login: prompt in inventory/group_vars/all/me.yml. See what this says: "
        f"ssh -F {config['my_ssh_config']} -fN {NODE} (ssh: nobody@10.89.82.11: Permission denied ("
    )


def test_node_that_cannot_be_reached(refusal: Refusal, ssh_config: SshConfig) -> None:
    assert refusal(**ssh_config(f"Host {NODE}\n  Port 1\n")).startswith(
        f"The gateway {GATEWAY} lets you in, but {NODE} cannot be reached from it. The node may be down: see the "
        "cluster's status page, or name another login node in the cluster's inventory file. (ssh: "
    )


def test_host_key_that_is_not_known(refusal: Refusal, ssh_config: SshConfig, tmp_path: Path) -> None:
    config = ssh_config(f"Host {GATEWAY}\n  UserKnownHostsFile {tmp_path}/none\n")
    assert refusal(**config).startswith(
        f"This machine does not know the host key of {GATEWAY} or {NODE} yet. Log in once by hand, and compare the "
        f"fingerprint with the one that the cluster publishes: ssh -F {config['my_ssh_config']} -fN {NODE} (ssh: "
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


def test_login(refusal: Refusal) -> None:
    assert refusal(cluster_login="password") == 'my_login, or cluster_login, is "password": it is prompt or key.'


def test_gateway_that_the_cluster_does_not_have(refusal: Refusal) -> None:
    assert refusal(my_gateway="gate3.rzg.mpg.de", cluster_other_gateways=["gate2.rzg.mpg.de"]) == (
        'my_gateway is "gate3.rzg.mpg.de", and hydra has gate.rzg.mpg.de, gate2.rzg.mpg.de. Choose one of them, in '
        "inventory/group_vars/hydra/me.yml or by -e."
    )


#: What Ansible alone would go by.
ALONE = ": Ansible alone would go by that, and not the tunnel, nor your own ssh."
IN_SSH_CONFIG = "in your ssh_config instead."


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("ansible_user", "bob", "Set my_user in inventory/group_vars/all/me.yml instead."),
        ("ansible_ssh_user", "bob", "Set my_user in inventory/group_vars/all/me.yml instead."),
        ("ansible_host", "127.0.0.1", f"Set HostName for {NODE} {IN_SSH_CONFIG}"),
        ("ansible_ssh_host", "127.0.0.1", f"Set HostName for {NODE} {IN_SSH_CONFIG}"),
        ("ansible_port", 2222, "Set cluster_ssh_port in the cluster's inventory file instead."),
        ("ansible_ssh_port", "2222", "Set cluster_ssh_port in the cluster's inventory file instead."),
        ("ansible_private_key_file", "/key", f"Set IdentityFile for {NODE} {IN_SSH_CONFIG}"),
        ("ansible_ssh_private_key_file", "/key", f"Set IdentityFile for {NODE} {IN_SSH_CONFIG}"),
        ("ansible_connection", "local", "Leave it out."),
        ("ansible_become", True, "Leave it out: no root is needed."),
        ("ansible_ssh_host_key_checking", False, "Leave it out: cluster_host_keys and your known_hosts decide."),
        ("ansible_ssh_args", "-p 2222", "Write what it says into your ssh_config."),
        ("ansible_ssh_extra_args", "-l bob", "Write what it says into your ssh_config."),
    ],
)
def test_what_ansible_alone_would_go_by(refusal: Refusal, name: str, value: object, remedy: str) -> None:
    """It would look at one place, while the tunnel leads to another."""
    said = refusal(**{name: value})
    assert said.startswith(name)
    assert said.endswith(f" is {json.dumps(value)}{ALONE} {remedy}")


@pytest.mark.parametrize("way", [NODE, [NODE], ["a", "b", "a"], [{"host": "a", "port": 1}, "a"]])
def test_a_way_that_comes_twice_by_a_host(refusal: Refusal, way: object) -> None:
    """ssh would go round in circles."""
    hosts = [hop["host"] if isinstance(hop, dict) else hop for hop in ([way] if isinstance(way, str) else way)]  # type: ignore[attr-defined]
    assert refusal(cluster_gateway=way) == (
        f"The way to {NODE} comes twice by the same host: {', '.join([*hosts, NODE])}. Write each once in "
        "cluster_gateway, and not the node, in the cluster's inventory file; [] is a direct login."
    )


def test_another_way_than_through_the_gateway(refusal: Refusal) -> None:
    assert refusal(ansible_ssh_common_args="-J gate.example.org") == (
        "ansible_ssh_common_args is set, in which this project says what Ansible needs. Leave it out; the way is said "
        "by cluster_gateway and your ssh_config."
    )


@pytest.mark.parametrize(
    ("options", "begin"),
    [
        (["-u", "bob"], 'ansible_user (or -u, or remote_user in an ansible.cfg) is "bob": '),
        (["--private-key", "/key"], "ansible_private_key_file (or --private-key, or private_key_file in an ansible."),
        (["-c", "local"], 'ansible_connection (or -c, or transport in an ansible.cfg) is "local": '),
    ],
)
def test_what_the_command_line_would_have_ansible_alone_go_by(refusal: Refusal, options: list[str], begin: str) -> None:
    assert refusal(*options).startswith(begin)


@pytest.mark.parametrize("place", ["group_vars", "inventory"])
def test_an_inventory_that_leads_ansible_elsewhere(refusal: Refusal, tmp_path: Path, place: str) -> None:
    if place == "inventory":
        (tmp_path / "hydra.yml").write_text("hydra: {vars: {ansible_user: bob}}\n")
    else:
        (tmp_path / "hydra.yml").write_text("hydra: {}\n")
        (tmp_path / "group_vars").mkdir()
        (tmp_path / "group_vars" / "all.yml").write_text("ansible_user: bob\n")
    assert refusal("-i", str(tmp_path / "hydra.yml")).startswith("ansible_user ")


def test_what_says_nothing_else_is_no_obstacle(refusal: Refusal) -> None:
    """The run goes on, to the refusal that comes after the names; what the environment says of root does not count."""
    usual = {
        "ansible_connection": "ssh",
        "ansible_ssh_pipelining": False,
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    environment = {"ANSIBLE_BECOME": "1", "ANSIBLE_HOST_KEY_CHECKING": "0", "ANSIBLE_SSH_EXTRA_ARGS": "-p 1"}
    assert refusal("-b", environment=environment, my_interface="notebook", **usual).startswith(
        f"There is no Jupyter notebook on {NODE}."
    )


@pytest.mark.parametrize(
    ("host", "keys"),
    [(GATEWAY, "ED25519 SHA256:" + 43 * "x"), (GATEWAY, ["SHA256:" + 43 * "x"]), ("g.org", ["RSA SHA256:" + 43 * "x"])],
    ids=["no list", "no type", "no host of ours"],
)
def test_host_keys(refusal: Refusal, host: str, keys: object) -> None:
    assert refusal(cluster_host_keys={host: keys}) == (
        f'cluster_host_keys has "{host}": {json.dumps(keys)}. Write a gateway or login node of the inventory, and a '
        "list of its keys as ED25519 SHA256:... (or ECDSA, RSA), in the cluster's inventory file."
    )


def test_ssh_that_cannot_compare_host_keys(refusal: Refusal, tmp_path: Path) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\necho OpenSSH_8.4p1 Debian-5 >&2\n")
    ssh.chmod(0o755)
    old = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert refusal(cluster_host_keys={GATEWAY: ["RSA SHA256:" + 43 * "x"]}, environment=old) == (
        "This machine's OpenSSH is 8.4, and cluster_host_keys needs 8.5 or newer. Install a newer one; or, at your own "
        "risk, leave it to your known_hosts: -e '{\"cluster_host_keys\": {}}'"
    )


def test_ssh_config_with_a_mistake(refusal: Refusal, ssh_config: SshConfig) -> None:
    chosen = ssh_config("Hostt somewhere\n")
    assert refusal(**chosen) == (
        "ssh does not understand your ssh_config. Correct it: "
        f"{chosen['my_ssh_config']}: line 1: Bad configuration option: hostt"
    )


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("tls_cert_day", "tls_cert_days"),
        ("ssh_tunnel_prot", "ssh_tunnel_port"),
        ("jupyter_config_anything", "jupyter_config_"),
        ("my_usr", "my_user"),
        ("cluster_gatway", "cluster_gateway"),
    ],
)
def test_misspelled_variable(refusal: Refusal, name: str, meant: str) -> None:
    message = refusal(**{name: "anything"})
    assert message.startswith(f"Unknown: {name} (did you mean {meant}")
    assert message.endswith("?). Correct it where it is set: inventory, group_vars or -e.")


def test_a_group_s_own_variables_are_not_ours(refusal: Refusal) -> None:
    """The run goes on, to the refusal that comes after the names."""
    assert refusal(cluster_name_long="The cluster", my_favourite_colour="blue", my_port=80).startswith("The local port")


def test_type(refusal: Refusal) -> None:
    assert refusal(my_restart="maybe").startswith(
        "argument 'my_restart' is of type str and we were unable to convert to bool: "
    )


def test_endpoint(refusal: Refusal) -> None:
    assert refusal(cluster_endpoint="port") == 'cluster_endpoint is "port": it is socket, loopback or network.'


def test_idle_hours(refusal: Refusal) -> None:
    assert refusal(cluster_idle_hours="never") == (
        'cluster_idle_hours is "never": it is a number of hours, 0 for no limit.'
    )


def test_directory(refusal: Refusal) -> None:
    assert refusal(my_directory="data") == (
        'my_directory is "data": it is a path on the node that begins with / or ~, or empty for the home directory.'
    )


def test_renewal_that_is_always_due(refusal: Refusal) -> None:
    assert refusal(tls_cert_days=30, tls_cert_renew_days=30) == (
        "tls_cert_renew_days is 30 and tls_cert_days is 30: the first must be smaller, or every run renews the "
        "certificate."
    )


def test_session_name(refusal: Refusal) -> None:
    assert refusal(login_node_session="my session") == (
        'login_node_session is "my session": it begins with a letter and has letters, digits, dashes and underscores.'
    )


def test_timeout(refusal: Refusal) -> None:
    assert refusal(screen_session_timeout=1) == (
        "screen_session_timeout is 1: it is a number of seconds from 5 to 600."
    )


def test_folder_with_too_long_a_name(refusal: Refusal) -> None:
    folder = "/tmp/" + "x" * 60
    assert refusal(my_folder=folder) == (
        f"The folder {folder} has too long a name for the sockets of ssh's open connections, or one with \" or % in "
        "it. Set my_folder to a shorter path in inventory/group_vars/all/me.yml."
    )


ANOTHER = """
another:
  hosts:
    login.another.example.org:
  vars: {cluster_name: another, cluster_gateway: gate.another.example.org, cluster_port: 9999}
parent:
  children:
    another:
"""


def test_several_clusters(refusal: Refusal, tmp_path: Path) -> None:
    other = tmp_path / "another.yml"
    other.write_text(ANOTHER)
    assert refusal("-i", str(other)) == ("Several clusters are in the inventory: another, hydra. Choose one: -l NAME.")


def test_several_login_nodes_are_one_choice(laptop: Laptop, refusal: Refusal, tmp_path: Path) -> None:
    other = tmp_path / "another.yml"
    other.write_text("hydra:\n  hosts:\n    hydra09i.rzg.mpg.de:\n")
    assert refusal("-i", str(other), my_setup="x").startswith('my_setup is "x": it is a list.')
    refused = laptop.playbook("site.yml", "-i", str(other), my_setup="x")
    assert refused.stdout.count('my_setup is "x"') == 1


def test_host_of_no_cluster(refusal: Refusal, tmp_path: Path) -> None:
    other = tmp_path / "another.yml"
    other.write_text("all:\n  hosts:\n    login.example.org:\n")
    assert refusal("-i", str(other), "-l", "login.example.org") == (
        "login.example.org belongs to no cluster. Set cluster_name in its inventory file; inventory/hydra.yml shows "
        "how."
    )


def test_library_that_is_missing(refusal: Refusal, tmp_path: Path) -> None:
    """As for somebody who brings an Ansible of their own."""
    (tmp_path / "argon2.py").write_text("raise ImportError")
    assert refusal(environment={"PYTHONPATH": str(tmp_path)}) == (
        f"Ansible's Python, {sys.executable}, misses argon2-cffi. Install them there (pip), or take the "
        "Ansible that has all: make install && . .venv/bin/activate"
    )
