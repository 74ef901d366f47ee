"""One server, whatever happens at the same time, and whatever stands in its records."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cluster import Laptop, node_root
from patience import seconds


def test_two_runs_at_the_same_time_leave_one_server_that_every_verb_finds(laptop: Laptop, stopped: None) -> None:
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda _: laptop.playbook("site.yml"), range(2)))
    assert [run.returncode for run in runs] == [0, 0], runs[0].stdout + runs[1].stdout
    (server,) = laptop.servers()
    assert laptop.browser().login(laptop.password)
    table = laptop.playbook("playbooks/status.yml", errors=subprocess.DEVNULL, status_format="json").stdout
    assert [one["pid"] for one in json.loads(table)] == [int(server)]
    assert laptop.playbook("playbooks/stop.yml").returncode == 0
    assert laptop.servers() == []


def test_six_starts_at_the_same_time_leave_one_server(laptop: Laptop, stopped: None) -> None:
    """Of the launcher alone, as a double click is. None of the five others touches what the first has written."""
    launch = f"setsid sh {laptop.node_folder}/launch start-$i ~/report-$i </dev/null >/dev/null 2>&1 &"
    laptop.ssh(f"cd; for i in 1 2 3 4 5 6; do {launch} done; sleep 8")
    (server,) = laptop.servers()
    try:
        assert server in laptop.ssh(f"cat {laptop.node_folder}/run/lock").split()
        refused = laptop.ssh("cat report-*; rm report-*").splitlines()
        assert refused.count(f"Not started: The server runs already, as process {server}.") == 5
        assert laptop.ssh(f"grep -c '^Start ' {laptop.node_folder}/jupyter.log") == "1\n"
    finally:
        assert laptop.playbook("playbooks/stop.yml").returncode == 0
    assert laptop.servers() == []


#: What may stand in a record, as printf writes it.
RECORDS = {
    "empty": "",
    "a newline": "\\n",
    "garbage": "garbage",
    "minus one": "-1",
    "the first process": "1",
    "binary": "\\0\\377\\n",
    "another boot": "hydra08i x 1 1\\n",
    "a foreign process": "hydra08i $(cat /proc/sys/kernel/random/boot_id) 1 1",
}


def spoil(laptop: Laptop, content: str) -> None:
    """Write it into every record, of now and of before."""
    laptop.ssh(
        f"umask 077; cd {laptop.node_folder}/run && for file in lock session pid endpoint started_with; do"
        f' printf -- "{content}" >new && mv new $file; done'
    )


def test_whatever_stands_in_the_records_the_server_is_found(laptop: Laptop, running: str) -> None:
    for name, content in RECORDS.items():
        spoil(laptop, content)
        shown = laptop.playbook("playbooks/status.yml", errors=subprocess.DEVNULL, status_format="json").stdout
        assert [one.get("pid") for one in json.loads(shown)] == [int(running)], name
    again = laptop.playbook("site.yml")
    assert again.returncode == 0, again.stdout
    assert "changed=0" in again.stdout
    assert laptop.servers() == [running]


@pytest.mark.parametrize("name", ["garbage", "a foreign process"])
def test_whatever_stands_in_the_records_a_server_ends_and_another_starts(
    laptop: Laptop, running: str, name: str
) -> None:
    spoil(laptop, RECORDS[name])
    stopped = laptop.playbook("playbooks/stop.yml")
    assert stopped.returncode == 0, stopped.stdout
    assert laptop.servers() == []
    spoil(laptop, RECORDS[name])
    started = laptop.playbook("playbooks/connect.yml", my_browser=False, my_start=True)
    assert started.returncode == 0, started.stdout
    assert laptop.browser().login(laptop.password)


def test_a_server_whose_folder_has_gone_is_found_and_ended(laptop: Laptop, running: str) -> None:
    """Moved away, as by a person who tidies up."""
    laptop.ssh(f"mv {laptop.node_folder} kept")
    try:
        shown = laptop.playbook("playbooks/status.yml", errors=subprocess.DEVNULL, status_format="json").stdout
        assert [one.get("pid") for one in json.loads(shown)] == [int(running)]
        for verb in ("site.yml", "playbooks/connect.yml", "playbooks/password.yml"):
            refused = laptop.playbook(verb, my_browser=False)
            assert refused.returncode != 0
            assert (
                f"A server of yours runs on hydra08i.rzg.mpg.de (process {running}), and its folder "
                f"{laptop.node_folder} is not there"
            ) in " ".join(refused.stdout.split())
        assert laptop.ssh(f"ls {laptop.node_folder} 2>&1 || true").endswith("No such file or directory\n")
        stopped = laptop.playbook("playbooks/stop.yml", my_end_kernels=True)
        assert stopped.returncode == 0, stopped.stdout
        assert laptop.servers() == []
    finally:
        laptop.ssh(f"rm -rf {laptop.node_folder} && mv kept {laptop.node_folder}")


def test_a_server_is_found_when_the_home_has_another_name(laptop: Laptop, running: str) -> None:
    """As an administrator arranges homes anew: the server names the old path on its command line."""
    account = laptop.account

    def move(old: str, new: str) -> None:
        # sshd knows the home since the login.
        assert laptop.playbook("playbooks/disconnect.yml").returncode == 0
        node_root(
            f"mkdir -p $(dirname {new}) && mv {old} {new} && sed 's,:{old}:,:{new}:,' /etc/passwd >/etc/passwd.new"
            " && cat /etc/passwd.new >/etc/passwd && rm /etc/passwd.new"
        )

    browser = laptop.browser()
    assert browser.login(laptop.password)
    kernel = browser.api("kernels", {"name": "python3"}, "POST")["id"]
    browser.run(kernel, "kept = 42")
    old, new = f"/home/{account}", f"/home/homes/{account}"
    move(old, new)
    try:
        # The old name leads there still, as most administrators would have it.
        node_root(f"ln -s {new} {old}")
        shown = laptop.playbook("playbooks/status.yml", errors=subprocess.DEVNULL, status_format="json").stdout
        (one,) = json.loads(shown)
        assert (one["pid"], len(one["kernels"])) == (int(running), 1)
        again = laptop.playbook("site.yml")
        assert again.returncode == 0, again.stdout
        assert laptop.servers() == [running]
        assert browser.run(kernel, "print(kept)") == "42\n"
        # Another start finds that one runs, too.
        refused = laptop.ssh(f"sh {new}/.jupyter-cluster/hydra08i/launch </dev/null 2>&1 || true")
        assert f"The server runs already, as process {running}." in refused
        node_root(f"rm {old}")
        refusal = laptop.playbook("site.yml")
        assert refusal.returncode != 0
        gone = f"{old}/.jupyter-cluster/hydra08i"
        said = f"A server of yours runs on hydra08i.rzg.mpg.de (process {running}), and its folder {gone} is not there"
        assert said in " ".join(refusal.stdout.split())
        stopped = laptop.playbook("playbooks/stop.yml", my_end_kernels=True)
        assert stopped.returncode == 0, stopped.stdout
        assert laptop.servers() == []
    finally:
        node_root(f"rm -f {old} 2>/dev/null || true")
        move(new, old)
        node_root("rmdir /home/homes")
    assert laptop.playbook("site.yml").returncode == 0


@pytest.mark.parametrize(
    "harm",
    [
        "echo garbage >owner",
        "printf '\\351\\377' >owner",
        ": >owner",
        "rm owner",
        "rm owner; mkfifo owner",
        "chmod 0 owner",
    ],
)
def test_a_server_says_what_its_kernels_do_whatever_becomes_of_its_key(laptop: Laptop, running: str, harm: str) -> None:
    laptop.ssh(f"cd {laptop.node_folder}/run && {{ {harm}; }}")
    shown = laptop.playbook("playbooks/status.yml", errors=subprocess.DEVNULL, status_format="json").stdout
    (one,) = json.loads(shown)
    assert one["pid"] == int(running)
    assert one["kernels"] == []


@pytest.mark.parametrize("harm", ["rm jupyter.sock", "rm jupyter.sock; echo >jupyter.sock", "cd ..; rm -r run"])
def test_a_socket_that_goes_comes_back(laptop: Laptop, running: str, harm: str) -> None:
    run = f"{laptop.node_folder}/run"
    laptop.ssh(f"cd {run} && {{ {harm}; }}")
    deadline = time.monotonic() + seconds(10)
    while laptop.ssh(f"stat -c '%a %F' {run}/jupyter.sock || true") != "600 socket\n":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    connected = laptop.playbook("playbooks/connect.yml", my_browser=False)
    assert connected.returncode == 0, connected.stdout
    assert laptop.browser().login(laptop.password)
    assert laptop.server() == running


@pytest.mark.parametrize("name", ["lock", "session", "owner"])
def test_a_pipe_for_a_record_keeps_no_start_waiting(laptop: Laptop, stopped: None, name: str) -> None:
    laptop.ssh(f"cd {laptop.node_folder}/run && rm -f {name} && mkfifo {name}")
    begun = time.monotonic()
    started = laptop.playbook("site.yml")
    assert started.returncode == 0, started.stdout
    assert time.monotonic() - begun < seconds(40)
    assert laptop.browser().login(laptop.password)


def test_a_server_whose_python_was_deleted_is_ended(laptop: Laptop, stopped: None) -> None:
    """With its whole environment: a process of ours, by a Python that is not there any more, and no other Jupyter."""
    config = f"--config={laptop.node_folder}/jupyter_server_config.py"
    begin = f"setsid ./python -c 'import time; time.sleep(999)' {config} </dev/null >/dev/null 2>&1 &"
    laptop.ssh(f"cp $(readlink -f /usr/bin/python3) python && {{ {begin} }} && sleep 1 && rm python")
    assert laptop.server()
    ended = laptop.playbook("playbooks/stop.yml", cluster_modules=[], my_end_kernels=True)
    assert ended.returncode == 0, ended.stdout
    assert laptop.servers() == []


def test_stop_and_remove_work_without_any_python(laptop: Laptop, running: str) -> None:
    """Nothing of the node's that this account may run: what a shell can do is enough."""
    python = node_root("readlink -f /usr/bin/python3").strip()
    node_root(f"groupadd -f without-python && usermod -aG without-python {laptop.account}")
    node_root(f"chgrp without-python {python} && chmod 0705 {python}")
    try:
        # The groups are those of the login.
        assert laptop.playbook("playbooks/disconnect.yml").returncode == 0
        refused = laptop.playbook("site.yml")
        assert refused.returncode != 0
        spared = laptop.playbook("playbooks/stop.yml")
        assert "does not say what its kernels do" in " ".join(spared.stdout.split())
        assert laptop.servers() == [running]
        stopped = laptop.playbook("playbooks/stop.yml", my_end_kernels=True)
        assert stopped.returncode == 0, stopped.stdout
        assert laptop.servers() == []
        removed = laptop.playbook("playbooks/remove.yml")
        assert removed.returncode == 0, removed.stdout
        assert node_root(f"ls -d {laptop.node_folder} /tmp/jupyter-cluster-$(id -u {laptop.account}) || true") == ""
    finally:
        node_root(f"chown root:root {python} && chmod 0755 {python} && gpasswd -d {laptop.account} without-python")
        laptop.playbook("playbooks/disconnect.yml")
    assert laptop.playbook("site.yml").returncode == 0


