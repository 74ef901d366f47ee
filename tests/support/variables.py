"""Renders docs/variables.md from the roles' argument specs: `make docs`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parents[2]
#: Of a role all entry points, or one.
TITLES = {
    ("preflight", "inventory"): "What a cluster's inventory file and your `me.yml` may say",
    ("preflight", "playbooks"): "What a playbook may be told, by `-e`",
    ("ssh_config", ""): "Role `ssh_config`",
    ("ssh_connection", ""): "Role `ssh_connection`",
    ("ssh_tunnel", ""): "Role `ssh_tunnel`",
    ("login_node", ""): "Role `login_node`",
    ("jupyter_config", ""): "Role `jupyter_config`",
    ("tls_cert", ""): "Role `tls_cert`",
    ("screen_session", ""): "Role `screen_session`",
    ("slurm_job", ""): "Role `slurm_job`",
}


def render() -> str:
    """Return the page."""
    page = [
        "# Variables",
        "",
        "Rendered from `roles/*/meta/argument_specs.yml` by `make docs`. What a cluster is (`cluster_…`) stands in the",
        "inventory file that the group shares, what a person chooses (`my_…`) in the git-ignored",
        "`inventory/group_vars/all/me.yml` or `inventory/group_vars/CLUSTER/me.yml`. The roles' own variables read",
        "these, and seldom need to be set.",
    ]
    for (role, entry), title in TITLES.items():
        folder = PROJECT / "roles" / role
        specs = yaml.safe_load((folder / "meta" / "argument_specs.yml").read_text())["argument_specs"]
        path = folder / "defaults" / "main.yml"
        defaults = yaml.safe_load(path.read_text()) if path.exists() else {}
        entries = [specs[entry]] if entry else specs.values()
        options = {name: option for each in entries for name, option in each.get("options", {}).items()}
        page += ["", f"## {title}", "", "| variable | type | default | what it is |", "| --- | --- | --- | --- |"]
        page += [row(name, option, defaults) for name, option in options.items()]
    results = yaml.safe_load((PROJECT / "roles" / "preflight" / "vars" / "main.yml").read_text())["__preflight_results"]
    page += [
        "",
        "## What the roles tell each other, and the playbooks",
        "",
        "| variable | what it is |",
        "| --- | --- |",
    ]
    page += [f"| `{name}` | {sentence} |" for name, sentence in results.items()]
    return "\n".join(page) + "\n"


def row(name: str, option: dict[str, Any], defaults: dict[str, Any]) -> str:
    """Return the row of one option."""
    kind = option["type"] + (f" of {option['elements']}" if "elements" in option else "")
    if "choices" in option:
        some = "list of " if option["type"] == "list" else ""
        kind = some + ", ".join(f"`{choice}`" for choice in option["choices"])
    value = defaults.get(name, option.get("default"))
    shown = "required" if option.get("required") else "" if value is None else f"`{yaml_text(value)}`"
    words = re.sub(r"C\((.*?)\)", r"`\1`", " ".join(option["description"].split()))
    return " | ".join([f"| `{name}`", kind, shown.replace("|", "\\|"), f"{words} |"])


def yaml_text(value: Any) -> str:
    """Return a value as YAML has it, on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("\n...\n").strip()
    return text if not isinstance(value, str) or not value or "{{" not in value else value


if __name__ == "__main__":
    (PROJECT / "docs" / "variables.md").write_text(render())
