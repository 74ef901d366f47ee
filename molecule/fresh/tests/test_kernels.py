"""Kernels start, whatever the home's name, and have their sockets in a private place on the node."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from browser import Browser
from cluster import PROJECT, Laptop, node_root
from patience import seconds


def place(laptop: Laptop) -> str:
    """The private place on the node."""
    return f"/tmp/jupyter-cluster-{laptop.ssh('id -u').strip()}"


def begin(laptop: Laptop) -> tuple[Browser, str]:
    """A new kernel that runs a cell, and the browser that has it."""
    browser = laptop.browser()
    assert browser.login(laptop.password)
    kernel = browser.api("kernels", {"name": "python3"}, "POST")["id"]
    assert browser.run(kernel, "print(6 * 7)") == "42\n"
    return browser, kernel


def test_a_kernel_s_sockets_are_in_the_private_place_and_nobody_else_s(laptop: Laptop, running: str) -> None:
    browser, kernel = begin(laptop)
    folder = place(laptop)
    assert laptop.ssh(f"stat -c '%U %a' {folder}").split()[0] == laptop.account
    assert laptop.ssh(f"stat -c %A {folder}")[:10] in ("drwx------", "drwx-----T")
    names = laptop.ssh(f"ls {folder}").split()
    assert {f"kernel-{kernel}.json", f"kernel-{kernel}-ipc-1"} <= set(names)
    assert json.loads(laptop.ssh(f"cat {folder}/kernel-{kernel}.json"))["transport"] == "ipc"
    assert node_root(f"su daily -c 'ls {folder}' 2>&1 || true").strip().endswith("Permission denied")
    # The cookies' secret stays where a reboot does not end every login.
    assert "jupyter_cookie_secret" in laptop.ssh(f"ls {laptop.node_folder}/run")
    assert "jupyter_cookie_secret" not in names
    browser.api(f"kernels/{kernel}", method="DELETE")


def test_the_place_ends_with_the_server(laptop: Laptop, running: str) -> None:
    assert laptop.ssh(f"test -d {place(laptop)} && echo there") == "there\n"
    assert laptop.playbook("playbooks/stop.yml").returncode == 0
    assert laptop.ssh(f"test -e {place(laptop)} || echo gone") == "gone\n"


def test_those_who_tidy_up_leave_the_place_alone(laptop: Laptop, running: str) -> None:
    """systemd-tmpfiles, by its own rule for /tmp, with everything a year old."""
    browser = laptop.browser()
    assert browser.login(laptop.password)
    kernel = browser.api("kernels", {"name": "python3"}, "POST")["id"]
    folder = place(laptop)
    node_root(f"find {folder} -exec touch -h -d '1 year ago' {{}} +")
    node_root("printf 'd /tmp 1777 root root 1m\\n' >/tmp/rule.conf && systemd-tmpfiles --clean /tmp/rule.conf")
    assert f"kernel-{kernel}.json" in laptop.ssh(f"ls {folder}")
    assert browser.run(kernel, "print(6 * 7)") == "42\n"
    browser.api(f"kernels/{kernel}", method="DELETE")


def test_a_foreign_folder_in_its_place_is_passed_by(laptop: Laptop, stopped: None) -> None:
    folder = place(laptop)
    node_root(f"rm -rf {folder} && mkdir -m 0777 {folder} && chown daily {folder}")
    try:
        assert laptop.playbook("site.yml").returncode == 0
        _, kernel = begin(laptop)
        assert f"kernel-{kernel}.json" in laptop.ssh(f"ls /var{folder}")
        assert node_root(f"ls -A {folder}") == ""
    finally:
        laptop.playbook("playbooks/stop.yml", my_end_kernels=True)
        node_root(f"rm -rf {folder}")
    assert laptop.playbook("site.yml").returncode == 0


def test_a_place_that_goes_comes_back_and_somebody_else_s_is_not_used(laptop: Laptop, running: str) -> None:
    """Under the running server."""
    folder = place(laptop)
    node_root(f"rm -rf {folder}")
    laptop.ssh(f"timeout {seconds(20)} sh -c 'until test -e {folder}/.jupyter-cluster; do sleep 0.2; done'")
    browser, kernel = begin(laptop)
    browser.api(f"kernels/{kernel}", method="DELETE")
    node_root(f"rm -rf {folder} && mkdir -m 0777 {folder} && chown daily {folder}")
    try:
        assert browser.request("/api/kernels", b'{"name": "python3"}', "POST")[0] == 500
        assert node_root(f"ls -A {folder}") == ""
        assert "is not private: no kernel starts there" in laptop.playbook("playbooks/logs.yml", logs_lines=100).stdout
        looked = laptop.playbook("playbooks/doctor.yml")
        assert looked.returncode != 0
        assert f"{folder} is not yours, or not private, any more" in " ".join(looked.stdout.split())
        # The next run says that what runs is not what it would be, and a restart has another folder.
        assert "a restart would end its kernels" in " ".join(laptop.playbook("site.yml").stdout.split())
        assert laptop.playbook("playbooks/restart.yml").returncode == 0
        _, kernel = begin(laptop)
        assert f"kernel-{kernel}.json" in laptop.ssh(f"ls /var{folder}")
    finally:
        laptop.end_server()
        node_root(f"rm -rf {folder}")


def test_a_kernel_that_nobody_has_used_yet_is_not_busy(laptop: Laptop, running: str) -> None:
    browser = laptop.browser()
    assert browser.login(laptop.password)
    browser.api("kernels", {"name": "python3"}, "POST")
    done = laptop.playbook("playbooks/stop.yml")
    assert done.returncode == 0, done.stdout


def test_messages_to_a_kernel_with_ports_are_signed_whatever_an_old_file_says(laptop: Laptop, stopped: None) -> None:
    laptop.ssh("mkdir -p .jupyter && echo \"c.Session.key = b''\" >.jupyter/jupyter_server_config.py")
    try:
        assert laptop.playbook("site.yml", my_tcp_kernels=["python3"]).returncode == 0
        browser, kernel = begin(laptop)
        connection = json.loads(laptop.ssh(f"cat {place(laptop)}/kernel-{kernel}.json"))
        assert (connection["transport"], len(connection["key"])) == ("tcp", 64)
        browser.api(f"kernels/{kernel}", method="DELETE")
    finally:
        laptop.ssh("rm .jupyter/jupyter_server_config.py")
        laptop.end_server()


#: What a person, or a centre in /etc/jupyter, may have, each in another of Jupyter's files.
CULLS = "c.MappingKernelManager.cull_idle_timeout = c.MappingKernelManager.cull_interval = 1\n"
CULLS += "c.MappingKernelManager.cull_connected = True\n"
OWN = {
    "jupyter_config.py": f"{CULLS}c.ServerApp.terminals_enabled = True\nc.ContentsManager.allow_hidden = True\n",
    "jupyter_server_config.py": f"{CULLS}c.ServerApp.terminals_enabled = False\n",
    "jupyter_lab_config.py": f'{CULLS}c.ContentsManager.untitled_notebook = "Mine"\n',
}


def test_a_person_s_own_files_count_but_for_what_ends_kernels(laptop: Laptop, stopped: None) -> None:
    """In Jupyter's order: of two that say the same, the more special one."""
    for file, text in OWN.items():
        laptop.ssh(f"mkdir -p .jupyter .hidden && printf %s '{text}' >.jupyter/{file}")
    try:
        assert laptop.playbook("site.yml").returncode == 0
        browser, kernel = begin(laptop)
        assert browser.request("/api/terminals")[0] == 404
        assert browser.request("/api/contents/.hidden")[0] == 200
        assert browser.api("contents", {"type": "notebook"}, "POST")["name"] == "Mine.ipynb"
        browser.run(kernel, "kept = 42")
        time.sleep(seconds(4))
        assert browser.run(kernel, "print(kept)") == "42\n"
        browser.api(f"kernels/{kernel}", method="DELETE")
    finally:
        laptop.ssh(f"cd .jupyter && rm {' '.join(OWN)} && rm -f ../Mine.ipynb && rmdir ../.hidden")
        laptop.end_server()