#: IPython's kernel behind a script, as people have it that loads modules first; it does not look whether its server is
#: there, as those of other languages.
STAYS = "env -u JPY_PARENT_PID /opt/anaconda3/bin/python3 -m ipykernel -f $0; :"


def test_kernels_that_a_killed_server_has_left_are_named_and_spared(laptop: Laptop, running: str) -> None:
    folder = ".local/share/jupyter/kernels/stays"
    spec = json.dumps({"argv": ["sh", "-c", STAYS, "{connection_file}"], "display_name": "Stays"})
    laptop.ssh(f"mkdir -p {folder} && echo '{spec}' >{folder}/kernel.json")
    try:
        browser = laptop.browser()
        assert browser.login(laptop.password)
        kernel = browser.api("kernels", {"name": "stays"}, "POST")["id"]
        # What has been left in the background, and a look at a kernel's file, are nothing of a server that was killed.
        browser.run(kernel, "import os, time\nif not os.fork() and os.setsid() and not os.fork(): time.sleep(60)")
        file = f"/tmp/jupyter-cluster-$(id -u)/kernel-{kernel}.json"
        laptop.ssh(f"setsid tail -f {file} </dev/null >/dev/null 2>&1 &")
        assert "left_kernels" not in laptop.playbook("playbooks/status.yml", status_format="json").stdout
        python, left = browser.run(kernel, "print(os.getpid(), os.getppid())").split()
        laptop.ssh(f"kill -9 {running}; while test -e /proc/{running}; do sleep 0.1; done")
        shown = laptop.playbook("playbooks/status.yml", errors=subprocess.DEVNULL, status_format="json").stdout
        assert [(one["running"], left in map(str, one["left_kernels"])) for one in json.loads(shown)] == [(False, True)]
        # Neither a start that fails nor the end of another server takes its files.
        laptop.ssh("mkdir -p .jupyter && echo 'import os; os._exit(3)' >.jupyter/jupyter_config.py")
        assert laptop.playbook("site.yml").returncode != 0
        laptop.ssh(f"rm .jupyter/jupyter_config.py; test -e {file}")
        # A start leaves them alone, and an end names them.
        assert laptop.playbook("site.yml").returncode == 0
        for verb in ("stop", "remove"):
            refused = laptop.playbook(f"playbooks/{verb}.yml")
            assert refused.returncode != 0
            assert re.search(rf"these kernels of it go on: process [0-9, ]*{left}\b", " ".join(refused.stdout.split()))
            assert len(laptop.servers()) == 1
        assert laptop.playbook("playbooks/restart.yml").returncode == 0
        laptop.ssh(f"test -e /proc/{python} && test -e {file}")
        ended = laptop.playbook("playbooks/stop.yml", my_end_kernels=True)
        assert ended.returncode == 0, ended.stdout
        assert laptop.ssh(f"test -e /proc/{python} || test -e /proc/{left} || echo gone") == "gone\n"
        assert laptop.servers() == []
    finally:
        laptop.ssh(f"rm -rf {folder} .jupyter/jupyter_config.py")
        laptop.ssh("pkill -u $(id -u) -9 -f '[i]pykernel|[t]ail -f' || true")


