"""The laptops of the benchmark, and the test cluster that they reach."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import ssl
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
#: Where the test cluster has its files; it goes with it.
PLACE = PROJECT / ".bench"
NODE, GATE = "hydra08i.rzg.mpg.de", "gate.rzg.mpg.de"
#: One `raw`, on the same host: what the engine takes for the least that there is.
FLOOR = "bench/floor.yml"
#: How many more accounts there are, each with a cluster of its own.
MEMBERS = 20
PORT = 9876
PASSWORD = "correct horse battery staple"


def run(*command: str | Path, **more: object) -> str:
    """Run a program that has to succeed; return what it prints."""
    done = subprocess.run(  # type: ignore[call-overload]
        command, cwd=PROJECT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=300, **more
    )
    return str(done.stdout)


def node(command: str) -> str:
    """Run a command on the node as root."""
    return run("podman", "exec", "jupyter-test-hydra08i", "sh", "-c", command)


@contextlib.contextmanager
def cluster() -> Iterator[int]:
    """Bring up the test cluster; the port of this machine that leads to the gate."""
    names = ["user", "rival", "hand", *(f"member{number:02}" for number in range(MEMBERS))]
    accounts = json.dumps({"testbed_accounts": [{"name": name} for name in names]})
    where = ["-e", f"testbed_directory={PLACE}", "-e", accounts]
    try:
        run("ansible-playbook", "molecule/cluster/up.yml", *where)
        yield int(run("podman", "port", "jupyter-test-gate", "22/tcp").rpartition(":")[2])
    finally:
        run("ansible-playbook", "molecule/cluster/down.yml", *where)


class Laptop:
    """One person's ssh_config, folder and choices; everything of it is new."""

    def __init__(self, port: int, account: str) -> None:
        """Give it a way to the gate, by a port of this machine."""
        self.folder = PLACE / "laptops" / account
        self.port, self.account, self.cluster, self.local_port = port, account, "hydra", PORT
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ssh_config = self.folder / "ssh_config"
        text = (PLACE / account / "ssh_config").read_text()
        self.ssh_config.write_text(
            re.sub(r"Port \d+", f"Port {port}", text[text.index("# BEGIN of the test cluster") :])
        )
        self.inventory = PROJECT / "inventory" / "hydra.yml"
        self.choices = {"my_ssh_config": str(self.ssh_config), "my_folder": str(self.folder / "j")}

    def member(self, number: int) -> Laptop:
        """Return the same laptop, with a cluster of another account of the same node."""
        other = Laptop(self.port, f"member{number:02}")
        name = f"node{number:02}"
        block = re.search(rf"(?m)^ *Host {NODE}\n(?: +.*\n)+", other.ssh_config.read_text())
        assert block
        mine = block[0].replace(f"Host {NODE}", f"Host {name}") + f"    User {other.account}\n"
        text = self.ssh_config.read_text()
        begin = text.index("# BEGIN of the test cluster")
        self.ssh_config.write_text(
            text[:begin] + mine + re.sub(r"(Host \* !gate\S*)", rf"\1 !{name}", text[begin:]).lstrip("\n")
        )
        other.ssh_config, other.folder = self.ssh_config, self.folder
        other.cluster, other.local_port = f"member{number:02}", PORT + 1 + number
        other.choices = self.choices
        self.inventory = other.inventory = self.folder / "inventory"
        self.inventory.mkdir(exist_ok=True)
        shared = {"cluster_gateway": GATE, "cluster_modules": ["anaconda/3"]}
        own = {"cluster_name": other.cluster, "cluster_port": other.local_port, **shared}
        (self.inventory / f"{other.cluster}.json").write_text(
            json.dumps({other.cluster: {"hosts": {name: None}, "vars": own}})
        )
        return other

    def play(self, playbook: str, *options: str, limit: str = "", **environment: str) -> str:
        """Run a playbook, as people do."""
        told = {**self.choices, "my_password": PASSWORD, "my_browser": False, "my_end_kernels": True}
        if self.cluster == "hydra" and not limit:
            told["my_port"] = self.local_port
        return run(
            "ansible-playbook", playbook, "-i", self.inventory, "-l", limit or self.cluster, "-e", json.dumps(told),
            *options, env={**os.environ, **environment},
        )  # fmt: skip

    def answers(self) -> None:
        """See that the server answers, by a certificate of the authority."""
        verified(self.local_port, self.folder / "j" / "ca" / "ca.crt")

    def wipe(self) -> None:
        """Take everything away, as if nothing had been."""
        self.play("playbooks/remove.yml", "-e", "tls_cert_ca_keep=false")
        shutil.rmtree(self.folder / "j", ignore_errors=True)

    def profile(self, playbook: str) -> dict[str, float]:
        """Return how long each task of a run takes, in seconds."""
        with tempfile.TemporaryDirectory() as folder:
            told = {"ANSIBLE_CALLBACKS_ENABLED": "ansible.posix.profile_tasks", "ANSIBLE_HOME": folder}
            said = self.play(playbook, **told)
        return {name: float(took) for name, took in re.findall(r"(?m)^(\S.*?) -+ ([0-9.]+)s$", said)}


def verified(port: int, authority: Path) -> None:
    """Ask a server by https, as a browser that trusts one authority; fail where it does not answer."""
    context = ssl.create_default_context(cafile=str(authority))
    handlers = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    with urllib.request.build_opener(*handlers).open(f"https://localhost:{port}/api", timeout=10) as answer:
        answer.read()
