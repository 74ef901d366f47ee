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
from patience import seconds
from refusals import refusals
from variables import PROJECT

ROLES = ("ssh_tunnel", "login_node", "jupyter_config", "tls_cert", "screen_session")
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
ENDPOINT = {"host": NODE, "kind": "socket", "address": "/home/jane/run/jupyter.sock"}
# What ssh says of a host of which the person's own ssh_config says nothing.
NOTHING_SAID = "controlmaster false\ncontrolpersist no\nconnecttimeout none\nserveraliveinterval 0\nproxyusefdpass no\n"

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
    found = {"role_path": str(PROJECT / "roles" / "preflight"), **load(PROJECT / "group_vars" / "all.yml")}
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
        "ssh_tunnel_ca": "/home/jane/ca.crt", "login_node_facts": FACTS,
        "__ssh_tunnel_version": "9.9", "__ssh_tunnel_understood": f"hostname {NODE}\n",
        "__ssh_tunnel_without_ours": f"printf %s {shlex.quote(NOTHING_SAID)} #", "__ssh_tunnel_written": "",
        "ssh_tunnel_endpoint": ENDPOINT,
        "screen_session_endpoint": ENDPOINT,
        "__ssh_tunnel_effective": {
            "user": "jane", "port": "22", "proxyjump": "gate.example.org", "proxycommand": "", "controlmaster": "auto",
            "controlpath": "/home/jane/cm/x", "proxyusefdpass": "no",
        },
    }  # fmt: skip


def evaluate(template: str, variables: dict[str, Any]) -> Any:
    return Templar(loader=_loader(), variables=variables).template(trust_as_template(template))


@functools.cache
def checks() -> list[tuple[dict[str, Any], str, str]]:
    """Each task of ours that refuses values: its variables, when it does, and what it says."""
    found = []
    for path in [PROJECT / "roles" / "preflight" / "tasks" / "values.yml", *PROJECT.glob("roles/*/tasks/assert.yml")]:
        for task in load(path):
            arguments = task.get("ansible.builtin.assert") or task["ansible.builtin.fail"]
            wrong = f"not ({arguments['that']})" if "that" in arguments else task["when"]
            found.append((task.get("vars", {}), wrong, arguments.get("fail_msg") or arguments["msg"]))
    return found


def refusal(name: str, value: Any) -> str:
    """What a run would say, or an empty string."""
    for own, wrong, message in checks():
        # The options of all roles are in the check of values, whatever its template says; the others take their time.
        if "__preflight_refused" not in wrong and name not in _read_by(f"{own} {wrong}"):
            continue
        # This test knows some of the variables better.
        scope = {**own, **world(), name: value}
        if evaluate(f"{{{{ {wrong} }}}}", scope):
            return str(evaluate(message, scope))
    return ""


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
        if name != "ansible_ssh_timeout" and kind in ("str", "list", "dict") and not choices:
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


def read_ssh(variables: dict[str, Any], folder: Path) -> Any:
    """What ssh makes of the files, for each host in them."""
    of_role = PROJECT / "roles" / "ssh_tunnel" / "templates"
    text = "".join(rendered(of_role / name, variables) for name in SSH[:2])
    hosts = re.findall(r"^Host (.*)$", text, re.M)
    return {host: _ssh(text, host, folder) for host in hosts}


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


def read_python(text: str) -> Any:
    """Its constants, and all the rest."""
    tree = ast.parse(text)
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    values = [node.value for node in constants]
    for node in constants:
        node.value = None
    return [values, ast.dump(tree)]


@functools.cache
def read_shell(text: str) -> Any:
    """Its words, once bash has taken it for a script."""
    subprocess.run(["bash", "-n"], input=text, text=True, timeout=seconds(10), check=True)
    try:
        return shlex.split(text, comments=True)
    except ValueError:
        # A script in another script: the values in it need no quotes.
        return text


def rendered(path: Path, variables: dict[str, Any]) -> str:
    """As the template module renders it, which would copy all variables first."""
    templar = Templar(loader=_loader(), variables=variables).copy_with_new_env(searchpath=[str(path.parent)])
    return str(templar.template(trust_as_template(path.read_text()), escape_backslashes=False))