@pytest.mark.parametrize(
    ("harm", "heal", "chosen", "said"),
    [
        (
            "tmux new-session -d -s jupyter 'sleep 1000'", "tmux kill-server", {"my_keeper": "tmux"},
            "There is a tmux session ",
        ),
        (
            "setsid nc -lk 127.0.0.1 9799 </dev/null >/dev/null 2>&1 & sleep 0.5", "pkill -u $(id -u) -x nc",
            {"cluster_endpoint": "loopback", "my_node_port": 9799}, "Port 9799 of hydra08i.rzg.mpg.de is taken.",
        ),
        (
            "mkdir -m 755 bad && echo 'export SCREENDIR=~/bad' >.bash_profile", "rm -r bad .bash_profile", {},
            "screen does not start: ",
        ),
    ],
    ids=["a foreign session", "a port that is taken", "a keeper that does not start"],
)  # fmt: skip
def test_what_keeps_a_start_from_its_end_is_seen_before_a_restart_ends_anything(
    laptop: Laptop, running: str, harm: str, heal: str, chosen: dict[str, Any], said: str
) -> None:
    browser = laptop.browser()
    assert browser.login(laptop.password)
    kernel = browser.api("kernels", {"name": "python3"}, "POST")["id"]
    browser.run(kernel, "kept = 42")
    laptop.ssh(harm)
    try:
        refused = laptop.playbook("playbooks/restart.yml", **chosen)
        assert refused.returncode != 0
        assert said in " ".join(refused.stdout.split())
        assert laptop.servers() == [running]
        assert browser.run(kernel, "print(kept)") == "42\n"
    finally:
        laptop.ssh(heal)
        browser.api(f"kernels/{kernel}", method="DELETE")


