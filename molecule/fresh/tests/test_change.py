"""A running server is never ended unasked, and one that cannot be private does not start."""

from __future__ import annotations

import pytest
from cluster import Laptop, takes_calls
from patience import seconds


def test_the_home_has_one_folder_more(laptop: Laptop) -> None:
    new = {".jupyter-cluster", ".ipython", ".jupyter", ".local", ".cache", ".config", ".ssh"}
    made = set(laptop.ssh("ls -A").split()) - {".bash_logout", ".bashrc", ".profile"}
    assert ".jupyter-cluster" in made
    assert made <= new, "Ansible or the playbooks leave something behind"
    assert laptop.ssh("find . -maxdepth 1 -name '.ansible*'") == ""


def test_a_running_server_keeps_its_files_until_it_is_told(laptop: Laptop, running: str) -> None:
    changed = laptop.playbook("site.yml", my_directory="/tmp")
    assert changed.returncode == 0, changed.stdout
    assert laptop.server() == running
    assert "a restart would end its kernels, so it is left" in " ".join(changed.stdout.split())
    again = laptop.playbook("site.yml", my_directory="/tmp")
    assert "a restart would end its kernels, so it is left" in " ".join(again.stdout.split())
    assert "changed=0" in again.stdout

    told = laptop.playbook("site.yml", my_directory="/tmp", my_restart=True)
    assert told.returncode == 0, told.stdout
    assert laptop.server() not in ("", running)
    browser = laptop.browser()
    assert browser.login(laptop.password)
    assert browser.request("/api/contents/?content=0")[0] == 200
    assert "Serving notebooks from local directory: /tmp" in laptop.ssh(f"cat {laptop.node_folder}/jupyter.log")


def test_stop_ends_server_session_and_tunnel(laptop: Laptop, running: str) -> None:
    stopped = laptop.playbook("playbooks/stop.yml")
    assert stopped.returncode == 0, stopped.stdout
    assert laptop.server() == ""
    assert laptop.ssh(f"test -e /proc/{running} && echo alive || echo gone") == "gone\n"
    assert laptop.sessions() == []
    assert not takes_calls(9877)


@pytest.mark.usefixtures("stopped")
def test_stop_without_a_server_is_no_error(laptop: Laptop) -> None:
    again = laptop.playbook("playbooks/stop.yml")
    assert again.returncode == 0, again.stdout
    assert "changed=0" in again.stdout


@pytest.mark.usefixtures("stopped")
def test_a_session_that_is_not_ours_is_left_alone_and_named(laptop: Laptop) -> None:
    laptop.ssh(f"screen -dmS jupyter sleep {seconds(300)}")
    (session,) = laptop.sessions()
    try:
        refused = laptop.playbook("site.yml")
        assert refused.returncode != 0
        assert (
            f"There is a screen session {session} on hydra08i.rzg.mpg.de already, and it is not ours. Look at it there "
            f"with `screen -r {session}`, save what you need, and end it (a Jupyter as in the tutorial ends by Ctrl-C, "
            "twice); then run this again."
        ) in " ".join(refused.stdout.split())
        assert "changed=0" in refused.stdout
        assert session in laptop.sessions()
        looked = laptop.playbook("playbooks/doctor.yml")
        assert looked.returncode != 0
        assert f"There is a screen session {session}" in " ".join(looked.stdout.split())
    finally:
        laptop.ssh(f"screen -S {session} -X quit")


@pytest.mark.usefixtures("stopped")
def test_another_window_in_our_session_outlives_the_server(laptop: Laptop) -> None:
    assert laptop.playbook("site.yml").returncode == 0
    (session,) = laptop.sessions()
    laptop.ssh(f"screen -S jupyter -X screen sleep {seconds(300)}")
    assert laptop.playbook("playbooks/stop.yml").returncode == 0
    assert session in laptop.sessions()
    assert laptop.playbook("site.yml").returncode == 0
    assert laptop.server() != ""
    assert laptop.sessions() == [session]
    laptop.ssh("pkill -u fresh -x sleep")


@pytest.mark.usefixtures("stopped")
def test_the_name_of_a_session_that_died_goes(laptop: Laptop) -> None:
    laptop.ssh(f"screen -dmS jupyter sleep {seconds(300)}")
    (session,) = laptop.sessions()
    laptop.ssh(f"kill -KILL {session.partition('.')[0]}; echo {session} >{laptop.node_folder}/run/session")
    assert laptop.playbook("site.yml").returncode == 0
    assert laptop.ssh("screen -ls").count(".jupyter") == 1


@pytest.mark.usefixtures("stopped")
def test_a_run_mends_what_is_missing(laptop: Laptop) -> None:
    laptop.ssh(f"cd {laptop.node_folder} && rm jupyter_server_config.py server.key && truncate -s 80 password_hash")
    assert laptop.playbook("site.yml").returncode == 0
    assert laptop.browser().login(laptop.password)


@pytest.mark.usefixtures("stopped")
def test_a_server_that_does_not_come_up_shows_its_log(laptop: Laptop) -> None:
    laptop.ssh("mkdir -p .jupyter; echo 'import os; os._exit(3)' >.jupyter/jupyter_config.py")
    try:
        failed = laptop.playbook("site.yml")
        assert failed.returncode != 0
        assert "The server ended before it answered: no error in its log" in failed.stdout
        assert "The end of its log:" in failed.stdout
    finally:
        laptop.ssh("rm .jupyter/jupyter_config.py")


def test_a_certificate_that_ends_soon_is_renewed(laptop: Laptop, running: str) -> None:
    before = laptop.ssh(f"cat {laptop.node_folder}/server.crt")
    renewed = laptop.playbook("site.yml", tls_cert_renew_days=364, tls_cert_days=366)
    assert renewed.returncode == 0, renewed.stdout
    assert laptop.ssh(f"cat {laptop.node_folder}/server.crt") == before
    renewed = laptop.playbook("site.yml", tls_cert_renew_days=366, tls_cert_days=367)
    assert renewed.returncode == 0, renewed.stdout
    assert laptop.ssh(f"cat {laptop.node_folder}/server.crt") != before
    assert laptop.server() == running
