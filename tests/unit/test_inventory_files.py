"""Which of an inventory's files counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from inventory_files import group_vars_folder, inventory_files
from variables import PROJECT

CLUSTER = "{name}: {{hosts: {{{node}: }}, vars: {{cluster_name: {name}}}}}\n"


def cluster(path: Path, node: str, name: str = "") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(CLUSTER.format(name=name or path.stem, node=node))
    return str(path)


def test_a_node_is_in_the_files_that_have_it_among_their_hosts(tmp_path: Path) -> None:
    both = [cluster(tmp_path / "a.yml", "node"), cluster(tmp_path / "more" / "b.yaml", "node", "a")]
    cluster(tmp_path / "c.yml", "another")
    (tmp_path / "mine.yml").write_text("mine: {children: {a: {}}, vars: {my_port: 1}}\n")
    assert inventory_files([str(tmp_path)], "node") == both
    assert inventory_files([str(tmp_path), both[0], "node,", "/nowhere"], "node") == both
    assert inventory_files(both[1:], "node") == both[1:]


@pytest.mark.parametrize(
    "text",
    [
        "b: {vars: {cluster_name: b}, children: {nodes: {hosts: {node: }}}}",
        "b: {hosts: {node: {cluster_name: b}}}",
        "b: {hosts: {node: }}",
    ],
    ids=["by a group above", "by the host", "by group_vars"],
)
def test_wherever_the_cluster_s_name_is_said(tmp_path: Path, text: str) -> None:
    first = cluster(tmp_path / "a.yml", "node")
    (tmp_path / "b.yml").write_text(text)
    assert inventory_files([str(tmp_path)], "node") == [first, str(tmp_path / "b.yml")]


def test_a_node_in_a_group_of_a_group_or_one_of_several(tmp_path: Path) -> None:
    nested, several = tmp_path / "nested.yml", tmp_path / "several.yml"
    nested.write_text(f"all: {{children: {{{CLUSTER.format(name='a', node='n2').strip()}}}}}\n")
    several.write_text(CLUSTER.format(name="b", node="'n[1:3]'"))
    assert inventory_files([str(tmp_path)], "n2") == [str(nested), str(several)]
    assert inventory_files([str(tmp_path)], "n4") == []


@pytest.mark.parametrize(
    "text", ["a: [", "- a\n", "", "a: {hosts: node}\n", "a: {vars: !vault x, hosts: }\n", "\udcff"]
)
def test_what_is_no_inventory_has_no_node(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yml").write_text(text, errors="surrogateescape")
    for other in ("group_vars/all.yml", "host_vars/node.yml", ".git/a.yml", "README.md"):
        cluster(tmp_path / other, "node", "a")
    assert inventory_files([str(tmp_path)], "node") == []


def test_a_tag_of_ansible_s_hides_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    path.write_text("a: {hosts: {node: }, vars: {cluster_name: a, cluster_secret: !vault x}}\n")
    assert inventory_files([str(tmp_path)], "node") == [str(path)]


def test_the_folder_of_a_group_s_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "our" / "more").mkdir(parents=True)
    our, project, inventory = str(tmp_path / "our"), str(PROJECT), str(PROJECT / "inventory")
    assert group_vars_folder([our], f"{our}/a.yml", project) == f"{our}/group_vars"
    assert group_vars_folder([our], f"{our}/more/a.yml", project) == f"{our}/group_vars"
    assert group_vars_folder([f"{our}/more/a.yml"], f"{our}/more/a.yml", project) == f"{our}/more/group_vars"
    assert group_vars_folder([inventory, our], f"{our}/a.yml", project) == f"{our}/group_vars"
    assert group_vars_folder([inventory], f"{inventory}/a.yml", project) == "inventory/group_vars"
    # As a role knows its project.
    roles = f"{project}/roles/preflight/../.."
    assert group_vars_folder([f"{inventory}/a.yml"], f"{inventory}/a.yml", roles) == "inventory/group_vars"
    (tmp_path / "link").symlink_to(PROJECT)
    link = tmp_path / "link" / "inventory"
    assert group_vars_folder([str(link)], str(link / "a.yml"), project) == "inventory/group_vars"
    monkeypatch.chdir(tmp_path)
    assert group_vars_folder(["our"], "our/a.yml", project) == f"{our}/group_vars"


def test_the_user_s_own_choices_count_beside_each_inventory() -> None:
    assert (PROJECT / "group_vars" / "all" / "user").resolve() == PROJECT / "inventory" / "group_vars" / "all"
