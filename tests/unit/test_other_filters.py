"""The filters that read what others print, and those that say what others read."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from clock import clock_difference, with_patience
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import validate
from login_node import not_of_digest, probe_facts
from missing_libraries import missing_libraries
from misspelled import misspelled
from patience import seconds
from ssh import port_holder, ssh_failure, ssh_hops, ssh_jumps, ssh_local_port, ssh_tunnel, ssh_way_in
from ssh_look import UNSAID, _own, options_in
from status import _COLUMNS, status_of, status_table
from variables import PROJECT

MARK = "the-mark"


def probe(*lines: str) -> str:
    return "\n".join(["Welcome!", f"{MARK} begin", *lines, f"{MARK} end", "Bye"])


NODE = "hydra08i.example.org"
SCHEMA = (PROJECT / "roles" / "login_node" / "files" / "facts.schema.json").read_text()


def facts_of(stdout: str) -> dict[str, Any]:
    return probe_facts(stdout, mark=MARK, node=NODE, schema=SCHEMA)


def test_probe_facts_are_typed_and_nested() -> None:
    said = {"digests": {"launch": "abc"}, "certificate": "PEM\n", "password_set": True, "of another version": 1}
    facts = facts_of(
        probe(
            "host\thydra08i.example.org",
            "time\t1795480000",
            "modules_failed\t a/1 b/2",
            "python.path\t/opt/python",
            f"facts\t{json.dumps(said)}",
            "what a job of a login script prints\t1",
        )
    )
    assert facts["host"] == "hydra08i.example.org"
    assert facts["time"] == 1795480000
    assert facts["modules_failed"] == ["a/1", "b/2"]
    assert facts["python"] == {"path": "/opt/python"}
    assert facts["password_set"] is True
    assert facts["certificate"] == "PEM\n"
    assert facts["digests"] == {"launch": "abc"}
    assert facts["server"] == {}
    assert set(facts) == set(json.loads(SCHEMA)["properties"])
    validate(facts, json.loads(SCHEMA))


def test_without_any_python_the_shell_says_enough_to_stop_and_remove() -> None:
    facts = facts_of(probe("directory_exists\tyes", "server.pid\t4711", "places\t/tmp/a", "places\t/var/tmp/a"))
    assert (facts["directory_exists"], facts["server"], facts["places"]) == (
        True,
        {"pid": 4711},
        ["/tmp/a", "/var/tmp/a"],
    )
    assert (facts["runs_with"], facts["directory_opens"]) == ("", False)
    assert facts_of(probe("server.pid\t"))["server"] == {}


def test_the_network_s_endpoint_has_the_name_that_the_gateway_knows() -> None:
    server = {"pid": 1, "endpoint": {"kind": "network", "address": "0.0.0.0:9876"}}
    facts = facts_of(probe(f"facts\t{json.dumps({'server': server})}"))
    assert facts["server"]["endpoint"] == {"kind": "network", "address": f"{NODE}:9876"}


def test_probe_facts_of_a_terminal_s_line_ends() -> None:
    assert facts_of(probe("user\tme").replace("\n", "\r\n"))["user"] == "me"


@pytest.mark.parametrize("stdout", ["", "Your account has expired.", f"{MARK} begin\nuser\tme\n"])
def test_a_probe_that_is_not_whole_is_an_error(stdout: str) -> None:
    said = " / ".join(stdout.split("\n")).strip(" /") or "nothing"
    with pytest.raises(AnsibleFilterError) as caught:
        facts_of(stdout)
    assert str(caught.value) == (
        "The login shell on the node did not run the probe to its end. Look for a line in ~/.bash_profile or ~/.bashrc "
        "there that starts another shell, waits for an answer, sets a trap, ends this one, or leaves something in "
        f"the background that still prints here. It printed: {said}"
    )


@given(st.text())
def test_whatever_a_login_script_prints_is_ignored(noise: str) -> None:
    assert facts_of(f"{noise}\n{probe('user' + chr(9) + 'me')}\n{noise}")["user"] == "me"


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
    message = ssh_failure(said, node="NODE", gateways=["GATE"], log_in="ssh -fN NODE", other_gateways=["OTHER"])
    assert message.startswith(begins)
    assert message.endswith(ends)
    assert "\n" not in message


def test_ssh_failure_names_another_gateway() -> None:
    said = "ssh: connect to host g port 22: Connection refused"
    assert "take another gateway: -e my_gateway=B" in ssh_failure(
        said, node="N", gateways=["A"], log_in="ssh N", other_gateways=["B", "C"]
    )
    assert "another" not in ssh_failure(said, node="N", gateways=["A"], log_in="ssh N")


class Laptop:
    """What the real ssh makes of the person's own configuration, with the texts of ours before it."""

    def __init__(self, folder: Path, config: str) -> None:
        self.file, self.config, self.ours = folder / "config", config, ""

    def ssh(self, host: str) -> dict[str, Any]:
        """The options that ssh uses for a host; it sends nothing."""
        self.file.write_text(self.ours + self.config)
        done = subprocess.run(
            ["ssh", "-G", "-F", self.file, "--", host], capture_output=True, text=True, timeout=seconds(10), check=True
        )
        forwards = re.findall(r"^localforward (.*)$", done.stdout, re.MULTILINE)
        return {**options_in(done.stdout), "localforward": forwards}

    def own(self, host: str) -> dict[str, Any]:
        """The options as `ssh_look` has them of the person's own configuration, which may say no user."""
        self.ours, kept = "", self.config
        self.config += UNSAID
        options = _own(self.ssh(host))
        self.config = kept
        return options

    def with_way_in(self, **changed: Any) -> Laptop:
        """As the role ssh_tunnel has it written."""
        given = {
            "nodes": ["node"], "way": "gate", "user": "jane", "port": 0, "control_path": "/ours/%r@%h:%p",
            "persist": "8h", "connect_timeout": 4, "host_keys": {}, "gateways": ["gate"], **changed,
        }  # fmt: skip
        hops = ssh_hops(given.pop("way"))
        hosts = dict.fromkeys([*(hop["host"] for hop in hops), *given.pop("gateways"), *given["nodes"]])
        self.ours = ssh_way_in({host: self.own(host) for host in hosts}, hops=hops, **given)
        return self

    def with_tunnel(self, **changed: Any) -> Laptop:
        """And the tunnel's."""
        self.ours += self.tunnel(**changed)["block"]
        return self

    def tunnel(self, **changed: Any) -> dict[str, Any]:
        """As the filter says it."""
        given = {
            "endpoint": {"host": "node", "kind": "socket", "address": SOCKET}, "hops": [{"host": "gate"}],
            "alias": "jupyter-hydra", "url": "https://localhost:9876", "listen": ["127.0.0.1", "[::1]"],
            "port": 9876, "host_keys": {}, "written": "", "close": ["ssh", "-O", "cancel"], **changed,
        }  # fmt: skip
        return ssh_tunnel({host: self.ssh(host) for host in ("node", "gate")}, **given)


