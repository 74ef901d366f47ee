"""Each verb does what it says, and says in one line what is in its way."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Browser
from cluster import GATEWAY, NODE, VERBS, Laptop, node_root, takes_calls
from patience import seconds


def words(printed: str) -> str:
    """Join what Ansible has folded."""
    return " ".join(printed.split())


@pytest.fixture
def node_down(laptop: Laptop) -> Iterator[None]:
    """A node whose sshd nobody finds."""
    config = laptop.ssh_config.read_text()
    ours, begin, theirs = config.partition("# BEGIN of the test cluster")
    laptop.ssh_config.write_text(f"{ours}Host {NODE}\n    Port 1\n{begin}{theirs}")
    yield
    laptop.ssh_config.write_text(config)


@pytest.fixture
def opened(tmp_path: Path) -> tuple[dict[str, str], Path]:
    """An environment whose browser writes down what it is asked for."""
    program, record = tmp_path / "browser", tmp_path / "opened"
    program.write_text(f'#!/bin/sh\necho "$@" >{record}\n')
    program.chmod(0o755)
    return {"BROWSER": str(program)}, record


def test_connect_comes_back_after_everything_was_closed(
    laptop: Laptop, running: str, opened: tuple[dict[str, str], Path]
) -> None:
    for host in (NODE, GATEWAY):
        laptop.control("exit", host)
    assert not takes_calls(9886)
    environment, record = opened
    done = laptop.playbook("playbooks/connect.yml", env=environment)
    assert done.returncode == 0, done.stdout
    assert record.read_text() == f"{laptop.url}\n"
    assert laptop.browser().login(laptop.password)
    assert laptop.server() == running


def test_connect_only_says_the_address_where_no_browser_is_wanted(
    laptop: Laptop, running: str, opened: tuple[dict[str, str], Path]
) -> None:
    environment, record = opened
    done = laptop.playbook("playbooks/connect.yml", env=environment, my_browser=False)
    assert done.returncode == 0, done.stdout
    assert laptop.url in done.stdout
    assert "changed=0" in done.stdout
    assert not record.exists()


def test_localhost_by_either_protocol(laptop: Laptop, running: str) -> None:
    laptop.playbook("playbooks/connect.yml", my_browser=False)
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family) as call:
            call.connect((address, 9886))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_connect_names_who_has_the_port(laptop: Laptop, running: str, address: str) -> None:
    laptop.playbook("playbooks/disconnect.yml")
    with socket.create_server((address, 9886), family=socket.AF_INET6 if ":" in address else socket.AF_INET):
        refused = laptop.playbook("playbooks/connect.yml", my_browser=False)
    assert refused.returncode != 0
    # Not our own connection, which has the port by the other protocol meanwhile.
    assert f"Port 9886 on this machine is taken by pytest (process {os.getpid()})" in words(refused.stdout)
    assert not takes_calls(9886)


def test_a_tunnel_to_elsewhere_that_nobody_has_written_down_is_named(laptop: Laptop, running: str) -> None:
    assert laptop.playbook("playbooks/connect.yml", my_browser=False).returncode == 0
    assert laptop.playbook("playbooks/disconnect.yml").returncode == 0
    laptop.ssh("true")
    command = ["ssh", "-F", str(laptop.ssh_config), "-O", "forward", "-L", "127.0.0.1:9886:127.0.0.1:9799", NODE]
    subprocess.run(command, check=True, timeout=seconds(10), capture_output=True)
    refused = laptop.playbook("playbooks/connect.yml", my_browser=False)
    assert refused.returncode != 0
    assert f"Port 9886 on this machine is taken by your own connection to {NODE}" in words(refused.stdout)
    assert "playbooks/disconnect.yml -l hydra" in words(refused.stdout)
    assert laptop.playbook("playbooks/disconnect.yml").returncode == 0
    assert laptop.playbook("playbooks/connect.yml", my_browser=False).returncode == 0


def test_connect_takes_the_next_port_if_asked(laptop: Laptop, running: str) -> None:
    laptop.playbook("playbooks/disconnect.yml")
    with socket.create_server(("127.0.0.1", 9886)), socket.create_server(("::1", 9887), family=socket.AF_INET6):
        for _ in range(2):
            moved = laptop.playbook("playbooks/connect.yml", my_browser=False, my_next_port=True)
            assert moved.returncode == 0, moved.stdout
            assert "Port 9886 on this machine is taken by " in words(moved.stdout)
            assert "; the next one is 9888." in words(moved.stdout)
        assert "https://localhost:9888" in moved.stdout
        assert "changed=0" in moved.stdout
        assert Browser("https://localhost:9888", laptop.authority).login(laptop.password)
        assert not takes_calls(9887)
        assert status(laptop)["tunnel"]
    assert laptop.playbook("playbooks/connect.yml", my_browser=False).returncode == 0
    assert takes_calls(9886)
    assert not takes_calls(9888)


def test_disconnect_leaves_the_server(laptop: Laptop, running: str) -> None:
    laptop.playbook("playbooks/connect.yml", my_browser=False)
    assert laptop.playbook("playbooks/disconnect.yml").returncode == 0
    assert not takes_calls(9886)
    assert not list((laptop.folder / "cm").iterdir())
    assert "changed=0" in laptop.playbook("playbooks/disconnect.yml").stdout
    assert laptop.server() == running


def status(laptop: Laptop) -> dict[str, Any]:
    """What the status says, in the form for machines."""
    printed = laptop.playbook("playbooks/status.yml", errors=subprocess.DEVNULL, status_format="json").stdout
    (found,) = json.loads(printed)
    return dict(found)


def test_status(laptop: Laptop, running: str, busy: str) -> None:
    found = status(laptop)
    assert (found["cluster"], found["node"], found["running"]) == ("hydra", NODE, True)
    assert found["pid"] == int(running)
    assert [(kernel["name"], kernel["state"]) for kernel in found["kernels"]] == [(busy, "busy")]
    assert 50 * 2**20 < found["memory"] < 2**30
    assert (found["tunnel"], found["endpoint"]) == (True, "socket")
    assert found["version"].startswith("2.")
    table = laptop.playbook("playbooks/status.yml").stdout
    assert re.search(rf"cluster +node +server +kernels.*\nhydra +{NODE} +since .* 1 busy +now .* open ", table), table


def test_status_costs_one_command_and_no_activity(laptop: Laptop, browser: Browser) -> None:
    before = browser.api("status")["last_activity"]
    log = "journalctl --sync && journalctl --quiet --identifier sshd --output cat"
    # With a terminal, as of Ansible's `raw`, or without.
    started = rf"Starting session: command (?:on \S+ )?for {laptop.account} "
    commands = len(re.findall(started, node_root(log)))
    status(laptop)
    assert len(re.findall(started, node_root(log))) == commands + 1
    assert browser.api("status")["last_activity"] == before


def test_status_of_all_clusters_at_once(laptop: Laptop, running: str, tmp_path: Path) -> None:
    """One that is not set up, and one whose gateway does not answer, take a line each."""
    viper = Path(__file__).parents[3] / "examples" / "clusters" / "viper.yml"
    table = laptop.playbook("playbooks/status.yml", "-i", str(viper), my_user="daily").stdout
    assert re.search(rf"hydra +{NODE} +since ", table)
    assert "not set up on this machine: ansible-playbook site.yml -l viper" in table


def test_stop_and_restart_spare_busy_kernels(laptop: Laptop, running: str, busy: str) -> None:
    for playbook in ("playbooks/stop.yml", "playbooks/restart.yml", "playbooks/remove.yml"):
        refused = laptop.playbook(playbook)
        assert refused.returncode != 0
        assert (
            f"Kernels are busy on {NODE}: {busy}. Wait until they are done, or lose what they do: -e "
            "my_end_kernels=true"
        ) in words(refused.stdout)
        assert laptop.server() == running
    # Nor does the tunnel go where no server listens yet.
    moved = laptop.playbook("playbooks/restart.yml", cluster_endpoint="loopback")
    assert "Kernels are busy on " in words(moved.stdout)
    assert laptop.browser().login(laptop.password)
    told = laptop.playbook("playbooks/restart.yml", my_end_kernels=True)
    assert told.returncode == 0, told.stdout
    assert f"These kernels end, and what is in their memory: {busy}" in words(told.stdout)
    assert laptop.server() not in ("", running)


def test_a_server_that_does_not_answer_is_not_ended_unasked(laptop: Laptop, running: str) -> None:
    # One that is taken away comes back.
    laptop.ssh(f"chmod 0 {laptop.node_folder}/run/jupyter.sock")
    try:
        refused = laptop.playbook("playbooks/stop.yml")
        assert f"The server on {NODE} does not say what its kernels do (PermissionError: " in words(refused.stdout)
        assert "it does not answer: PermissionError: " in laptop.playbook("playbooks/status.yml").stdout
    finally:
        laptop.ssh(f"chmod 600 {laptop.node_folder}/run/jupyter.sock")
    assert laptop.server() == running


@pytest.mark.parametrize(
    ("verb", "told", "message"),
    [
        ("status", {"status_format": "yaml"}, 'status_format is "yaml": it is table or json.'),
        ("status", {"status_fromat": "json"}, "Unknown: status_fromat (did you mean status_format?)."),
        ("logs", {"logs_lines": "few"}, 'logs_lines is "few": it is a number from 1 to 100000.'),
        ("logs", {"logs_folow": True}, "Unknown: logs_folow (did you mean logs_follow?)."),
    ],
    ids=["form", "misspelled form", "lines", "misspelled following"],
)
def test_what_a_verb_cannot_be_told(laptop: Laptop, verb: str, told: dict[str, Any], message: str) -> None:
    refused = laptop.playbook(f"playbooks/{verb}.yml", **told)
    assert refused.returncode != 0
    # On a busy machine a step that takes its time is said, too.
    said = [line for line in refused.stdout.splitlines() if not line.startswith("... ")]
    assert said[1].startswith(message)


def test_logs(laptop: Laptop, running: str) -> None:
    assert "Jupyter Server 2." in laptop.playbook("playbooks/logs.yml").stdout
    assert len(laptop.playbook("playbooks/logs.yml", errors=subprocess.DEVNULL, logs_lines=3).stdout.splitlines()) == 3
    # The test has none.
    refused = laptop.playbook("playbooks/logs.yml", logs_follow=True)
    assert "There is no terminal to follow the log on: leave out logs_follow." in refused.stdout


def test_doctor(laptop: Laptop) -> None:
    shown = words(laptop.playbook("playbooks/doctor.yml").stdout)
    for finding in (
        "Modules: anaconda/3",
        "Jupyter: /opt/anaconda3/bin/jupyter",
        "Keeper: /usr/bin/screen",
        "Works: yes",
    ):
        assert finding in shown, finding
    shown = words(laptop.playbook("playbooks/doctor.yml", cluster_modules=[]).stdout)
    assert f"Works: no. There is no `jupyter` on {NODE}." in shown


def test_doctor_blames_no_clock_for_a_slow_node(laptop: Laptop) -> None:
    """Nor for this machine's time zone."""
    slow = 'eval "quick_$(declare -f module)"; module() { sleep 8; quick_module "$@"; }'
    laptop.ssh(f"cp .profile kept && cat >>.profile <<'EOF'\n{slow}\nEOF")
    try:
        shown = words(laptop.playbook("playbooks/doctor.yml", env={"TZ": "Asia/Tokyo"}).stdout)
    finally:
        laptop.ssh("mv kept .profile")
    found = re.search(r"Clock: as this machine's, to (\d+) s ", shown)
    assert found, shown
    assert int(found[1]) < seconds(8)


