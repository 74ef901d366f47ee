"""Whatever somebody sets an option to is refused in one line, or stands in the files exactly as it was given."""

from __future__ import annotations

import ast
import functools
import json
import math
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import filter_loader, init_plugin_loader
from ansible.template import Templar, trust_as_template
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from jinja2 import Environment
from laptop_files import with_block, with_first_line
from patience import seconds
from refusals import refusals
from variables import PROJECT

ROLES = ("ssh_config", "ssh_connection", "ssh_tunnel", "login_node", "jupyter_config", "tls_cert", "screen_session")
NODE = "hydra08i.example.org"
# What a task on the node knows by then.
FACTS = {
    "host": NODE, "user": "jane", "home": "/home/jane", "directory": "/home/jane/.jupyter-cluster/hydra08i",
    "directory_exists": True, "time": 1, "modules_failed": [], "jupyter": "/opt/jupyter", "screen": "/usr/bin/screen",
    "openssl": "/usr/bin/openssl", "python": {"path": "/opt/python3", "version": "3.12.0"},
    "packages": {"jupyter_server": "2.17.0", "jupyterlab": "4.5.0"}, "sessions": [], "session_ours": "", "private": 3,
    "place": "/tmp/jupyter-cluster-2001", "root": "/home/jane", "root_exists": True, "unwritable": "",
    "digests": {}, "password_set": True, "certificate": "", "ca": "", "key_digest": "", "server": {},
}  # fmt: skip
ENDPOINT = {"host": "{{ inventory_hostname }}", "kind": "socket", "address": "/home/jane/run/jupyter.sock"}
# What ssh says of a host of which the person's own ssh_config says nothing.
NOTHING_SAID = {
    "controlmaster": "false", "controlpersist": "no", "connecttimeout": "none", "serveraliveinterval": "0",
    "proxyusefdpass": "no", "proxyjump": "", "proxycommand": "", "controlpath": "", "user": "",
}  # fmt: skip
# And with ours.
SAID_WITH_OURS = {
    "hostname": NODE, "user": "jane", "port": "22", "proxyjump": "gate.example.org", "proxycommand": "",
    "controlmaster": "auto", "controlpath": "/home/jane/cm/x", "proxyusefdpass": "no",
}  # fmt: skip
# What ssh_look has seen, of hosts whose names are options, too.
SEEN = {
    "states": "{{ dict([[inventory_hostname, 'open']]) }}",
    "own": "{{ dict((ssh_config_route.gateways + [inventory_hostname]) | product([nothing_said])) }}",
    "now": "{{ dict(([inventory_hostname] + ssh_config_route.gateways) | product([said_with_ours])) }}",
    "options": [], "version": "9.9", "mistake": "", "problem": "", "slow": 0,
}  # fmt: skip
KEY = f"ED25519 SHA256:{'x' * 43}"
# What somebody has set, beside the option that a test is about: the least that there is.
SET = ("cluster_name", "cluster_gateway", "cluster_port", "inventory_hostname")

# Texts that mean something to ssh, a shell, Python, Jinja, a path or a terminal.
HOSTILE = (
    "\nProxyCommand touch canary", "\n", "\r", "\t", "\0", "\x1b[2K", "\x85", "\u2028", "\u202e", " ", "  x", "é", "💥",
    "٣", "{{ 7*7 }}", "{% raw %}", "{# #}", "$(touch canary)", "`touch canary`", ";touch canary", "&", "|", ">canary",
    "'", '"', "\\", "\\n", "#", "%h", "%", "${HOME}", "$HOME", "*", "?", "[a]", "!x", "-oProxyCommand=x", "~", "~/x",
    "~root/x", "~nosuchuser/x", "..", "/", "none", "None", "yes", "true", "0", "007", "1e9", "1_000", "nan", "-1", "=",
    ":", "x" * 300,
)  # fmt: skip
# What is no text.
OTHERS: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    7,
    1.5,
    float("nan"),
    float("inf"),
    10**30,
    [],
    {},
    [[]],
    [None],
    ["a", 1],
    {"a": 1},
)