SOCKET = "/home/jane/run/jupyter.sock"
#: Of the node and the gateway, what a login by them needs, where nobody has said anything.
NODE_ALONE = {
    "hostname": "node", "user": "jane", "proxyjump": "gate", "proxycommand": "", "controlmaster": "auto",
    "controlpath": "/ours/jane@node:22", "controlpersist": "28800", "connecttimeout": "none",
    "serveraliveinterval": "15", "serveralivecountmax": "4", "proxyusefdpass": "no", "stricthostkeychecking": "ask",
}  # fmt: skip
GATE_ALONE = {
    **NODE_ALONE, "hostname": "gate", "proxyjump": "", "controlpath": "/ours/jane@gate:22", "connecttimeout": "4",
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "node", "gate"),
    [
        ("", {}, {}),
        ("Host *\n User bob\n", {}, {"user": "bob", "controlpath": "/ours/bob@gate:22"}),
        ("Host gate\n User bob\n Port 2222\n", {}, {"user": "bob", "port": "2222", "controlpath": None}),
        # The person's own way to the node, by whatever it is.
        ("Host node\n ProxyJump bastion\n", {"proxyjump": "bastion"}, {}),
        ("Host node\n ProxyJump gate,bastion\n", {"proxyjump": "gate,bastion"}, {}),
        ("Host node\n ProxyCommand via %h\n", {"proxyjump": "", "proxycommand": "via %h"}, {}),
        (
            "Host node\n ProxyCommand via %h\n ProxyUseFdpass yes\n",
            {"proxyjump": "", "proxycommand": "via %h", "proxyusefdpass": "yes"},
            {},
        ),
        ("Host node\n ProxyJump bastion\nHost *\n ProxyJump out\n", {"proxyjump": "bastion"}, {"proxyjump": "out"}),
        # The way out of this network, which is of all.
        ("Host *\n ProxyCommand out %h\n", {}, {"proxycommand": "out %h"}),
        ("Host *\n ProxyJump out\n", {}, {"proxyjump": "out"}),
        (
            "Host *\n ProxyCommand out %h\n ProxyUseFdpass yes\n",
            {"proxyusefdpass": "no"},
            {"proxycommand": "out %h", "proxyusefdpass": "yes"},
        ),
        ("Host gate\n ProxyJump out\n", {}, {"proxyjump": "out"}),
        ("Host gate\n HostName gate.example.org\n", {}, {"hostname": "gate.example.org", "controlpath": None}),
        ("Host *\n ControlMaster no\n", {}, {}),
        ("Host node\n ControlMaster ask\n", {"controlmaster": "ask"}, {}),
        ("Host gate\n ControlMaster yes\n", {}, {"controlmaster": "true"}),
        ("Host *\n ControlPath none\n", {}, {}),
        ("Host *\n ControlPath /own/%h\n", {"controlpath": "/own/node"}, {"controlpath": "/own/gate"}),
        ("Host gate\n ControlPath /own/%h\n", {}, {"controlpath": "/own/gate"}),
        ("Host *\n ControlPersist no\n", {}, {}),
        ("Host *\n ControlPersist 5m\n", {"controlpersist": "300"}, {"controlpersist": "300"}),
        ("Host node\n ControlPersist yes\n", {"controlpersist": "yes"}, {}),
        ("Host *\n ConnectTimeout 60\n", {"connecttimeout": "60"}, {"connecttimeout": "60"}),
        ("Host *\n ServerAliveCountMax 9\n", {}, {}),
        (
            "Host *\n ServerAliveInterval 60\n ServerAliveCountMax 9\n",
            {"serveraliveinterval": "60", "serveralivecountmax": "9"},
            {"serveraliveinterval": "60", "serveralivecountmax": "9"},
        ),
    ],
)
def test_the_way_in_is_what_the_person_s_own_leaves_out(
    tmp_path: Path, config: str, node: dict[str, str], gate: dict[str, str | None]
) -> None:
    laptop = Laptop(tmp_path, config).with_way_in()
    for host, expected in (("node", {**NODE_ALONE, **node}), ("gate", {**GATE_ALONE, **gate})):
        found = laptop.ssh(host)
        assert {name: found[name] for name, value in expected.items() if value is not None} == {
            name: value for name, value in expected.items() if value is not None
        }