def test_a_session_that_stays_is_said_to(laptop: Laptop, stopped: None) -> None:
    """With a window that screen keeps when its program has ended."""
    laptop.ssh("echo 'zombie kr' >.screenrc")
    try:
        assert laptop.playbook("site.yml").returncode == 0
        stays = re.compile(r"The screen session on hydra08i\S* stays, since something of yours is in it: screen -r \d+")
        for verb in ("stop", "remove"):
            done = laptop.playbook(f"playbooks/{verb}.yml")
            assert done.returncode == 0, done.stdout
            assert stays.search(" ".join(done.stdout.split())), done.stdout
    finally:
        # After `remove`, ssh does not know the way there.
        quit = "for name in $(screen -ls | grep -o '[0-9]*[.]jupyter'); do screen -S $name -X quit; done"
        node_root(f'su - {laptop.account} -c "rm .screenrc; {quit.replace("$", chr(92) + "$")}"')
    assert laptop.playbook("site.yml").returncode == 0


def test_a_start_by_other_files_than_the_inventory_s_is_refused(laptop: Laptop, stopped: None) -> None:
    """Without the way to wait for an endpoint that the launcher does not have."""
    refused = laptop.playbook("playbooks/connect.yml", my_browser=False, my_start=True, cluster_endpoint="loopback")
    assert refused.returncode != 0
    said = " ".join(refused.stdout.split())
    assert f"the server would listen at {laptop.node_folder}/run/jupyter.sock, and not at 127.0.0.1:" in said
    assert laptop.servers() == []


