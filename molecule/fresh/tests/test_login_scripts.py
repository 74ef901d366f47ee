"""What people have in their login scripts: it works, or one line names the place to look."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest
from cluster import Laptop, node_root
from patience import seconds

Writes = Callable[[str, str], None]


@pytest.fixture
def writes(laptop: Laptop, stopped: None) -> Iterator[Writes]:
    """Put a line at the top of a login script, for a while."""
    home = f"/home/{laptop.account}"

    def write(file: str, line: str) -> None:
        laptop.ssh(f"touch {file} && cp -p {file} kept{file} && {{ echo '{line}'; cat kept{file}; }} >{file}")

    yield write
    node_root(
        f"cd {home} && for kept in kept.*; do mv $kept ${{kept#kept}}; done; pkill -u {laptop.account} sleep || true"
    )


@pytest.mark.parametrize(
    ("file", "line"),
    [
        (".profile", "set -o noclobber"),
        (".profile", "set -eu"),
        (".profile", "[ -t 1 ] && exec sleep 1000"),
        (".profile", "sleep 1000 &"),
        (".profile", "export POSIXLY_CORRECT=1 CDPATH=/tmp IFS=x"),
        (".bashrc", "[ -t 0 ] && exec sleep 1000"),
        (".bashrc", "tty -s && read -r answer"),
    ],
    ids=["noclobber", "-eu", "another shell at a terminal", "a job", "variables", "one in .bashrc", "a question"],
)
def test_a_server_is_found_fit_and_starts(laptop: Laptop, writes: Writes, file: str, line: str) -> None:
    writes(file, line)
    assert "Works:    yes" in laptop.playbook("playbooks/doctor.yml").stdout
    laptop.ssh(f"screen -dmS jupyter /bin/sh {laptop.node_folder}/launch this-start")
    deadline = time.monotonic() + seconds(40)
    ask = f"curl -sk --unix-socket {laptop.node_folder}/run/jupyter.sock https://localhost/api"
    while '"version"' not in laptop.ssh(f"{ask} || true"):
        assert time.monotonic() < deadline, laptop.ssh(f"tail -n 20 {laptop.node_folder}/jupyter.log")
        time.sleep(0.2)
    laptop.end_server()


#: What people, and centres, set there.
VARIABLES = (
    "BASH_ENV=/none CDPATH=/tmp ENV=/none IFS=x POSIXLY_CORRECT=1 TMOUT=9999 TMPDIR=/tmp LC_ALL=C TZ=Asia/Tokyo"
    " TERM=none IPYTHONDIR=/tmp/none-$USER JUPYTER_CONFIG_DIR=/tmp/none JUPYTER_CONFIG_PATH=/tmp/none"
    " JUPYTER_NO_CONFIG=1 JUPYTER_PATH=/tmp/none JUPYTER_PORT=9999 JUPYTER_RUNTIME_DIR=/tmp/none"
    " JUPYTER_TOKEN=known JUPYTERHUB_API_TOKEN=x"
    " LD_LIBRARY_PATH=/none LD_PRELOAD=/none.so PYTHONDONTWRITEBYTECODE=1 PYTHONSTARTUP=/none PYTHONWARNINGS=error"
    " XDG_CONFIG_HOME=/tmp/none XDG_DATA_HOME=/tmp/none XDG_RUNTIME_DIR=/none"
    " http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9"
)


def test_variables_that_people_set_open_nothing_and_break_nothing(laptop: Laptop, writes: Writes) -> None:
    writes(".profile", f"export {VARIABLES}")
    started = laptop.playbook("site.yml")
    assert started.returncode == 0, started.stdout
    stranger = laptop.browser()
    assert stranger.request("/api/contents")[0] == stranger.request("/api/contents?token=known")[0] == 403
    browser = laptop.browser()
    assert browser.login(laptop.password)
    kernel = browser.api("kernels", {"name": "python3"}, "POST")["id"]
    assert browser.run(kernel, "import os; print(os.environ['TZ'])") == "Asia/Tokyo\n"
    browser.api(f"kernels/{kernel}", method="DELETE")
    assert "Works:    yes" in laptop.playbook("playbooks/doctor.yml").stdout
    laptop.end_server()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("PYTHONOPTIMIZE=2", "PYTHONOPTIMIZE=2 takes texts out of programs that Jupyter needs. Take it out of your"),
        ("PYTHONHOME=/none", "where your login scripts set variables for Python, such as PYTHONHOME, take those out."),
        ("PYTHONHASHSEED=abc", "(Fatal Python error: config_init_hash_seed: PYTHONHASHSEED must be "),
        ("PYTHONINSPECT=1", "PYTHONINSPECT keeps the server from ending when it shall. Take it out of your"),
        ("JUPYTER_CONFIG_DIR=/none/x", "/none: Permission denied. JUPYTER_CONFIG_DIR is /none/x in your login scripts"),
        (
            "SSL_CERT_FILE=/none http_proxy=http://127.0.0.1:9",
            "SSL_CERT_FILE is /none in your login scripts, and that",
        ),
    ],
)
def test_a_variable_that_cannot_work_is_named(laptop: Laptop, writes: Writes, line: str, said: str) -> None:
    writes(".profile", f"export {line}")
    refused = laptop.playbook("site.yml")
    assert refused.returncode != 0
    assert said in " ".join(refused.stdout.split())
    assert "place for the sockets" not in refused.stdout
    assert not laptop.servers()


@pytest.mark.parametrize("line", ["PYTHONINSPECT=1", "PYTHONOPTIMIZE=02", "PYTHONHASHSEED=abc"])
def test_a_variable_that_cannot_work_is_known_beforehand(laptop: Laptop, writes: Writes, line: str) -> None:
    writes(".profile", f"export {line}")
    looked = laptop.playbook("playbooks/doctor.yml")
    assert looked.returncode != 0
    assert re.search(rf"^Works: +no[.] .*{line.partition('=')[0]}", looked.stdout, re.MULTILINE)


@pytest.mark.parametrize("line", ["PYTHONINSPECT=1", "PYTHONOPTIMIZE=2"])
def test_a_start_by_hand_says_it_too(laptop: Laptop, writes: Writes, line: str) -> None:
    writes(".profile", f"export {line}")
    said = laptop.ssh(f"sh {laptop.node_folder}/launch || true")
    assert f"Not started: {line.partition('=')[0]}" in said
    assert not laptop.servers()


@pytest.mark.parametrize(
    ("file", "line"),
    [(".bashrc", "exec sleep 1000"), (".bashrc", "sleep 1000 &")],
    ids=["another shell", "a job that keeps the connection"],
)
def test_one_that_cannot_work_is_named_in_time(laptop: Laptop, writes: Writes, file: str, line: str) -> None:
    writes(file, line)
    begun = time.monotonic()
    refused = laptop.playbook("playbooks/connect.yml", my_browser=False)
    assert refused.returncode != 0
    assert time.monotonic() - begun < seconds(50)
    said = " ".join(refused.stdout.split())
    assert (
        "The login shell on hydra08i.rzg.mpg.de has not run the probe within 30 s. Look for a line in ~/.bashrc" in said
    )


@pytest.mark.parametrize(
    "line", ["echo Welcome, argon2:all; echo Welcome >&2", "printf Welcome"], ids=["a line", "half"]
)
def test_one_that_prints_changes_nothing(laptop: Laptop, writes: Writes, line: str) -> None:
    """Also where a password is given, which is compared with the one on the node; and the log is the log alone."""
    assert laptop.playbook("site.yml").returncode == 0
    writes(".bashrc", line)
    again = laptop.playbook("site.yml")
    assert "changed=0" in again.stdout, again.stdout
    assert "Welcome" not in laptop.playbook("playbooks/logs.yml", errors=subprocess.DEVNULL).stdout


def test_one_that_ends_the_shell_is_named(laptop: Laptop, writes: Writes) -> None:
    writes(".profile", "exit 0")
    refused = " ".join(laptop.playbook("playbooks/connect.yml", my_browser=False).stdout.split())
    assert "The login shell on the node did not run the probe to its end. Look for a line in ~/.bash_profile" in refused


@pytest.mark.parametrize("shell", ["zsh", "tcsh", "fish"])
def test_a_day_with_another_login_shell(laptop: Laptop, stopped: None, shell: str) -> None:
    """What is set for bash alone, such as `module`, is there all the same: bash is asked for it."""
    node_root(f"usermod -s /usr/bin/{shell} {laptop.account}")
    try:
        # The shell is that of the login.
        assert laptop.playbook("playbooks/disconnect.yml").returncode == 0
        first = laptop.playbook("site.yml")
        assert first.returncode == 0, first.stdout
        browser = laptop.browser()
        assert browser.login(laptop.password)
        kernel = browser.api("kernels", {"name": "python3"}, "POST")["id"]
        assert browser.run(kernel, "print(6 * 7)") == "42\n"
        assert "changed=0" in laptop.playbook("site.yml").stdout
        shown = laptop.playbook("playbooks/status.yml", errors=subprocess.DEVNULL, status_format="json").stdout
        assert [len(one["kernels"]) for one in json.loads(shown)] == [1]
        assert laptop.playbook("playbooks/remove.yml", my_end_kernels=True).returncode == 0
        assert node_root(f"ls -d {laptop.node_folder} || true") == ""
        assert node_root(f"pgrep -u {laptop.account} -f jupyter_server_config || true") == ""
    finally:
        node_root(f"usermod -s /bin/bash {laptop.account}")
        laptop.playbook("playbooks/disconnect.yml")
    assert laptop.playbook("site.yml").returncode == 0