def test_a_jump_hands_over_no_socket_as_the_way_out_does(tmp_path: Path) -> None:
    """An older ssh would wait for one, and the newest does not say."""
    config = "Host *\n ProxyCommand out %h\n ProxyUseFdpass yes\n"
    assert Laptop(tmp_path, config).with_way_in().ours.count("    ProxyUseFdpass no\n") == 1
    assert "ProxyUseFdpass" not in Laptop(tmp_path, config.replace("*", "gate")).with_way_in().ours
    assert "ProxyUseFdpass" not in Laptop(tmp_path, config.replace("*", "node")).with_way_in().ours


def test_without_a_name_of_ours_the_person_s_own_stays(tmp_path: Path) -> None:
    config = "Host node\n User bob\nHost *\n User eve\n"
    laptop = Laptop(tmp_path, config).with_way_in(user="")
    assert [laptop.ssh(host)["user"] for host in ("node", "gate")] == ["bob", "eve"]
    laptop = Laptop(tmp_path, config).with_way_in(user="jane")
    assert [laptop.ssh(host)["user"] for host in ("node", "gate")] == ["jane", "eve"]
    laptop = Laptop(tmp_path, config).with_way_in(user="jane", way=[{"host": "gate", "user": "jdoe"}])
    assert [laptop.ssh(host)["user"] for host in ("node", "gate")] == ["jane", "jdoe"]