@pytest.fixture(scope="module", autouse=True)
def _compiled_once() -> Iterator[None]:
    """Ansible compiles each template each time, which is most of what this test would do."""
    compiled, kept = Environment.compile, {}

    def compile_once(self: Environment, source: Any, *more: Any) -> Any:
        if not isinstance(source, str):
            return compiled(self, source, *more)
        key = (source, more, self.trim_blocks, self.lstrip_blocks, self.keep_trailing_newline)
        if key not in kept:
            kept[key] = compiled(self, source, *more)
        return kept[key]

    with mock.patch.object(Environment, "compile", compile_once):
        yield


def load(path: Path) -> Any:
    """What Ansible makes of a file of ours, templates and all."""
    return _loader().load_from_file(str(path), trusted_as_template=True) if path.exists() else {}


@functools.cache
def _loader() -> DataLoader:
    init_plugin_loader()
    filter_loader.add_directory(str(PROJECT / "filter_plugins"))
    return DataLoader()


@functools.cache
def world() -> dict[str, Any]:
    """All variables of a run that has come as far as the node."""
    found = {"role_path": str(PROJECT / "roles" / "preflight"), **load(PROJECT / "group_vars" / "all" / "ansible.yml")}
    for role in ROLES:
        found |= load(PROJECT / "roles" / role / "defaults" / "main.yml")
    for role in (*ROLES, "preflight"):
        found |= load(PROJECT / "roles" / role / "vars" / "main.yml")
    # The same at each example, and slow to read.
    for name in ("__preflight_options", "__preflight_bounds", "__preflight_inventory_bounds"):
        found[name] = evaluate(f"{{{{ {name} }}}}", found)
    return found | {
        "inventory_hostname": NODE, "groups": {"all": [NODE]}, "ansible_check_mode": False,
        "ansible_version": {"full": "2.19.0"},
        "ansible_playbook_python": "/opt/bin/python", "ansible_inventory_sources": ["inventory/hydra.yml"],
        "ansible_search_path": [str(PROJECT / "roles" / role) for role in ROLES],
        "cluster_name": "hydra", "cluster_gateway": "gate.example.org", "cluster_port": 9876,
        "ssh_tunnel_ca": "/home/jane/ca.crt", "login_node_facts": FACTS, "ssh_config_written": "",
        "nothing_said": NOTHING_SAID, "said_with_ours": SAID_WITH_OURS, "ssh_connection_seen": templates(SEEN),
        "ssh_tunnel_endpoint": templates(ENDPOINT), "screen_session_endpoint": templates(ENDPOINT),
    }  # fmt: skip


def templates(texts: dict[str, Any]) -> dict[str, Any]:
    """The same, and Ansible takes its templates for such."""
    return {key: trust_as_template(text) if isinstance(text, str) else text for key, text in texts.items()}


def evaluate(template: str, variables: dict[str, Any]) -> Any:
    return Templar(loader=_loader(), variables=variables).template(trust_as_template(template))


def run_with(**given: Any) -> dict[str, Any]:
    """All variables of a run for which somebody has set some options."""
    node = given.get("inventory_hostname", NODE)
    return {**world(), **given, "hostvars": {node: dict.fromkeys([*SET, *given], "")}}


@functools.cache
def message() -> str:
    """What the one task says that refuses values."""
    (task,) = load(PROJECT / "roles" / "preflight" / "tasks" / "values.yml")
    assert task["when"] == "__preflight_refused | length > 0"
    return str(task["ansible.builtin.fail"]["msg"])


def refusal(**given: Any) -> list[str]:
    """What a run would say, a line for each problem."""
    scope = run_with(**given)
    refused = evaluate("{{ __preflight_refused }}", scope)
    if not refused:
        return []
    # It is worked out once: that takes its time.
    said = evaluate(message(), {**scope, "__preflight_refused": refused})
    assert said == (refused[0] if len(refused) == 1 else refused)
    return [str(line) for line in refused]


def options() -> dict[str, dict[str, Any]]:
    return {str(name): dict(spec) for name, spec in world()["__preflight_options"].items()}


def bounds() -> dict[str, dict[str, Any]]:
    """What is said of each option, also where it is said by another's name."""
    said = dict(world()["__preflight_bounds"])
    return {str(name): dict(said[own] if isinstance(own, str) else own) for name, own in said.items()}


