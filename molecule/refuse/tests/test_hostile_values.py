"""What means something to ssh, a shell or Jinja is refused in one line, whoever may have set it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cluster import Laptop

Refusal = Callable[..., str]

NAME = ": letters, digits, dots, dashes and underscores make a name that ssh knows."
PATH = (
    ': it is a path on this machine that begins with / or ~/, and has none of " % $ \\ * ? [ ] and no line break in it.'
)
PORT = ": a number from 1024 to 65535 is needed (lower ones belong to the system)."
WAY = (
    ": it is a host's name of letters, digits, dots, dashes and underscores; or a list of such names, in the order of "
    "the way, each of which may be a dictionary of host, user and port; or [] for a direct login. Correct it in the "
    "cluster's inventory file."
)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("ssh_config_persist", "8h\nProxyCommand touch {canary}", ": it is a time such as 8h, 30m or 1h30m."),
        (
            "login_node_session",
            "jupyter ]]; touch {canary}; [[ x",
            ": it begins with a letter and has letters, digits, dashes and underscores.",
        ),
        ("cluster_other_gateways", ["*"], f"{NAME} Correct it in the cluster's inventory file."),
        ("cluster_other_gateways", "gate2", ": it is a list. Correct it in the cluster's inventory file."),
        (
            "cluster_modules",
            "anaconda/3",
            ": it is a list. Write a list as in `module load`, for example [anaconda/3], in the cluster's inventory "
            "file.",
        ),
        ("cluster_gateway", "none", WAY),
        ("cluster_gateway", "-oProxyCommand=touch {canary}", WAY),
        ("cluster_gateway", ["gate", {"host": "node", "port": 0}], WAY),
        ("cluster_gateway", [{"host": "gate", "user": "jane\nProxyCommand touch {canary}"}], WAY),
        ("cluster_gateway", [{"host": "gate", "proxy": "x"}], WAY),
        ("cluster_ssh_port", 70000, ": it is a number from 1 to 65535. Correct it in the cluster's inventory file."),
        ("cluster_name", "hydra\n", f"{NAME} Correct it in the cluster's inventory file."),
        ("my_user", "jane\n", f"{NAME} Correct it in inventory/group_vars/all/me.yml."),
        ("my_user", 1234, ": it is text, so write it in quotes. Correct it in inventory/group_vars/all/me.yml."),
        ("ssh_config_user", "jane\nProxyCommand touch {canary}", NAME),
        ("ssh_tunnel_port", "09876", PORT),
        ("my_folder", "relative/path", PATH),
        ("my_folder", "/tmp/a\nHost *", PATH),
        ("my_ssh_config", "~/.ssh/${HOME}", PATH),
        ("tls_cert_ca_directory", "~nosuchuser/ca", PATH),
        (
            "my_directory",
            "~/x\n",
            ": it is a path on the node that begins with / or ~, or empty for the home directory.",
        ),
        ("ansible_managed", "ours\nProxyCommand touch {canary}", ": it is one line."),
        ("cluster_idle_hours", "nan", ": it is a number of hours, 0 for no limit."),
        ("my_patience", 0, ": it is a number from 1 to 20."),
        ("my_patience", "nan", ": it is a number from 1 to 20."),
        ("my_patience", "inf", ": it is a number from 1 to 20."),
        ("my_ssh_config", "/etc", ", and that is no file. Name your ssh_config, or one that is not there yet."),
        ("my_ssh_config", "/dev/zero", ", and that is no file. Name your ssh_config, or one that is not there yet."),
        ("my_folder", "/dev/null", ", and that is no folder. Name one, or one that is not there yet."),
        ("screen_session_timeout", "60\n", ": it is a number of seconds from 5 to 600."),
    ],
)
def test_hostile_value(refusal: Refusal, tmp_path: Path, option: str, value: Any, message: str) -> None:
    canary = tmp_path / "canary"
    if isinstance(value, str):
        value = value.replace("{canary}", str(canary))
    said = refusal(**{option: value})
    assert said.startswith(f"{option} {'has' if isinstance(value, list) else 'is'} ")
    assert said.endswith(message)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("my_port", "{{ foo }}", "'foo' is undefined"),
        ("my_password", "{{ foo }}", "'foo' is undefined"),
        ("my_patience", "{{ foo }}", "'foo' is undefined"),
        ("my_directory", "{{ 1", "unexpected end of template, expected 'end of print statement'"),
        ("my_setup", ["n=${#HOME}"], "Missing end of comment tag"),
        ("cluster_gateway", [{"host": "{{ 1 / 0 }}"}], "division by zero"),
        ("my_folder", "{{ lookup('file', '/nowhere') }}", "The lookup plugin 'file' failed: "),
    ],
)
def test_a_template_that_cannot_be_worked_out_is_named(refusal: Refusal, option: str, value: Any, why: str) -> None:
    said = refusal(**{option: value})
    assert said.startswith(f"{option} cannot be worked out: {why}")
    assert said.endswith(
        ". Ansible takes {{, {% and {# in a value for its own; where that is meant as it stands, write !unsafe before "
        "the value."
    )


def test_a_mistake_that_ansible_itself_finds_first_is_named_with_its_line(laptop: Laptop, tmp_path: Path) -> None:
    """In what it needs before any task."""
    own = tmp_path / "me.yml"
    own.write_text('# Mine.\nmy_login: "{{ 1"\n')
    refused = laptop.playbook("site.yml", "-e", f"@{own}")
    assert refused.returncode != 0
    assert f"unexpected end of template, expected 'end of print statement'. ({own}:2:11)" in " ".join(
        refused.stdout.split()
    )


@pytest.mark.parametrize(("name", "is_folder"), [("ssh_config", True), ("ca", False)])
def test_what_is_of_another_kind_in_our_folder_is_named(refusal: Refusal, name: str, is_folder: bool) -> None:
    """Before a login."""
    # A short name, for the sockets in it.
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        path = Path(folder, name)
        if is_folder:
            path.mkdir()
        else:
            path.touch()
        said = refusal(my_folder=folder)
    assert said.startswith(f"{path} is no {'file' if is_folder else 'folder'}. Take it away, and this ")


def test_value_that_was_left_out(refusal: Refusal) -> None:
    assert refusal(my_user=None) == "my_user has no value: give it one, or leave it out."


def test_what_a_cluster_must_say(refusal: Refusal) -> None:
    assert refusal(cluster_gateway="") == (
        "cluster_gateway is missing in the inventory file of hydra08i.rzg.mpg.de; inventory/hydra.yml shows how."
    )


def test_node_s_name(refusal: Refusal, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts.yml"
    hosts.write_text(
        '"hydra:\\n":\n  hosts:\n    "a b":\n  vars: {cluster_name: two, cluster_gateway: g, cluster_port: 9876}\n'
    )
    assert refusal("-i", str(hosts), "-l", "a?b") == f'The node is "a b"{NAME} Correct it in the inventory\'s hosts.'