def test_a_direct_login_has_no_jump(tmp_path: Path) -> None:
    laptop = Laptop(tmp_path, "").with_way_in(way=[], gateways=[], port=2222)
    found = laptop.ssh("node")
    alone = {
        **NODE_ALONE,
        "proxyjump": "",
        "port": "2222",
        "controlpath": "/ours/jane@node:2222",
        "connecttimeout": "4",
    }
    assert {name: found[name] for name in alone} == alone
    out = Laptop(tmp_path, "Host *\n ProxyJump out\n").with_way_in(way=[], gateways=[])
    assert out.ssh("node")["proxyjump"] == "out"


def test_several_hops_are_gone_in_their_order_each_by_its_own_name_and_port(tmp_path: Path) -> None:
    way: list[Any] = ["first", {"host": "second", "user": "jdoe", "port": 2222}, {"host": "third", "port": "2200"}]
    laptop = Laptop(tmp_path, "Host third\n User eve\nHost *\n ProxyJump out\n").with_way_in(way=way, gateways=[])
    names = ("proxyjump", "user", "port", "connecttimeout")
    assert {host: [laptop.ssh(host)[name] for name in names] for host in ("first", "second", "third", "node")} == {
        "first": ["out", "jane", "22", "4"],
        "second": ["first", "jdoe", "2222", "none"],
        "third": ["second", "eve", "2200", "none"],
        "node": ["third", "jane", "22", "none"],
    }
    own = {host: laptop.own(host) for host in ("first", "second", "third")}
    assert ssh_jumps(ssh_hops(way), own=own, user="jane") == ["jane@first", "jdoe@second:2222", "third:2200"]
    assert ssh_jumps(ssh_hops(way), own=own, user="") == ["first", "jdoe@second:2222", "third:2200"]


def test_of_several_gateways_one_is_on_the_way_and_each_shares_its_connections(tmp_path: Path) -> None:
    laptop = Laptop(tmp_path, "").with_way_in(way="second", gateways=["first", "second", "third"])
    assert laptop.ssh("node")["proxyjump"] == "second"
    for gateway in ("first", "second", "third"):
        found = laptop.ssh(gateway)
        assert (found["proxyjump"], found["controlpath"]) == ("", f"/ours/jane@{gateway}:22")


def test_a_proxy_of_another_gateway_is_not_taken_for_that_of_the_one_on_the_way(tmp_path: Path) -> None:
    config = "Host first node\n ProxyJump out\n"
    laptop = Laptop(tmp_path, config).with_way_in(way="second", gateways=["first", "second"])
    assert laptop.ssh("node")["proxyjump"] == "out"


def test_a_host_that_is_not_ours_is_as_before(tmp_path: Path) -> None:
    laptop = Laptop(tmp_path, "Host *\n User bob\n")
    before = {host: laptop.ssh(host) for host in ("other", "nodes", "node.example.org", "jupyter-viper")}
    keys = {"node": [f"ED25519 {FINGERPRINT}"]}
    laptop.with_way_in(host_keys=keys).with_tunnel(host_keys=keys)
    assert {host: laptop.ssh(host) for host in before} == before


def test_where_ssh_says_nothing_of_an_option_it_is_not_set(tmp_path: Path) -> None:
    """An older one does not know it."""
    own = {host: options_in("hostname h\n") for host in ("gate", "node")}
    text = ssh_way_in(
        own, nodes=["node"], hops=ssh_hops("gate"), user="", port=0, control_path="/c", persist="8h", connect_timeout=4,
        host_keys={},
    )  # fmt: skip
    assert text.splitlines()[1:] == [
        "Host gate",
        '    ControlPath "/c"',
        "Host node",
        "    ProxyJump gate",
        '    ControlPath "/c"',
    ]


FINGERPRINT = "SHA256:" + "Ab1+/" * 8 + "xyz"
ANOTHER = FINGERPRINT.replace("xyz", "abc")


