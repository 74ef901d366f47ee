"""A whole day by each way in: directly, and by way of several hosts."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cluster import GATEWAY, Laptop, engine, node_root
from laptop_container import TokenPerson
from patience import seconds

NODES = {"direct": "gate.rzg.mpg.de", "hops": "hydra08i.rzg.mpg.de"}
WAYS = {"direct": [], "hops": ["gate.rzg.mpg.de", "hydra11i.rzg.mpg.de"]}


def options(laptop: Laptop, host: str) -> dict[str, str]:
    """What ssh uses for a host."""
    listing = subprocess.run(
        ["ssh", "-G", "-F", laptop.ssh_config, host], capture_output=True, text=True, timeout=seconds(10), check=True
    )
    return dict(line.split(" ", 1) for line in listing.stdout.splitlines() if " " in line)


def state(laptop: Laptop) -> dict[str, object]:
    shown = laptop.playbook("playbooks/status.yml", errors=subprocess.DEVNULL, status_format="json").stdout
    (one,) = json.loads(shown)
    return dict(one)


def test_a_day(laptop: Laptop) -> None:
    node, way = NODES[laptop.cluster], WAYS[laptop.cluster]
    first = laptop.playbook("site.yml")
    assert first.returncode == 0, first.stdout
    try:
        browser = laptop.browser()
        assert browser.login(laptop.password)
        kernel = browser.api("kernels", {"name": "python3"}, "POST")["id"]
        browser.run(kernel, "kept = 42")
        # Each hop leads to the next one, by a connection of its own, which is shared.
        for host, before in zip([*way, node], ["", *way], strict=True):
            assert options(laptop, host).get("proxyjump", "") == before
            assert laptop.control("check", host) == 0, host
        assert "changed=0" in laptop.playbook("site.yml").stdout
        assert len(state(laptop)["kernels"]) == 1  # type: ignore[arg-type]
        # The first connection is closed, and with it all behind it: connect brings them back.
        assert laptop.control("exit", [*way, node][0]) == 0
        again = laptop.playbook("playbooks/connect.yml", my_browser=False)
        assert again.returncode == 0, again.stdout
        assert browser.run(kernel, "print(kept)") == "42\n"
        for host in [*way, node]:
            dead_on_the_way(laptop, host)
            assert browser.run(kernel, "print(kept)") == "42\n", host
    finally:
        removed = laptop.playbook("playbooks/remove.yml", my_end_kernels=True)
    assert removed.returncode == 0, removed.stdout
    assert not (laptop.folder / "ssh_config").exists()
    assert all(laptop.control("check", host) != 0 for host in [*way, node])


def dead_on_the_way(laptop: Laptop, host: str) -> None:
    """Whichever host's connection stands still: a verb that looks only leaves it, and connect has another one."""
    machine = host.partition(".")[0]
    serving = node_root(f"pgrep -u {laptop.account} sshd", machine).split()
    node_root(f"kill -STOP {' '.join(serving)}", machine)
    try:
        looked = laptop.playbook("playbooks/doctor.yml")
        assert looked.returncode != 0
        assert f"The open connection to {NODES[laptop.cluster]}" in " ".join(looked.stdout.split())
        assert laptop.control("check", host) == 0
        begun = time.monotonic()
        again = laptop.playbook("playbooks/connect.yml", my_browser=False)
        assert again.returncode == 0, again.stdout
        assert time.monotonic() - begun < seconds(15)
        assert "did not answer, and is given up" in " ".join(again.stdout.split())
    finally:
        node_root(f"kill -CONT {' '.join(serving)} 2>/dev/null || true", machine)


