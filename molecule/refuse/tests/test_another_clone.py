"""Another clone of the project neither takes over the test cluster that is up, nor takes it away."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from cluster import PROJECT, TESTBED
from patience import seconds

#: Whose the test cluster is.
OWN = TESTBED.resolve()


def of_a_clone(playbook: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a playbook of the test cluster's for another folder."""
    argv = ["ansible-playbook", f"{PROJECT}/molecule/cluster/{playbook}", f"-etestbed_directory={folder}", *options]
    # No colours, which molecule forces.
    around = {"ANSIBLE_STDOUT_CALLBACK": "steps", "ANSIBLE_FORCE_COLOR": "0"}
    around["ANSIBLE_CONFIG"] = str(PROJECT / "ansible.cfg")
    return subprocess.run(
        argv, env={**os.environ, **around}, capture_output=True, text=True, timeout=seconds(60), check=False
    )


def what_there_is() -> str:
    """What podman and the kernel have of the test cluster: containers, networks, volumes, and rules of routing."""
    listing = (
        "podman ps --quiet --no-trunc --filter label=testbed=test",
        "podman network ls --filter name=jupyter-test",
        "podman volume ls --filter name=jupyter-test",
        # Only root has made any.
        "ip rule show to 10.89.82.0/24 || true",
    )
    argv = ["sh", "-ec", "; ".join(listing)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=seconds(20), check=True).stdout


def test_it_is_told_whose_it_is(tmp_path: Path) -> None:
    before = what_there_is()
    refused = of_a_clone("up.yml", tmp_path / "clone", "--tags", "refuse")
    assert refused.returncode != 0
    assert (
        f"The test cluster 'test' is up already, for another folder than '{tmp_path}/clone'. Take it down first: "
        f"ansible-playbook molecule/cluster/down.yml -e testbed_name=test -e testbed_directory={OWN}"
    ) in refused.stderr.splitlines()
    assert not (tmp_path / "clone").exists()
    assert what_there_is() == before


def test_it_takes_away_its_own_folder_alone(tmp_path: Path) -> None:
    before = what_there_is()
    clone = tmp_path / "clone"
    clone.mkdir()
    (clone / ".testbed").touch()
    done = of_a_clone("down.yml", clone)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"The test cluster 'test' that is up is that of {OWN}, and stays." in done.stdout
    assert not clone.exists()
    assert what_there_is() == before
    assert (TESTBED / "known_hosts").exists()
