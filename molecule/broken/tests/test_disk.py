"""A home that is full, cannot be written, or runs no programs; a screen without its folder; and wrong modes."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator

import pytest
from cluster import Laptop, node_root
from patience import seconds

#: What a kernel runs to print where its server does, as what its libraries write before it listens does.
PRINTS = "import os; log = open(f'/proc/{os.getppid()}/fd/2', 'wb', 0)"


@contextlib.contextmanager
def own_disk(laptop: Laptop) -> Iterator[Callable[[str], str]]:
    """Put the account's home on a small disk of its own, and let root change that."""
    home = f"/home/{laptop.account}"

    def change(command: str) -> str:
        return node_root(command.format(home=home))

    change(
        "mkdir -p /srv/disk && mount -t tmpfs -o size=8m,mode=755 none /srv/disk && cp -a {home} /srv/disk/home"
        " && mount --bind /srv/disk/home {home}"
    )
    try:
        yield change
    finally:
        change("umount -l {home}; umount -l /srv/disk; rmdir /srv/disk")


def remount(options: str) -> str:
    """The command that mounts the disk with other options."""
    return f"mount -o remount,{options} /srv/disk && mount -o remount,bind,{options} {{home}}"


def test_a_home_that_runs_no_programs(laptop: Laptop, stopped: None) -> None:
    with own_disk(laptop) as change:
        change(remount("noexec"))
        assert "Permission denied" in laptop.ssh("cp /bin/true . && ./true 2>&1 || true")
        done = laptop.playbook("site.yml")
        assert done.returncode == 0, done.stdout
        assert laptop.browser().login(laptop.password)
        assert laptop.playbook("playbooks/stop.yml").returncode == 0


def refuse(laptop: Laptop, verb: str, cause: str) -> None:
    """See that one line says what is the matter."""
    refused = laptop.playbook(verb, my_password="another horse battery staple")
    assert refused.returncode != 0
    said = f"Nothing can be written in {laptop.node_folder} on hydra08i.rzg.mpg.de: {cause}. Make room there"
    assert said in " ".join(refused.stdout.split())
    assert len(refused.stdout.splitlines()) < 12


def doctor(laptop: Laptop) -> str:
    """Return what it says will not work."""
    return " ".join(laptop.playbook("playbooks/doctor.yml").stdout.split()).partition("Works: no. ")[2]


def test_a_home_that_cannot_be_written(laptop: Laptop, stopped: None) -> None:
    with own_disk(laptop) as change:
        change(remount("ro"))
        refuse(laptop, "site.yml", "Read-only file system")
        assert "takes no new file: it is read-only, or not yours." in doctor(laptop)
        assert laptop.servers() == []


def test_a_home_that_is_full(laptop: Laptop, stopped: None) -> None:
    """The server that runs stays reachable, and ends when it is told to."""
    with own_disk(laptop) as change:
        assert laptop.playbook("site.yml").returncode == 0
        (running,) = laptop.servers()
        change("dd if=/dev/zero of=/srv/disk/fill bs=4k 2>/dev/null || true")
        for verb in ("site.yml", "playbooks/password.yml"):
            refuse(laptop, verb, "No space left on device")
        assert "is full. Make room there." in doctor(laptop)
        connected = laptop.playbook("playbooks/connect.yml", my_browser=False)
        assert connected.returncode == 0, connected.stdout
        assert laptop.servers() == [running]
        ended = laptop.playbook("playbooks/stop.yml")
        assert ended.returncode == 0, ended.stdout
        assert laptop.servers() == []


def test_remove_says_what_it_cannot_take_away(laptop: Laptop, stopped: None) -> None:
    with own_disk(laptop) as change:
        assert laptop.playbook("site.yml").returncode == 0
        assert laptop.playbook("playbooks/stop.yml").returncode == 0
        change(remount("ro"))
        refused = laptop.playbook("playbooks/remove.yml")
        assert refused.returncode != 0
        said = " ".join(refused.stdout.split())
        assert re.search(
            rf"{laptop.node_folder} on \S+ cannot be emptied: .*password_hash.* stays[.] rm: .*Read-only", said
        )
        assert "What was listed is gone." not in said
        change(remount("rw"))
        # A folder that is ours, and what somebody else has in it.
        laptop.ssh(f"cd {laptop.node_folder} && echo mine >notes && chmod 400 notes && chmod 500 .")
        removed = laptop.playbook("playbooks/remove.yml")
        assert removed.returncode == 0, removed.stdout
        assert "stays, since this in it is not ours: notes" in " ".join(removed.stdout.split())
        change(f"test $(stat -c %a {laptop.node_folder}) = 700 && test $(stat -c %a {laptop.node_folder}/notes) = 400")
    assert laptop.playbook("site.yml").returncode == 0