def test_every_option_is_bounded() -> None:
    """And every bound is of something that is read."""
    secret = {name for name, option in options().items() if option.get("no_log")}
    ansible = {name for name in bounds() if name.startswith("ansible_")}
    assert set(bounds()) - ansible - {"inventory_hostname"} == set(options()) - secret
    for name, bound in bounds().items():
        kind, choices = options().get(name, {"type": "str"})["type"], options().get(name, {}).get("choices")
        if "only" in bound:
            assert name in ansible, name
        elif name != "ansible_ssh_timeout" and kind in ("str", "list", "dict") and not choices:
            assert "form" in bound, name
            assert kind != "dict" or "keys" in bound or "options" in options()[name], name
        elif kind in ("int", "float"):
            assert bound["least"] < bound["most"], name


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ({"type": "str"}, "jane", ""),
        ({"type": "str"}, "jane\n", 'it is "jane\\n": it has another form.'),
        ({"type": "str"}, "Jane", 'it is "Jane": it has another form.'),
        ({"type": "str"}, 12, "it is 12: it is text, so write it in quotes."),
        ({"type": "str"}, None, "it has no value: give it one, or leave it out."),
        ({"type": "str", "choices": ["a", "b"]}, ["a"], 'it is ["a"]: it is a or b.'),
        ({"type": "int"}, "7", ""),
        ({"type": "int"}, "07", 'it is "07": it is a number of days from 2 to 9.'),
        ({"type": "int"}, True, "it is true: it is a number of days from 2 to 9."),
        ({"type": "int"}, 7.0, "it is 7.0: it is a number of days from 2 to 9."),
        ({"type": "float"}, 2.5, ""),
        ({"type": "float"}, float("nan"), "it is NaN: it is a number of days from 2 to 9."),
        ({"type": "bool"}, "no", ""),
        ({"type": "list", "elements": "str"}, "jane", 'it is "jane": it is a list.'),
        ({"type": "list", "elements": "str"}, ["jane", "b\n"], 'it has "b\\n": it is a list.'),
        ({"type": "dict"}, {"host": ["a"], "b": "a"}, 'it has "b": "a".'),
        ({"type": "dict"}, {"host\n": ["a"]}, 'it has "host\\n": ["a"].'),
        ({"type": "dict"}, [], "it is []: it is a dictionary."),
    ],
)
def test_refusals(option: dict[str, Any], value: Any, message: str) -> None:
    bound = {"form": "[a-z]+", "keys": "[a-z]+", "least": 2, "most": 9, "unit": "days"}
    assert refusals({"it": value}, {"it": option}, {"it": bound}) == ([message] if message else [])
    assert refusals({}, {"it": option}, {"it": bound}) == []
    # By the name of another option, and without its name for people and its remedy.
    bounds = {"other": {**bound, "called": "The other", "remedy": "Do."}, "it": "other"}
    assert refusals({"it": value}, {"it": option, "other": option}, bounds) == ([message] if message else [])