@pytest.mark.parametrize(
    ("keys", "algorithms"),
    [
        ([f"ED25519 {FINGERPRINT}"], "ssh-ed25519"),
        ([f"ECDSA {FINGERPRINT}"], "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521"),
        (
            [f"RSA {FINGERPRINT}", f"ED25519 {ANOTHER}", f"RSA {ANOTHER}"],
            "rsa-sha2-512,rsa-sha2-256,ssh-ed25519",
        ),
    ],
)
@pytest.mark.parametrize("host", ["gate", "node", "jupyter-hydra"])
def test_a_host_that_is_pinned_shows_one_of_its_keys_or_nothing_is_sent(
    tmp_path: Path, keys: list[str], algorithms: str, host: str
) -> None:
    pinned = {"node" if host == "jupyter-hydra" else host: keys}
    own = "Host *\n StrictHostKeyChecking no\n UserKnownHostsFile ~/.ssh/mine\n HostKeyAlgorithms ssh-rsa\n"
    laptop = Laptop(tmp_path, own).with_way_in(host_keys=pinned).with_tunnel(host_keys=pinned)
    found = laptop.ssh(host)
    expected = {
        "stricthostkeychecking": "true", "userknownhostsfile": "none", "globalknownhostsfile": "none",
        "fingerprinthash": "SHA256", "hostkeyalgorithms": algorithms,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    name = "node" if host == "jupyter-hydra" else host
    for fingerprint in (FINGERPRINT, ANOTHER, "SHA256:other", "NONE", "*", ""):
        known = _known(found["knownhostscommand"], fingerprint)
        if any(fingerprint == key.split()[1] for key in keys):
            assert known == (f"{name} ssh-ed25519 AAAA", "")
        elif fingerprint == "NONE":
            assert known == ("", "")
        else:
            assert known[0] == ""
            assert known[1].startswith(
                f"{name} shows the host key ssh-ed25519 {fingerprint}, which is not in cluster_h"
            )
    if host != "jupyter-hydra":
        other = laptop.ssh("gate" if host == "node" else "node")
        assert other["stricthostkeychecking"] == "false"
        assert "knownhostscommand" not in other


def _known(command: str, fingerprint: str) -> tuple[str, str]:
    """Run what ssh runs for the key that a host shows; where there is no terminal."""
    shown = {"%f": fingerprint, "%t": "ssh-ed25519", "%K": "AAAA"}
    words = shlex.split(command)
    # %H is the name that ssh looks for.
    name = re.search(r'say="(\S+) shows', command)
    assert name
    done = subprocess.run(
        [{**shown, "%H": name[1]}.get(word, word) for word in words],
        capture_output=True, text=True, timeout=seconds(10), check=False, start_new_session=True,
    )  # fmt: skip
    return done.stdout.strip(), done.stderr.strip()


def test_a_host_without_keys_is_left_to_the_person_s_known_hosts(tmp_path: Path) -> None:
    laptop = Laptop(tmp_path, "").with_way_in(host_keys={"node": [], "elsewhere": [f"RSA {FINGERPRINT}"]})
    assert "KnownHostsCommand" not in laptop.ours


TUNNEL_ALONE = {
    "hostname": "node", "user": "jane", "port": "22", "proxyjump": "gate", "proxycommand": "", "controlmaster": "auto",
    "controlpath": "/ours/jane@node:22", "exitonforwardfailure": "yes", "clearallforwardings": "no", "tunnel": "false",
    "canonicalizehostname": "true", "localforward": [f"[127.0.0.1]:9876 {SOCKET}", f"[::1]:9876 {SOCKET}"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "told", "expected"),
    [
        ("", {}, {}),
        # As for the real name, whatever `Host *` has; else it would be another connection, which needs a login.
        ("Host node\n Port 2222\nHost *\n Port 7\n", {}, {"port": "2222", "controlpath": "/ours/jane@node:2222"}),
        (
            "Host node\n ProxyJump bastion\nHost *\n ProxyJump out\n",
            {},
            {"proxyjump": "bastion"},
        ),
        ("Host node\n ProxyCommand via %h\n", {}, {"proxyjump": "", "proxycommand": "via %h"}),
        ("Host node\n ControlPath /own/%h\nHost *\n ControlPath /all/%n\n", {}, {"controlpath": "/own/node"}),
        ("Host *\n ControlMaster no\n", {}, {}),
        # What would keep it from what it is for.
        ("Host *\n ClearAllForwardings yes\n ExitOnForwardFailure no\n Tunnel yes\n", {}, {}),
        ("Host *\n RemoteCommand true\n", {}, {"remotecommand": None}),
        # Forwardings of the person's own stay, behind it.
        (
            "Host node\n LocalForward 5000 localhost:5000\n",
            {},
            {"localforward": [*TUNNEL_ALONE["localforward"], "5000 [localhost]:5000"]},
        ),
        ("", {"listen": ["127.0.0.1"]}, {"localforward": [f"[127.0.0.1]:9876 {SOCKET}"]}),
        (
            "",
            {"endpoint": {"host": "node", "kind": "loopback", "address": "127.0.0.1:8888"}, "port": 9999},
            {"localforward": ["[127.0.0.1]:9999 [127.0.0.1]:8888", "[::1]:9999 [127.0.0.1]:8888"]},
        ),
        (
            "",
            {"endpoint": {"host": "node", "kind": "network", "address": "node:8888"}, "listen": ["127.0.0.1"]},
            {
                "hostname": "gate", "proxyjump": "", "controlpath": "/ours/jane@gate:22",
                "localforward": ["[127.0.0.1]:9876 [node]:8888"],
            },
        ),
    ],
)  # fmt: skip
def test_the_tunnel_is_a_way_by_the_connection_of_the_real_name(
    tmp_path: Path, config: str, told: dict[str, Any], expected: dict[str, Any]
) -> None:
    found = Laptop(tmp_path, config).with_way_in().with_tunnel(**told).ssh("jupyter-hydra")
    wanted = {**TUNNEL_ALONE, **expected}
    assert {name: found.get(name) for name in wanted} == wanted


def test_the_tunnel_s_user_is_that_of_the_real_name(tmp_path: Path) -> None:
    config = "Host node\n User bob\nHost *\n User eve\n"
    found = Laptop(tmp_path, config).with_way_in(user="").with_tunnel().ssh("jupyter-hydra")
    assert (found["user"], found["controlpath"]) == ("bob", "/ours/bob@node:22")


def test_the_tunnel_s_block_says_how_it_is_used(tmp_path: Path) -> None:
    text = Laptop(tmp_path, "").with_tunnel().ours
    assert text.startswith("# ssh -N jupyter-hydra, then https://localhost:9876\nHost jupyter-hydra\n")
    # One block, whose end is the end of its lines.
    assert len(re.findall(r"^\S", text, re.MULTILINE)) == 2
    assert text.endswith("\n")


CONTROL = ["ssh", "-F", "none", "-S", "/ours/jane@node:22", "-O"]
FORWARD = ["-L", f"127.0.0.1:9876:{SOCKET}", "-L", f"[::1]:9876:{SOCKET}", "node"]


def test_the_tunnel_is_opened_through_the_connection_s_socket_alone(tmp_path: Path) -> None:
    laptop = Laptop(tmp_path, "").with_way_in()
    tunnel = laptop.tunnel()
    assert (tunnel["is_written"], tunnel["open"]) == (False, [[*CONTROL, "forward", *FORWARD]])
    assert tunnel["cancel"] == [*CONTROL, "cancel", *FORWARD]
    # In front of a node whose network sees the server, it ends at the last of the hosts on the way, or at the node.
    network = {"host": "node", "kind": "network", "address": "node:8888"}
    assert laptop.tunnel(endpoint=network)["open"][0][-1] == "gate"
    assert laptop.tunnel(endpoint=network, hops=[])["open"][0][-1] == "node"


def test_a_tunnel_from_the_same_port_to_another_endpoint_is_closed_first(tmp_path: Path) -> None:
    laptop = Laptop(tmp_path, "").with_way_in()
    other = {"host": "node", "kind": "loopback", "address": "127.0.0.1:8888"}
    written = f"# Some.\n{laptop.tunnel(endpoint=other)['block']}"
    assert ssh_local_port(written, "jupyter-hydra") == "9876"
    assert [ssh_local_port(text, "jupyter-hydra") for text in ("", written.replace("-hydra", "-hydra2"))] == ["", ""]
    opened = [*CONTROL, "forward", *FORWARD]
    assert laptop.tunnel(written=written)["open"] == [["ssh", "-O", "cancel"], opened]
    # From another port, that one is closed once this is open.
    assert laptop.tunnel(written=written.replace("9876", "9877"))["open"] == [opened]
    again = laptop.tunnel(written=f"# Some.\n{laptop.tunnel()['block']}")
    assert (again["is_written"], again["open"]) == (True, [opened])


@pytest.mark.parametrize(
    ("listing", "holder"),
    [
        ('LISTEN 0 128 127.0.0.1:9876 0.0.0.0:* users:(("nc",pid=4711,fd=3))', "nc (process 4711)"),
        ("LISTEN 0 128 127.0.0.1:9876 0.0.0.0:*", "another program"),
        ("COMMAND PID USER FD\nPython 4711 jane 3u IPv4 0x1 0t0 TCP 127.0.0.1:9876 (LISTEN)", "Python (process 4711)"),
        ("", ""),
        ("ssh: Master running (pid=41)\n", ""),
        ("ssh: Master running (pid=41)\nLISTEN 0 128 127.0.0.1:9876 0.0.0.0:*\n", "another program"),
        (
            'ssh: Master running (pid=41)\nLISTEN 0 128 127.0.0.1:9876 0.0.0.0:* users:(("ssh",pid=41,fd=5))\n',
            "that connection",
        ),
        (
            'ssh: Master running (pid=4)\nLISTEN 0 128 [::1]:9876 [::]:* users:(("python3",pid=41,fd=5))\n',
            "python3 (process 41)",
        ),
        ("ssh: Master running (pid=41)\nCOMMAND PID USER\nssh 41 jane 5u IPv4\n", "that connection"),
    ],
)
def test_port_holder(listing: str, holder: str) -> None:
    assert port_holder(listing) == holder


def test_misspelled_names_the_closest() -> None:
    valid = ["my_user", "my_port", "tls_cert_days"]
    assert misspelled(["tls_cert_day", "my_user"], valid) == ["tls_cert_day (did you mean tls_cert_days?)"]
    assert misspelled(["my_usr", "my_favourite_colour"], valid, cutoff=0.8) == ["my_usr (did you mean my_user?)"]
    # Two letters that have changed places, in a name that is short.
    assert misspelled(["my_prot", "my_part"], valid, cutoff=0.8) == ["my_prot (did you mean my_port?)"]
    assert misspelled([], valid) == []
    renamed = {"tls_cert_life": "tls_cert_days", "my_user": "my_name"}
    assert misspelled(["tls_cert_life", "my_user"], valid, renamed=renamed) == [
        "tls_cert_life (it is tls_cert_days now)"
    ]
    assert misspelled(["anything"], []) == []


def test_missing_libraries() -> None:
    wanted = {"json": "json", "no_such_module": "a package", "no_such_module.part": "a package", "another_one": "more"}
    assert missing_libraries(wanted) == ["a package", "more"]
    assert missing_libraries({}) == []


FACTS: dict[str, Any] = {
    "password_set": True,
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
    },
    "left_kernels": [],
    "job": {},
}


