"""Becomes the ansible-playbook that a verb is."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from jupyter_cluster.places import project

#: What tells Ansible the vault's password already: in the environment, and among its own words.
VAULT_VARIABLES = ("ANSIBLE_VAULT_PASSWORD_FILE", "ANSIBLE_VAULT_IDENTITY_LIST", "ANSIBLE_ASK_VAULT_PASS")
VAULT_OPTIONS = (
    "--ask-vault-pass",
    "--ask-vault-password",
    "-J",
    "--vault-id",
    "--vault-pass-file",
    "--vault-password-file",
)


def words(
    playbook: str,
    *,
    inventories: Sequence[Path],
    cluster: str | None,
    variables: Sequence[str],
    ask_vault: bool,
    more: Sequence[str],
) -> list[str]:
    """Return the command line of a playbook.

    Args:
        playbook: its path in the project.
        inventories: files and folders.
        cluster: the cluster, or none for all.
        variables: what is set for this run, as `NAME=VALUE`, or however else `-e` takes it.
        ask_vault: whether something that is needed is in Ansible Vault, whose password nobody has told yet.
        more: words for ansible-playbook, which come last, and so count.
    """
    # The Ansible beside this program, whatever the PATH leads to; and no module of the folder that one is in.
    command = [sys.executable, "-P", "-m", "ansible.cli.playbook", str(project() / playbook)]
    for inventory in inventories:
        command += ["-i", str(inventory)]
    command += ["-l", cluster] if cluster else []
    for variable in variables:
        command += ["-e", variable]
    told = any(word.partition("=")[0] in VAULT_OPTIONS for word in more) or any(map(os.environ.get, VAULT_VARIABLES))
    command += ["--ask-vault-pass"] if ask_vault and not told else []
    return [*command, *more]


def environment(around: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a playbook: the person's, with this project's ansible.cfg."""
    return {**around, "ANSIBLE_CONFIG": str(project() / "ansible.cfg")}


def become(command: list[str]) -> None:
    """Become that command, so that its exit status and its Ctrl-C are Ansible's."""
    sys.stdout.flush()
    os.execve(command[0], command, environment(os.environ))  # noqa: S606  No shell is wanted.