def test_where_nothing_more_is_set_nothing_is_refused() -> None:
    assert refusal() == []


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        ({"my_usr": "jane"}, ["Unknown: my_usr (did you mean my_user?). Correct it where it is set: "]),
        ({"ssh_tunnel_state": "absent"}, ["Unknown: ssh_tunnel_state (did you mean ssh_tunnel_"]),
        ({"screen_session_restart": True}, ["Unknown: screen_session_restart (it is my_restart now). Correct it "]),
        ({"screen_session_state": "restarted"}, ["Unknown: screen_session_state (it is my_restart now). Correct it "]),
        # What roles tell each other is set by nobody.
        ({"ssh_config_include": "Host *"}, ["Unknown: ssh_config_include (a role sets it by itself). Correct it "]),
        ({"__ssh_config_control_path": "x\ny"}, ["Unknown: __ssh_config_control_path (a role sets it by itself). "]),
        # A group's own, which is like none of ours.
        ({"my_favourite_colour": "green"}, []),
        ({"my_user": "a b", "my_port": 80}, ['my_user is "a b": ', "The local port is 80: "]),
        ({"my_usr": "jane", "my_port": 80}, ["Unknown: my_usr ", "The local port is 80: "]),
        # The inventory's own alone: what the roles make of it would be wrong by that.
        ({"my_port": 80, "tls_cert_days": 1}, ["The local port is 80: "]),
        ({"tls_cert_days": 1, "ssh_config_persist": "x"}, ['ssh_config_persist is "x": ', "tls_cert_days is 1: "]),
        # What would lead Ansible alone elsewhere; of a name that Ansible has by two, the one that was set.
        ({"ansible_user": "bob", "ansible_port": 22}, ["ansible_user (or -u", "ansible_port (or remote_port "]),
        ({"ansible_ssh_user": "bob"}, ['ansible_ssh_user is "bob": Ansible alone would go by that, and ']),
        ({"ansible_user": "", "ansible_connection": "smart", "ansible_become": False}, []),
        ({"ansible_ssh_common_args": "-J other"}, ["ansible_ssh_common_args is set, "]),
        ({"my_gateway": "other"}, ['my_gateway is "other", and hydra has gate.example.org. Choose one of them']),
        ({"my_gateway": "other", "cluster_other_gateways": ["other"]}, []),
        ({"cluster_host_keys": {"other": [KEY]}}, [f'cluster_host_keys has "other": ["{KEY}"]. Write a gateway or ']),
        ({"cluster_host_keys": {NODE: [KEY], "gate.example.org": [KEY]}}, []),
        ({"my_aliases": ["fish"]}, ["my_aliases has fish, and there is no folder /none/fish: start fish once, or "]),
        ({"my_folder": f"/{'x' * 60}"}, [f"The folder /{'x' * 60} has too long a name for the sockets"]),
        ({"my_folder": f"/{'é' * 30}"}, [f"The folder /{'é' * 30} has too long a name for the sockets"]),
        ({"my_folder": "/short"}, []),
        ({"my_password": "sesame"}, ["The password "]),
        ({"my_password": "long enough for anybody"}, []),
        ({"tls_cert_renew_days": 30, "tls_cert_days": 30}, ["tls_cert_renew_days is 30 and tls_cert_days is 30: "]),
        ({"tls_cert_renew_days": "29", "tls_cert_days": "30"}, []),
        (
            {"my_gateway": "other", "my_password": "sesame", "tls_cert_days": 20},
            ['my_gateway is "other"', "The password ", "tls_cert_renew_days is 30 and tls_cert_days is 20: "],
        ),
    ],
)
def test_each_problem_is_a_line(monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], lines: list[str]) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/none")
    said = refusal(**given)
    assert [line[: len(begin)] for line, begin in zip(said, lines, strict=True)] == lines
    assert "sesame" not in "".join(said)


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        ({}, []),
        ({"my_user": "a b"}, ['my_user is "a b": ']),
        ({"my_user": "a b", "my_port": 80}, ['my_user is "a b": ', "The local port is 80: "]),
        # The rest may come of it.
        ({"ansible_version": {"full": "2.18.0"}, "my_port": 80}, ["This is ansible-core 2.18.0, and 2.19 or newer, "]),
        ({"ansible_play_hosts_all": [NODE, "another"], "my_port": 80}, ["The local port is 80: "]),
        # Of several nodes, the first one says it.
        ({"ansible_play_hosts_all": ["another", NODE], "my_port": 80}, []),
    ],
)
def test_the_one_task_of_a_verb_says_what_is_wrong_with_the_machine_the_choice_or_the_values(
    given: dict[str, Any], lines: list[str]
) -> None:
    (task,) = load(PROJECT / "roles" / "preflight" / "tasks" / "main.yml")
    scope = {"ansible_play_hosts_all": [NODE], **run_with(**given)}
    scope["hostvars"] = {host: {**scope["hostvars"][NODE], "cluster_name": "hydra"} for host in (NODE, "another")}
    scope |= task["vars"]
    assert bool(evaluate(f"{{{{ {task['when']} }}}}", scope)) == bool(lines)
    if lines:
        said = evaluate(task["ansible.builtin.fail"]["msg"], scope)
        said = [said] if isinstance(said, str) else said
        assert [line[: len(begin)] for line, begin in zip(said, lines, strict=True)] == lines