def test_a_server_on_a_full_disk_goes_on_and_so_does_its_log(laptop: Laptop, stopped: None) -> None:
    with own_disk(laptop) as change:
        assert laptop.playbook("site.yml").returncode == 0
        browser = laptop.browser()
        assert browser.login(laptop.password)
        kernel = browser.api("kernels", {"name": "python3"}, "POST")["id"]
        browser.run(kernel, PRINTS)
        change("dd if=/dev/zero of=/srv/disk/fill bs=4k 2>/dev/null || true")
        for _ in range(3):
            assert browser.run(kernel, "_ = log.write(b'y' * 65536); print(1)") == "1\n"
        change("rm /srv/disk/fill")
        browser.run(kernel, "_ = log.write(b'after that\\n')")
        deadline = time.monotonic() + seconds(10)
        while "after that" not in (log := laptop.ssh(f"cat {laptop.node_folder}/jupyter.log")):
            assert time.monotonic() < deadline
        assert "bytes are missing here: nothing could be written." in log
        assert laptop.playbook("playbooks/stop.yml").returncode == 0


def test_a_full_place_for_kernels_is_passed_by_or_named(laptop: Laptop, stopped: None) -> None:
    uid = laptop.ssh("id -u").strip()
    place = f"/tmp/jupyter-cluster-{uid}"
    node_root(
        f"mkdir -p {place} && mount -t tmpfs -o size=64k,mode=700,uid={uid} none {place}"
        f" && su {laptop.account} -c 'echo >{place}/.jupyter-cluster'",
    )
    fill = f"dd if=/dev/zero of={place}/fill bs=4k 2>/dev/null || true"
    try:
        node_root(fill)
        assert f"/var{place}, for kernels" in laptop.playbook("playbooks/doctor.yml").stdout
        assert laptop.playbook("site.yml").returncode == 0
        browser = laptop.browser()
        assert browser.login(laptop.password)
        kernel = browser.api("kernels", {"name": "python3"}, "POST")["id"]
        assert f"kernel-{kernel}.json" in laptop.ssh(f"ls /var{place}")
        assert laptop.playbook("playbooks/stop.yml", my_end_kernels=True).returncode == 0
        node_root(f"rm {place}/fill")
        assert laptop.playbook("site.yml").returncode == 0
        (running,) = laptop.servers()
        # Full under a server that runs: new kernels would fail, and the server goes on.
        node_root(fill)
        refused = laptop.playbook("site.yml")
        assert refused.returncode != 0
        said = " ".join(refused.stdout.split())
        assert f"Nothing can be written in {place} on hydra08i.rzg.mpg.de: No space left on device. Make room" in said
        assert f"The disk of {place} is full" in doctor(laptop)
        assert laptop.playbook("playbooks/connect.yml", my_browser=False).returncode == 0
        assert laptop.servers() == [running]
        assert laptop.playbook("playbooks/stop.yml").returncode == 0
    finally:
        node_root(f"umount -l {place}; rm -rf {place} /var{place}")
    assert laptop.playbook("site.yml").returncode == 0


