"""Whatever has happened to the certificate, the next run mends it, and no verb ends in a raw error."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cluster import NODE, PROJECT, Laptop
from patience import seconds

FILES = "sha256sum server.key server.crt ca.crt"
GARBAGE = "for file in server.key server.crt ca.crt; do head -c 3000 /dev/urandom >$file; done"
RAW = re.compile(r"Traceback|MODULE FAILURE|UnicodeDecodeError|Error (?:while|rendering)|cryptography|\[ERROR\]|<<<")
#: On the node: whether certificate, key and authority belong together.
WHOLE = (
    "openssl verify -CAfile ca.crt -purpose sslserver server.crt >&2 &&"
    ' [ "$(openssl x509 -in server.crt -noout -pubkey)" = "$(openssl pkey -in server.key -pubout)" ] &&'
    " stat -c %a server.key server.crt ca.crt"
)


def words(printed: str) -> str:
    """Join what Ansible has folded."""
    return " ".join(printed.split())


def site(laptop: Laptop, *options: str, **variables: Any) -> str:
    """Run site.yml, which has to succeed."""
    done = laptop.playbook("site.yml", *options, **variables)
    assert done.returncode == 0, done.stdout
    return words(done.stdout)


def on_the_node(laptop: Laptop, command: str) -> str:
    """Run a command in our folder on the node."""
    return laptop.ssh(f"cd {laptop.node_folder} && {{ {command}; }}")


def whole(laptop: Laptop) -> None:
    """Require a set that belongs together, with the right modes, and nothing beside it."""
    assert on_the_node(laptop, WHOLE) == "600\n644\n644\n"
    assert not re.search(r"^(tls|.*\.next|\.ansible)", on_the_node(laptop, "ls -A"), re.M)


def shown(laptop: Laptop, authority: Path | None = None) -> bytes:
    """Return the certificate that the server shows through the tunnel, verified by the authority."""
    context = ssl.create_default_context(cafile=authority or laptop.authority)
    port = int(laptop.url.rpartition(":")[2])
    with context.wrap_socket(
        socket.create_connection(("localhost", port), 5), server_hostname="localhost"
    ) as connection:
        return connection.getpeercert(binary_form=True) or b""


def test_a_run_mends_what_is_garbage_and_says_why(laptop: Laptop, running: str) -> None:
    """And takes away what an interrupted run has left."""
    on_the_node(laptop, GARBAGE)
    on_the_node(laptop, "mkdir tls.Ab12Cd && touch tls.Ab12Cd/server.key server.key.next .ansible_tmpx1server.crt")
    before = on_the_node(laptop, FILES)
    predicted = site(laptop, "--check", "--diff")
    assert f"The certificate on {NODE} would get another one in its place: ca.crt is no certificate." in predicted
    assert on_the_node(laptop, FILES) == before
    assert f"The certificate on {NODE} gets another one in its place: ca.crt is no certificate." in site(laptop)
    whole(laptop)
    assert laptop.server() == running
    assert shown(laptop)


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        ("rm server.crt ca.crt && mkdir -p server.crt/x ca.crt", "ca.crt is empty or cannot be read"),
        ("chmod 644 server.key && chmod 0 server.crt", "server.crt is empty or cannot be read"),
        ("chmod 644 server.key", "server.key has mode 644"),
    ],
    ids=["folders", "a mode of 0", "an open key"],
)
def test_a_run_mends_what_cannot_be_read_and_what_everybody_could(
    laptop: Laptop, running: str, harm: str, why: str
) -> None:
    before = on_the_node(laptop, "sha256sum server.key")
    on_the_node(laptop, harm)
    mended = laptop.playbook("site.yml")
    assert mended.returncode == 0, mended.stdout
    assert f"The certificate on {NODE} gets another one in its place: {why}." in words(mended.stdout)
    whole(laptop)
    assert on_the_node(laptop, "sha256sum server.key") != before
    assert laptop.server() == running


@pytest.mark.parametrize(
    "harm",
    [
        "openssl pkey -in server.key -aes128 -passout pass:secret -out new && mv new server.key",
        "openssl genpkey -algorithm rsa -out server.key 2>&1",
    ],
    ids=["an encrypted key", "a key of another kind"],
)
def test_a_look_waits_for_nothing_and_believes_nothing(laptop: Laptop, running: str, harm: str) -> None:
    on_the_node(laptop, "mkdir -p run/kept && cp -p server.* ca.crt run/kept")
    try:
        on_the_node(laptop, harm)
        looked = laptop.playbook("playbooks/status.yml", errors=subprocess.DEVNULL, status_format="json")
        assert json.loads(looked.stdout)[0]["certificate"] == ""
    finally:
        on_the_node(laptop, "rm -f server.* ca.crt && mv run/kept/* . && rmdir run/kept")


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        ("rm server.crt", "server.crt is missing"),
        ("rm ca.crt", "ca.crt is missing"),
        (GARBAGE, "ca.crt is no certificate"),
        (
            "openssl req -x509 -newkey rsa:2048 -nodes -keyout server.key -out server.crt -subj /CN=localhost -days 9"
            " -addext subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1 -addext extendedKeyUsage=serverAuth 2>&1",
            "server.crt is not signed by ca.crt",
        ),
    ],
    ids=["no certificate", "no authority", "garbage", "of another authority"],
)
def test_a_start_by_connect_mends_it_first(laptop: Laptop, stopped: None, harm: str, why: str) -> None:
    on_the_node(laptop, harm)
    started = laptop.playbook("playbooks/connect.yml", my_browser=False, my_start=True)
    assert started.returncode == 0, started.stdout
    assert f"The certificate on {NODE} gets another one in its place: {why}." in words(started.stdout)
    whole(laptop)
    assert laptop.server()
    assert shown(laptop)


@pytest.mark.parametrize("file", ["password_hash", "serve.py"])
def test_a_start_by_connect_names_what_only_a_whole_run_mends(laptop: Laptop, stopped: None, file: str) -> None:
    """In one line, before it opens a tunnel."""
    assert laptop.playbook("playbooks/disconnect.yml").returncode == 0
    on_the_node(laptop, f"mv {file} run")
    try:
        refused = laptop.playbook("playbooks/connect.yml", my_browser=False, my_start=True)
    finally:
        on_the_node(laptop, f"mv run/{file} .")
    assert refused.returncode != 0
    assert (
        f"The files that the server on {NODE} starts with are not whole: {file}. Have them written: ansible-playbook "
        "site.yml -l hydra"
    ) in refused.stdout.splitlines()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("localhost", int(laptop.url.rpartition(":")[2])), 5)


def test_a_server_that_nobody_can_log_in_to_is_none_that_works(laptop: Laptop, running: str) -> None:
    """Its password is emptied while it runs."""
    on_the_node(laptop, "cp password_hash run/kept; echo >password_hash")
    try:
        says = (
            f"Nobody can log in: {laptop.node_folder}/password_hash on {NODE} is missing, or not whole. Have a new one"
        )
        for verb in ("connect", "doctor"):
            done = laptop.playbook(f"playbooks/{verb}.yml", my_browser=False)
            assert done.returncode != 0, verb
            assert says in words(done.stdout)
        assert "nobody can log in: playbooks/password.yml" in laptop.playbook("playbooks/status.yml").stdout
        assert laptop.playbook("playbooks/password.yml").returncode == 0
        assert laptop.browser().login(laptop.password)
        assert laptop.playbook("playbooks/connect.yml", my_browser=False).returncode == 0
    finally:
        on_the_node(laptop, "mv run/kept password_hash")
    assert laptop.server() == running


def test_no_verb_ends_in_a_raw_error(laptop: Laptop, running: str) -> None:
    on_the_node(laptop, GARBAGE)
    status = laptop.playbook("playbooks/status.yml", errors=subprocess.DEVNULL, status_format="json")
    assert json.loads(status.stdout)[0]["certificate"] == ""
    for verb in ("status", "doctor", "logs", "password"):
        done = laptop.playbook(f"playbooks/{verb}.yml")
        assert done.returncode == 0, done.stdout
        assert not RAW.search(done.stdout), done.stdout
    for verb in ("connect", "stop"):
        done = laptop.playbook(f"playbooks/{verb}.yml", my_browser=False)
        assert not RAW.search(done.stdout), done.stdout
        if verb == "connect":
            assert (
                f"The certificate in {laptop.node_folder} on {NODE} does not serve: ca.crt is no certificate. Look at "
                "who changed it; another one, and no kernel ends by it: ansible-playbook playbooks/renew.yml -l hydra"
            ) in words(done.stdout)
    renewed = laptop.playbook("playbooks/renew.yml")
    assert renewed.returncode == 0, renewed.stdout
    whole(laptop)


def cut(laptop: Laptop, folder: Path, step: int) -> bool:
    """Renew by another authority, and kill it in its so-manieth step of issuing; tell whether it was killed."""
    argv = ["ansible-playbook", "-v", f"{PROJECT}/playbooks/renew.yml", "-i", f"{PROJECT}/inventory/hydra.yml"]
    chosen = {**laptop.here, "tls_cert_ca_directory": str(folder)}
    argv += [f"-e@{laptop.scenario}/vars/me.yml", f"-e{json.dumps(chosen)}"]
    settings = {"ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_NOCOLOR": "1", "MOLECULE_PROJECT_DIRECTORY": str(PROJECT)}
    with subprocess.Popen(
        argv,
        env={**os.environ, **settings, "PYTHONUNBUFFERED": "1", "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as run:
        stuck = threading.Timer(120, os.killpg, (run.pid, signal.SIGKILL))
        stuck.start()
        assert run.stdout is not None
        seen = 0
        for line in run.stdout:
            seen += line.startswith("TASK [tls_cert : issue | ")
            if seen == step:
                time.sleep(0.3)
                os.killpg(run.pid, signal.SIGKILL)
                break
        stuck.cancel()
    return seen == step


def test_a_renewal_by_another_machine_that_is_cut_anywhere(laptop: Laptop, running: str, tmp_path: Path) -> None:
    """The set on the node is always one machine's; and the next run, of either, is content with it or mends it."""
    step = 1
    while cut(laptop, tmp_path / f"ca{step}", step):
        # What is at work on the node goes on for a moment, which is longer on a busy one.
        deadline = time.monotonic() + seconds(5)
        while on_the_node(laptop, f"{{ {WHOLE}; }} 2>/dev/null || true") != "600\n644\n644\n":
            assert time.monotonic() < deadline, f"cut in step {step}"
            time.sleep(0.2)
        step += 1
    assert step > 4
    # The last one was not cut.
    site(laptop)
    whole(laptop)
    assert laptop.server() == running
    assert shown(laptop, laptop.folder / "ca" / f"{NODE}.crt")


