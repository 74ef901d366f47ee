"""What action_plugins/ssh_look.py finds out, by an ssh that is made up, or by the real one, which only reads."""

from __future__ import annotations

import os
import re
import socket
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import ssh_look
from ansible.errors import AnsibleError
from patience import seconds
from ssh_look import UNSAID, ActionModule, Ssh, options_in

#: Its hosts are named for how they are. What it reads, it keeps: the configuration without ours goes away again.
SSH = """\
#!/bin/sh
for host; do :; done
here=${0%/*}
echo "$*" >>"$here/asked"
case "$*" in
  -V) echo "OpenSSH_9.2p1 Debian-2, OpenSSL 3.0.22" >&2; exit ;;
  "-F $here/config "*) ;;
  "-F "*) cp "$2" "$here/without" ;;
esac
case "$*" in
  *"ProxyJump=another "*) cat "$here/moved"; exit ;;
  *"-G "*) cat "$here/options"; cat "$here/complaint" >&2; exit ;;
  *"-O exit "*"suspended") exec sleep 60 ;;
  *"-O exit "*) exit ;;
esac
case $host in
  open) echo "Stdio forwarding request failed: Session open refused by peer" >&2; exit 255 ;;
  dead* | suspended) exec sleep 60 ;;
  *) echo "Connection closed by UNKNOWN port 65535" >&2; exit 255 ;;
esac
"""
#: Reads, and does nothing else.
READER = """\
#!/bin/sh
case "$*" in *"-G "*) exec ssh "$@" ;; esac
exit 255
"""
INCLUDE = 'Include "/home/jane/.jupyter-cluster/ssh_config"'


def program(folder: Path, text: str) -> Path:
    path = folder / "ssh"
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "options").write_text("hostname h\nsessiontype default\nstdinnull no\nforkafterauthentication no\n")
    (tmp_path / "complaint").touch()
    # A machine that is busy takes longer.
    monkeypatch.setattr(ssh_look, "AT_ONCE", seconds(5))
    return program(tmp_path, SSH)


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    return program(tmp_path, READER)


def look(
    ssh: Path,
    node: str = "node",
    gateway: str = "gateway",
    *,
    close: bool = False,
    pinned: bool = False,
    system: bool = False,
    gateways: tuple[str, ...] = (),
    patience: float = 0,
) -> dict[str, Any]:
    """Look, as the role does: with a second for what does not answer at all, and for what does, whatever it needs."""
    config = ssh.with_name("config")
    patience = patience or seconds(4 if "open" in (node, gateway) else 1)
    asked = Ssh([str(ssh), "-F", str(config)], config, INCLUDE, system, patience)
    return asked.look(node, [gateway], gateways or (gateway,), close, pinned)


def own(ssh: Path, config: str | bytes, node: str = "node") -> dict[str, str]:
    """What the real ssh makes of the person's own configuration, for one host."""
    content = config if isinstance(config, bytes) else config.encode()
    ssh.with_name("config").write_bytes(content)
    return dict(look(ssh, patience=seconds(5))["own"][node])


def asked(ssh: Path) -> list[str]:
    """What the made-up ssh was started with, each time."""
    return ssh.with_name("asked").read_text().splitlines()


def closed(ssh: Path) -> list[str]:
    """The hosts whose connections were closed."""
    return [line.split()[-1] for line in asked(ssh) if "-O exit" in line]


@pytest.mark.parametrize(
    ("close", "node", "gateway", "ended"),
    [
        (False, "dead", "dead-too", []),
        (True, "dead", "dead-too", ["dead", "dead-too"]),
        (True, "dead", "open", ["dead"]),
        (True, "closed", "dead", ["dead"]),
        # The node answers by way of it.
        (True, "open", "dead", []),
        (True, "open", "closed", []),
    ],
)
def test_what_is_closed(ssh: Path, close: bool, node: str, gateway: str, ended: list[str]) -> None:
    states = look(ssh, node, gateway, close=close)["states"]
    # Of a gateway that the node answers by, nobody asks.
    hosts = [node] if node == "open" else [node, gateway]
    assert states == {host: host.partition("-")[0] for host in hosts}
    assert closed(ssh) == ended