def test_a_login_that_only_you_can_do_is_asked_for_by_one_line(laptop: Laptop) -> None:
    """It names every host that will ask, in their order; and nothing is tried."""
    begun = time.monotonic()
    refused = laptop.playbook("site.yml", my_login="prompt")
    assert refused.returncode != 0
    assert time.monotonic() - begun < 10 * engine()
    said = " ".join(refused.stdout.split())
    node, way = NODES[laptop.cluster], WAYS[laptop.cluster]
    assert f"Log in first, then run this again: ssh -F {laptop.ssh_config} -fN {node} (It asks for " in said
    assert f"(It asks for {', then for '.join([*way, node])}, and stays open" in said
    # Then it works over what that has left.
    log_in = ["ssh", "-F", str(laptop.ssh_config), "-fN", node]
    assert subprocess.run(log_in, timeout=seconds(20), check=False, capture_output=True).returncode == 0
    looked = laptop.playbook("playbooks/doctor.yml", my_login="prompt")
    assert looked.returncode == 0, looked.stdout
    assert re.search(r"^Works: +yes", looked.stdout, re.MULTILINE)
    assert laptop.playbook("playbooks/remove.yml", my_login="prompt").returncode == 0


def test_a_login_that_fails_names_the_host_and_no_gateway_where_there_is_none(laptop: Laptop) -> None:
    node, way = NODES[laptop.cluster], WAYS[laptop.cluster]
    # Before any hop: the first host's name is another one.
    wrong = {"cluster_gateway": ["gate.example.org", *way[1:]]} if way else {"my_user": "nobody-there"}
    refused = laptop.playbook("playbooks/doctor.yml", **wrong)
    assert refused.returncode != 0
    said = " ".join(refused.stdout.split())
    if way:
        assert "gate.example.org" in said
    else:
        assert "gateway" not in said.partition(f"{node} does not let you in. Is my_user")[2]
        assert f"{node} does not let you in. Is my_user" in said
    assert laptop.playbook("playbooks/doctor.yml").returncode == 0
    assert laptop.playbook("playbooks/remove.yml").returncode == 0


def test_another_key_than_the_pinned_one_is_refused_on_every_hop(laptop: Laptop) -> None:
    node, way = NODES[laptop.cluster], WAYS[laptop.cluster]
    for host in [*way, node]:
        # An open connection has been looked at already.
        laptop.playbook("playbooks/disconnect.yml")
        refused = laptop.playbook("playbooks/doctor.yml", cluster_host_keys={host: [f"ED25519 SHA256:{'x' * 43}"]})
        assert refused.returncode != 0
        assert "does not show the host key that the cluster's inventory file pins" in " ".join(refused.stdout.split())
        # Once the inventory has it right, all is as before.
        assert laptop.playbook("playbooks/doctor.yml").returncode == 0
    assert laptop.playbook("playbooks/remove.yml").returncode == 0


@pytest.fixture(params=["direct", "hops"])
def token(request: pytest.FixtureRequest) -> Iterator[TokenPerson]:
    """Somebody whom the first host and the node ask for a one-time password, and a host between them for a key."""
    uid, port = {"direct": (2133, 9892), "hops": (2134, 9893)}[request.param]
    person = TokenPerson("roaming", uid, port, f"molecule/routes/inventory/{request.param}.yml")
    person.begin(names=tuple(dict.fromkeys([GATEWAY, *WAYS["hops"], person.node])))
    yield person
    person.end()


def test_a_day_with_one_time_passwords(token: TokenPerson) -> None:
    """One login a host, by the line that the first run says; no run tries one of its own."""
    way, asking = WAYS[token.cluster], list(dict.fromkeys([GATEWAY, token.node]))
    mine: dict[str, Any] = {"my_user": token.account, "my_login": "prompt", "cluster_gateway": way, "my_browser": False}
    begun = token.logins()
    refused = token.site(check=False, **mine)
    assert f"ssh -fN {token.node} (It asks for {', then for '.join([*way, token.node])}, and stays open" in " ".join(
        refused.split()
    )
    assert token.logins() == begun
    code = token.code()
    answers = [answer for host in asking for answer in token.asked(host, code)]
    status, shown = token.types(f"ssh -fN {token.node}", *answers)
    assert status == 0, shown
    token.site(**mine)
    assert json.loads(token.server_version())["version"].startswith("2.")
    assert "changed=0" in token.site(**mine)
    token.site("playbooks/connect.yml", **mine)
    assert token.logins() == {
        host: (begun[host][0] + (f"{host}." in " ".join(asking)), begun[host][1]) for host in begun
    }
    token.site("playbooks/remove.yml", **mine)