@pytest.mark.parametrize("restarts", [True, False])
@pytest.mark.parametrize("by", ["my_restart", "jupyter_config_restarts"])
@pytest.mark.parametrize("running", [True, False])
def test_a_server_is_restarted_where_its_new_endpoint_counts(running: bool, by: str, restarts: bool) -> None:
    """One switch decides both: else the tunnel would lead to where nobody listens."""
    (task,) = load(PROJECT / "roles" / "screen_session" / "tasks" / "main.yml")
    old = {"kind": "loopback", "address": "127.0.0.1:1"}
    server = {"pid": "7", "current": True, "endpoint": old} if running else {}
    scope = {**run_with(**{by: restarts}), "login_node_facts": {**FACTS, "server": server}, **task["vars"]}
    # What the playbook `restart` says, and a run that has written other files.
    scope["screen_session_outdated"] = True
    kind = evaluate("{{ jupyter_config_endpoint.kind }}", scope)
    assert evaluate(f"{{{{ {task['when']} }}}}", scope) is True
    step = evaluate("{{ __screen_session_step }}", scope)
    assert (step, kind) == (
        ("start", "socket") if not running else ("restart", "socket") if restarts else ("outdated", "loopback")
    )


@pytest.mark.parametrize(
    ("seen", "keys", "lines"),
    [
        ({}, {}, []),
        ({}, {NODE: [KEY]}, []),
        ({"version": "8.5"}, {NODE: [KEY]}, []),
        (
            {"version": "8.4"},
            {NODE: [KEY]},
            ["This machine's OpenSSH is 8.4, and cluster_host_keys needs 8.5 or newer."],
        ),
        ({"version": ""}, {}, []),
        ({"mistake": "line 1: Bad"}, {}, ["ssh does not understand your ssh_config. Correct it: line 1: Bad"]),
        ({"problem": "none"}, {}, ["This machine's ssh does not run: none. Install OpenSSH, or mend your PATH."]),
        pytest.param(
            {"problem": "none", "version": ""},
            {NODE: [KEY]},
            ["This machine's ssh does not run: none. Install OpenSSH, or mend your PATH."],
        ),
    ],
)
def test_of_an_ssh_that_does_not_serve_the_cause_is_said_first(
    seen: dict[str, str], keys: dict[str, list[str]], lines: list[str]
) -> None:
    scope = {**run_with(cluster_host_keys=keys), "ssh_connection_seen": {**templates(SEEN), **seen}}
    said = evaluate("{{ __ssh_connection_unusable }}", scope)[:1]
    assert [line[: len(begin)] for line, begin in zip(said, lines, strict=True)] == lines


def read_ssh(text: str, folder: Path) -> Any:
    """What ssh makes of the blocks, for each host in them."""
    return {host: _ssh(text, host, folder) for host in re.findall(r"^Host (.*)$", text, re.M)}


@functools.cache
def _ssh(text: str, host: str, folder: Path) -> tuple[str, ...]:
    (folder / "rendered").write_text(text)
    done = subprocess.run(
        ["ssh", "-G", "-F", folder / "rendered", "--", host],
        capture_output=True,
        text=True,
        timeout=seconds(10),
        check=True,
    )
    return tuple(done.stdout.splitlines())


@functools.cache
def read_include(line: str, folder: Path) -> Any:
    """The file that ssh reads, or would, for that line of the person's ssh_config."""
    (folder / "including").write_text(f"{line}\n")
    done = subprocess.run(
        ["ssh", "-v", "-G", "-F", folder / "including", "host"],
        capture_output=True,
        text=True,
        timeout=seconds(10),
        check=True,
    )
    said = re.findall(
        r"^debug1: (?:Reading .* data|.* line 1: include) (.*?)(?: matched no files)?$", done.stderr, re.M
    )
    # What is not ASCII, it shows by numbers.
    return [path.encode().decode("unicode_escape").encode("latin-1").decode() for path in said[1:]]