def test_a_new_password_ends_old_logins_and_no_kernel(laptop: Laptop, running: str, browser: Browser) -> None:
    kernel = browser.api("kernels", {"name": "python3"}, "POST")["id"]
    browser.run(kernel, "answer = 42")
    changed = laptop.playbook("playbooks/password.yml", my_password="another horse battery staple")
    assert changed.returncode == 0, changed.stdout
    assert browser.request("/api/status")[0] == 403
    assert not laptop.browser().login(laptop.password)
    new = laptop.browser()
    assert new.login("another horse battery staple")
    assert new.run(kernel, "print(answer)") == "42\n"
    assert laptop.server() == running
    assert "The new password counts from now on" in laptop.playbook("playbooks/password.yml").stdout
    assert "That is the password already" in laptop.playbook("playbooks/password.yml").stdout
    new = laptop.browser()
    assert new.login(laptop.password)
    new.api(f"kernels/{kernel}", method="DELETE")


def test_renew(laptop: Laptop, running: str) -> None:
    before = laptop.ssh(f"cat {laptop.node_folder}/server.crt")
    renewed = laptop.playbook("playbooks/renew.yml")
    assert renewed.returncode == 0, renewed.stdout
    assert f"Its authority, which your browsers have to trust: {laptop.authority}" in renewed.stdout
    new = laptop.ssh(f"cat {laptop.node_folder}/server.crt")
    assert new != before
    assert laptop.server() == running
    assert ssl.get_server_certificate(("127.0.0.1", 9886)) == new