def test_status_of_a_running_server() -> None:
    status = status_of(FACTS)
    assert (status["running"], status["pid"], status["endpoint"], status["cpu"]) == (True, "4711", "socket", 7)
    assert status["started"] == "2026-09-21T14:13:20+00:00"


def test_status_of_one_that_nobody_can_log_in_to() -> None:
    assert status_of({**FACTS, "password_set": False})["problem"] == "nobody can log in: playbooks/password.yml"
    assert "problem" not in status_of(FACTS)


def test_status_of_one_that_does_not_answer() -> None:
    silent = {**FACTS, "server": {**FACTS["server"], "answer": {"error": "TimeoutError: timed out"}}}
    assert status_of(silent)["problem"] == "it does not answer: TimeoutError: timed out"
    assert status_of({"server": {}, "left_kernels": [], "elsewhere": "", "job": {}}) == {"running": False}
    assert status_of({"server": {}, "left_kernels": [7], "elsewhere": "", "job": {}}) == {
        "running": False,
        "left_kernels": [7],
    }
    assert status_of({"server": {}, "left_kernels": [], "elsewhere": "h2", "job": {}}) == {
        "running": False,
        "elsewhere": "h2",
    }


def test_status_table() -> None:
    lines = status_table(
        [
            {"cluster": "hydra", "node": "h", "tunnel": True, "certificate": "2027-01-01", **status_of(FACTS)},
            {"cluster": "viper", "node": "viper-i.mpcdf.mpg.de", "running": False},
            {"cluster": "cobra", "node": "c", "problem": "No login (a VPN?): ssh h (ssh: Denied (publickey).)"},
            {"cluster": "raven", "node": "r", "running": False, "left_kernels": [7, 8]},
            {"cluster": "raven", "node": "r2", "running": False, "elsewhere": "r1"},
        ],
        now="2026-09-21T16:00:00Z",
    ).splitlines()
    assert lines[0].split() == list(_COLUMNS)
    assert "1 busy, 1 idle" in lines[1]
    assert lines[1].split()[-9:] == ["ago", "300", "MiB", "7", "%", "socket", "open", "2027-01-01", "2.21.0"]
    assert lines[2] == "viper    viper-i.mpcdf.mpg.de  none runs"
    assert lines[3] == "cobra    c                     No login: ssh h"
    assert lines[4] == "raven    r                     none runs; one was killed, and left process 7, 8"
    assert lines[5] == "raven    r2                    on r1, not looked at"
    assert lines[1].index("since") == lines[2].index("none")


