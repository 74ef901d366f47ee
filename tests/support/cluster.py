"""The laptop's side of the test cluster, as the tests of the scenarios use it."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import yaml
from browser import Browser
from containers import inside
from patience import SLOWLY, seconds

import playbooks

PROJECT = Path(__file__).resolve().parents[2]
NODE = "hydra08i.rzg.mpg.de"
GATEWAY = "gate.rzg.mpg.de"
TESTBED = PROJECT / ".test"
#: The playbooks that end where the node cannot be reached. `status` has a line for it, `disconnect` needs no node.
VERBS = sorted({path.stem for path in PROJECT.glob("playbooks/*.yml")} - {"status", "disconnect"})


class Laptop:
    """A person at a laptop: an ssh_config, our folder, and the playbooks."""

    def __init__(
        self,
        scenario: str,
        account: str,
        port: int = 9876,
        machine: str = "",
        cluster: str = "hydra",
        node: str = NODE,
    ) -> None:
        self.scenario, self.cluster, self.node = PROJECT / "molecule" / scenario, cluster, node
        #: Where the cluster's inventory file is: with the users', or with a scenario's.
        self.inventory = (
            next(path for path in (PROJECT, self.scenario) if (path / "inventory" / f"{cluster}.yml").exists())
            / "inventory"
            / f"{cluster}.yml"
        )
        self.account = account
        self.ssh_config = TESTBED / (machine or account) / "ssh_config"
        self.folder = TESTBED / (machine or account) / "jupyter"
        self.authority = self.folder / "ca" / (f"{node}.crt" if machine else "ca.crt")
        self.url = f"https://localhost:{port}"
        chosen = yaml.load((self.scenario / "vars" / "me.yml").read_text(), _PlainLoader)
        #: What another machine than that of the scenario's vars/me.yml has otherwise; and of that one its paths, which
        #: each task would work out anew.
        paths = {"my_ssh_config": str(self.ssh_config), "my_folder": str(self.folder)}
        own = {name: path for name, path in paths.items() if name in chosen}
        self.here: dict[str, Any] = {**paths, "my_port": port} if machine else own
        self.password = chosen.get("my_password") or chosen["jupyter_config_password"]
        self.node_folder = f"/home/{account}/.jupyter-cluster/{node.partition('.')[0]}"

    def ssh(self, command: str, *options: str, host: str = "", check: bool = True) -> str:
        """Run a command on the node as the person does; return what it prints."""
        done = subprocess.run(
            ["ssh", "-F", self.ssh_config, *options, host or self.node, command],
            capture_output=True, text=True, timeout=seconds(60), check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def control(self, request: str, host: str) -> int:
        """Ask the open connection to a host for something; return ssh's exit status."""
        command = ["ssh", "-F", str(self.ssh_config), "-O", request, host]
        return subprocess.run(command, capture_output=True, timeout=seconds(20), check=False).returncode

    def playbook(
        self,
        name: str,
        *options: str,
        env: dict[str, str] | None = None,
        cwd: Path = PROJECT,
        inventory: Path | None = None,
        errors: int = subprocess.STDOUT,
        **variables: Any,
    ) -> subprocess.CompletedProcess[str]:
        """Run a playbook without a terminal, with this person's choices and some more; read `errors` with the rest."""
        chosen = {**SLOWLY, **self.here, **variables}
        more = [f"-e{yaml.safe_dump({key: value}, default_flow_style=True)}" for key, value in chosen.items()]
        # A proxy that does not answer: what would use it for localhost fails. And no colours, which molecule forces.
        around = {"https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", "ANSIBLE_FORCE_COLOR": "0"}
        # What is read in the project's folder, whatever molecule's own runs look like.
        around["ANSIBLE_CONFIG"] = str(PROJECT / "ansible.cfg")
        inherited = {name: value for name, value in os.environ.items() if name != "ANSIBLE_STDOUT_CALLBACK"}
        argv = ["ansible-playbook", str(PROJECT / name), "-i", str(inventory or self.inventory)]
        argv += [f"-e@{self.scenario}/vars/me.yml", *more, *options]
        environment = {**inherited, **around, "MOLECULE_PROJECT_DIRECTORY": str(PROJECT), **(env or {})}
        if errors == subprocess.STDOUT:
            return playbooks.run(argv, environment, cwd, seconds(180))
        return subprocess.run(
            argv, env=environment, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
            text=True, timeout=seconds(180), check=False,
        )  # fmt: skip

    def servers(self) -> list[str]:
        """Return the process numbers of all servers that run, whatever any record says.

        A child has the command line of its parent until it becomes something else.
        """
        mine = f"-e'--config=/.*{self.node_folder[self.node_folder.rindex('/.') :]}/jupyter_server_config[.]py'"
        listed = self.ssh(
            f"for found in $(grep -slzxE {mine} /proc/[0-9]*/cmdline); do [ -O $found ] || continue;"
            " found=${found#/proc/}; ps -o pid= -o ppid= -p ${found%/cmdline}; done; true"
        )
        parents = dict(line.split() for line in listed.splitlines())
        return [pid for pid, parent in parents.items() if parent not in parents]

    def server(self) -> str:
        """Return the server's process number, or an empty string where none runs."""
        found = self.servers()
        assert len(found) < 2, found
        return found[0] if found else ""

    def sessions(self) -> list[str]:
        """Return the names of the screen sessions that are alive: screen leaves that of a dead one now and then."""
        return re.findall(r"^\t(\S+)\t(?!.*Dead)", self.ssh("screen -ls || true"), re.MULTILINE)

    def end_server(self) -> None:
        """End the server that runs, if one does, as a reboot would; and see that its session has ended."""
        for pid in self.servers():
            self.ssh(f"kill {pid}; while test -e /proc/{pid}; do sleep 0.1; done")
            self.ssh("while screen -ls | grep '[.]jupyter' | grep -qv Dead; do sleep 0.1; done")
        assert self.servers() == []

    def browser(self) -> Browser:
        """Return a browser that has not logged in."""
        return Browser(self.url, self.authority)