@pytest.mark.parametrize("verb", [*VERBS, "status"])
def test_a_node_that_is_down(laptop: Laptop, running: str, node_down: None, verb: str) -> None:
    begun = time.monotonic()
    said = laptop.playbook(f"playbooks/{verb}.yml", my_browser=False)
    assert time.monotonic() - begun < seconds(15)
    assert (said.returncode == 0) == (verb == "status")
    problem = f"The gateway {GATEWAY} lets you in, but {NODE} cannot be reached from it. The node may be down: "
    assert len([line for line in said.stdout.splitlines() if problem in line]) == 1, said.stdout


def test_without_a_server(laptop: Laptop, running: str) -> None:
    """stop, and what the others then say."""
    stopped = laptop.playbook("playbooks/stop.yml")
    assert stopped.returncode == 0, stopped.stdout
    assert f"No server of yours runs on {NODE}, and the tunnel is closed." in words(stopped.stdout)
    refused = laptop.playbook("playbooks/connect.yml", my_browser=False)
    assert f"No server runs on {NODE}. To start it, and connect: -e my_start=true" in words(refused.stdout)
    assert re.search(rf"hydra +{NODE} +none runs", laptop.playbook("playbooks/status.yml").stdout)
    started = laptop.playbook("playbooks/connect.yml", my_browser=False, my_start=True)
    assert started.returncode == 0, started.stdout
    assert laptop.browser().login(laptop.password)


