"""Specs, defaults, plugins, the table of variables and the sample inventories are one truth; a role keeps to itself."""

from __future__ import annotations

import copy
import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from node.main import COMMANDS
from variables import PROJECT, render

ROLES = sorted(path.name for path in (PROJECT / "roles").iterdir())
# A dict whose names are a cluster's own.
FREE = {"cluster_host_keys", "ssh_config_host_keys", "cluster_job", "my_job", "slurm_job_wishes"}
# What the play tells a role; the role has no default for it.
TOLD = {"ssh_tunnel_endpoint", "screen_session_endpoint", "slurm_job_endpoint"}
BLOCKS = ("block", "rescue", "always")
PLAYBOOKS = PROJECT / "playbooks"
#: All files with tasks.
STEPS = sorted([*PROJECT.glob("roles/*/tasks/*.yml"), *PLAYBOOKS.glob("*.yml"), *PLAYBOOKS.glob("tasks/*.yml")])
STEPS.append(PROJECT / "site.yml")
KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
    "raw": (object,),
}


# The one in C takes a tenth of the time, where PyYAML has it.
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load(path: Path) -> Any:
    return yaml.load(path.read_text(), LOADER) if path.exists() else {}


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


#: The clusters that are there, and those that one can copy.
SAMPLES = sorted([*PROJECT.glob("inventory/*.yml"), *PROJECT.glob("examples/clusters/*.yml")])


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_the_sample_inventories_use_known_variables(path: Path) -> None:
    known = options("preflight")
    (cluster,) = load(path).values()
    person = load(PROJECT / "inventory" / "group_vars" / "all" / "me.yml.example")
    for name, value in {**cluster["vars"], **person}.items():
        assert isinstance(value, KINDS[known[name]["type"]]), name
    assert {name for name, option in known.items() if option.get("required")} <= set(cluster["vars"])


def test_each_cluster_has_a_port_and_a_name_of_its_own() -> None:
    clusters = [cluster for path in SAMPLES for cluster in load(path).values()]
    for name in ("cluster_name", "cluster_port"):
        assert len({cluster["vars"][name] for cluster in clusters}) == len(clusters) > 1


def test_one_sample_has_every_option_of_a_cluster() -> None:
    text = (PROJECT / "examples" / "clusters" / "every-option.yml").read_text()
    (cluster,) = yaml.safe_load(text).values()
    known = options("preflight")
    assert set(cluster["vars"]) == {name for name in known if name.startswith("cluster_")}
    assert {name for name in known if name.startswith("my_")} <= set(re.findall(r"\bmy_\w+", text))


def test_the_table_of_variables_is_rendered_from_the_specs() -> None:
    assert (PROJECT / "docs" / "variables.md").read_text() == render(), "run `make docs`"


def test_what_a_role_does_is_chosen_by_its_tasks() -> None:
    """And not by an option with which each run would walk past all that it does not do."""
    states = {name for role in ROLES for name in options(role) if name.endswith("_state")}
    assert states == set()


#: What is a secret, by the name of the variable, the filter, or the file; a message may name the option.
SECRET = re.compile(
    r"\b(__jupyter_config_(hash|new|stored|first|second)|jupyter_config_password)\b|\{\{[^}]*\bmy_password\b"
    r"|jupyter_password_hash|/password_hash|privatekey:"
)
#: The node's is in what the probe says only then.
ASKED = "{{ login_node_ask_hash | bool }}"


def shows_a_secret(task: dict[str, Any]) -> bool:
    """Whether a secret is among a task's arguments, or it asks for one; `on_node` gets it by its name."""
    own = copy.deepcopy({key: value for key, value in task.items() if key not in ("name", "when", "vars", *BLOCKS)})
    if "on_node" in own and all(re.fullmatch(r"\w+", name) for name in own["on_node"].get("secrets", {}).values()):
        own["on_node"] = {key: value for key, value in own["on_node"].items() if key != "secrets"}
    # Ansible shows the condition, and not its values.
    own.get("ansible.builtin.assert", {}).pop("that", None)
    return bool(SECRET.search(yaml.safe_dump(own, width=10_000))) or any("pause" in key for key in own)