def read_python(text: str) -> Any:
    """Its constants, and all the rest."""
    tree = ast.parse(text)
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    values = [node.value for node in constants]
    for node in constants:
        node.value = None
    return [values, ast.dump(tree)]


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize(
    ("config", "counts"),
    [
        ("LINE", True),
        ("# Host x\nHostname x\n  LINE \nHost x\n", True),
        ("Host x\nLINE\n", False),
        ("\tmatch = host x\n\tPort 22\nLINE\n", False),
        # ssh knows no line end but this one.
        ("# \u2028LINE\n", False),
        ("", False),
    ],
)
def test_the_way_in_is_complete_only_where_the_line_counts(tmp_path: Path, config: str, counts: bool, end: str) -> None:
    """As `laptop_files` sees it, too: else each run would write, or none."""
    chosen = {"ssh_config_user_config": str(tmp_path / "config"), "ssh_config_directory": "/home/jane/ours"}
    line = str(evaluate("{{ ssh_config_include }}", run_with(**chosen)))
    text = config.replace("LINE", line).replace("\n", end)
    (tmp_path / "config").write_bytes(text.encode())
    variables = run_with(**chosen)
    assert evaluate("{{ ssh_config_included }}", variables) is counts
    below = str(evaluate("{{ __ssh_config_include_line.below }}", variables))
    assert (with_first_line(text, line, True, below) == text) == counts


@pytest.mark.parametrize(
    "path",
    sorted([*PROJECT.glob("inventory/*.yml"), *PROJECT.glob("examples/clusters/*.yml")]),
    ids=lambda path: path.stem,
)
def test_no_sample_of_a_cluster_is_refused(path: Path) -> None:
    (cluster,) = load(path).values()
    nodes = list(cluster["hosts"])
    given = {**cluster["vars"], "inventory_hostname": nodes[0], "groups": {"all": nodes}}
    assert refusal(**given) == []


def test_pins_that_are_taken_back_are_written_anew(tmp_path: Path) -> None:
    """The blocks without them are the beginning of those with them."""
    (tmp_path / "cm").mkdir()
    chosen = {"ssh_config_user_config": str(tmp_path / "config"), "ssh_config_directory": str(tmp_path)}
    (tmp_path / "config").write_text(f"{evaluate('{{ ssh_config_include }}', run_with(**chosen))}\n")

    def complete(written: str, **given: Any) -> bool:
        return bool(
            evaluate("{{ ssh_config_complete }}", {**run_with(**chosen, **given), "ssh_config_written": written})
        )

    pins = {"cluster_host_keys": {NODE: [KEY]}}
    pinned = evaluate("{{ __ssh_config_blocks }}", run_with(**chosen, **pins))
    written = with_block("", "hydra, the way in", "Ours.", pinned)
    assert complete(written, **pins)
    assert not complete(written)


@functools.cache
def read_shell(text: str) -> Any:
    """Its words, once bash has taken it for a script."""
    subprocess.run(["bash", "-n"], input=text, text=True, timeout=seconds(10), check=True)
    return shlex.split(text, comments=True)


@functools.cache
def read_probe(text: str) -> Any:
    """What the program on the node is told, and what is done before to get to Jupyter, once bash has read it."""
    before = '"${module_paths[@]}" - "${modules[@]}" - "$own_environment" "${setup_lines[@]}"'
    show = f'\nprintf "%s\\n" {before}; printf %s "$sent"'
    done = subprocess.run(["bash", "-c", text + show], capture_output=True, text=True, timeout=seconds(10), check=True)
    *led_by, sent = done.stdout.split("\n")
    return [led_by, json.loads(sent)]


def rendered(path: Path, variables: dict[str, Any]) -> str:
    """As the template module renders it, which would copy all variables first."""
    templar = Templar(loader=_loader(), variables=variables).copy_with_new_env(searchpath=[str(path.parent)])
    return str(templar.template(trust_as_template(path.read_text()), escape_backslashes=False))


TEMPLATES = sorted(PROJECT.glob("roles/*/templates/*.j2"))
SHELLS = ("bash", "fish")
# What of ours has values in it, by the file's name: the templates, and what filters make for ssh and the shells.
TEXTS = {
    **{path.name: path.read_text() for path in TEMPLATES},
    "ssh_config": "{{ __ssh_config_blocks }}{{ __ssh_tunnel_plan.block }}",
    "include": "{{ ssh_config_include }}",
    "probe": "{{ __login_node_known }}\n{{ login_node_environment }}",
    **dict.fromkeys([f"aliases.{shell}" for shell in SHELLS], "{{ __ssh_config_short_forms.blocks[0].text }}"),
    **dict.fromkeys([f"start.{shell}" for shell in SHELLS], "{{ __ssh_config_short_forms.first_lines[0].line }}"),
}


