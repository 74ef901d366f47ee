"""A second run changes nothing, asks little of the node, and says so beforehand in check mode."""

from __future__ import annotations

import re

from cluster import GATEWAY, NODE, Laptop, node_root


def sshd_says(host: str, text: str) -> int:
    """How often sshd's log of a host has a text."""
    # Not by the unit: what it says of a session belongs to the session's own.
    return node_root("journalctl --sync && journalctl --quiet --identifier sshd --output cat", host).count(text)


def test_it_needs_three_commands_and_one_connection_a_hop(laptop: Laptop) -> None:
    assert laptop.playbook("site.yml", my_password="").returncode == 0
    for host in (NODE, GATEWAY):
        laptop.control("exit", host)
    texts = {"gate": "Accepted publickey for astro", "hydra08i": "Accepted publickey for astro"}
    logins = {host: sshd_says(host, text) for host, text in texts.items()}
    commands = sshd_says("hydra08i", "Starting session: command for astro")

    again = laptop.playbook("site.yml", my_password="")
    assert "changed=0" in again.stdout, again.stdout
    assert 1 <= sshd_says("hydra08i", "Starting session: command for astro") - commands <= 3
    for host, text in texts.items():
        assert sshd_says(host, text) - logins[host] == 1


def test_check_mode_says_that_nothing_would_change(laptop: Laptop) -> None:
    checked = laptop.playbook("site.yml", "--check", "--diff")
    assert checked.returncode == 0, checked.stdout
    assert re.findall(r"changed=(\d+)", checked.stdout) == ["0"]
    assert laptop.password not in checked.stdout