#: As the probe says it; times are seconds since 1970.
JOB: dict[str, Any] = {
    "number": 7, "state": "running", "asked": ["--time=2:00:00"], "host": "co001", "partition": "batch",
    "reason": "None", "start": 1790000000, "end": 1790007200, "why": "", "lock": "co001 b 1 2", "relay": True,
}  # fmt: skip


def test_status_of_a_server_in_a_job() -> None:
    status = status_of({**FACTS, "job": JOB})
    assert status["running"]
    assert status["job"] == {
        "number": 7, "state": "running", "asked": ["--time=2:00:00"], "host": "co001", "partition": "batch",
        "reason": "None", "start": "2026-09-21T14:13:20+00:00", "end": "2026-09-21T16:13:20+00:00",
    }  # fmt: skip
    host = {"cluster": "hydra", "node": "h", "tunnel": True, "certificate": "2027-01-01", **status}
    assert "(co001, job 7, 0:13 left)" in status_table([host], now="2026-09-21T16:00:00Z")
    suspended = {**host, "job": {**status["job"], "suspended": True}}
    assert "job 7, 0:13 left, suspended)" in status_table([suspended], now="2026-09-21T16:00:00Z")
    silent = {**host, "job": {**status["job"], "state": "unknown"}}
    assert "job 7, 0:13 left, Slurm does not answer)" in status_table([silent], now="2026-09-21T16:00:00Z")


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ({"state": "pending", "reason": "Resources"}, "job 7 waits: Resources"),
        ({"state": "starting"}, "job 7 starts"),
        ({"state": "ending"}, "job 7 ends"),
        ({"state": "ended", "why": "DUE TO TIME LIMIT"}, "none runs; job 7 has ended (DUE TO TIME LIMIT)"),
        ({"state": "ended", "why": ""}, "none runs; job 7 has ended"),
        ({"state": "unknown", "why": "no answer"}, "job 7: Slurm does not answer"),
    ],
)
def test_status_of_a_job_without_a_server(job: dict[str, Any], said: str) -> None:
    facts = {"server": {}, "left_kernels": [], "elsewhere": "", "job": {"number": 7, **job}}
    table = status_table([{"cluster": "hydra", "node": "h", **status_of(facts)}])
    assert table.splitlines()[1] == f"hydra    h     {said}"


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