def read(file: str, variables: dict[str, Any], folder: Path) -> Any:
    """What a program reads from the file."""
    kind = file.removesuffix(".j2").rpartition(".")[2]
    if file not in {path.name for path in TEMPLATES}:
        small = {"ssh_config_aliases": [kind], "login_node_program": {"loader": "", "program": ""}}
        text = str(evaluate(TEXTS[file], {**variables, **small}))
    else:
        (path,) = [path for path in TEMPLATES if path.name == file]
        text = rendered(path, {**variables, "login_node_environment": ""})
    if file == "ssh_config":
        return read_ssh(text, folder)
    if file == "include":
        return read_include(text, folder)
    if file == "probe":
        return read_probe(text)
    if kind == "py":
        return read_python(text)
    if kind == "fish":
        return shlex.split(text, comments=True)
    assert kind in ("sh", "bash") or text.startswith("#!/bin/"), f"this test does not know how {file} is read"
    return read_shell(text)


def read_all(name: str, value: Any, folder: Path) -> dict[str, Any]:
    """What is read from each of the files that the option stands in."""
    return {file: read(file, run_with(**{name: value}), folder) for file in stands_in(name)}


@functools.cache
def stands_in(name: str) -> list[str]:
    """The files that are made of the option, or of a variable that is made of it."""
    return [file for file, text in TEXTS.items() if name in _read_by(text)]


@functools.cache
def _read_by(text: str) -> frozenset[str]:
    """The variables that some template reads, and those that they are made of."""
    known = world().keys() | bounds().keys()
    names = set(re.findall(r"\w+", text)) & known
    while more := {word for name in names for word in re.findall(r"\w+", str(world().get(name)))} & known - names:
        names |= more
    return frozenset(names)


def swapped(found: Any, words: dict[str, str]) -> Any:
    """The same structure, with other words in its texts."""
    if isinstance(found, str):
        return functools.reduce(lambda text, word: text.replace(word, words[word]), words, found)
    if isinstance(found, dict):
        return {swapped(key, words): swapped(item, words) for key, item in found.items()}
    if isinstance(found, list | tuple):
        return type(found)(swapped(item, words) for item in found)
    return type(found)(words[str(found)]) if type(found) in (int, float) and str(found) in words else found


def stand_in(name: str, value: Any) -> tuple[Any, dict[str, str]]:
    """A value of the same kind that nothing else has in it, and what stands for what in the files."""
    if isinstance(value, list):
        names = [f"stand-in-{number}-of-it" for number in range(len(value))]
        return names, dict(zip(names, value, strict=True))
    if "persist" in name:
        units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
        total = sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)(.)", value))
        return "4321s", {"4321": str(total)}
    if "patience" in name:
        return 1000, {"4000": str(math.ceil(4 * float(value))), "1000.0": str(float(value))}
    if "idle" in name:
        return 54321, {str(54321 * 3600): str(math.ceil(float(value or 0) * 3600))}
    if "least" in bounds()[name]:
        return 54321, {"54321": str(value)}
    begin = re.match(r"~[^/]*/?|/|", value)
    assert begin is not None
    return f"{begin[0]}stand-in-of-it", {"stand-in-of-it": value[begin.end() :]}


def bounded_text(name: str) -> st.SearchStrategy[str]:
    form = bounds()[name].get("form")
    right = (
        st.from_regex(form, fullmatch=True)
        if form
        else st.sampled_from(["8", "9876", "0.5", "yes", *(options().get(name, {}).get("choices", ()))])
    )
    wrong = st.sampled_from(HOSTILE) | st.text(max_size=40)
    return right | wrong | st.tuples(right, wrong).map("".join) | st.tuples(wrong, right).map("".join)