def test_a_lock_that_another_node_holds_is_respected_and_named(laptop: Laptop, stopped: None) -> None:
    laptop.ssh(f"echo login02 boot 1 1 >{laptop.node_folder}/run/lock")
    try:
        refused = laptop.playbook("site.yml")
        assert refused.returncode != 0
        assert f"{laptop.node_folder}/run/lock is held on login02, where this node cannot look." in refused.stdout
        assert laptop.servers() == []
    finally:
        laptop.ssh(f"rm {laptop.node_folder}/run/lock")


def test_a_slow_start_is_left_to_start_and_stop_ends_it(laptop: Laptop, stopped: None) -> None:
    laptop.ssh("mkdir -p .jupyter; echo 'import time; time.sleep(9999)' >.jupyter/jupyter_config.py")
    try:
        slow = laptop.playbook("site.yml", screen_session_timeout=6)
        assert slow.returncode != 0
        assert re.search(
            r"The server has not answered within 6 s\. It is still starting \(process \d+\): look again in a while, by "
            r"`status` or `logs`\. To wait longer: -e screen_session_timeout=SECONDS",
            " ".join(slow.stdout.split()),
        )
    finally:
        laptop.ssh("rm .jupyter/jupyter_config.py")
        assert laptop.playbook("playbooks/stop.yml", my_end_kernels=True).returncode == 0
    assert laptop.servers() == []
    assert "launch" not in node_root(f"ps -o args= -u {laptop.account} || true")


#: A file system without sockets, as the server sees it.
NO_SOCKETS = """\
import socket
def bind(*_):
    raise OSError(95, 'Operation not supported')
socket.socket.bind = bind
"""


def test_a_server_that_cannot_listen_says_why_and_ends(laptop: Laptop, stopped: None) -> None:
    laptop.ssh(f'mkdir -p .jupyter; printf %s "{NO_SOCKETS}" >.jupyter/jupyter_config.py')
    begun = time.monotonic()
    try:
        refused = laptop.playbook("site.yml")
    finally:
        laptop.ssh("rm .jupyter/jupyter_config.py")
    assert refused.returncode != 0
    # Long before the start may take no longer.
    assert time.monotonic() - begun < seconds(40)
    said = " ".join(refused.stdout.split())
    assert "Jupyter does not listen where it shall, and its log says why." in said
    assert "OSError: [Errno 95] Operation not supported" in said
    assert laptop.servers() == []


def test_a_failed_start_shows_its_own_first_error_and_no_token(laptop: Laptop, stopped: None) -> None:
    said = "import os; os.write(2, b'http://x/?token=abcdef\\\\nZeroDivisionError: by a user\\\\n'); os._exit(3)"
    laptop.ssh(f"echo 'The end of the previous server' >>{laptop.node_folder}/jupyter.log")
    laptop.ssh(f'mkdir -p .jupyter; echo "{said}" >.jupyter/jupyter_config.py')
    try:
        failed = laptop.playbook("site.yml")
    finally:
        laptop.ssh("rm .jupyter/jupyter_config.py")
    assert failed.returncode != 0
    assert "The server ended before it answered: ZeroDivisionError: by a user" in failed.stdout
    assert "token=[secret]" in failed.stdout
    assert "abcdef" not in failed.stdout
    assert "The end of the previous server" not in failed.stdout
    assert laptop.servers() == []


