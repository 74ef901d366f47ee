"""Nothing of the person's is reachable by a neighbour, nor by somebody without the password."""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess

import pytest
from browser import Browser
from cluster import GATEWAY, NODE, Laptop, node_root
from patience import seconds
from testinfra.host import Host


def test_the_socket_is_private(host: Host, laptop: Laptop) -> None:
    folder = host.file(laptop.node_folder)
    assert (folder.user, folder.mode) == ("astro", 0o700)
    assert host.file(f"{laptop.node_folder}/run").mode & 0o777 == 0o700
    endpoint = host.file(f"{laptop.node_folder}/run/jupyter.sock")
    assert (endpoint.is_socket, endpoint.user, endpoint.mode) == (True, "astro", 0o600)


def test_keys_and_records_are_private(host: Host, laptop: Laptop) -> None:
    for name in ("server.key", "password_hash", "jupyter_server_config.py", "jupyter.log", "run/jupyter_cookie_secret"):
        assert host.file(f"{laptop.node_folder}/{name}").mode == 0o600, name
    assert (laptop.folder / "ca" / "ca.key").stat().st_mode & 0o777 == 0o600
    assert laptop.folder.stat().st_mode & 0o777 == 0o700


# Reads whatever a neighbour can read from the ports on the node's loopback, for some seconds.
EAVESDROP = """
import sys, time, zmq
subscriber = zmq.Context().socket(zmq.SUB)
subscriber.subscribe(b"")
for port in sys.argv[1:]:
    subscriber.connect("tcp://127.0.0.1:" + port)
print("listening", flush=True)
end = time.monotonic() + SECONDS
while time.monotonic() < end:
    if subscriber.poll(100):
        print(subscriber.recv_multipart())
"""


def test_a_neighbour_cannot_read_what_a_kernel_prints(browser: Browser, kernel: str) -> None:
    # Once it answers, it listens.
    browser.run(kernel, "print()")
    ports = node_root("ss -Hltn | grep -o '127.0.0.1:[0-9]*' | cut -d : -f 2 || true").split()
    command = ["podman", "exec", "--user", "fresh", "jupyter-test-hydra08i", "/opt/anaconda3/bin/python", "-c"]
    eavesdrop = EAVESDROP.replace("SECONDS", str(seconds(3)))
    with subprocess.Popen([*command, eavesdrop, *ports], stdout=subprocess.PIPE, text=True) as neighbour:
        assert neighbour.stdout is not None
        assert neighbour.stdout.readline() == "listening\n"
        assert "secret result" in browser.run(kernel, "import time; time.sleep(1); print('secret result')")
        assert neighbour.stdout.read() == ""


def test_nothing_listens_for_the_account_but_the_kernel_s_one_port(
    laptop: Laptop, browser: Browser, kernel: str
) -> None:
    """The one that ipykernel opens by itself, on the loopback (docs/security.md)."""
    browser.run(kernel, "print()")
    listening = node_root(f"ss -Hltunpe | grep uid:$(id -u {laptop.account}) || true").splitlines()
    assert len(listening) == 1, listening
    assert all("127.0.0.1:" in one.split()[4] for one in listening), listening
    pids = node_root(f"pgrep -u {laptop.account} -f ipykernel || true").split()
    assert all(set(re.findall(r"pid=(\d+)", one)) <= set(pids) for one in listening), listening


def test_nothing_listens_on_the_gateway(laptop: Laptop) -> None:
    # Others may have a server there: it is a login node to them.
    listening = f"ss -Hltne | grep uid:$(id -u {laptop.account}) || true"
    assert node_root(listening, host="gate") == ""
    # It would be seen.
    one = f"runuser -u {laptop.account} -- timeout 5 nc -l 127.0.0.1 39991 & sleep 1; {listening}"
    assert "127.0.0.1:39991" in node_root(one, host="gate")


def test_a_neighbour_cannot_reach_the_socket(laptop: Laptop) -> None:
    said = node_root(f"runuser -u fresh -- nc -U {laptop.node_folder}/run/jupyter.sock </dev/null 2>&1 || echo refused")
    assert "Permission denied" in said
    assert "refused" in said