def test_before_there_is_anything(laptop: Laptop) -> None:
    laptop.ssh(f"echo mine >{laptop.node_folder}/notes.txt")
    removed = laptop.playbook("playbooks/remove.yml", tls_cert_ca_keep=False)
    assert removed.returncode == 0, removed.stdout
    assert f"{laptop.node_folder} on {NODE} stays, since this in it is not ours: notes.txt" in words(removed.stdout)
    # The way in has gone, too.
    assert node_root(f"ls -A {laptop.node_folder}; rm -r {laptop.node_folder}") == "notes.txt\n"
    for verb in ("connect", "password", "renew"):
        refused = laptop.playbook(f"playbooks/{verb}.yml", my_browser=False)
        assert refused.returncode != 0
        assert f"There is no server of yours on {NODE} yet: ansible-playbook site.yml -l hydra" in words(refused.stdout)


def test_a_run_says_what_counts_and_no_more(laptop: Laptop, running: str) -> None:
    """Every line of `connect`, with a node that takes its time to answer; and of one that fails."""
    laptop.ssh("cp .profile kept && echo sleep 2 >>.profile")
    try:
        shown = laptop.playbook("playbooks/connect.yml", my_browser=False).stdout.splitlines()
    finally:
        laptop.ssh("mv kept .profile")
    assert shown[:2] == ["Reach the running server from this machine", "... Log in, and ask what there is"]
    assert shown[-2] == laptop.url
    assert re.fullmatch(rf"{NODE}: ok=\d+ changed=0 failed=0", shown[-1])
    # A slow machine may name other steps, too.
    assert [line for line in shown[2:-2] if not line.startswith("... ")] == []

    shown = laptop.playbook("playbooks/connect.yml", cluster_prt=9886).stdout.splitlines()
    assert [line for line in shown[1:] if not line.startswith("... ")] == [
        "Unknown: cluster_prt (did you mean cluster_port?). Correct it where it is set: inventory, group_vars or -e.",
        shown[-1],
    ]
    assert "TASK [preflight : " in laptop.playbook("playbooks/connect.yml", "-v", cluster_prt=9886).stdout