@pytest.mark.parametrize(
    ("digests", "chosen"),
    [
        ({}, ["launch", "config.py", "empty"]),
        ({"launch": "x", "config.py": "é"}, ["empty"]),
        ({"launch": "x", "config.py": "é", "empty": ""}, []),
        ({"launch": "é", "config.py": "é", "empty": "", "of the user's": "z"}, ["launch"]),
    ],
)
def test_what_the_node_has_otherwise_is_chosen(digests: dict[str, str], chosen: list[str]) -> None:
    files = {"launch": "x", "config.py": "é", "empty": ""}
    there = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in digests.items()}
    assert not_of_digest(files, there) == {name: files[name] for name in chosen}
    assert list(not_of_digest(files, there)) == chosen


@pytest.mark.parametrize(
    ("usual", "patience", "whole"),
    [
        (7, 1, 7),
        (7, "1.05", 8),
        (60.5, 2, 121),
        (5, "5", 25),
        # Refused a moment later, by the check that needs a limit itself.
        (7, "often", 7),
        (7, None, 7),
        (7, [], 7),
        (7, "nan", 7),
        (7, "inf", 7),
    ],
)
def test_a_wait_is_so_much_longer(usual: float, patience: Any, whole: int) -> None:
    assert with_patience(usual, patience) == whole