@pytest.mark.parametrize(
    ("task", "shows"),
    [
        ({"ansible.builtin.copy": {"content": "{{ __jupyter_config_hash }}\n"}}, True),
        ({"ansible.builtin.copy": {"content": "x", "dest": "/f/password_hash"}}, True),
        ({"ansible.builtin.set_fact": {"x": "{{ __jupyter_config_new | jupyter_password_hash }}"}}, True),
        ({"ansible.builtin.debug": {"msg": "{{ jupyter_config_password }}"}}, True),
        ({"ansible.builtin.pause": {"prompt": "A password?"}}, True),
        (
            {"on_node": {"data": {"hash": "{{ __jupyter_config_hash }}"}, "secrets": {"x": "__jupyter_config_hash"}}},
            True,
        ),
        ({"on_node": {"secrets": {"password_hash": "{{ __jupyter_config_hash }}"}}}, True),
        ({"on_node": {"secrets": {"password_hash": "__jupyter_config_hash"}, "command": "write"}}, False),
        ({"on_node": {"command": "{{ __jupyter_config_hash }}"}}, True),
        ({"other": {"secrets": {"password_hash": "__jupyter_config_hash"}}}, True),
        ({"ansible.builtin.debug": {"var": "__jupyter_config_hash"}}, True),
        ({"ansible.builtin.debug": {"msg": "x"}, "when": "__jupyter_config_hash is defined"}, False),
        ({"ansible.builtin.debug": {"var": "__jupyter_config_hash_form"}}, False),
        ({"ansible.builtin.debug": {"var": "jupyter_config_password_changed"}}, False),
        ({"ansible.builtin.assert": {"that": "__jupyter_config_first == 'x'", "fail_msg": "Set my_password."}}, False),
        ({"ansible.builtin.assert": {"that": "x", "fail_msg": "It is {{ my_password }}."}}, True),
    ],
)
def test_a_task_that_shows_a_secret_is_known(task: dict[str, Any], shows: bool) -> None:
    assert shows_a_secret(task) == shows


def test_every_secret_is_out_of_logs_and_diffs() -> None:
    """A task that has a password or its hash among its arguments is `no_log`; else it has the variable's name alone."""
    found = 0
    for path in STEPS:
        for task in tasks_of(path):
            probed = re.findall(r"\w+", f"{task.get('register')} {task.get('ansible.builtin.set_fact')}")
            if shows_a_secret(task):
                assert task.get("no_log") is True, f"{path}: {task.get('name')}"
            elif "__login_node_probe" in probed:
                assert task.get("no_log") == ASKED, f"{path}: {task.get('name')}"
            else:
                continue
            found += 1
    # Both questions, the hash, and both tasks of the probe.
    assert found == 5


def test_a_program_on_the_node_gets_what_it_knows_in_one_way() -> None:
    """Its data and its secrets are not in the list of processes; and every command of it is in use."""
    programs: set[str] = set()
    for path in STEPS:
        for task in tasks_of(path):
            if "on_node" in task:
                programs.add(task["on_node"]["command"])
                assert "delegate_to" not in task, path
    # What the probe sends; and what the login node has a job do.
    assert {*programs, "look", "judge"} == set(COMMANDS)


def test_no_refusal_comes_from_a_loop() -> None:
    """It would be one of several, and what is wrong with an item is kept in another place by each ansible-core."""
    for path in STEPS:
        for task in tasks_of(path):
            if {"ansible.builtin.assert", "ansible.builtin.fail"} & set(task):
                assert "loop" not in task, f"{path}: {task['name']}"


def impatient(listed: list[dict[str, Any]], rescued: bool = False) -> list[str]:
    """The tasks that may fail, and take too long, where nothing goes on after that."""
    found = []
    for task in listed:
        if "timeout" in task and not rescued and {"failed_when", "ignore_errors"} & set(task):
            found.append(task["name"])
        for key in BLOCKS:
            found += impatient(task.get(key, []), rescued or (key == "block" and "rescue" in task))
    return found


def test_what_may_take_too_long_is_rescued() -> None:
    """A task's `timeout` fails it, whatever `failed_when` says, and what it registers has no `rc`."""
    assert impatient([{"name": "x", "timeout": 1, "failed_when": False}]) == ["x"]
    assert impatient([{"block": [{"name": "x", "timeout": 1, "failed_when": False}], "rescue": [{}]}]) == []
    for path in [*PROJECT.glob("molecule/*/tasks/*.yml"), *STEPS]:
        listed = load(path)
        plays = [play for play in listed if "hosts" in play]
        assert impatient([task for play in plays for task in play.get("tasks", [])] if plays else listed) == [], path


