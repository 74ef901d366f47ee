"""A network that is cut, forgets, or was asleep: `connect` brings back the same kernel, and nothing hangs meanwhile."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest
from browser import Browser
from cluster import GATEWAY, NODE, TESTBED, Laptop, node_root
from patience import seconds
from relay import Relay

#: How long `connect` may take once the network is back, in seconds.
LIMIT = seconds(15)
#: What a verb that only looks says of a connection that does not answer.
STALLS = f"The open connection to {NODE} and {GATEWAY} does not answer: it stalls, or is dead. This only looks, and has"

#: What the others say of it.
GIVEN_UP = (
    f"The open connection to {NODE} and {GATEWAY} did not answer, and is given up; what else used it (an ssh, rsync or "
    "tunnel) has ended with it, or stands still as long as it does."
)


def through(relay: Relay, machine: str, port: int) -> Laptop:
    """A machine of the same person's behind a relay, with an open tunnel."""
    laptop = Laptop("daily", "daily", port, machine)
    laptop.ssh_config.parent.mkdir(mode=0o700, exist_ok=True)
    config = (TESTBED / "daily" / "ssh_config").read_text()
    config = config[config.index("# BEGIN of the test cluster") :]
    laptop.ssh_config.write_text(re.sub(r"Port \d+", f"Port {relay.port}", config))
    opened = laptop.playbook("playbooks/connect.yml", my_browser=False)
    assert opened.returncode == 0, opened.stdout
    return laptop


@pytest.fixture(scope="module")
def relay() -> Iterator[Relay]:
    with Relay(gate_port()).running() as relay:
        yield relay


@pytest.fixture(scope="module")
def traveller(laptop: Laptop, relay: Relay) -> Iterator[Laptop]:
    """Somebody on the way, whose network can be cut."""
    yield from leaves(through(relay, "traveller", 9889))


@pytest.fixture(scope="module")
def router() -> Iterator[Relay]:
    with Relay(gate_port(), forgets_after=60).running() as router:
        yield router


@pytest.fixture(scope="module")
def home(laptop: Laptop, router: Relay) -> Iterator[Laptop]:
    """Somebody behind a router that forgets connections after a minute."""
    yield from leaves(through(router, "home", 9890))