def test_a_screen_whose_folder_cannot_be_used_gets_a_private_one(laptop: Laptop, stopped: None) -> None:
    """And what one types to see it is said; a folder of the user's own counts before it."""
    # This account's: the one above it is everybody's, who start servers meanwhile.
    folder, own = f"/run/screen/S-{laptop.account}", f"{laptop.node_folder}/screen"
    node_root(f"rm -rf {folder} && mkdir -m 0700 {folder}")
    try:
        started = laptop.playbook("site.yml")
        assert started.returncode == 0, started.stdout
        look = f"env SCREENDIR={own} screen -r jupyter"
        assert f"in the screen session jupyter ({look})" in " ".join(started.stdout.split())
        assert look in " ".join(laptop.playbook("playbooks/doctor.yml").stdout.split())
        assert "changed=0" in laptop.playbook("site.yml").stdout
        assert laptop.ssh(f"stat -c '%U %a' {own}") == f"{laptop.account} 700\n"
        assert ".jupyter" in laptop.ssh(f"SCREENDIR={own} screen -ls")
        assert laptop.playbook("playbooks/restart.yml").returncode == 0
        # It is found there, also once the node's is as it should be.
        node_root(f"chown {laptop.account} {folder}")
        assert "changed=0" in laptop.playbook("site.yml").stdout
        assert laptop.playbook("playbooks/stop.yml").returncode == 0
        assert laptop.ssh(f"ls {own}") == ""
        node_root(f"chown root {folder}")
        # A window of the user's own in it outlasts all that is ours.
        assert laptop.playbook("site.yml").returncode == 0
        laptop.ssh(f"SCREENDIR={own} screen -S jupyter -X screen sleep 1000")
        removed = laptop.playbook("playbooks/remove.yml")
        assert removed.returncode == 0, removed.stdout
        assert "stays, since this in it is not ours: screen" in " ".join(removed.stdout.split())
        assert ".jupyter" in node_root(f"su {laptop.account} -c 'SCREENDIR={own} screen -ls'")
        node_root(f"su {laptop.account} -c 'SCREENDIR={own} screen -S jupyter -X quit'")
        laptop.playbook("site.yml")
        assert laptop.playbook("playbooks/stop.yml").returncode == 0
        laptop.ssh("mkdir -m 0700 screens && echo 'export SCREENDIR=~/screens' >.bash_profile")
        assert laptop.playbook("site.yml").returncode == 0
        assert ".jupyter" in laptop.ssh("ls screens")
        assert laptop.playbook("playbooks/stop.yml").returncode == 0
        assert laptop.ssh("ls screens") == ""
    finally:
        laptop.ssh("rm -rf screens .bash_profile")
        node_root(f"rm -rf {folder}")


@pytest.mark.parametrize("mode", ["000", "777"])
def test_wrong_modes_heal(laptop: Laptop, stopped: None, mode: str) -> None:
    files = "launch serve.py jupyter_server_config.py password_hash server.key"
    laptop.ssh(f"cd {laptop.node_folder} && chmod {mode} {files}")
    healed = laptop.playbook("site.yml")
    assert healed.returncode == 0, healed.stdout
    modes = laptop.ssh(f"cd {laptop.node_folder} && stat -c %a {files}").split()
    assert all(mode in ("600", "700") for mode in modes), modes
    assert laptop.browser().login(laptop.password)
    assert "changed=0" in laptop.playbook("site.yml").stdout


@pytest.mark.parametrize("server", ["stopped", "running"])
def test_a_closed_folder_heals_and_is_removed(laptop: Laptop, request: pytest.FixtureRequest, server: str) -> None:
    """With its password as it was, and the server that runs."""
    request.getfixturevalue(server)
    before = laptop.ssh(f"cat {laptop.node_folder}/password_hash")
    there = laptop.servers()
    laptop.ssh(f"chmod 000 {laptop.node_folder}/run; chmod 000 {laptop.node_folder}")
    healed = laptop.playbook("site.yml")
    assert healed.returncode == 0, healed.stdout
    assert laptop.ssh(f"cat {laptop.node_folder}/password_hash") == before
    assert not there or laptop.servers() == there
    assert laptop.browser().login(laptop.password)
    # With what an interrupted run has left, and its key.
    laptop.ssh(f"cd {laptop.node_folder} && mkdir tls.Ab12Cd && touch tls.Ab12Cd/server.key && chmod 000 .")
    listed = laptop.playbook("playbooks/remove.yml", my_end_kernels=True)
    assert listed.returncode == 0, listed.stdout
    assert f"{laptop.node_folder} (configuration, password, certificate, log)" in " ".join(listed.stdout.split())
    assert node_root(f"test -e {laptop.node_folder} || echo gone") == "gone\n"
    assert laptop.playbook("site.yml").returncode == 0
