"""The filters that read what others print."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from clock import clock_difference
from hypothesis import given
from hypothesis import strategies as st
from missing_libraries import missing_libraries
from misspelled import misspelled
from probe import probe_facts
from ssh import port_holder, ssh_failure, ssh_options
from status import _COLUMNS, status_of, status_table

MARK = "the-mark"


def probe(*lines: str) -> str:
    return "\n".join(["Welcome!", f"{MARK} begin", *lines, f"{MARK} end", "Bye"])


NODE = "hydra08i.example.org"


def coded(*words: str) -> str:
    return base64.b64encode("\0".join(words).encode()).decode()


def test_probe_facts_are_typed_and_nested() -> None:
    facts = probe_facts(
        probe(
            "host\thydra08i.example.org",
            "time\t1795480000",
            "modules_failed\t a/1 b/2",
            "python.path\t/opt/python",
            "packages.jupyterlab\t4.6.0",
            "sessions\t12.jupyter",
            "sessions\t13.jupyter",
            "password_set\tyes",
            f"certificate\t{coded('PEM')}",
            "digests.launch\tabc",
            "what a job of a login script prints\t1",
        ),
        mark=MARK,
        node=NODE,
    )
    assert facts["host"] == "hydra08i.example.org"
    assert facts["time"] == 1795480000
    assert facts["modules_failed"] == ["a/1", "b/2"]
    assert facts["python"] == {"path": "/opt/python"}
    assert facts["packages"] == {"jupyterlab": "4.6.0"}
    assert facts["sessions"] == ["12.jupyter", "13.jupyter"]
    assert facts["password_set"] is True
    assert facts["certificate"] == "PEM"
    assert facts["digests"] == {"launch": "abc"}
    assert facts["server"] == {}
    assert facts["screen"] == ""


def one_server(*options: str, pid: int = 4711, parent: int = 1, records: tuple[str, ...] = ()) -> dict[str, Any]:
    """The facts of a server that runs with these options, as of 100 s after its start."""
    words = coded("python", "/f/serve.py", "start", "report", "digest", "lab", *options)
    facts = probe_facts(
        probe(
            "time\t1795480000",
            "directory\t/f",
            "files\tdigest",
            "ticks\t1100.00 100",
            f"processes\t{pid} {parent} 100000 {words} {coded('9.jupyter')}",
            *records,
        ),
        mark=MARK,
        node=NODE,
    )
    return dict(facts["server"])


@pytest.mark.parametrize(
    ("options", "endpoint"),
    [
        (["--ServerApp.sock=/home/me/a b.sock", "--ServerApp.port=8888"], ("socket", "/home/me/a b.sock")),
        (["--ServerApp.sock=", "--ServerApp.ip=127.0.0.1", "--ServerApp.port=9876"], ("loopback", "127.0.0.1:9876")),
        (["--ServerApp.sock=", "--ServerApp.ip=0.0.0.0", "--ServerApp.port=9876"], ("network", f"{NODE}:9876")),
    ],
    ids=["socket", "loopback", "network"],
)
def test_a_server_is_known_by_its_command_line(options: list[str], endpoint: tuple[str, str]) -> None:
    assert one_server(*options) == {
        "pid": 4711,
        "started": 1795479900,
        "endpoint": dict(zip(("kind", "address"), endpoint, strict=True)),
        "current": True,
        "session": "9.jupyter",
    }


@pytest.mark.parametrize("lock", ["", "garbage", "hydra boot 1 1", "hydra boot x 1", "\0\0\0\0", "hydra boot 4711 1"])
@pytest.mark.parametrize("endpoint", ["", "garbage", "socket", "pipe /x"])
def test_whatever_is_in_a_record_the_server_is_the_same(lock: str, endpoint: str) -> None:
    records = (f"lock\t{coded(lock)}", f"endpoint_record\t{endpoint}", "session_record\t12.other")
    found = one_server("--ServerApp.sock=/f/run/jupyter.sock", records=records)
    assert found == one_server("--ServerApp.sock=/f/run/jupyter.sock")


def test_a_server_of_an_older_version_is_known_by_its_record() -> None:
    records = ("endpoint_record\tloopback 127.0.0.1:9876",)
    assert one_server(records=records)["endpoint"] == {"kind": "loopback", "address": "127.0.0.1:9876"}
    assert one_server()["endpoint"] == {"kind": "socket", "address": "/f/run/jupyter.sock"}


def test_of_two_servers_the_one_that_has_the_lock_counts_and_a_child_is_none() -> None:
    second = coded("python", "/f/serve.py", "--ServerApp.sock=/second")
    records = (
        f"processes\t4712 1 100001 {second} {coded('')}",
        f"processes\t4713 4712 100002 {second} {coded('')}",
        f"lock\t{coded('hydra boot 4712 100001')}",
    )
    assert one_server("--ServerApp.sock=/first", records=records)["pid"] == 4712
    assert one_server("--ServerApp.sock=/first", records=records[:2])["pid"] == 4711


def test_probe_facts_of_a_terminal_s_line_ends() -> None:
    assert probe_facts(probe("user\tme").replace("\n", "\r\n"), mark=MARK, node=NODE)["user"] == "me"


@pytest.mark.parametrize("stdout", ["", "Your account has expired.", f"{MARK} begin\nuser\tme\n"])
def test_a_probe_that_is_not_whole_is_an_error(stdout: str) -> None:
    said = " / ".join(stdout.split("\n")).strip(" /") or "nothing"
    with pytest.raises(AnsibleFilterError) as caught:
        probe_facts(stdout, mark=MARK, node=NODE)
    assert str(caught.value) == (
        "The login shell on the node did not run the probe to its end. Look for a line in ~/.bash_profile or ~/.bashrc "
        "there that starts another shell, waits for an answer, ends this one, or leaves something in the background "
        f"that still prints here. It printed: {said}"
    )


@given(st.text())
def test_whatever_a_login_script_prints_is_ignored(noise: str) -> None:
    assert probe_facts(f"{noise}\n{probe('user' + chr(9) + 'me')}\n{noise}", mark=MARK, node=NODE)["user"] == "me"


@pytest.mark.parametrize(
    ("said", "begins", "ends"),
    [
        ("ssh: connect to host g port 22: Connection refused", "The gateway GATE cannot be reached.", "refused)"),
        ("ssh: Could not resolve hostname g: Name or service not known", "This machine does not find", "not known)"),
        (
            "j@g: Permission denied (publickey).\nConnection closed by UNKNOWN port 65535",
            "The gateway GATE does",
            "key).)",
        ),
        ("j@n: Permission denied (publickey).", "NODE does not let you in, though the gateway did.", "(publickey).)"),
        (
            "channel 0: open failed: connect failed: No route to host",
            "The gateway GATE lets you in",
            "No route to host)",
        ),
        ("Connection to UNKNOWN port 65535 timed out", "The gateway GATE lets you in, but NODE", "timed out)"),
        (
            "channel 0: open failed: administratively prohibited: x",
            "The gateway GATE lets you in, but does not forward",
            "prohibited: x)",
        ),
        ("No key\nHost key verification failed.", "This machine does not know the host key", "verification failed.)"),
        (
            "@@@\n@  WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!  @\nHost key verification failed.",
            "The host key of GATE or NODE is not the one",
            "(ssh: WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!)",
        ),
        (
            "GATE shows the host key ssh-ed25519 SHA256:x, which is not in cluster_host_keys: do not.\nHost key "
            "verification failed.",
            "GATE or NODE does not show the host key that the cluster's inventory file pins",
            "keys: do not.)",
        ),
        (
            "kex_exchange_identification: read: Connection reset by peer\nConnection reset by 192.0.2.1 port 22\n"
            "kex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535",
            "The gateway GATE ends the connection before the login.",
            "(ssh: Connection reset by 192.0.2.1 port 22)",
        ),
        (
            "kex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535",
            "NODE ends the connection before the login.",
            "closed by remote host)",
        ),
        (
            "mux_client_request_session: session request failed: Session open refused by peer",
            "NODE takes no further session",
            "refused by peer)",
        ),
        ("", "The login to NODE through GATE fails.", "(ssh: no message)"),
    ],
)
def test_ssh_failure(said: str, begins: str, ends: str) -> None:
    message = ssh_failure(said, node="NODE", gateway="GATE", log_in="ssh -fN NODE", other_gateways=["OTHER"])
    assert message.startswith(begins)
    assert message.endswith(ends)
    assert "\n" not in message


def test_ssh_failure_names_another_gateway() -> None:
    said = "ssh: connect to host g port 22: Connection refused"
    assert "take another gateway: -e my_gateway=B" in ssh_failure(
        said, node="N", gateway="A", log_in="ssh N", other_gateways=["B", "C"]
    )
    assert "another" not in ssh_failure(said, node="N", gateway="A", log_in="ssh N")


def test_ssh_options_keeps_the_first_of_many() -> None:
    assert ssh_options("user me\nidentityfile ~/.ssh/a\nidentityfile ~/.ssh/b\nhostname h\n") == {
        "user": "me",
        "identityfile": "~/.ssh/a",
        "hostname": "h",
        "proxyjump": "",
        "proxycommand": "",
        "controlpath": "",
    }


@pytest.mark.parametrize(
    ("listing", "holder"),
    [
        ('LISTEN 0 128 127.0.0.1:9876 0.0.0.0:* users:(("nc",pid=4711,fd=3))', "nc (process 4711)"),
        ("LISTEN 0 128 127.0.0.1:9876 0.0.0.0:*", "another program"),
        ("COMMAND PID USER FD\nPython 4711 jane 3u IPv4 0x1 0t0 TCP 127.0.0.1:9876 (LISTEN)", "Python (process 4711)"),
        ("", "another program"),
    ],
)
def test_port_holder(listing: str, holder: str) -> None:
    assert port_holder(listing) == holder


def test_misspelled_names_the_closest() -> None:
    valid = ["my_user", "my_port", "tls_cert_days"]
    assert misspelled(["tls_cert_day", "my_user"], valid) == ["tls_cert_day (did you mean tls_cert_days?)"]
    assert misspelled(["my_usr", "my_favourite_colour"], valid, cutoff=0.8) == ["my_usr (did you mean my_user?)"]
    assert misspelled([], valid) == []
    assert misspelled(["anything"], []) == []


def test_missing_libraries() -> None:
    wanted = {"json": "json", "no_such_module": "a package", "no_such_module.part": "a package", "another_one": "more"}
    assert missing_libraries(wanted) == ["a package", "more"]
    assert missing_libraries({}) == []


FACTS = {
    "server": {
        "pid": "4711",
        "started": 1_790_000_000,
        "endpoint": {"kind": "socket", "address": "/s"},
        "answer": {
            "version": "2.21.0",
            "started": "2026-09-21T14:13:20Z",
            "last_activity": "2026-09-21T15:00:00.123Z",
            "kernels": [
                {"name": "a.ipynb", "state": "idle", "last_activity": "2026-09-21T15:00:00Z"},
                {"name": "b.ipynb", "state": "busy", "last_activity": "2026-09-21T15:00:00Z"},
            ],
            "memory": 300 * 2**20,
            "cpu": 7,
        },
    }
}


def test_status_of_a_running_server() -> None:
    status = status_of(FACTS)
    assert (status["running"], status["pid"], status["endpoint"], status["cpu"]) == (True, "4711", "socket", 7)
    assert status["started"] == "2026-09-21T14:13:20+00:00"


def test_status_of_one_that_does_not_answer() -> None:
    silent = {"server": {**FACTS["server"], "answer": {"error": "TimeoutError: timed out"}}}
    assert status_of(silent)["problem"] == "it does not answer: TimeoutError: timed out"
    assert status_of({"server": {}}) == {"running": False}


def test_status_table() -> None:
    lines = status_table(
        [
            {"cluster": "hydra", "node": "h", "tunnel": True, "certificate": "2027-01-01", **status_of(FACTS)},
            {"cluster": "viper", "node": "viper-i.mpcdf.mpg.de", "running": False},
            {"cluster": "cobra", "node": "c", "problem": "No login (a VPN?): ssh h (ssh: Denied (publickey).)"},
        ],
        now="2026-09-21T16:00:00Z",
    ).splitlines()
    assert lines[0].split() == list(_COLUMNS)
    assert "1 busy, 1 idle" in lines[1]
    assert lines[1].split()[-9:] == ["ago", "300", "MiB", "7", "%", "socket", "open", "2027-01-01", "2.21.0"]
    assert lines[2] == "viper    viper-i.mpcdf.mpg.de  none runs"
    assert lines[3] == "cobra    c                     No login: ssh h"
    assert lines[1].index("since") == lines[2].index("none")


@pytest.mark.parametrize(
    ("asked", "time", "ended", "answered", "said"),
    [
        (100, 100, 100, 100, "as this machine's, to 1 s"),
        # Two seconds on the way there, three for the modules, and fourteen until a busy machine looks at the answer.
        (100, 102, 105, 119, "as this machine's, to 15 s"),
        (100, 160, 161, 101, "59 to 61 s ahead of this machine"),
        (100, 40, 41, 101, "59 to 61 s behind this machine"),
        # The modules took the five seconds, not the way.
        (100, 7300, 7305, 106, "7198 to 7201 s ahead of this machine"),
    ],
    ids=["at once", "busy", "ahead", "behind", "slow modules"],
)
def test_clocks_are_compared_by_what_was_measured_together(
    asked: int, time: int, ended: int, answered: int, said: str
) -> None:
    facts = {"asked": asked, "time": time, "ended": ended, "answered": answered}
    assert clock_difference(facts) == said


@given(st.integers(-100, 100), *[st.floats(0, 50)] * 4)
def test_the_true_difference_is_never_outside(ahead: int, way: float, modules: float, back: float, part: float) -> None:
    begin = 1_000_000 + part
    facts = {
        "asked": int(begin),
        "time": int(begin + way + ahead),
        "ended": int(begin + way + modules + ahead),
        "answered": int(begin + way + modules + back),
    }
    low, high = (int(number) for number in re.findall(r"\d+", "0 " + clock_difference(facts))[-2:])
    assert low <= abs(ahead) <= high
    assert ("behind" in clock_difference(facts)) <= (ahead < 0)