@pytest.fixture(scope="module")
def unused(home: Laptop) -> Iterator[tuple[float, list[int], subprocess.Popen[bytes]]]:
    """When the tunnel was used last, who keeps it open, and a connection without keepalives beside it.

    The tests before the one that looks at it wait, too.
    """
    bare = subprocess.Popen(
        ["ssh", "-F", home.ssh_config, "-S", "none", "-o", "ServerAliveInterval=0", GATEWAY, "sleep 62; id"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    yield time.monotonic(), masters(home), bare
    bare.kill()
    bare.wait(seconds(5))


@pytest.fixture(scope="module")
def kernel(traveller: Laptop, unused: object) -> Iterator[tuple[Browser, str]]:
    """A browser with an open notebook, and its kernel, which knows an answer."""
    browser = traveller.browser()
    assert browser.login(traveller.password)
    kernel = browser.api("kernels", {"name": "python3"}, "POST")["id"]
    browser.run(kernel, "answer = 42")
    with browser.channel(kernel):
        yield browser, kernel
    browser.api(f"kernels/{kernel}", method="DELETE")


def gate_port() -> int:
    found = re.search(r"Port (\d+)", (TESTBED / "daily" / "ssh_config").read_text())
    assert found
    return int(found[1])


def leaves(laptop: Laptop) -> Iterator[Laptop]:
    yield laptop
    for host in (NODE, GATEWAY):
        laptop.control("exit", host)


def masters(laptop: Laptop) -> list[int]:
    """The processes that keep the connections open."""
    said = [
        subprocess.run(
            ["ssh", "-F", laptop.ssh_config, "-O", "check", host],
            capture_output=True,
            text=True,
            timeout=seconds(20),
            check=True,
        ).stderr
        for host in (NODE, GATEWAY)
    ]
    return [int(re.findall(r"pid=(\d+)", line)[0]) for line in said]


@contextlib.contextmanager
def copying(laptop: Laptop) -> Iterator[subprocess.Popen[str]]:
    """Something of the person's own that uses the open connection for 20 s, as an rsync does."""
    command = "for line in $(seq 40); do echo $line; sleep 0.5; done"
    copy = subprocess.Popen(
        ["ssh", "-F", laptop.ssh_config, NODE, command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert copy.stdout
    assert copy.stdout.readline() == "1\n"
    yield copy
    copy.kill()
    copy.wait(seconds(5))


def comes_back(laptop: Laptop, kernel: tuple[Browser, str]) -> None:
    """Connect again, and find the kernel as it was, in time."""
    begun = time.monotonic()
    connected = laptop.playbook("playbooks/connect.yml", my_browser=False)
    assert connected.returncode == 0, connected.stdout
    browser, number = kernel
    assert browser.run(number, "print(answer)") == "42\n"
    assert time.monotonic() - begun < LIMIT


@pytest.mark.parametrize("verb", ["status", "doctor", "logs"])
def test_looking_leaves_a_connection_that_stalls(traveller: Laptop, relay: Relay, running: str, verb: str) -> None:
    """Nothing comes through for 10 s, or as long as the verb takes, which is no minute."""
    before = masters(traveller)
    with copying(traveller) as copy:
        relay.cut()
        cut = time.monotonic()
        try:
            said = traveller.playbook(f"playbooks/{verb}.yml")
            assert time.monotonic() - cut < seconds(20)
            time.sleep(max(0, cut + 10 - time.monotonic()))
        finally:
            relay.mend()
        assert (said.returncode == 0) == (verb == "status"), said.stdout
        (line,) = [line for line in said.stdout.splitlines() if STALLS in line]
        assert "ansible-playbook playbooks/connect.yml -l hydra" in line
        assert copy.communicate(timeout=seconds(60))[0].split()[-1] == "40"
        assert copy.returncode == 0
    assert masters(traveller) == before


def test_connect_says_what_ended_with_a_dead_connection(traveller: Laptop, relay: Relay, running: str) -> None:
    with copying(traveller) as copy:
        relay.forget()
        connected = traveller.playbook("playbooks/connect.yml", my_browser=False)
        assert connected.returncode == 0, connected.stdout
        assert GIVEN_UP in connected.stdout
        assert copy.wait(seconds(5)) != 0


def test_what_used_a_suspended_connection_goes_on_with_it(traveller: Laptop, running: str) -> None:
    """It has not ended, and nothing says so."""
    suspended = masters(traveller)
    try:
        with copying(traveller) as copy:
            for process in suspended:
                os.kill(process, signal.SIGSTOP)
            done = traveller.playbook("playbooks/password.yml")
            assert done.returncode == 0, done.stdout
            assert GIVEN_UP in done.stdout
            assert copy.poll() is None
            for process in suspended:
                os.kill(process, signal.SIGCONT)
            assert copy.communicate(timeout=seconds(60))[0].split()[-1] == "40"
            assert copy.returncode == 0
    finally:
        # No socket leads to them any more, and one has the tunnel's port. Told to end, they would take the sockets away
        # that those in their place have by the same names.
        for process in suspended:
            os.kill(process, signal.SIGKILL)
    again = traveller.playbook("playbooks/connect.yml", my_browser=False)
    assert again.returncode == 0, again.stdout


def test_two_minutes_without_a_network(
    traveller: Laptop, relay: Relay, running: str, kernel: tuple[Browser, str]
) -> None:
    relay.cut()
    cut = time.monotonic()
    try:
        status = traveller.playbook("playbooks/status.yml")
        assert time.monotonic() - cut < seconds(20)
        assert re.search(rf"hydra +{NODE} +{STALLS}", status.stdout), status.stdout
        begun = time.monotonic()
        connect = traveller.playbook("playbooks/connect.yml", my_browser=False)
        assert connect.returncode != 0
        assert f"The gateway {GATEWAY} cannot be reached." in connect.stdout
        assert time.monotonic() - begun < seconds(20)
        # The person's own ssh, too.
        begun = time.monotonic()
        assert traveller.ssh("true", check=False) == ""
        assert time.monotonic() - begun < seconds(10)
        time.sleep(max(0, cut + 120 - time.monotonic()))
    finally:
        relay.mend()
    comes_back(traveller, kernel)
    assert traveller.server() == running


def test_a_laptop_that_was_asleep(traveller: Laptop, relay: Relay, running: str, kernel: tuple[Browser, str]) -> None:
    asleep = masters(traveller)
    for process in asleep:
        os.kill(process, signal.SIGSTOP)
    try:
        relay.forget()
        time.sleep(3)
    finally:
        for process in asleep:
            os.kill(process, signal.SIGCONT)
    comes_back(traveller, kernel)
    assert traveller.server() == running


def test_a_tunnel_that_is_not_used_stays_open(
    home: Laptop, router: Relay, unused: tuple[float, list[int], subprocess.Popen[bytes]]
) -> None:
    """Its keepalives are traffic; the connection without them is forgotten, which shows what the router does."""
    since, before, bare = unused
    time.sleep(max(0, since + seconds(75) - time.monotonic()))
    assert router.forgotten == 1
    assert bare.poll() is None
    assert masters(home) == before
    assert home.browser().login(home.password)


# It ends all connections of the account, and so comes last.
def test_the_gateway_ends_its_connections(traveller: Laptop, running: str, kernel: tuple[Browser, str]) -> None:
    node_root("pkill -KILL -u daily sshd", host="gate")
    comes_back(traveller, kernel)
    assert traveller.server() == running
