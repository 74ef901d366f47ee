"""Which Jupyter runs, and that it is one which heeds what keeps others out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cluster import Laptop


@pytest.fixture
def own_jupyter(laptop: Laptop) -> Iterator[str]:
    """A place on the PATH for a `jupyter` of one's own."""
    laptop.ssh("mkdir -p bin && cp -p .profile kept.profile && echo 'PATH=$HOME/bin:$PATH' >>.profile")
    yield "bin/jupyter"
    laptop.ssh("rm -r bin && mv kept.profile .profile")


def findings(laptop: Laptop) -> str:
    """What doctor says, without any module."""
    return " ".join(laptop.playbook("playbooks/doctor.yml", cluster_modules=[]).stdout.split())


def test_a_jupyter_that_is_a_link_is_followed(laptop: Laptop, own_jupyter: str) -> None:
    """As pipx and uv make it."""
    laptop.ssh(f"ln -s /opt/anaconda3/bin/jupyter {own_jupyter}")
    said = findings(laptop)
    assert "Python: /opt/anaconda3/bin/python" in said
    assert "Works: yes" in said


@pytest.mark.parametrize(
    "lines",
    ["#!/opt/anaconda3/bin/python3", '#!/bin/sh\n\'\'\'exec\' "/opt/anaconda3/bin/python3" "$0" "$@"'],
    ids=["by its first line", "by the second, for a long path"],
)
def test_a_jupyter_that_is_a_script_elsewhere_is_followed(laptop: Laptop, own_jupyter: str, lines: str) -> None:
    laptop.ssh(f"cat >{own_jupyter} <<'END'\n{lines}\n# of uv's or pip's\nEND\nchmod 755 {own_jupyter}")
    assert "Python: /opt/anaconda3/bin/python3" in findings(laptop)


def test_notebook_6_beside_jupyter_server_2_is_private(laptop: Laptop, stopped: None) -> None:
    """It heeds nothing of what is set for that: it is asked what it is, and gets what is for it."""
    chosen: dict[str, Any] = {"my_interface": "notebook", "cluster_modules": ["notebook/6"]}
    started = laptop.playbook("site.yml", **chosen)
    assert started.returncode == 0, started.stdout
    assert laptop.browser().request("/api/contents")[0] == 403
    browser = laptop.browser()
    assert browser.login(laptop.password)
    assert browser.api("")["version"] == "6.5.7"
    assert laptop.ssh('ss -Hltnpe | grep "uid:$(id -u)" || true') == ""
    assert laptop.playbook("playbooks/stop.yml").returncode == 0


#: What such an environment has, and what is said of it.
OLDER = {
    "notebook 5": (
        ["notebook-5.7.16"],
        "notebook",
        "The notebook on {} is version 5.7.16, which cannot be kept private",
    ),
    "JupyterLab 2": (
        ["jupyterlab-2.3.2"],
        "lab",
        "The jupyterlab on {} is version 2.3.2, which cannot be kept private",
    ),
    "jupyter_server 1.8": (
        ["jupyterlab-3.0.17", "jupyter_server-1.8.0"],
        "lab",
        "has jupyter_server 1.8.0, and version 1.9 or newer is needed",
    ),
}


@pytest.mark.parametrize("name", OLDER)
def test_an_older_jupyter_is_refused_by_name(laptop: Laptop, own_jupyter: str, stopped: None, name: str) -> None:
    """By what its packages say of themselves; the packages are not here."""
    packages, interface, said = OLDER[name]
    laptop.ssh("python3 -m venv --without-pip bin/own && ln -s own/bin/jupyter bin && cp /bin/true bin/own/bin/jupyter")
    laptop.ssh("cd bin/own/lib/python3*/site-packages && ls -d /opt/anaconda3/lib/python3*/site-packages >beside.pth")
    for package in packages:
        metadata = "Metadata-Version: 2.1\nName: {}\nVersion: {}".format(*package.split("-"))
        laptop.ssh(f"cd bin/own/lib/python3*/site-packages && mkdir {package}.dist-info")
        laptop.ssh(f"cd bin/own/lib/python3*/site-packages && printf '{metadata}\\n' >{package}.dist-info/METADATA")
    refused = laptop.playbook("site.yml", cluster_modules=[], my_interface=interface)
    assert refused.returncode != 0
    assert said.format("hydra08i.rzg.mpg.de") in " ".join(refused.stdout.split())
    assert laptop.servers() == []


def test_a_folder_to_begin_in_that_is_not_there_is_refused(laptop: Laptop, running: str) -> None:
    for folder in ("~nosuchuser/x", "/nowhere"):
        for verb in ("site.yml", "playbooks/restart.yml"):
            refused = laptop.playbook(verb, my_directory=folder)
            assert refused.returncode != 0
            assert (
                f'my_directory is "{folder}", and there is no such folder on hydra08i.rzg.mpg.de. Make it there'
            ) in " ".join(refused.stdout.split())
    assert laptop.servers() == [running]


def test_a_start_by_connect_looks_at_what_it_needs_first(laptop: Laptop, stopped: None) -> None:
    refused = laptop.playbook("playbooks/connect.yml", my_browser=False, my_start=True, my_directory="/nowhere")
    assert refused.returncode != 0
    assert 'my_directory is "/nowhere", and there is no such folder' in " ".join(refused.stdout.split())
    assert laptop.servers() == []


def test_a_jupyter_that_is_a_script_of_one_s_own_is_refused_with_what_to_name(laptop: Laptop, running: str) -> None:
    laptop.ssh(
        "mkdir -p own/script && printf '#!/bin/sh\\nexec /opt/anaconda3/bin/jupyter \"$@\"\\n' >own/script/jupyter"
    )
    laptop.ssh("chmod +x own/script/jupyter")
    try:
        refused = laptop.playbook("site.yml", cluster_modules=[], my_setup=["PATH=~/own/script:$PATH"])
        assert refused.returncode != 0
        said = " ".join(refused.stdout.split())
        assert "own/script/jupyter on hydra08i.rzg.mpg.de does not say which Python it runs with" in said
        assert "Name the environment that has Jupyter by my_environment" in said
        assert "newer module" not in said
        assert "pip install" not in said
    finally:
        laptop.ssh("rm -r own/script")
    assert laptop.servers() == [running]


def test_how_to_install_a_jupyter_works_where_the_system_s_python_takes_no_packages(laptop: Laptop) -> None:
    refused = " ".join(laptop.playbook("playbooks/doctor.yml", cluster_modules=[]).stdout.split())
    assert "pip install --user" not in refused
    assert (
        "or install it there: python3 -m venv ~/.venvs/jupyter && ~/.venvs/jupyter/bin/pip install jupyterlab"
        in refused
    )
