"""Specs, defaults, the table of variables and the sample inventories are one truth."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from variables import PROJECT, render

ROLES = sorted(path.name for path in (PROJECT / "roles").iterdir())
# A dict whose names are a cluster's own.
FREE = {"cluster_host_keys", "ssh_tunnel_host_keys"}
# What the play tells a role; the role has no default for it.
TOLD = {"ssh_tunnel_endpoint", "screen_session_endpoint"}
KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
    "raw": (object,),
}


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text()) if path.exists() else {}


def specs(role: str) -> dict[str, Any]:
    return dict(load(PROJECT / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"])


def options(role: str) -> dict[str, Any]:
    return {name: option for entry in specs(role).values() for name, option in entry.get("options", {}).items()}


def defaults(role: str) -> dict[str, Any]:
    return dict(load(PROJECT / "roles" / role / "defaults" / "main.yml") or {})


@pytest.mark.parametrize("role", [role for role in ROLES if role != "preflight"])
def test_every_option_has_a_default_and_every_default_an_option(role: str) -> None:
    assert set(options(role)) - TOLD == set(defaults(role))


@pytest.mark.parametrize("role", ROLES)
def test_every_option_is_typed_and_described(role: str) -> None:
    for name, option in options(role).items():
        assert option["type"] in KINDS, name
        assert option["description"].endswith("."), name
        assert option["type"] != "list" or "elements" in option, name
        assert option["type"] != "dict" or "options" in option or name in FREE, name
        assert ("password" in name) == bool(option.get("no_log")), name


@pytest.mark.parametrize("role", ROLES)
def test_every_default_has_its_type(role: str) -> None:
    for name, value in defaults(role).items():
        if isinstance(value, str) and "{{" in value:
            continue
        option = options(role)[name]
        assert isinstance(value, KINDS[option["type"]]), name
        assert "choices" not in option or value in option["choices"], name


@pytest.mark.parametrize("role", ROLES)
def test_every_default_has_a_sentence(role: str) -> None:
    path = PROJECT / "roles" / role / "defaults" / "main.yml"
    lines = path.read_text().splitlines() if path.exists() else []
    for number, line in enumerate(lines):
        if line.startswith(f"{role}_"):
            assert lines[number - 1].startswith("# "), line


def test_the_inventory_s_defaults_are_the_roles_own() -> None:
    """`my_interface` is auto in the spec, and `| default('auto')` in the role; likewise in a playbook."""
    text = "".join((PROJECT / "roles" / role / "defaults" / "main.yml").read_text() for role in ROLES if defaults(role))
    text += "".join(path.read_text() for path in sorted((PROJECT / "playbooks").glob("*.yml")))
    for name, option in options("preflight").items():
        if "default" in option:
            value = option["default"]
            shown = f"'{value}'" if isinstance(value, str) else str(value).lower()
            assert f"{name} | default({shown})" in text, name
        assert name in text, f"nothing reads {name}"


@pytest.mark.parametrize("path", sorted(PROJECT.glob("inventory/*.yml")), ids=lambda path: path.stem)
def test_the_sample_inventories_use_known_variables(path: Path) -> None:
    known = options("preflight")
    (cluster,) = load(path).values()
    person = load(PROJECT / "inventory" / "group_vars" / "all" / "me.yml.example")
    for name, value in {**cluster["vars"], **person}.items():
        assert isinstance(value, KINDS[known[name]["type"]]), name
    assert {name for name, option in known.items() if option.get("required")} <= set(cluster["vars"])


def test_each_cluster_has_a_port_and_a_name_of_its_own() -> None:
    clusters = [cluster for path in PROJECT.glob("inventory/*.yml") for cluster in load(path).values()]
    for name in ("cluster_name", "cluster_port"):
        assert len({cluster["vars"][name] for cluster in clusters}) == len(clusters) > 1


def test_the_table_of_variables_is_rendered_from_the_specs() -> None:
    assert (PROJECT / "docs" / "variables.md").read_text() == render(), "run `make docs`"


def test_every_secret_is_out_of_logs_and_diffs() -> None:
    """A task that has a password or its hash among its arguments is `no_log`."""
    secret = (
        "__jupyter_config_hash }}",
        "jupyter_password_hash",
        "__jupyter_config_new",
        "/password_hash",
        "privatekey:",
    )
    for path in (PROJECT / "roles").glob("*/tasks/*.yml"):
        for task in tasks(load(path)):
            text = yaml.safe_dump(
                {key: value for key, value in task.items() if key not in ("block", "when", "vars", "rescue", "always")}
            )
            if any(word in text for word in secret) or "pause" in str(list(task)):
                assert task.get("no_log") is True, f"{path}: {task.get('name')}"


def test_no_refusal_comes_from_a_loop() -> None:
    """It would be one of several, and what is wrong with an item is kept in another place by each ansible-core."""
    for path in [*(PROJECT / "roles").glob("*/tasks/*.yml"), *(PROJECT / "playbooks").glob("*.yml")]:
        listed = load(path)
        for task in tasks(listed[0].get("tasks", []) if "hosts" in listed[0] else listed):
            if {"ansible.builtin.assert", "ansible.builtin.fail"} & set(task):
                assert "loop" not in task, f"{path}: {task['name']}"


def test_no_name_ends_before_a_line_break() -> None:
    """Python's `$` matches before one at the end, so that it would be let through with the name."""
    for path in [*(PROJECT / "roles").glob("*/tasks/*.yml"), *(PROJECT / "playbooks").glob("*.yml")]:
        assert not re.search(r"match\('[^']*\$'", path.read_text()), path
    for path in (PROJECT / "roles").glob("*/meta/bounds.yml"):
        for name, bound in load(path).items():
            forms = [bound.get("form", ""), bound.get("keys", "")] if isinstance(bound, dict) else []
            assert not any(re.search(r"(?<!\\|\[)[$]\Z", form) for form in forms), name


def tasks(listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for task in listed:
        found += [task, *tasks(task.get("block", []))]
    return found