@st.composite
def settings_of_an_option(draw: st.DrawFn) -> tuple[str, Any]:
    """An option, and something that somebody could set it to."""
    name = draw(st.sampled_from(sorted(bounds())))
    kind = options().get(name, {"type": "str"})["type"]
    text = bounded_text(name)
    value: st.SearchStrategy[Any] = text
    if kind == "list":
        value = st.lists(text, max_size=3) | text
    elif kind == "dict":
        key = st.sampled_from([NODE, "gate.example.org", *HOSTILE])
        value = st.dictionaries(key, st.lists(text, max_size=2) | text, max_size=2)
    elif kind in ("int", "float"):
        value = st.integers(-9, 99999) | st.floats(0, 99999) | text
    # Ansible's own name of a host is a text, whatever stands in the inventory.
    other = name != "inventory_hostname" and draw(st.integers(0, 5)) == 0
    return name, draw(value | st.sampled_from(OTHERS) if other else value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("values")


# What fails is short already, and the search for something shorter would take minutes.
@settings(
    max_examples=500,
    # What fails, fails for everybody.
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=set(Phase) - {Phase.shrink, Phase.explain},
    database=None,
)
@given(settings_of_an_option())
@example(("ssh_config_persist", "8h\nProxyCommand touch canary"))
@example(("login_node_session", "jupyter ]] ; touch canary ; [[ x"))
@example(("cluster_other_gateways", ["*"]))
@example(("cluster_modules", "anaconda/3"))
@example(("my_ssh_config", 0))
@example(("cluster_gateway", "none"))
@example(("cluster_gateway", "Gate"))
@example(("cluster_gateway", "10.0.0.13"))
@example(("inventory_hostname", "Node"))
@example(("my_user", "jane\n"))
@example(("my_directory", "~/\U0001f4a5"))
@example(("my_folder", "~/it's é #1"))
def test_what_is_not_refused_stands_there_as_it_was_given(folder: Path, given: tuple[str, Any]) -> None:
    name, value = given
    os.chdir(folder)
    lines = refusal(**{name: value})
    for line in lines:
        assert len(line.splitlines()) == 1
        assert line.isprintable()
        assert len(line) < 700
        assert any(word in line for word in (name, bounds()[name].get("called", name), "The folder /", "my_"))
    if lines:
        return
    assert_exact(name, value, folder)
    assert not (folder / "canary").exists()


def assert_exact(name: str, value: Any, folder: Path) -> None:
    there = read_all(name, value, folder)
    option = options().get(name)
    # One of some known words, or what no other word can stand for; no name and no directory is the default, as is a
    # number of 0; another node has another endpoint; and of Ansible's own only the default is let through.
    nothing = value in ("", "~") or (bounds()[name].get("least") == 0 and float(value) == 0)
    if option is None or option["type"] in ("bool", "dict") or "choices" in option or nothing:
        return
    another, words = stand_in(name, value)
    assert folded(there) == folded(swapped(read_stand_in(name, json.dumps(another), folder), words))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cluster_name", "viper-2"),
        ("cluster_gateway", "gate.example.com"),
        ("cluster_modules", ["anaconda/3", "gcc"]),
        ("cluster_idle_hours", "1.5"),
        ("cluster_port", 4567),
        ("my_user", "jane.doe"),
        ("my_port", "4567"),
        ("my_directory", "~/note books/$x"),
        ("my_tcp_kernels", ["deno", "ir"]),
        ("my_folder", "~/it's mine"),
        ("my_patience", 2.5),
        ("login_node_session", "lab"),
        ("ssh_config_persist", "1h30m"),
        ("ssh_config_cluster", "viper-2"),
    ],
)
def test_what_one_would_choose_stands_there(folder: Path, name: str, value: Any) -> None:
    assert refusal(**{name: value}) == []
    assert_exact(name, value, folder)
    # Another value is another one in the files.
    another, _ = stand_in(name, value)
    assert read_stand_in(name, json.dumps(another), folder) != read_all(name, value, folder)


# Where ssh makes a host's name small: in those lines, and at the end of the name of a connection's socket.
HOST_NAME = re.compile(r"^(?:host|proxyjump).*|@[^@/]+$")
# And shows an address in brackets.
ADDRESS = re.compile(r"^(proxyjump )\[([0-9.]+)\]$")


def folded(found: Any) -> Any:
    """The same, with host names as ssh has them: small."""
    if isinstance(found, dict):
        return {key: folded(item) for key, item in found.items()}
    if isinstance(found, tuple):
        return tuple(ADDRESS.sub(r"\1\2", HOST_NAME.sub(lambda name: name[0].lower(), line)) for line in found)
    return found


@functools.cache
def read_stand_in(name: str, value: str, folder: Path) -> dict[str, Any]:
    return read_all(name, json.loads(value), folder)
