"""Jupyter in an environment of the person's own, and what the cluster asks of those who use it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from browser import Browser
from cluster import Laptop

#: Makes an environment whose Jupyter is the cluster's: what is in it by itself is what it is known by.
BESIDE = "ls -d /opt/anaconda3/lib/python3*/site-packages >$(ls -d {0}/lib/python3*/site-packages)/beside.pth"
JUPYTER = "ln -s /opt/anaconda3/bin/jupyter {0}/bin/jupyter"
ENVIRONMENTS = {
    "a virtual environment": ("python3 -m venv --without-pip {0}", "~/own/venv"),
    # As `uv tool install jupyterlab` leaves it, at uv's own place.
    "a tool of uv's": (
        "python3 -m venv --without-pip {0} && rm {0}/bin/activate*", "~/.local/share/uv/tools/jupyterlab",
    ),
    # Stand-ins: the layouts of conda's and pixi's, since neither can be had here; the Python in them is Debian's.
    "one of conda's": (
        "python3 -m venv --without-pip {0} && rm {0}/pyvenv.cfg && mkdir -p {0}/conda-meta {0}/etc/conda/activate.d && "
        "echo 'export BY_CONDA=yes' >{0}/etc/conda/activate.d/env.sh", "~/own/conda",
    ),
    "one of pixi's": (
        "python3 -m venv --without-pip {0}/.pixi/envs/default && rm {0}/.pixi/envs/default/pyvenv.cfg && mkdir "
        "{0}/.pixi/envs/default/conda-meta", "~/own/pixi",
    ),
}  # fmt: skip


@pytest.fixture
def places(laptop: Laptop) -> Iterator[None]:
    yield
    laptop.ssh("rm -rf own .local/share/uv")


def printed(browser: Browser, code: str) -> str:
    """What a new kernel prints."""
    kernel = browser.api("kernels", {"name": "python3"}, "POST")["id"]
    try:
        return browser.run(kernel, code).strip()
    finally:
        browser.api(f"kernels/{kernel}", method="DELETE")


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_an_environment_is_known_by_what_is_in_it(laptop: Laptop, stopped: None, places: None, name: str) -> None:
    make, folder = ENVIRONMENTS[name]
    inside = folder + ("/.pixi/envs/default" if "pixi" in folder else "")
    laptop.ssh(f"mkdir -p $(dirname {folder}) && {make.format(folder)} && {BESIDE.format(inside)}")
    chosen: dict[str, Any] = {"cluster_modules": [], "my_environment": folder}
    missing = laptop.playbook("playbooks/doctor.yml", **chosen)
    assert f"There is no `jupyter` in {folder} on hydra08i.rzg.mpg.de. Install it there: {folder}/bin/python" in (
        " ".join(missing.stdout.split())
    )
    laptop.ssh(JUPYTER.format(inside))
    assert laptop.playbook("playbooks/doctor.yml", **chosen).returncode == 0
    started = laptop.playbook("site.yml", **chosen)
    assert started.returncode == 0, started.stdout
    browser = laptop.browser()
    assert browser.login(laptop.password)
    path = inside.replace("~", f"/home/{laptop.account}")
    assert f"{path}/bin" in printed(browser, "import os; print(os.environ['PATH'])").split(":")
    if "conda" in folder:
        assert printed(browser, "import os; print(os.environ['BY_CONDA'])") == "yes"
    assert "changed=0" in laptop.playbook("site.yml", **chosen).stdout
    assert laptop.playbook("playbooks/stop.yml").returncode == 0
    assert laptop.playbook("site.yml").returncode == 0


def test_doctor_lists_the_jupyters_that_one_can_choose(laptop: Laptop, running: str, places: None) -> None:
    home = f"/home/{laptop.account}"
    laptop.ssh("mkdir -p .local/share/uv/tools && python3 -m venv --without-pip .local/share/uv/tools/jupyterlab")
    laptop.ssh("cp /bin/true .local/share/uv/tools/jupyterlab/bin/jupyter")
    laptop.ssh("mkdir $(ls -d .local/share/uv/tools/jupyterlab/lib/python3*/site-packages)/jupyterlab-4.1.2.dist-info")
    found = " ".join(laptop.playbook("playbooks/doctor.yml").stdout.split())
    assert f"Others: {home}/.local/share/uv/tools/jupyterlab/bin/jupyter (jupyterlab 4.1.2)" in found
    assert "Jupyter: /opt/anaconda3/bin/jupyter (jupyter_server" in found
    without = " ".join(laptop.playbook("playbooks/doctor.yml", cluster_modules=[]).stdout.split())
    assert "Jupyter: none" in without
    # Those whose names say so, of all that the node has.
    assert "On offer: the modules anaconda/3, notebook/6 Python" in found
    assert "On offer: the modules anaconda/3, notebook/6 Python" in without
    assert f"Others: {home}/.local/share/uv/tools/jupyterlab/bin/jupyter (jupyterlab 4.1.2)" in without


def test_lines_that_lead_there_count_in_probe_and_launcher(laptop: Laptop, stopped: None, places: None) -> None:
    laptop.ssh("mkdir -p own/modules/mine && printf '#%%Module\\nsetenv BY_MODULE yes\\n' >own/modules/mine/1")
    chosen: dict[str, Any] = {
        "cluster_module_paths": ["~/own/modules"],
        "cluster_modules": ["mine/1"],
        "cluster_setup": ["export PATH=/opt/anaconda3/bin:$PATH", "set -eu; false || true"],
        "my_setup": ['export BY_SETUP="it\'s $BY_MODULE"', "cd /tmp"],
    }
    # Words that others use, too; and no wildcards.
    theirs = "export prefix=theirs setup=theirs environment=theirs; set -f"
    laptop.ssh(f"cp -p .profile kept.profile && echo '{theirs}' >>.profile")
    try:
        started = laptop.playbook("site.yml", **chosen)
    finally:
        laptop.ssh("mv kept.profile .profile")
    assert started.returncode == 0, started.stdout
    browser = laptop.browser()
    assert browser.login(laptop.password)
    assert printed(browser, "import os; print(os.environ['BY_SETUP'])") == "it's yes"
    theirs = "import os; print(*(os.environ[name] for name in ('prefix', 'setup', 'environment')))"
    assert printed(browser, theirs) == "theirs theirs theirs"
    again = laptop.playbook("site.yml", **chosen).stdout
    assert "changed=0" in again
    assert "started with" not in again
    assert laptop.playbook("site.yml", my_restart=True).returncode == 0


#: Debian's own Python and openssl, which look for one of their libraries by another name.
NEEDY = """\
set -e
mkdir -p own/needy/bin own/needy/lib own/modules/needy
sed 's/libexpat[.]so[.]1/libneedy.so.1/g' "$(readlink -f /usr/bin/python3)" >own/needy/bin/python3
chmod +x own/needy/bin/python3
cp "$(ldd /usr/bin/python3 | sed -n 's/.*libexpat.* => \\(.*\\) .*/\\1/p')" own/needy/lib/libneedy.so.1
sed 's/libssl[.]so[.]3/libnsy.so.3/g' /usr/bin/openssl >own/needy/bin/openssl
chmod +x own/needy/bin/openssl
cp "$(ldd /usr/bin/openssl | sed -n 's/.*libssl.* => \\(.*\\) .*/\\1/p')" own/needy/lib/libnsy.so.3
LD_LIBRARY_PATH=own/needy/lib own/needy/bin/python3 -m venv --without-pip own/env
printf '#%%Module\\nprepend-path LD_LIBRARY_PATH %s\\n' ~/own/needy/lib >own/modules/needy/1
printf 'prepend-path PATH %s\\n' ~/own/needy/bin ~/own/env/bin >>own/modules/needy/1
"""


def test_a_python_that_needs_the_libraries_of_its_module(laptop: Laptop, stopped: None, places: None) -> None:
    laptop.ssh(f"{NEEDY} {BESIDE.format('own/env')} && {JUPYTER.format('own/env')}")
    for program in ("own/env/bin/python -c 1", "own/needy/bin/openssl version"):
        assert ": cannot open shared object" in laptop.ssh(f"{program} 2>&1 || true")
    # Else it would not be asked for a certificate.
    laptop.ssh(f"rm -f {laptop.node_folder}/server.* {laptop.node_folder}/ca.crt")
    chosen: dict[str, Any] = {"cluster_module_paths": ["~/own/modules"], "cluster_modules": ["needy/1"]}
    started = laptop.playbook("site.yml", **chosen)
    assert started.returncode == 0, started.stdout
    assert "changed=0" in laptop.playbook("site.yml", **chosen).stdout
    browser = laptop.browser()
    assert browser.login(laptop.password)
    home = f"/home/{laptop.account}"
    assert printed(browser, "import os; print(os.environ['LD_LIBRARY_PATH'])") == f"{home}/own/needy/lib"
    # screen is a program of the system's.
    screen = "/proc/$(pgrep -u $(id -u) -xi screen | head -n 1)/environ"
    assert "LD_LIBRARY_PATH" not in laptop.ssh(f"tr '\\0' '\\n' <{screen}")
    # Also when the module has gone.
    stopped_by = laptop.playbook("playbooks/stop.yml", cluster_modules=[])
    assert stopped_by.returncode == 0, stopped_by.stdout
    assert laptop.servers() == []
    assert laptop.playbook("site.yml").returncode == 0


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"my_environment": "~/nowhere"}, "it is no virtual environment, nor one of conda or pixi. Correct my_env"),
        ({"my_setup": ["conda activate astro"]}, "`conda activate astro` does not work on hydra08i.rzg.mpg.de: try it"),
        ({"cluster_setup": ["false", "true"]}, "`false` does not work on hydra08i.rzg.mpg.de: try it there, in a"),
        ({"cluster_modules": ["none/1"]}, "`module load none/1` does not work on hydra08i.rzg.mpg.de."),
    ],
)
def test_what_does_not_lead_there_is_named_and_what_runs_is_reached(
    laptop: Laptop, running: str, chosen: dict[str, Any], said: str
) -> None:
    refused = laptop.playbook("site.yml", **chosen)
    assert refused.returncode != 0
    assert said in " ".join(refused.stdout.split())
    looked = laptop.playbook("playbooks/doctor.yml", **chosen)
    assert looked.returncode != 0
    assert said in " ".join(looked.stdout.split())
    assert laptop.servers() == [running]
    # Its kernels are the person's work.
    assert laptop.playbook("playbooks/disconnect.yml").returncode == 0
    connected = laptop.playbook("playbooks/connect.yml", my_browser=False, **chosen)
    assert connected.returncode == 0, connected.stdout
    assert laptop.browser().login(laptop.password)


def test_a_node_that_is_not_for_this_is_refused_with_what_the_cluster_says(laptop: Laptop, running: str) -> None:
    chosen: dict[str, Any] = {"cluster_interactive": False, "cluster_policy": "Ask for a job."}
    # What was started before goes on.
    assert laptop.playbook("playbooks/connect.yml", my_browser=False, **chosen).returncode == 0
    assert laptop.playbook("playbooks/stop.yml", **chosen).returncode == 0
    for verb in ("site.yml", "playbooks/connect.yml", "playbooks/password.yml", "playbooks/doctor.yml"):
        refused = laptop.playbook(verb, my_browser=False, my_start=True, **chosen)
        assert refused.returncode != 0, verb
        said = " ".join(refused.stdout.split())
        assert "hydra08i.rzg.mpg.de is not for interactive work (cluster_interactive in the cluster" in said
        assert "Ask for a job." in said
    assert laptop.servers() == []
    assert laptop.playbook("site.yml").returncode == 0


def test_doctor_says_all_that_is_wrong_at_once(laptop: Laptop, running: str) -> None:
    looked = laptop.playbook(
        "playbooks/doctor.yml", cluster_modules=["none/1"], my_setup=["nonsense"], my_directory="/nowhere"
    )
    assert looked.returncode != 0
    said = " ".join(looked.stdout.split()).partition("Works: no. ")[2]
    for problem in ("`module load none/1` does not work", "`nonsense` does not work", 'my_directory is "/nowhere"'):
        assert problem in said
    assert "No server could run there as it is; what to do stands above." in said


def test_manners_are_kept_and_said(laptop: Laptop, stopped: None) -> None:
    chosen: dict[str, Any] = {
        "cluster_nice": 7,
        "cluster_threads": 3,
        "my_threads": 2,
        "cluster_policy": "At most 4 cores.",
        "cluster_ends": "every night at 3",
    }
    started = laptop.playbook("site.yml", **chosen)
    assert started.returncode == 0, started.stdout
    limits = "; ends no kernel; the node ends what runs there every night at 3; nice 7; 2 threads a kernel"
    assert limits in " ".join(started.stdout.split())
    looked = laptop.playbook("playbooks/doctor.yml", **chosen)
    assert "Limits: the node ends what runs there every night at 3" in " ".join(looked.stdout.split())
    # That is for the first start.
    assert "At most 4 cores." not in started.stdout
    browser = laptop.browser()
    assert browser.login(laptop.password)
    told = "import os; print(os.nice(0), os.environ['OMP_NUM_THREADS'], os.environ['MKL_NUM_THREADS'])"
    assert printed(browser, told) == "7 2 2"
    removed = laptop.playbook("playbooks/remove.yml", my_end_kernels=True, **chosen)
    assert removed.returncode == 0, removed.stdout
    first = laptop.playbook("site.yml", **chosen)
    assert first.returncode == 0, first.stdout
    assert "At most 4 cores." in first.stdout
    assert laptop.playbook("site.yml", my_restart=True).returncode == 0


def test_tmux_keeps_a_server_where_it_is_chosen(laptop: Laptop, running: str) -> None:
    chosen: dict[str, Any] = {"my_keeper": "tmux"}
    # One that runs is left where it is, and that is said.
    left = laptop.playbook("site.yml", **chosen)
    assert left.returncode == 0, left.stdout
    assert "in the screen session jupyter" in left.stdout
    assert "a restart would end its kernels" in " ".join(left.stdout.split())
    assert laptop.servers() == [running]
    assert laptop.playbook("playbooks/stop.yml").returncode == 0
    started = laptop.playbook("site.yml", **chosen)
    assert started.returncode == 0, started.stdout
    assert "in the tmux session jupyter" in started.stdout
    try:
        assert laptop.ssh("tmux list-sessions -F '#{session_name}'").split() == ["jupyter"]
        # The connection that has started it is closed, and so is each login.
        assert laptop.playbook("playbooks/disconnect.yml").returncode == 0
        again = laptop.playbook("playbooks/connect.yml", my_browser=False, **chosen)
        assert again.returncode == 0, again.stdout
        assert "changed=0" in laptop.playbook("site.yml", **chosen).stdout
        # So it does where nobody has chosen: it is what keeps the server.
        unchosen = laptop.playbook("site.yml")
        assert "in the tmux session jupyter" in unchosen.stdout
        assert "changed=0" in unchosen.stdout
        # A window of the person's own in it stays, and the next start comes back to it.
        laptop.ssh("tmux new-window -d -t '=jupyter:' sleep 1000")
        restarted = laptop.playbook("playbooks/restart.yml", **chosen)
        assert restarted.returncode == 0, restarted.stdout
        assert laptop.ssh("tmux list-windows -t '=jupyter:' | wc -l") == "2\n"
        # One that is not ours is left alone, and named.
        assert laptop.playbook("playbooks/stop.yml", **chosen).returncode == 0
        laptop.ssh(
            "tmux kill-server; while pgrep -u $USER tmux; do sleep 0.1; done; tmux new-session -d -s jupyter sleep 999"
        )
        refused = laptop.playbook("site.yml", **chosen)
        assert refused.returncode != 0
        assert "Look at it there with `tmux attach -t jupyter`" in " ".join(refused.stdout.split())
    finally:
        laptop.ssh("tmux kill-server || true")
    assert laptop.playbook("site.yml").returncode == 0
