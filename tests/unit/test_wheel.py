"""A wheel has all that a person needs, and its command works from any directory."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from patience import seconds
from variables import PROJECT

from jupyter_cluster import __version__


def run(*argv: str, folder: Path, around: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, cwd=folder, env=around, capture_output=True, text=True, timeout=seconds(60), check=False
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # In this environment, which has what makes it.
    make = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
    done = run(sys.executable, "-c", make, str(folder), folder=PROJECT)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its command, in an environment of its own that borrows the libraries of this one."""
    folder = tmp_path_factory.mktemp("installed") / "it's here"
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    argv = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile", str(wheel)]
    done = run(sys.executable, *argv, f"--prefix={folder}", "--ignore-installed", folder=folder)
    assert done.returncode == 0, done.stderr
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def test_it_has_all_that_is_in_the_project_and_no_link(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name.removeprefix("jupyter_cluster/project/") for name in archive.namelist()}
        (entries,) = [archive.read(name).decode() for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert not [one.filename for one in archive.infolist() if (one.external_attr >> 16) & 0o170000 == 0o120000]
    tracked = run("git", "ls-files", folder=PROJECT).stdout.split()
    folders = ("playbooks/", "roles/", "action_plugins/", "callback_plugins/", "filter_plugins/", "examples/clusters/")
    wanted = {name for name in tracked if name.startswith(folders) and not (PROJECT / name).is_symlink()}
    wanted |= {"site.yml", "ansible.cfg", "group_vars/all/ansible.yml"}
    assert sorted(wanted - names) == []
    assert "playbooks/group_vars/all/ansible.yml" in names
    # Nothing of a person's, and no second copy.
    assert not [name for name in names if "me.yml" in name or name.startswith(("inventory/", "playbooks/roles"))]
    assert "jupyter-cluster = jupyter_cluster.command:main" in entries
    assert wheel.name == f"jupyter_on_a_cluster-{__version__}-py3-none-any.whl"


def test_its_command_runs_the_playbooks_that_are_in_it(installed: Path, tmp_path: Path) -> None:
    inventory = tmp_path / "config" / "jupyter-cluster" / "inventory"
    around = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE", "PYTHON"))}
    around |= {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    python, program = str(installed / "bin" / "python"), "import sys; from jupyter_cluster.command import main; main()"
    argv = [python, "-P", "-c", program]

    shown = run(*argv, "--help", folder=tmp_path, around=around)
    assert "\n  disconnect  " in shown.stdout, shown.stderr
    empty = run(*argv, "status", folder=tmp_path, around=around)
    assert (empty.returncode, empty.stderr) == (
        1, f"There is no cluster yet in {inventory}. To add yours: jupyter-cluster init\n",
    )  # fmt: skip
    # As far as the way to a node that this machine does not know: so with roles, filters, actions and group_vars.
    inventory.mkdir(parents=True)
    (inventory / "hydra.yml").write_text((PROJECT / "inventory" / "hydra.yml").read_text())
    # A short path, as a home's is, and not a pytest's.
    looked = run(*argv, "status", "--json", "-e", "my_folder=/none", folder=tmp_path, around=around)
    assert '"problem": "not set up on this machine: ' in looked.stdout, looked.stdout
    assert not (tmp_path / ".ssh").exists()