SSH = ("way_in.j2", "tunnel.j2", "host_key.j2")
TEMPLATES = sorted(PROJECT.glob("roles/*/templates/*.j2"))


def read(path: Path, variables: dict[str, Any], folder: Path) -> Any:
    """What a program reads from the file that a template makes."""
    if path.name in SSH:
        return read_ssh(variables, folder) if path.name == SSH[0] else None
    text = rendered(path, {**variables, "__ssh_tunnel_shell": {"key": "bash"}, "login_node_environment": ""})
    # The time is another one when it is rendered again.
    text = re.sub(r"^tell asked \d+$", "tell asked", text, flags=re.M)
    if path.name.endswith(".py.j2"):
        return read_python(text)
    if path.name.endswith(".sh.j2") or text.startswith("#!/bin/") or path.name == "aliases.j2":
        return read_shell(text)
    assert path.name == "request.cnf.j2", f"this test does not know how {path.name} is read"
    return text


def read_all(name: str, value: Any, folder: Path) -> dict[Path, Any]:
    """What is read from each of the files that the option stands in."""
    return {path: read(path, {**world(), name: value}, folder) for path in stands_in(name)}


@functools.cache
def stands_in(name: str) -> list[Path]:
    """The templates that read the option, or a variable that is made of it."""
    return [path for path in TEMPLATES if name in _read_by(path.read_text())]


@functools.cache
def _read_by(text: str) -> frozenset[str]:
    """The variables that some template reads, and those that they are made of."""
    for included in re.findall(r"include '(.*)'", text):
        text += next(path.read_text() for path in TEMPLATES if path.name == included)
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
    return int(words[str(found)]) if type(found) is int and str(found) in words else found


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
        return 54321, {str(54321 * 3600): str(int(float(value or 0) * 3600))}
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
    return name, draw(value | st.sampled_from(OTHERS) if draw(st.integers(0, 5)) == 0 else value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("values")


# What fails is short already, and the search for something shorter would take minutes.
@settings(
    max_examples=500,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=set(Phase) - {Phase.shrink, Phase.explain},
    database=None,
)
@given(settings_of_an_option())
@example(("ssh_tunnel_persist", "8h\nProxyCommand touch canary"))
@example(("login_node_session", "jupyter ]] ; touch canary ; [[ x"))
@example(("cluster_other_gateways", ["*"]))
@example(("cluster_modules", "anaconda/3"))
@example(("cluster_gateway", "none"))
@example(("cluster_gateway", "Gate"))
@example(("inventory_hostname", "Node"))
@example(("my_user", "jane\n"))
@example(("my_directory", "~/\U0001f4a5"))
def test_what_is_not_refused_stands_there_as_it_was_given(folder: Path, given: tuple[str, Any]) -> None:
    name, value = given
    os.chdir(folder)
    message = refusal(name, value)
    if message:
        assert len(message.splitlines()) == 1
        assert message.isprintable()
        assert len(message) < 700
        assert any(word in message for word in (name, bounds()[name].get("called", name), "The folder /", "my_"))
        return
    assert_exact(name, value, folder)
    assert not (folder / "canary").exists()


def assert_exact(name: str, value: Any, folder: Path) -> None:
    there = read_all(name, value, folder)
    option = options().get(name, {"type": "str"})
    # One of some known words, or what no other word can stand for; no name and no directory is the default; and another
    # node has another endpoint.
    if option["type"] in ("bool", "dict") or "choices" in option or value in ("", "~") or name == "inventory_hostname":
        return
    another, words = stand_in(name, value)
    assert folded(there) == folded(swapped(read_stand_in(name, json.dumps(another), folder), words))


# Where ssh makes a host's name small: in those lines, and at the end of the name of a connection's socket.
HOST_NAME = re.compile(r"^(?:host|proxyjump).*|@[^@/]+$")


def folded(found: Any) -> Any:
    """The same, with host names as ssh has them: small."""
    if isinstance(found, dict):
        return {key: folded(item) for key, item in found.items()}
    if isinstance(found, tuple):
        return tuple(HOST_NAME.sub(lambda name: name[0].lower(), line) for line in found)
    return found


@functools.cache
def read_stand_in(name: str, value: str, folder: Path) -> dict[Path, Any]:
    return read_all(name, json.loads(value), folder)