def debuggers(laptop: Laptop) -> str:
    """What the adapters of this account's debuggers are."""
    return laptop.ssh("pgrep -u $(id -u) -fa [d]ebugpy/adapter || true")


def test_a_notebook_s_debugger_opens_no_port_for_neighbours(laptop: Laptop, running: str) -> None:
    """Whatever connection an old configuration names; what is no debugger's first message goes on."""
    own = "c.ServerApp.kernel_websocket_connection_class = "
    own += "'jupyter_server.services.kernels.connection.channels.ZMQChannelsWebsocketConnection'"
    laptop.end_server()
    laptop.ssh(f'mkdir -p .jupyter && echo "{own}" >.jupyter/jupyter_server_config.py')
    try:
        assert laptop.playbook("site.yml").returncode == 0
        browser, kernel = begin(laptop)
        assert browser.debug(kernel, "debugInfo")["body"]["isStarted"] is False
        refused = browser.debug(kernel, "initialize")
        assert refused["success"] is False
        assert "my_debugger: true" in refused["message"]
        assert debuggers(laptop) == ""
        assert browser.run(kernel, "print(6 * 7)") == "42\n"
        browser.api(f"kernels/{kernel}", method="DELETE")
    finally:
        laptop.ssh("rm .jupyter/jupyter_server_config.py")
        laptop.end_server()


