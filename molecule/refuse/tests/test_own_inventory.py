"""A group's own inventory, in a folder beside the project."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cluster import NODE, PROJECT, Laptop

Refusal = Callable[..., str]


@pytest.fixture
def our(tmp_path: Path) -> Path:
    """A copy of hydra's file, in another repository."""
    shutil.copy(PROJECT / "inventory" / "hydra.yml", tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / "README.md").write_text("# Our clusters\n")
    return tmp_path


def test_a_refusal_names_the_file_that_counts(laptop: Laptop, our: Path) -> None:
    (our / "group_vars" / "hydra").mkdir(parents=True)
    (our / "group_vars" / "hydra" / "me.yml").write_text("my_environment: venvs/astro\n")
    for inventory in (our, our / "hydra.yml"):
        shown = laptop.playbook("playbooks/doctor.yml", "-l", "hydra", inventory=inventory).stdout
        assert f"or empty. Correct it in {our}/group_vars/hydra/me.yml." in " ".join(shown.split())


def test_a_node_in_two_files(refusal: Refusal, our: Path) -> None:
    """Whatever the other one calls the cluster."""
    other = our / "other.yml"
    text = (our / "hydra.yml").read_text()
    for name in ("hydra", "other"):
        other.write_text(text.replace("hydra:", f"{name}:").replace("cluster_name: hydra", f"cluster_name: {name}"))
        assert refusal("-i", str(our), "-l", "hydra") == (
            f"{NODE} is in {PROJECT}/inventory/hydra.yml and in {our}/hydra.yml and in {other}, and Ansible would mix "
            "what they say of it. Leave it in one of these files; a group of your own can have the cluster among its "
            "children."
        )


def test_a_file_that_cannot_be_read_ends_the_run(laptop: Laptop, our: Path) -> None:
    (our / "other.yml").write_text("other:\n  hosts: {\n")
    done = laptop.playbook("playbooks/doctor.yml", "-l", "hydra", inventory=our)
    assert done.returncode != 0
    assert f"Completely failed to parse inventory source {our}/other.yml" in done.stdout
