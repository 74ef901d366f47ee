"""A second run changes nothing, asks little of the node, and says so beforehand in check mode."""

from __future__ import annotations

import re

from cluster import GATEWAY, NODE, Laptop, node_root

# With a terminal, as of Ansible's `raw`, or without.
COMMAND = r"Starting session: command (?:on \S+ )?for astro "


def sshd_says(host: str, text: str) -> int:
    """How often a text, a regular expression, is in sshd's log of a host."""
    # Not by the unit: what it says of a session belongs to the session's own.
    log = node_root("journalctl --sync && journalctl --quiet --identifier sshd --output cat", host)
    return len(re.findall(text, log))


def test_it_needs_three_commands_and_one_connection_a_hop(laptop: Laptop) -> None:
    assert laptop.playbook("site.yml", my_password="").returncode == 0
    for host in (NODE, GATEWAY):
        laptop.control("exit", host)
    texts = {"gate": "Accepted publickey for astro", "hydra08i": "Accepted publickey for astro"}
    logins = {host: sshd_says(host, text) for host, text in texts.items()}
    commands = sshd_says("hydra08i", COMMAND)

    again = laptop.playbook("site.yml", my_password="")
    assert "changed=0" in again.stdout, again.stdout
    assert 1 <= sshd_says("hydra08i", COMMAND) - commands <= 3
    for host, text in texts.items():
        assert sshd_says(host, text) - logins[host] == 1


def test_check_mode_says_that_nothing_would_change(laptop: Laptop) -> None:
    checked = laptop.playbook("site.yml", "--check", "--diff")
    assert checked.returncode == 0, checked.stdout
    assert re.findall(r"changed=(\d+)", checked.stdout) == ["0"]
    assert laptop.password not in checked.stdout