class _PlainLoader(yaml.SafeLoader):
    """Reads `!unsafe` text as the text that it is."""


_PlainLoader.add_constructor("!unsafe", lambda _, node: node.value)


def node_root(command: str, host: str = "hydra08i") -> str:
    """Run a command on a host as root, as only the test cluster's owner can; return what it prints."""
    argv = [*inside(f"jupyter-test-{host}"), "sh", "-c", command]
    return subprocess.run(argv, capture_output=True, text=True, timeout=seconds(60), check=True).stdout


def node_write(path: str, text: str, host: str = "hydra08i") -> None:
    """Write a file on a host as root, whatever is in it, for everybody to read."""
    argv = [*inside(f"jupyter-test-{host}"), "sh", "-c", f"cat >{path} && chmod 644 {path}"]
    subprocess.run(argv, input=text, text=True, timeout=seconds(60), check=True)


def node_home(account: str) -> str:
    """Describe every file in an account's home on the node: kind, mode, name, and content's digest."""
    home = shlex.quote(f"/home/{account}")
    return node_root(
        f"cd {home} && find . -printf '%y %m %p\\n' | sort && find . -type f -exec sha256sum {{}} + | sort -k 2"
    )


def engine() -> float:
    """How long ansible-core takes here for nothing, in seconds: what a run is measured by, since machines differ."""
    begun = time.monotonic()
    argv = ["ansible", "localhost", "-c", "local", "-m", "ansible.builtin.debug"]
    subprocess.run(argv, cwd="/", capture_output=True, timeout=seconds(60), check=True)
    return time.monotonic() - begun


def takes_calls(port: int) -> bool:
    """Tell whether something on this machine listens on a port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=seconds(1)):
            return True
    except OSError:
        return False
