"""What people have in their login scripts: it works, or one line names the place to look."""

from __future__ import annotations

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
        laptop.ssh(f"touch {file} && cp -p {file} kept.{file} && {{ echo '{line}'; cat kept.{file}; }} >{file}")

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
def test_a_server_comes_and_goes(laptop: Laptop, writes: Writes, file: str, line: str) -> None:
    writes(file, line)
    started = laptop.playbook("site.yml")
    assert started.returncode == 0, started.stdout
    assert laptop.browser().login(laptop.password)
    assert laptop.playbook("site.yml").stdout.count("changed=0") == 1
    stopped = laptop.playbook("playbooks/stop.yml")
    assert stopped.returncode == 0, stopped.stdout
    assert laptop.servers() == []


@pytest.mark.parametrize(
    ("file", "line"),
    [(".bashrc", "exec sleep 1000"), (".bashrc", "sleep 1000 &"), (".profile", "exec sleep 1000")],
    ids=["another shell", "a job that keeps the connection", "another shell at login"],
)
def test_one_that_cannot_work_is_named_in_time(laptop: Laptop, writes: Writes, file: str, line: str) -> None:
    writes(file, line)
    begun = time.monotonic()
    refused = laptop.playbook("site.yml")
    assert refused.returncode != 0
    assert time.monotonic() - begun < seconds(75)
    said = " ".join(refused.stdout.split())
    assert (
        "The login shell on hydra08i.rzg.mpg.de has not run the probe within 45 s. Look for a line in ~/.bashrc" in said
    )


def test_one_that_ends_the_shell_is_named(laptop: Laptop, writes: Writes) -> None:
    writes(".profile", "exit 0")
    refused = " ".join(laptop.playbook("site.yml").stdout.split())
    assert "The login shell on the node did not run the probe to its end. Look for a line in ~/.bash_profile" in refused