def test_the_private_key_has_never_left_the_node(laptop: Laptop) -> None:
    key = laptop.ssh(f"cat {laptop.node_folder}/server.key")
    body = key.splitlines()[1]
    found = [path for path in laptop.folder.rglob("*") if path.is_file() and body in path.read_text(errors="replace")]
    assert found == []


def test_the_certificate_is_for_localhost_and_no_other_name(laptop: Laptop) -> None:
    text = laptop.ssh(f"openssl x509 -in {laptop.node_folder}/server.crt -noout -text")
    assert "DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1" in text
    assert "prime256v1" in text
    days = laptop.ssh(f"openssl x509 -in {laptop.node_folder}/server.crt -noout -checkend $((363 * 86400)) || true")
    assert "will not expire" in days
    authority = subprocess.run(
        ["openssl", "x509", "-in", laptop.authority, "-noout", "-text"], capture_output=True, text=True, check=True
    ).stdout
    assert "CA:TRUE, pathlen:0" in authority
    constraints = authority[authority.index("Name Constraints: critical") :]
    assert [line.strip() for line in constraints.splitlines()[1:5]] == [
        "Permitted:",
        "DNS:localhost",
        "IP:127.0.0.1/255.255.255.255",
        "IP:0:0:0:0:0:0:0:1/FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF",
    ]


def test_a_browser_that_does_not_know_the_authority_refuses() -> None:
    with (
        socket.create_connection(("localhost", 9876), timeout=seconds(5)) as connection,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        ssl.create_default_context().wrap_socket(connection, server_hostname="localhost")


def test_only_the_password_opens(laptop: Laptop) -> None:
    stranger = laptop.browser()
    assert stranger.request("/api/kernels")[0] == 403
    assert not stranger.login("not the password")
    assert stranger.login(laptop.password)


def test_an_old_token_does_not_open(laptop: Laptop) -> None:
    token = "static-token-of-the-tutorial"
    stranger = laptop.browser()
    assert stranger.request(f"/api/kernels?token={token}")[0] == 403
    assert stranger.request("/api/kernels", headers={"Authorization": f"token {token}"})[0] == 403


def test_an_old_allow_origin_does_not_count(browser: Browser) -> None:
    _, _, headers = browser.request("/api/kernels", headers={"Origin": "https://evil.example.org"})
    assert "Access-Control-Allow-Origin" not in headers


def test_requests_without_the_xsrf_cookie_are_refused(browser: Browser) -> None:
    status, _, _ = browser.request("/api/kernels", b"{}", "POST", {"X-XSRFToken": ""})
    assert status == 403


def test_the_log_has_no_token(laptop: Laptop) -> None:
    log = laptop.ssh(f"cat {laptop.node_folder}/jupyter.log")
    assert "token=" not in log.replace("token=[secret]", "")


def test_ssh_shares_one_connection_between_node_and_tunnel(laptop: Laptop) -> None:
    def effective(name: str) -> dict[str, str]:
        command = ["ssh", "-G", "-F", str(laptop.ssh_config), name]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        return dict(line.split(" ", 1) for line in lines if " " in line)

    node, tunnel, gateway = effective(NODE), effective("jupyter-hydra"), effective(GATEWAY)
    assert tunnel["hostname"] == NODE
    assert tunnel["controlpath"] == node["controlpath"]
    assert tunnel["proxyjump"] == node["proxyjump"] == GATEWAY
    assert tunnel["user"] == node["user"] == gateway["user"] == "astro"
    assert tunnel["identityfile"] == node["identityfile"]
    assert "localforward" not in node
    for one in (node, tunnel, gateway):
        assert one["stricthostkeychecking"] == "true"
        assert one["controlmaster"] == "auto"


def test_the_answer_is_json_with_the_server_s_version(browser: Browser) -> None:
    assert json.loads(browser.request("/api")[1])["version"].startswith("2.")