def test_no_name_ends_before_a_line_break() -> None:
    """Python's `$` matches before one at the end, so that it would be let through with the name."""
    for path in [*STEPS, *(PROJECT / "roles").glob("*/vars/*.yml")]:
        assert not re.search(r"match\('[^']*\$'", path.read_text()), path
    for path in (PROJECT / "roles").glob("*/meta/bounds.yml"):
        for name, bound in load(path).items():
            forms = [bound.get("form", ""), bound.get("keys", "")] if isinstance(bound, dict) else []
            assert not any(re.search(r"(?<!\\|\[)[$]\Z", form) for form in forms), name


def test_a_role_s_private_variables_are_its_own() -> None:
    found: dict[str, set[str]] = {}
    folders = ["roles", "playbooks", "group_vars", "inventory", "action_plugins", "filter_plugins", "callback_plugins"]
    files = [
        path for folder in folders for path in (PROJECT / folder).rglob("*") if path.suffix in (".yml", ".j2", ".py")
    ]
    for path in [PROJECT / "site.yml", *files]:
        place = path.relative_to(PROJECT)
        own = place.parts[1] if place.parts[0] == "roles" else ""
        names = re.findall(rf"\b__({'|'.join(ROLES)})_(\w+)", path.read_text())
        if others := {f"__{role}_{name}" for role, name in names if role != own}:
            found[str(place)] = others
    assert found == {}


def read_by(role: str) -> str:
    """What a role's tasks, variables, defaults and templates say."""
    files = [*(PROJECT / "roles" / role).rglob("*.yml"), *(PROJECT / "roles" / role).rglob("*.j2")]
    return "".join(path.read_text() for path in files if "meta" not in path.parts)


@pytest.mark.parametrize("role", [role for role in ROLES if role != "preflight"])
def test_a_role_reads_no_other_s_options(role: str) -> None:
    """But what the others have found, and the inventory's, which preflight describes, as it sees to all of them."""
    others = set().union(*(options(other) for other in ROLES if other not in (role, "preflight")))
    assert others & set(re.findall(r"\w+", read_by(role))) == set()


@pytest.mark.parametrize("path", [PROJECT / "site.yml", *sorted(PLAYBOOKS.glob("*.yml"))], ids=lambda path: path.stem)
def test_a_playbook_has_the_variables_that_it_reads(path: Path) -> None:
    """A role's are there where the role is imported; ssh_connection imports ssh_config, and restart is site.yml."""
    said = path.read_text()
    said += "".join((PLAYBOOKS / "tasks" / name).read_text() for name in re.findall(r"tasks/(\w+[.]yml)", said))
    imported = set(re.findall(r"^ +name: (\w+)$", said, re.MULTILINE))
    if "ssh_connection" in imported:
        imported.add("ssh_config")
    told = {line.strip().partition(":")[0] for line in said.splitlines()}
    read = {
        (role, name)
        for role in ROLES
        for name in set(re.findall(rf"\b{role}_\w+", said)) - told
        if name in {*options(role), *load(PROJECT / "roles" / role / "vars" / "main.yml")}
    }
    assert {(role, name) for role, name in read if role not in imported} == set()


def test_what_roles_tell_each_other_is_said_in_one_place() -> None:
    said = load(PROJECT / "roles" / "preflight" / "vars" / "main.yml")["__preflight_results"]
    assert all(sentence.endswith(".") for sentence in said.values())
    made = {"preflight_also"}
    for role in ROLES:
        made |= {
            name for name in load(PROJECT / "roles" / role / "vars" / "main.yml") or {} if not name.startswith("__")
        }
        for path in (PROJECT / "roles" / role / "tasks").glob("*.yml"):
            for task in tasks_of(path):
                kept = [task.get("register", ""), *task.get("ansible.builtin.set_fact", {})]
                made |= {name for name in kept if name.startswith(f"{role}_") and name not in options(role)}
    assert made == set(said)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_s_variables_are_read(role: str) -> None:
    """What nothing reads any more would only look as if it counted."""
    files = [*(PROJECT / "roles").rglob("*.*"), *(PROJECT / "playbooks").rglob("*.yml"), PROJECT / "site.yml"]
    files += [*(PROJECT / "group_vars").rglob("*.yml"), *(PROJECT / "molecule").rglob("*.yml")]
    texts = [path.read_text() for path in files if path.suffix in (".yml", ".j2")]
    # One that says the values of those of another role, whatever they are.
    named = {f"{one}_refused" for one in ROLES}
    for name in set(load(PROJECT / "roles" / role / "vars" / "main.yml") or {}) - named:
        count = sum(len(re.findall(rf"\b{name}\b", text)) for text in texts)
        assert count > 1, f"nothing reads {name}"