@pytest.mark.parametrize(("host", "stays"), [("suspended", False), ("dead", True)])
def test_a_connection_that_does_not_hear_is_out_of_the_way(ssh: Path, host: str, stays: bool) -> None:
    """Whoever suspends an ssh that others use: the next one would wait for it for ever. And files are no sockets."""
    path = ssh.with_name("s")
    with (ssh.with_name("options")).open("a") as options:
        options.write(f"controlpath {path}\n")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        assert look(ssh, host, close=False)["states"][host] == "dead"
        assert path.is_socket()
        assert look(ssh, host, close=True)["states"][host] == "dead"
        assert path.is_socket() is stays
    path.unlink(missing_ok=True)
    path.touch()
    look(ssh, host, close=True)
    assert path.is_file()


def test_a_gateway_that_is_asked_meanwhile_is_left_to_a_node_that_answers_after_all(
    ssh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a slow network; the node's connection goes by way of it."""
    monkeypatch.setattr(ssh_look, "_is_open", lambda state: False)
    assert look(ssh, "open", "dead", close=True)["states"] == {"open": "open", "dead": "dead"}
    assert closed(ssh) == []


def test_a_host_gets_as_long_as_it_may_take_and_no_host_waits_for_another(
    ssh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    begun, limit = time.monotonic(), 2
    look(ssh, "dead", "dead-too", patience=limit)
    assert limit <= time.monotonic() - begun < seconds(3.5)


def test_no_question_can_log_in(ssh: Path) -> None:
    look(ssh, "dead", "closed", close=True, pinned=True)
    others = [line for line in asked(ssh) if "-G " not in line and line != "-V"]
    assert len(others) == 3
    assert all("-o ProxyCommand=false -o BatchMode=yes -o ControlMaster=no" in line for line in others)


def test_where_all_is_open_five_programs_are_started(ssh: Path) -> None:
    """Each takes some milliseconds, in every run."""
    look(ssh, "open", "gateway")
    assert len(asked(ssh)) == 5


def test_what_a_command_needs_beside_the_person_s_own(ssh: Path) -> None:
    assert look(ssh, "open")["options"] == []
    ssh.with_name("options").write_text("sessiontype none\nstdinnull yes\nforkafterauthentication yes\n")
    assert look(ssh, "open")["options"] == ["SessionType=default", "ForkAfterAuthentication=no", "StdinNull=no"]
    # An older ssh, which knows none of them.
    ssh.with_name("options").write_text("hostname h\n")
    assert look(ssh, "open")["options"] == []
    # One that says nothing else, since it has no command to leave in the background.
    ssh.with_name("options").write_text("")
    ssh.with_name("complaint").write_text("Cannot fork into background without a command to execute.\n")
    assert look(ssh, "open")["options"] == ["ForkAfterAuthentication=no"]


def test_without_an_ssh(tmp_path: Path) -> None:
    found = look(tmp_path / "none", close=True, pinned=True, gateways=("gateway", "other"))
    assert found["states"] == {"node": "closed", "gateway": "closed"}
    assert os.strerror(2) in found["problem"]
    # What is made of it can be read all the same.
    assert found["own"] == dict.fromkeys(["gateway", "other", "node"], options_in(""))
    assert found["now"] == dict.fromkeys(["node", "gateway"], options_in(""))
    assert (found["options"], found["version"], found["mistake"]) == ([], "", "")


def test_an_ssh_that_does_not_come_to_an_end_is_a_problem(ssh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of the person's may be in its configuration, and wait for something."""
    monkeypatch.setattr(ssh_look, "READING", 1)
    ssh.write_text(SSH.replace('cat "$here/options"', "exec sleep 60"))
    found = look(ssh, "open", patience=seconds(1))
    # A slow machine gets more.
    assert found["slow"] == round(4 * seconds(1))
    assert (found["problem"], found["mistake"]) == ("", "")


def test_where_nothing_can_be_written_that_is_the_problem(ssh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(ssh / "no folder"))
    assert "no folder" in look(ssh, "open")["problem"]


def test_the_version_is_asked_for_only_where_it_counts(ssh: Path) -> None:
    assert look(ssh, "open")["version"] == ""
    assert "-V" not in asked(ssh)
    assert look(ssh, "open", pinned=True)["version"] == "9.2"
    assert asked(ssh).count("-V") == 1


def test_a_version_of_another_form_is_all_that_it_says(ssh: Path) -> None:
    ssh.write_text(SSH.replace("OpenSSH_9.2p1 Debian-2, OpenSSL 3.0.22", "Sun_SSH_2.2, SSH protocols 2.0"))
    assert look(ssh, "open", pinned=True)["version"] == "Sun_SSH_2.2, SSH protocols 2.0"


def test_all_gateways_are_read_without_ours_and_the_one_on_the_way_with_it(ssh: Path) -> None:
    found = look(ssh, "open", "second", gateways=("first", "second"))
    # The node comes last: its block is read after those of the gateways.
    assert list(found["own"]) == ["first", "second", "open"]
    assert sorted(found["now"]) == ["open", "second"]
    config = ssh.with_name("config")
    assert sorted(line for line in asked(ssh) if line.startswith(f"-F {config} -G ")) == [
        f"-F {config} -G open",
        f"-F {config} -G second",
    ]


@pytest.mark.parametrize("line", ["{}\n", "  {}\n", "{}\r\n", "Match all\n\t{} # by hand\n"])
def test_without_ours_the_person_s_own_counts(reader: Path, tmp_path: Path, line: str) -> None:
    ours = tmp_path / "ours"
    ours.write_text("Host node\n    User ours\n    Port 2222\n")
    include = f'Include "{ours}"'
    own = "Host node\n    User own\n    ServerAliveInterval 7\n"
    reader.with_name("config").write_bytes((line.format(include) + own).encode())
    config = reader.with_name("config")
    found = Ssh([str(reader), "-F", str(config)], config, include, False, seconds(5)).look(
        "node", ["gateway"], ["gateway"], False, False
    )
    names = ("user", "port", "serveraliveinterval")
    assert [found["own"]["node"][name] for name in names] == ["own", "22", "7"]
    assert [found["now"]["node"][name] for name in names] == ["ours", "2222", "7"]


@pytest.mark.parametrize(
    "config",
    [
        "Host node\n    User own",
        "Host node\r\n    User own\r\n",
    ],
    ids=["no last line break", "CRLF"],
)
def test_the_person_s_own_is_read_however_it_is_written(reader: Path, config: str) -> None:
    assert own(reader, config)["user"] == "own"


def test_the_person_s_own_may_have_bytes_that_are_no_utf_8(reader: Path) -> None:
    assert own(reader, "# Caf\xe9\nHost node\n    User own\n".encode("latin-1"))["user"] == "own"


@pytest.mark.parametrize("character", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028"], ids=ascii)
def test_a_line_of_the_person_s_own_ends_where_ssh_ends_it(reader: Path, character: str) -> None:
    assert own(reader, f"# one{character}comment\nHost node\n    User own\n")["user"] == "own"


@pytest.mark.parametrize("config", ["Host node\n    User own", None])
def test_the_system_s_configuration_counts_where_ssh_reads_it(ssh: Path, config: str | None) -> None:
    if config:
        ssh.with_name("config").write_text(f"{INCLUDE}\n{config}")
    look(ssh, "open", system=True)
    without = ssh.with_name("without").read_text()
    assert [line for line in without.splitlines() if line] == [
        *(config or "").splitlines(),
        "Match all",
        "Include /etc/ssh/ssh_config",
        *UNSAID.split("\n")[1:-1],
    ]
    look(ssh, "open", system=False)
    assert ssh.with_name("without").read_text() == f"{config or ''}\n{UNSAID}" if config else UNSAID


def test_the_copy_without_ours_is_private_and_goes_away(
    ssh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "temporary"
    there.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(there))
    ssh.write_text(SSH.replace('cp "$2"', 'stat -c %a "$2" >>"$here/modes"; cp "$2"'))
    look(ssh, "open")
    assert set(ssh.with_name("modes").read_text().splitlines()) == {"600"}
    assert list(there.iterdir()) == []


@pytest.mark.parametrize("moves", [False, True])
def test_a_socket_of_the_node_s_that_another_way_would_move_is_left_to_ours(ssh: Path, moves: bool) -> None:
    """Newer OpenSSH mixes the jump host into %C; and by another way Ansible itself goes."""
    ssh.with_name("options").write_text("hostname h\ncontrolpath /cm/of-this-way\n")
    ssh.with_name("moved").write_text(f"hostname h\ncontrolpath /cm/of-{'another' if moves else 'this'}-way\n")
    found = look(ssh, "open")["own"]
    assert found["open"]["controlpath"] == ("" if moves else "/cm/of-this-way")
    # A gateway has no other way.
    assert found["gateway"]["controlpath"] == "/cm/of-this-way"
    assert len([line for line in asked(ssh) if "ProxyJump=another" in line]) == 1


@pytest.mark.parametrize(
    ("path", "read"),
    [("none", ""), ("/cm/%r@%h:%p", "/cm/jane@node:22")],
)
def test_a_socket_of_the_person_s_own_is_read_as_ssh_uses_it(reader: Path, path: str, read: str) -> None:
    assert own(reader, f"Host node\n    User jane\n    ControlPath {path}\n")["controlpath"] == read


@pytest.mark.parametrize(
    ("config", "mistake"),
    [
        ("Host node\n    NoSuchOption yes\n", r".*/config:? line 2: Bad configuration option: nosuchoption"),
        ("Host node\n    Port twenty\n    NoSuchOption yes\n", r".*/config:? line 2: .*twenty.*"),
        ("Host node\n    User own\n", ""),
    ],
)
def test_a_mistake_is_one_line_of_ssh_s_own(reader: Path, config: str, mistake: str) -> None:
    reader.with_name("config").write_text(config)
    found = look(reader, patience=seconds(5))
    assert re.fullmatch(mistake, found["mistake"])
    assert found["problem"] == ""


def test_an_ssh_that_says_nothing_is_a_mistake(ssh: Path) -> None:
    ssh.with_name("options").write_text("")
    assert look(ssh, "open")["mistake"] == "it says nothing"


def test_of_an_option_that_is_there_several_times_the_first_is_read() -> None:
    assert options_in("user me\nidentityfile ~/.ssh/a\nidentityfile ~/.ssh/b\nhostname h\n") == {
        "user": "me",
        "identityfile": "~/.ssh/a",
        "hostname": "h",
        "proxyjump": "",
        "proxycommand": "",
        "controlpath": "",
    }


def run(**arguments: Any) -> dict[str, Any]:
    """Run the task, as Ansible does."""
    task = mock.MagicMock(args=arguments, async_val=0, check_mode=False)
    return dict(ActionModule(task, *[mock.MagicMock()] * 5).run(task_vars={}))


def arguments(ssh: Path, **changed: Any) -> dict[str, Any]:
    config = str(ssh.with_name("config"))
    return {
        "ssh": [str(ssh), "-F", config], "config": config, "include": INCLUDE, "system": False, "node": "dead",
        "hops": ["gateway"], "gateways": ["gateway"], "nodes": ["node"], "close": False, "pinned": False,
        "patience": "1.5", **changed,
    }  # fmt: skip


def test_the_task_changes_nothing_and_passes_on_what_was_seen(ssh: Path) -> None:
    found = run(**arguments(ssh, close=True))
    assert found["changed"] is False
    assert found["states"] == {"dead": "dead", "gateway": "closed"}
    assert closed(ssh) == ["dead"]


def test_the_task_reads_a_bool_as_ansible_does(ssh: Path) -> None:
    """As `-e ssh_connection_close_dead=no` gives it."""
    run(**arguments(ssh, close="no"))
    assert closed(ssh) == []


def test_the_task_says_what_it_was_not_given(ssh: Path) -> None:
    given = arguments(ssh)
    del given["gateways"]
    with pytest.raises(AnsibleError, match=r"^ssh_look needs 'gateways'"):
        run(**given)