@pytest.mark.parametrize("harm", ["echo broken >", "chmod 000 "], ids=["broken", "unreadable"])
def test_stop_ends_a_server_whatever_its_certificate_is(laptop: Laptop, running: str, harm: str) -> None:
    laptop.ssh(f"cd {laptop.node_folder} && for file in server.crt server.key ca.crt; do {harm}$file; done")
    stopped = laptop.playbook("playbooks/stop.yml")
    assert stopped.returncode == 0, stopped.stdout
    assert laptop.servers() == []
    assert laptop.playbook("site.yml").returncode == 0


def test_stop_ends_a_server_that_cannot_tidy_up(laptop: Laptop, stopped: None) -> None:
    """Such as after a kernel that could not be started on a full disk, which Jupyter then misses."""
    own = (
        "from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager\n"
        "async def fails(*args, **kwargs):\n    raise KeyError('no such kernel')\n"
        "AsyncMappingKernelManager.shutdown_all = fails\n"
    )
    laptop.ssh(f"mkdir -p .jupyter && printf %s {shlex.quote(own)} >.jupyter/jupyter_server_config.py")
    try:
        assert laptop.playbook("site.yml").returncode == 0
        begun = time.monotonic()
        ended = laptop.playbook("playbooks/stop.yml", my_end_kernels=True)
        assert ended.returncode == 0, ended.stdout
        assert time.monotonic() - begun < seconds(30)
        assert laptop.servers() == []
    finally:
        laptop.ssh("rm -r .jupyter")


def test_stop_ends_a_launcher_that_is_on_its_way(laptop: Laptop, stopped: None) -> None:
    """In a login script that takes its time, so that there is no server yet."""
    laptop.ssh("cp -p .profile kept.profile && { echo '[ -z \"$STY\" ] || sleep 60'; cat kept.profile; } >.profile")
    try:
        laptop.ssh(f"screen -dmS jupyter /bin/sh {laptop.node_folder}/launch this-start; sleep 1")
        assert "launch this-start" in node_root(f"ps -o args= -u {laptop.account}")
        ended = laptop.playbook("playbooks/stop.yml")
        assert ended.returncode == 0, ended.stdout
        assert "launch this-start" not in node_root(f"ps -o args= -u {laptop.account}")
    finally:
        laptop.ssh("mv kept.profile .profile")


def test_a_launcher_touches_nothing_of_a_server_whose_lock_has_gone(laptop: Laptop, running: str) -> None:
    folder = laptop.node_folder
    look = f"sha256sum {folder}/run/owner && stat -c %i {folder}/jupyter.log && ls /tmp/jupyter-cluster-$(id -u)"
    before = laptop.ssh(f"rm {folder}/run/lock && {look}")
    refused = laptop.ssh(f"sh {folder}/launch this-start ~/report </dev/null || true; cat report; rm report")
    assert f"Not started: The server runs already, as process {running}." in refused
    assert laptop.ssh(look) == before
    assert laptop.servers() == [running]
    assert laptop.playbook("playbooks/stop.yml").returncode == 0


def test_what_is_of_another_kind_than_a_record_keeps_no_start_waiting(laptop: Laptop, stopped: None) -> None:
    run = f"{laptop.node_folder}/run"
    laptop.ssh(f"cd {run} && rm -f jupyter_cookie_secret jupyter.sock session && mkfifo jupyter_cookie_secret")
    laptop.ssh(f"cd {run} && echo >jupyter.sock && mkdir session lock")
    for name in ("lock", "session"):
        refused = laptop.playbook("site.yml")
        assert refused.returncode != 0
        assert f"{run}/{name} is a folder, and in the way. Take it away." in " ".join(refused.stdout.split())
        laptop.ssh(f"rmdir {run}/{name}")
    started = laptop.playbook("site.yml")
    assert started.returncode == 0, started.stdout
    assert laptop.browser().login(laptop.password)