ACTIONS = sorted((PROJECT / "action_plugins").glob("*.py"))


def documentation(path: Path) -> dict[str, Any]:
    return dict(load(path.with_suffix(".yml"))["DOCUMENTATION"])


@pytest.mark.parametrize("path", ACTIONS, ids=lambda path: path.stem)
def test_every_action_is_documented(path: Path) -> None:
    """Where `ansible-doc` finds it, and what is said there is what is read."""
    said = documentation(path)
    assert said["module"] == path.stem
    assert said["short_description"]
    assert said["description"]
    source = path.read_text()
    for name, option in said["options"].items():
        assert option["type"] in {*KINDS, "path"}, name
        assert option["type"] != "list" or "elements" in option, name
        assert str(option["description"]).endswith("."), name
        assert f'"{name}"' in source, f"{path.name} does not read {name}"
    read = re.findall(r"(?:\bgiven|\bargs)(?:[.]get)?[\[(]\"(\w+)\"", source)
    assert set(read) <= set(said["options"])


@pytest.mark.parametrize("path", ACTIONS, ids=lambda path: path.stem)
def test_every_action_is_told_what_it_takes(path: Path) -> None:
    known = documentation(path)["options"]
    required = {name for name, option in known.items() if option.get("required")}
    told = [task[path.stem] for step in STEPS for task in tasks_of(step) if path.stem in task]
    assert told, f"no task uses {path.stem}"
    for arguments in told:
        assert required <= set(arguments) <= set(known)


def test_no_documentation_is_left_of_an_action() -> None:
    assert {path.stem for path in (PROJECT / "action_plugins").glob("*.yml")} == {path.stem for path in ACTIONS}


def test_every_filter_is_documented() -> None:
    filters: dict[str, Any] = {}
    for path in sorted((PROJECT / "filter_plugins").glob("*.py")):
        filters |= importlib.import_module(path.stem).FilterModule().filters()
    documents = {path.stem: load(path)["DOCUMENTATION"] for path in (PROJECT / "filter_plugins").glob("*.yml")}
    assert set(documents) == set(filters)
    for name, said in documents.items():
        parameters = inspect.signature(filters[name]).parameters.values()
        assert said["name"] == name
        assert set(said["options"]) - {"_input"} == {one.name for one in list(parameters)[1:]}, name
        for one in list(parameters)[1:]:
            assert bool(said["options"][one.name].get("required")) == (one.default is inspect.Parameter.empty), one.name


def test_each_playbook_finds_roles_plugins_and_variables_from_any_directory() -> None:
    for name in ("roles", "filter_plugins", "action_plugins", "group_vars"):
        link = PROJECT / "playbooks" / name
        assert link.is_symlink()
        assert link.resolve() == PROJECT / name


def tasks_of(path: Path) -> list[dict[str, Any]]:
    """All tasks of a file, those in blocks, too."""
    listed = load(path)
    plays = [play for play in listed if "hosts" in play]
    return tasks([task for play in plays for task in play.get("tasks", [])] if plays else listed)


def tasks(listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for task in listed:
        found += [task, *tasks([inner for key in BLOCKS for inner in task.get(key, [])])]
    return found


def test_every_entry_point_in_use_is_specified_and_no_other() -> None:
    """But for what preflight says of the inventory, and of what playbooks can be told."""
    used = {
        (arguments["name"], arguments.get("tasks_from", "main"))
        for path in STEPS
        for task in tasks_of(path)
        for name in ("import_role", "include_role")
        if (arguments := task.get(f"ansible.builtin.{name}"))
    }
    said = {(role, entry) for role in ROLES for entry in specs(role)}
    assert used == said - {("preflight", "inventory"), ("preflight", "playbooks")}


def test_specs_are_validated_once() -> None:
    """By preflight; Ansible would do it again at each import, by a task of its own."""
    for path in STEPS:
        for task in tasks_of(path):
            for name in ("import_role", "include_role"):
                arguments = task.get(f"ansible.builtin.{name}", {"rolespec_validate": False})
                assert arguments.get("rolespec_validate") is False, f"{path}: {task['name']}"