@pytest.fixture
def shifted(tmp_path: Path) -> Path:
    """A folder by which Python, where it is in its path, is two hours ahead."""
    (tmp_path / "sitecustomize.py").write_text("import time\nright = time.time\ntime.time = lambda: right() + 7200\n")
    return tmp_path


def test_a_laptop_whose_clock_is_two_hours_ahead(laptop: Laptop, shifted: Path) -> None:
    """The clock of all that is Python on the laptop is; and so that the node has to verify it, no server runs yet."""
    assert laptop.playbook("playbooks/stop.yml", my_end_kernels=True).returncode == 0
    on_the_node(laptop, "rm -rf server.* ca.crt")
    environment = {"PYTHONPATH": str(shifted)}
    first = laptop.playbook("site.yml", env=environment)
    assert first.returncode == 0, first.stdout
    again = laptop.playbook("site.yml", env=environment)
    assert "changed=0" in again.stdout, again.stdout
    assert laptop.server()
    whole(laptop)
    dates = on_the_node(laptop, "openssl x509 -in server.crt -noout -dates")
    begin, end = (
        datetime.strptime(line.partition("=")[2], "%b %d %H:%M:%S %Y %Z").timestamp() for line in dates.splitlines()
    )
    for now in (time.time(), time.time() + 7200):
        assert begin < now < end