def test_a_debugger_is_there_for_those_who_ask_for_it(laptop: Laptop, stopped: None) -> None:
    told = laptop.playbook("site.yml", my_debugger=True)
    assert "lets every account on" in " ".join(told.stdout.split())
    try:
        browser, kernel = begin(laptop)
        assert browser.debug(kernel, "initialize")["success"] is True
        assert "debugpy/adapter" in debuggers(laptop)
        browser.api(f"kernels/{kernel}", method="DELETE")
    finally:
        laptop.end_server()


def test_a_kernel_that_cannot_speak_ipc_gets_ports_by_its_name(laptop: Laptop, stopped: None) -> None:
    """A kernelspec of another name, whose kernel is IPython's: what counts is the name."""
    spec = {
        "argv": ["/opt/anaconda3/bin/python3", "-m", "ipykernel", "-f", "{connection_file}"],
        "display_name": "Deno",
    }
    folder = ".local/share/jupyter/kernels/Deno"
    laptop.ssh(f"mkdir -p {folder} && echo '{json.dumps(spec)}' >{folder}/kernel.json")
    try:
        told = laptop.playbook("site.yml", my_tcp_kernels=["Deno"])
        assert told.returncode == 0, told.stdout
        assert re.search(r"Deno.* ports on the node's loopback", " ".join(told.stdout.split()))
        browser = laptop.browser()
        assert browser.login(laptop.password)
        for name, transport in (("deno", "tcp"), ("python3", "ipc")):
            kernel = browser.api("kernels", {"name": name}, "POST")["id"]
            assert browser.run(kernel, "print(6 * 7)") == "42\n"
            assert json.loads(laptop.ssh(f"cat {place(laptop)}/kernel-{kernel}.json"))["transport"] == transport
            browser.api(f"kernels/{kernel}", method="DELETE")
    finally:
        laptop.ssh(f"rm -r {folder}")
        laptop.playbook("playbooks/stop.yml", my_end_kernels=True)


def test_no_configuration_of_the_person_s_own_gives_kernels_ports(laptop: Laptop, stopped: None) -> None:
    """In whatever class's name; nor sockets in another place, which two kernels would share."""
    names = ("KernelManager", "AsyncKernelManager", "AsyncIOLoopKernelManager", "ServerKernelManager")
    own = "".join(f"c.{name}.transport = 'tcp'; c.{name}.ip = '0.0.0.0'\n" for name in names)
    own += "c.AsyncMappingKernelManager.kernel_manager_class = 'jupyter_client.manager.AsyncKernelManager'\n"
    files = " ".join(f".jupyter/jupyter_{name}config.py" for name in ("", "server_", "lab_"))
    laptop.ssh(f'mkdir -p .jupyter && printf %s "{own}" | tee {files}')
    try:
        assert laptop.playbook("site.yml").returncode == 0
        _, kernel = begin(laptop)
        connection = json.loads(laptop.ssh(f"cat {place(laptop)}/kernel-{kernel}.json"))
        assert (connection["transport"], connection["ip"]) == ("ipc", f"{place(laptop)}/kernel-{kernel}-ipc")
    finally:
        laptop.ssh(f"rm {files}")
        laptop.playbook("playbooks/stop.yml", my_end_kernels=True)


