"""The same private server, whichever generation of Jupyter the node has."""

from __future__ import annotations

import json
import shlex
import time

from browser import Browser
from generations import Elder
from patience import seconds

#: Pages of all kinds. Those that ask for a password have the word in them.
PAGES = (
    "/api", "/api/status", "/api/contents", "/api/kernels", "/api/kernelspecs", "/api/sessions", "/api/terminals",
    "/api/me", "/api/config/common", "/metrics", "/files/.bashrc", "/view/.bashrc", "/edit/.bashrc", "/tree", "/lab",
    "/lab/api/settings", "/nbconvert/html/x.ipynb", "/kernelspecs/python3/logo-64x64.png", "/custom/custom.css",
    "/static/favicon.ico", "/terminals/1", "/api/security/csp-report",
)  # fmt: skip
PASSWORD = "correct horse battery staple"
#: How long the answers to four wrong passwords take together, in seconds.
LATER = 1.5
#: What the likeliest old file of a person's own says, for each class that it may be said of.
OLD = "\n".join(
    f"c.{name}.{line}"
    for name in ("NotebookApp", "ServerApp")
    for line in (
        "token = 'known'",
        "password = ''",
        "password_required = False",
        "ip = '0.0.0.0'",
        "allow_origin = '*'",
        "disable_check_xsrf = True",
        "extra_static_paths = [__import__('os').path.expanduser('~')]",
        "login_handler_class = 'notebook.auth.login.LoginHandler'",
    )
)


def may(browser: Browser) -> bool:
    """Whether a browser may use the server."""
    status, text, _ = browser.request("/api/contents")
    assert status in (200, 403), text
    return status == 200


def listeners(elder: Elder) -> str:
    """What of this user's listens at a port of the node."""
    return elder.ssh('ss -Hltnpe | grep "uid:$(id -u)" || true')


def test_it_is_that_generation_and_a_second_run_changes_nothing(elder: Elder) -> None:
    said = elder.visitor().api("")
    assert said["version"] == elder.generation.version
    assert "changed=0" in elder.verb("site.yml")
    assert elder.generation.version in elder.verb("playbooks/status.yml")
    assert "Works: yes" in elder.verb("playbooks/doctor.yml")


def test_nothing_listens_at_a_port_and_only_the_password_opens(elder: Elder) -> None:
    assert listeners(elder) == ""
    assert elder.ssh(f"stat -c '%a %F' {elder.node_folder}/run/jupyter.sock") == "600 socket\n"
    stranger = elder.browser()
    assert not may(stranger)
    assert not stranger.login("another password")
    assert not may(stranger)
    assert stranger.request("/api/contents?token=known")[0] == 403
    assert stranger.request("/api/contents", headers={"Authorization": "token known"})[0] == 403
    assert stranger.request("/api/contents", headers={"Owner-Key": "unknown"})[0] == 403
    assert may(elder.visitor())


def test_without_a_login_one_sees_next_to_nothing(elder: Elder) -> None:
    stranger = elder.browser()
    shown = {path for path in PAGES if stranger.request(path)[0] == 200 and "password" not in stranger.request(path)[1]}
    # The last one is notebook's own, and empty.
    assert shown - {"/custom/custom.css"} == {"/api", "/static/favicon.ico"}


def test_an_old_file_of_one_s_own_opens_nothing(elder: Elder) -> None:
    files = " ".join(f".jupyter/jupyter_{name}config.py" for name in ("", "server_", "notebook_"))
    elder.ssh(f"mkdir -p .jupyter && echo {shlex.quote(OLD)} | tee {files}; echo mine >notes.txt")
    elder.ssh("mkdir .jupyter/custom && echo mine >.jupyter/custom/custom.css")
    try:
        elder.verb("playbooks/restart.yml")
        assert listeners(elder) == ""
        stranger = elder.browser()
        assert not may(stranger)
        assert stranger.request("/api/contents?token=known")[0] == 403
        assert stranger.request("/static/notes.txt")[0] == 403
        assert "mine" not in stranger.request("/custom/custom.css")[1]
        browser = elder.visitor()
        assert browser.request("/static/notes.txt")[:2] == (200, "mine\n")
        browser.cookies.clear("localhost.local", "/", "_xsrf")
        assert browser.request("/api/kernels", b"{}", "POST")[0] == 403
        assert elder.visitor().request("/api/contents", headers={"Origin": "https://evil.example"})[0] in (403, 404)
    finally:
        elder.ssh("rm -r .jupyter notes.txt")
        elder.verb("playbooks/restart.yml")


def test_the_hash_is_one_that_its_own_check_takes(elder: Elder) -> None:
    check = f"from {elder.generation.package}.auth.security import passwd_check; import sys"
    check += "; print(passwd_check(open(sys.argv[1]).read().strip(), sys.argv[2]))"
    program = shlex.join([elder.generation.python, "-c", check, f"{elder.node_folder}/password_hash"])
    assert elder.ssh(f"{program} {shlex.quote(elder.password)}") == "True\n"
    assert elder.ssh(f"{program} 'another password'") == "False\n"