def test_an_authority_that_is_about_to_end_is_replaced(laptop: Laptop, running: str, tmp_path: Path) -> None:
    folder = tmp_path / "ca"
    short = laptop.playbook("playbooks/renew.yml", tls_cert_ca_directory=str(folder), tls_cert_ca_days=40)
    assert short.returncode == 0, short.stdout
    old = (folder / "ca.crt").read_text()
    (folder / "viper-i.mpcdf.mpg.de.crt").write_text(old)
    said = site(laptop, tls_cert_ca_directory=str(folder), tls_cert_renew_days=50)
    assert "gets another one in its place: it ends on " in said
    assert re.search(
        rf"This machine has a new certificate authority \(ca\.crt ends on \S+\)\. Import {folder}/ca\.crt into your "
        r"browsers\. The old one has signed for viper-i\.mpcdf\.mpg\.de, too: trust it until ansible-playbook "
        rf"playbooks/renew\.yml -l NODE has renewed the certificate of each\. The old one is kept in {folder}/replac",
        said,
    ), said
    (kept,) = folder.glob("replaced-*/ca.crt")
    assert kept.read_text() == old
    assert shown(laptop, folder / "ca.crt")


def test_a_damaged_authority_on_the_laptop(laptop: Laptop, running: str) -> None:
    """Its certificate comes back from the copy of the node's; without its key it is of no use."""
    folder = laptop.folder / "ca"
    assert laptop.playbook("playbooks/renew.yml").returncode == 0
    before = (folder / "ca.crt").read_text()
    (folder / "ca.crt").write_bytes(b"\xff\x00" * 99)
    renewed = laptop.playbook("playbooks/renew.yml")
    assert renewed.returncode == 0, renewed.stdout
    assert "new certificate authority" not in renewed.stdout
    assert (folder / "ca.crt").read_text() == before

    (folder / "ca.key").write_bytes(b"\xff\x00" * 99)
    renewed = laptop.playbook("playbooks/renew.yml")
    assert "This machine has a new certificate authority (ca.key is no private key)." in words(renewed.stdout)
    assert (folder / "ca.crt").read_text() != before
    whole(laptop)
    assert shown(laptop, folder / "ca.crt")