#: A line of the user's own file, or of a login script; and what the run says of it.
NOWHERE = {
    "a gateway": (
        ".jupyter/jupyter_server_config.py",
        "c.GatewayClient.url = 'http://127.0.0.1:9/'",
        r"on the gateway http://127\.0\.0\.1:9/, .* Take GatewayClient\.url out of your own configuration",
    ),
    "a form of messages that is not there": (
        ".jupyter/jupyter_server_config.py",
        "c.Session.packer = 'no_such_form'",
        r"No kernel starts\. python3: status 500 at /api/sessions, No module named 'no_such_form'\. What of yours",
    ),
    "a database of sessions that cannot be": (
        ".jupyter/jupyter_server_config.py",
        "c.SessionManager.database_filepath = '/nowhere/sessions'",
        r"status 500 at /api/sessions.* What of yours counts there: .* sqlite3\.OperationalError: unable to open",
    ),
    "requests that may not be long": (
        ".jupyter/jupyter_server_config.py",
        "c.ServerApp.max_body_size = 5000",
        r"No kernel starts\. python3: (status 4\d\d|a request of 40\d{4} bytes is broken off) at /api/sessions\.",
    ),
    "a page that is not there": (
        ".jupyter/jupyter_lab_config.py",
        "c.LabApp.dev_mode = True",
        r"nobody could work there\. The page /lab\S* answers 404\. What of yours counts there: ~/\.jupyter",
    ),
    "a login page that is damaged": (
        ".jupyter/jupyter_server_config.py",
        "import os; place = os.environ['JUPYTER_RUNTIME_DIR']; open(place + '/login.html', 'w').write('{% block'); "
        "c.ServerApp.extra_template_paths = [place]",
        r"nobody could work there\. The page /login\S* answers 500\. What of yours counts there: ~/\.jupyter",
    ),
    "an IPython that does not start": (
        ".ipython/profile_default/ipython_kernel_config.py",
        "c.IPKernelApp.matplotlib = 'bogus'",
        r"python3: it ends while it starts\. What of yours .* ~/\.ipython, .* CRITICAL \| Bad config .* 'matplotlib'",
    ),
    "a kernelspec of a Python without ipykernel": (
        ".local/share/jupyter/kernels/python3/kernel.json",
        json.dumps(
            {
                "argv": ["/usr/bin/python3", "-S", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                "display_name": "Python 3",
            }
        ),
        r"python3: it ends while it starts\. .* /usr/bin/python3: No module named ipykernel_launcher",
    ),
}
#: And what the launcher says, whoever runs it.
REFUSED = {
    "a gateway of a login script": (
        ".bash_profile",
        "export JUPYTER_GATEWAY_URL=http://127.0.0.1:9/",
        r"on the gateway http://127\.0\.0\.1:9/, .* JUPYTER_GATEWAY_URL out of your login scripts",
    ),
    "a provisioner that is not there": (
        ".jupyter/jupyter_server_config.json",
        json.dumps({"KernelProvisionerFactory": {"default_provisioner_name": "slurm-provisioner"}}),
        r"no kernel could start\. There is no slurm-provisioner: install it, or take it out of",
    ),
    "a kernelspec of a Python that has gone": (
        ".local/share/jupyter/kernels/python3/kernel.json",
        json.dumps({"argv": ["/old/bin/python", "-f", "{connection_file}"], "display_name": "Python 3"}),
        r"no kernel could start\. The program of the kernelspec python3, /old/bin/python, is not there: install it",
    ),
    "a kernelspec of a program that is nowhere": (
        ".local/share/jupyter/kernels/python3/kernel.json",
        json.dumps({"argv": ["no-such-kernel", "{connection_file}"], "display_name": "None"}),
        r"no kernel could start\. The program of the kernelspec python3, no-such-kernel, is not there: install it",
    ),
    "a kernelspec that is cut short": (
        ".local/share/jupyter/kernels/python3/kernel.json",
        "{",
        r"no kernel could start\. \S+/kernels/python3/kernel\.json cannot be read .*: mend it",
    ),
    "a default kernel that is not there": (
        ".jupyter/jupyter_server_config.py",
        "c.MultiKernelManager.default_kernel_name = 'gone'",
        r"There is no kernelspec gone, .* \(MultiKernelManager\.default_kernel_name\): install it, or take that out",
    ),
    "messages that are kept from kernels": (
        ".jupyter/jupyter_server_config.py",
        "c.MappingKernelManager.allowed_message_types = ['kernel_info_request']",
        r"keeps execute_request from them \(MappingKernelManager\.allowed_message_types\): take that out",
    ),
    "an empty secret for cookies": (
        ".jupyter/jupyter_server_config.py",
        "c.ServerApp.cookie_secret = b''",
        r"your own configuration of Jupyter would change what keeps others out: cookie_secret",
    ),
    "few open files": (
        ".bash_profile",
        "ulimit -n 64",
        r"ulimit -n is 64, and a server with a few kernels opens 256 files and more\. Take it out of your login",
    ),
}


@pytest.mark.parametrize("what", NOWHERE)
def test_a_server_whose_kernels_could_not_start_is_refused_by_name(laptop: Laptop, stopped: None, what: str) -> None:
    """And at once: Jupyter itself asks a gateway again and again."""
    file, text, says = NOWHERE[what]
    laptop.ssh(f"mkdir -p {os.path.dirname(file) or '.'} && test ! -e {file} && echo {shlex.quote(text)} >{file}")
    try:
        begun = time.monotonic()
        refused = laptop.playbook("site.yml")
        assert refused.returncode != 0
        assert re.search(says, " ".join(refused.stdout.split())), refused.stdout
        assert time.monotonic() - begun < seconds(20)
        assert not laptop.server()
    finally:
        laptop.ssh(f"rm {file}")


@pytest.mark.parametrize("what", REFUSED)
def test_a_launcher_refuses_by_name_what_no_kernel_could_start_with(laptop: Laptop, stopped: None, what: str) -> None:
    file, text, says = REFUSED[what]
    laptop.ssh(f"mkdir -p {os.path.dirname(file) or '.'} && test ! -e {file} && echo {shlex.quote(text)} >{file}")
    try:
        launched = f"timeout {seconds(20)} sh {laptop.node_folder}/launch this-start ~/report </dev/null || true"
        said = laptop.ssh(f"{launched}; cat report; rm report")
        assert re.search(rf"Not started: .*{says}", " ".join(said.split())), said
    finally:
        laptop.ssh(f"rm {file}")


def test_a_kernel_that_does_not_start_beside_one_that_does_is_named(laptop: Laptop, stopped: None) -> None:
    kernels = ".local/share/jupyter/kernels"
    program = ["-m", "ipykernel_launcher", "-f", "{connection_file}"]
    for name, python in (("python3", ["/usr/bin/python3", "-S"]), ("works", ["python"])):
        spec = json.dumps({"argv": [*python, *program], "display_name": name, "language": "python"})
        laptop.ssh(f"mkdir -p {kernels}/{name} && echo {shlex.quote(spec)} >{kernels}/{name}/kernel.json")
    try:
        begun = laptop.playbook("site.yml")
        assert begun.returncode == 0, begun.stdout
        assert "A kernel does not start, and `logs` says why. python3: it ends while it starts." in " ".join(
            begun.stdout.split()
        )
        browser = laptop.browser()
        assert browser.login(laptop.password)
        assert browser.api("kernels") == []
        kernel = browser.api("kernels", {"name": "works"}, "POST")["id"]
        assert browser.run(kernel, "print(6 * 7)") == "42\n"
    finally:
        laptop.ssh(f"rm -r {kernels}")
        laptop.playbook("playbooks/stop.yml", my_end_kernels=True)


def test_a_default_kernel_that_never_answers_leaves_time_for_another(laptop: Laptop, stopped: None) -> None:
    kernel = ".local/share/jupyter/kernels/hangs"
    spec = json.dumps({"argv": ["sleep", "1000"], "display_name": "Hangs", "language": "none"})
    own = "c.MultiKernelManager.default_kernel_name = 'hangs'"
    laptop.ssh(
        f"mkdir -p .jupyter {kernel}; echo {shlex.quote(spec)} >{kernel}/kernel.json;"
        f" echo {shlex.quote(own)} >.jupyter/jupyter_server_config.py"
    )
    try:
        begun = laptop.playbook("site.yml", screen_session_timeout=20)
        assert begun.returncode == 0, begun.stdout
        assert re.search(r"`logs` says why\. hangs: it does not answer within \d+ s", " ".join(begun.stdout.split()))
    finally:
        laptop.ssh(f"rm -r {kernel} .jupyter/jupyter_server_config.py")
        laptop.playbook("playbooks/stop.yml", my_end_kernels=True)


@pytest.fixture
def hanging(laptop: Laptop, stopped: None) -> Iterator[None]:
    """Kernels do not come to the end of their start, as long as there is a file `hang`."""
    own = "import os, time\nwhile os.path.exists('hang'):\n    time.sleep(0.1)\n"
    startup = ".ipython/profile_default/startup"
    laptop.ssh(f"mkdir -p {startup} && touch hang && printf %s {shlex.quote(own)} >{startup}/hang.py")
    yield
    laptop.ssh(f"rm -rf hang {startup}/hang.py")
    laptop.playbook("playbooks/stop.yml", my_end_kernels=True)


def trial_s_kernel(laptop: Laptop) -> str:
    """The process of the first kernel there is, once it is there."""
    deadline = time.monotonic() + seconds(20)
    while not (there := laptop.ssh("pgrep -u $(id -u) -f '[i]pykernel_launcher' || true").split()):
        assert time.monotonic() < deadline
    return there[0]


def test_a_trial_that_fails_ends_no_server_where_somebody_works(laptop: Laptop, hanging: None) -> None:
    """The page is there before the trial is over."""
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(laptop.playbook, "site.yml", screen_session_timeout=25)
        trial = trial_s_kernel(laptop)
        # From now on kernels start, but that one.
        laptop.ssh(f"kill -STOP {trial}; rm hang")
        browser, kernel = begin(laptop)
        browser.run(kernel, "kept = 42")
        laptop.ssh(f"kill -KILL {trial}")
        failed = run.result()
    assert failed.returncode != 0
    assert re.search(
        r"The server stays, since kernels of yours run there \(process \d+\), but not all of it works\. No kernel "
        r"starts\. python3: it ends while it starts\.",
        " ".join(failed.stdout.split()),
    ), failed.stdout
    assert browser.run(kernel, "print(kept)") == "42\n"


def test_a_start_that_was_interrupted_is_tried_again_and_ends_nothing_later(laptop: Laptop, hanging: None) -> None:
    """By Ctrl-C, while a kernel starts."""
    argv = ["ansible-playbook", str(PROJECT / "site.yml"), "-i", str(laptop.inventory)]
    argv += [f"-e@{laptop.scenario}/vars/me.yml", f"-e{json.dumps({**laptop.here, 'screen_session_timeout': 40})}"]
    around = {"MOLECULE_PROJECT_DIRECTORY": str(PROJECT), "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg")}
    with subprocess.Popen(
        argv, env={**os.environ, **around}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    ) as run:  # fmt: skip
        trial_s_kernel(laptop)
        os.killpg(run.pid, signal.SIGINT)
    deadline = time.monotonic() + seconds(10)
    while laptop.ssh("pgrep -u $(id -u) -f '[b]64decode' || true"):
        assert time.monotonic() < deadline, "it goes on at the node"
        time.sleep(0.2)
    server = laptop.server()
    # As long as nobody can work there, no run is content with it.
    refused = laptop.playbook("playbooks/connect.yml", my_browser=False, screen_session_timeout=5)
    assert refused.returncode != 0
    assert re.search(
        r"The server runs, but nobody could work there yet\. No kernel starts\. python3: it does not answer within "
        r"\d+ s\. What starts from a busy disk, say, may be there in a while: run this again\.",
        " ".join(refused.stdout.split()),
    ), refused.stdout
    laptop.ssh("rm hang")
    again = laptop.playbook("site.yml")
    assert again.returncode == 0, again.stdout
    browser, kernel = begin(laptop)
    assert [one["id"] for one in browser.api("kernels")] == [kernel]
    assert laptop.server() == server