def test_a_cell_runs_over_sockets_and_status_and_stop_know_its_kernel(elder: Elder) -> None:
    browser = elder.visitor()
    kernel = browser.api("kernels", {"name": "python3"}, "POST")["id"]
    assert browser.run(kernel, "print(6 * 7)") == "42\n"
    # Of one that is used as soon as it is there, the older ones learn at a later cell.
    deadline = time.monotonic() + seconds(20)
    while browser.api(f"kernels/{kernel}")["execution_state"] == "starting":
        assert time.monotonic() < deadline
        browser.run(kernel, "pass")
    place = f"/tmp/jupyter-cluster-{elder.ssh('id -u').strip()}"
    assert json.loads(elder.ssh(f"cat {place}/kernel-{kernel}.json"))["transport"] == "ipc"
    assert "1 idle" in elder.verb("playbooks/status.yml")
    with browser.channel(kernel) as channel:
        browser.execute(channel, "import time; time.sleep(300)")
        deadline = time.monotonic() + seconds(20)
        while browser.api(f"kernels/{kernel}")["execution_state"] != "busy":
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert "1 busy" in elder.verb("playbooks/status.yml")
    refused = elder.refused("playbooks/stop.yml")
    assert "Kernels are busy on hydra12i.rzg.mpg.de: python3." in refused
    browser.api(f"kernels/{kernel}", method="DELETE")


def test_a_debugger_opens_no_port(elder: Elder) -> None:
    browser = elder.visitor()
    kernel = browser.api("kernels", {"name": "python3"}, "POST")["id"]
    browser.run(kernel, "pass")
    before = listeners(elder)
    answer = browser.debug(kernel, "initialize")
    assert answer["success"] is False
    assert "my_debugger" in answer["message"]
    assert listeners(elder) == before
    browser.api(f"kernels/{kernel}", method="DELETE")


def test_an_emptied_hash_lets_nobody_in(elder: Elder) -> None:
    browser, file = elder.visitor(), f"{elder.node_folder}/password_hash"
    elder.ssh(f"cp -p {file} kept && echo >{file}")
    try:
        assert not may(browser)
        stranger = elder.browser()
        for password in ("", "another password", elder.password):
            assert not stranger.login(password)
            assert not may(stranger)
    finally:
        elder.ssh(f"mv kept {file}")
    assert may(browser)


def test_a_new_password_ends_logins_and_no_kernel(elder: Elder) -> None:
    browser = elder.visitor()
    kernel = browser.api("kernels", {"name": "python3"}, "POST")["id"]
    browser.run(kernel, "x = 42")
    elder.verb("playbooks/password.yml", my_password="another battery staple")
    assert not may(browser)
    assert not elder.browser().login(elder.password)
    elder.password = "another battery staple"
    again = elder.visitor()
    assert again.run(kernel, "print(x)") == "42\n"
    again.api(f"kernels/{kernel}", method="DELETE")
    elder.password = PASSWORD
    elder.verb("playbooks/password.yml")


def test_a_logout_counts_for_a_copy_of_the_cookie(elder: Elder) -> None:
    browser, thief = elder.visitor(), elder.browser()
    for cookie in browser.cookies:
        thief.cookies.set_cookie(cookie)
    assert may(thief)
    assert browser.request("/logout")[0] == 200
    assert not may(browser)
    assert not may(thief)


def test_guesses_are_slowed_down_and_do_not_lock_the_owner_out(elder: Elder) -> None:
    stranger = elder.browser()
    first = time.monotonic()
    for _ in range(4):
        assert not stranger.login("another password")
    # Each twice as late as the one before: 0.1, 0.2, 0.4 and 0.8 seconds.
    assert time.monotonic() > first + LATER
    begun = time.monotonic()
    assert may(elder.visitor())
    assert time.monotonic() < begun + seconds(5)


def test_an_idle_server_ends(elder: Elder) -> None:
    elder.verb("playbooks/restart.yml", cluster_idle_hours=0.001)
    deadline = time.monotonic() + seconds(120)
    while elder.servers():
        assert time.monotonic() < deadline
        time.sleep(0.5)
    elder.verb("site.yml")


def test_extensions_that_people_have_keep_working(elder: Elder) -> None:
    """jupyter-server-proxy, behind the login; and collaboration is loaded."""
    if elder.generation.package != "jupyter_server":
        return
    assert "jupyter_server_ydoc | extension was successfully loaded" in elder.ssh(
        f"cat {elder.node_folder}/jupyter.log"
    )
    browser = elder.visitor()
    kernel = browser.api("kernels", {"name": "python3"}, "POST")["id"]
    port = browser.run(
        kernel,
        "import http.server, threading\n"
        "server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)\n"
        "threading.Thread(target=server.serve_forever, daemon=True).start()\n"
        "print(server.server_port)",
    ).strip()
    assert browser.request(f"/proxy/{port}/")[0] == 200
    assert "Directory listing" not in elder.browser().request(f"/proxy/{port}/")[1]
    browser.api(f"kernels/{kernel}", method="DELETE")
