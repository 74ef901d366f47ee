"""What a host, its sshd or the person's own ssh_config has against a login is named, and not something else."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Iterator

import pytest
from laptop_container import Person, TokenPerson, against, root
from viper import GATE1, STAND_IN, words


def stop(person: Person, **variables: object) -> str:
    """Run what does little; by a key that works unattended, unless it is somebody with a token."""
    login = {} if isinstance(person, TokenPerson) else {"my_login": "key"}
    chosen = {"my_user": person.account, **login, **STAND_IN, **variables}
    return words(person.site("playbooks/stop.yml", check=False, **chosen))


@functools.cache
def way_in(person: Person) -> bytes:
    """Write the way in, once; return the ssh_config that leads to it."""
    person.run("rm -f ~/.ssh/config")
    stop(person)
    return person.read(".ssh/config")


@pytest.fixture
def key(key: Person) -> Person:
    """With the way in written, and no open connection."""
    key.write(".ssh/config", way_in(key))
    key.disconnect()
    return key


@contextlib.contextmanager
def account(host: str, person: Person, change: str, back: str) -> Iterator[None]:
    """Change the person's account on a host, for a while."""
    root(host, f"{change} {person.account}")
    try:
        yield
    finally:
        root(host, f"{back} {person.account}")


FORWARDS_NOTHING = f"The gateway {GATE1} lets you in, but does not forward connections to "


@pytest.mark.parametrize("group", ["no-tcp-forwarding", "other-destinations", "no-forwarding"])
def test_a_gateway_that_forwards_nothing(key: Person, group: str) -> None:
    """Also where its connection is open, which says the same of a node that is down."""
    with against(key, group, "gate"):
        assert f"{FORWARDS_NOTHING}{key.node} (AllowTcpForwarding" in stop(key)
        key.run(f"ssh -fN {GATE1} </dev/null >/dev/null 2>&1")
        assert f"{FORWARDS_NOTHING}{key.node} (AllowTcpForwarding" in stop(key)
    key.disconnect()
    assert "failed=0" in stop(key)


def test_a_gateway_that_forwards_nothing_and_asks(passcode: TokenPerson) -> None:
    with against(passcode, "no-tcp-forwarding", "gate"):
        passcode.disconnect()
        code = passcode.code()
        passcode.types(f"ssh -fN {GATE1}", *passcode.asked(GATE1, code))
        assert f"{FORWARDS_NOTHING}{passcode.node} (AllowTcpForwarding" in stop(passcode)
    passcode.disconnect()


@pytest.mark.parametrize("host", ["gate", "hydra08i"])
def test_an_account_that_has_expired(key: Person, host: str) -> None:
    name = GATE1 if host == "gate" else key.node
    with account(host, key, "chage -E 1", "chage -E -1"):
        assert f"Your account on {name} has expired, or is locked." in stop(key)


def test_a_password_that_has_expired_on_the_gateway(key: Person) -> None:
    with account("gate", key, "chage -d 0", "chage -d -1"):
        assert f"Your password on {GATE1} has expired. Log in there at a terminal, and choose another." in stop(key)


def test_a_node_that_takes_no_session(key: Person) -> None:
    with against(key, "max-sessions-0", "hydra08i"):
        assert f"{key.node} takes no further session on the connection that is open (MaxSessions in its sshd)" in stop(
            key
        )


def test_a_proxy_of_the_person_s_own_speaks_for_itself(key: Person) -> None:
    own = f"Host {GATE1}\n    ProxyCommand sh -c 'echo No VPN today. >&2; exit 1'\n"
    key.write(".ssh/config", own.encode())
    shown = stop(key)
    assert f"The way to {key.node} by the ProxyCommand in your ssh_config fails. Try it by itself: sh -c " in shown
    assert "(ssh: No VPN today. / " in shown


@pytest.mark.parametrize("level", ["QUIET", "DEBUG3"])
def test_a_quiet_ssh_config_hides_no_cause(key: Person, level: str) -> None:
    key.write(".ssh/config", f"Host {GATE1}\n    Port 1\nHost *\n    LogLevel {level}\n".encode())
    assert f"The gateway {GATE1} cannot be reached. Check the network (a VPN?);" in stop(key)
    key.write(".ssh/config", f"Host {key.node}\n    Port 1\nHost *\n    LogLevel {level}\n".encode())
    assert f"The gateway {GATE1} lets you in, but {key.node} cannot be reached from it." in stop(key)


def test_a_folder_for_connections_that_is_missing(key: Person) -> None:
    key.write(
        ".ssh/config", b"Host *\n    ControlMaster auto\n    ControlPath ~/nowhere/%r@%h\n    ControlPersist 60\n"
    )
    shown = stop(key)
    assert "ssh cannot make the socket of an open connection." in shown
    assert "(ssh: unix_listener: cannot bind to path /home/key/nowhere/" in shown


def test_a_key_that_others_may_read(key: Person) -> None:
    key.run("chmod 644 ~/.ssh/id_ed25519")
    try:
        assert "ssh does not use a key of yours that others may read, and nothing else lets you in." in stop(key)
    finally:
        key.run("chmod 600 ~/.ssh/id_ed25519")


def test_a_node_that_forwards_to_no_socket(passcode: TokenPerson) -> None:
    """It shows only where something goes through the tunnel."""
    passcode.log_in(GATE1)
    passcode.site(my_user=passcode.account, **STAND_IN)
    assert json.loads(passcode.server_version())
    with against(passcode, "no-socket-forwarding", "hydra08i"):
        passcode.log_in(GATE1)
        shown = passcode.site(
            "playbooks/connect.yml", check=False, my_user=passcode.account, my_browser=False, **STAND_IN
        )
    assert (
        "breaks off at once: the node's sshd forbids forwarding to a socket (AllowStreamLocalForwarding, or "
        "DisableForwarding). Set cluster_endpoint: loopback in the cluster's inventory file"
    ) in words(shown)
    passcode.log_in(GATE1)
    assert "failed=0" in stop(passcode)