def test_a_kernel_whose_sockets_have_gone_is_named(laptop: Laptop, running: str) -> None:
    """No page reaches it any more, and it is not said to be idle."""
    begin(laptop)
    laptop.ssh(f"rm -r {place(laptop)}")
    try:
        assert "1 cut off" in laptop.playbook("playbooks/status.yml").stdout
        deadline = time.monotonic() + seconds(10)
        while "without the sockets of kernels that run" not in laptop.ssh(f"cat {laptop.node_folder}/jupyter.log"):
            assert time.monotonic() < deadline
            time.sleep(0.5)
    finally:
        laptop.playbook("playbooks/stop.yml", my_end_kernels=True)


def test_the_log_has_a_bound_however_much_a_kernel_prints(laptop: Laptop, running: str) -> None:
    browser = laptop.browser()
    assert browser.login(laptop.password)
    kernel = browser.api("kernels", {"name": "python3"}, "POST")["id"]
    browser.run(
        kernel,
        "import os; log = open(f'/proc/{os.getppid()}/fd/2', 'wb', 0)\n"
        "for _ in range(16 * 40): log.write(b'x' * 65536)\n"
        "_ = log.write(b'the last line\\n')",
    )
    deadline = time.monotonic() + seconds(20)
    while "the last line" not in laptop.ssh(f"tail -c 2000 {laptop.node_folder}/jupyter.log"):
        assert time.monotonic() < deadline
    sizes = [int(size) for size in laptop.ssh(f"stat -c %s {laptop.node_folder}/jupyter.log*").split()]
    assert len(sizes) == 2
    assert max(sizes) <= 10 * 2**20
    browser.api(f"kernels/{kernel}", method="DELETE")
