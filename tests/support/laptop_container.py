"""The container `laptop`, whose accounts have a home and a ~/.ssh/config of their own, as a test's people use it."""

from __future__ import annotations

import shlex
import subprocess

from cluster import GATEWAY, PROJECT, TESTBED

CLUSTER = "jupyter-test"
HOSTS = ("gate", "hydra08i", "hydra11i")


class Person:
    """An account on the laptop, with another one on the cluster, whose server is that of one inventory file."""

    def __init__(self, name: str, uid: int, port: int, inventory: str = "inventory/hydra.yml") -> None:
        self.name = name
        # Named otherwise, so that nothing logs in by chance.
        self.account = f"{name}-hpc"
        self.uid = uid
        self.port = port
        self.inventory = inventory
        self.cluster = PROJECT.joinpath(inventory).stem
        self.home = f"/home/{name}"
        self.node = {"hydra": "hydra08i.rzg.mpg.de", "hydra11": "hydra11i.rzg.mpg.de"}[self.cluster]
        self.tunnel = f"jupyter-{self.cluster}"
        self.include = f'Include "{self.home}/.jupyter-cluster/ssh_config"\n'

    def begin(self, key: str = "id_ed25519", config: str = "", path: str = ".ssh/config", mode: str = "0600") -> None:
        """Make both accounts, as good as new; a key lets one in to the other.

        An ssh_config, where one is given, is put where `path` says. What ssh then makes of a foreign alias is kept.
        """
        root("laptop", f"pkill -KILL -u {self.name}; userdel --remove {self.name}", check=False)
        root("laptop", f"useradd --create-home --shell /bin/bash {self.name}")
        self.run(f"install -d -m 0700 ~/.ssh && ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/{key}")
        self.write(".ssh/known_hosts", (TESTBED / "known_hosts").read_bytes())
        public = self.read(f".ssh/{key}.pub").decode().strip()
        for host in HOSTS:
            ended = (
                f"pkill -KILL -u {self.account}; userdel --remove {self.account}; rm -rf /run/screen/S-{self.account}"
            )
            root(host, ended, check=False)
            root(host, shlex.join(["testbed-accounts", public, f"{self.account}:{self.uid}"]))
        self.config = config.format(account=self.account, key=key).encode()
        self.mode = mode
        if config:
            self.write(path, self.config, mode)
            if path != ".ssh/config":
                self.run(f"ln -s ../{path} ~/.ssh/config")
        self.foreign = self.resolve("elsewhere")

    def run(self, command: str, check: bool = True, data: bytes = b"") -> str:
        """Run a command on the laptop as somebody does who has logged in there; return all that it prints."""
        argv = ["podman", "exec", "-i", f"{CLUSTER}-laptop", "su", "--login", self.name, "--command", command]
        done = subprocess.run(
            argv, input=data, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=180, check=False
        )
        printed = done.stdout.decode()
        assert not check or done.returncode == 0, printed
        return printed

    def write(self, path: str, content: bytes, mode: str = "0600") -> None:
        """Write a file, with its folder, into the home."""
        self.run(f"mkdir -p $(dirname {path}) && cat >{path} && chmod {mode} {path}", data=content)

    def read(self, path: str) -> bytes:
        """Return what is in a file in the home."""
        return self.run(f"cat {path}").encode()

    def site(self, playbook: str = "site.yml", **variables: object) -> str:
        """Run site.yml, or another one, as it is typed in the project's folder; return what it prints."""
        chosen = {"my_port": self.port, **variables}
        return self.run(
            "cd /srv/jupyter-on-a-cluster && . /opt/ansible/bin/activate &&"
            f" ansible-playbook {playbook} -l {self.cluster} -i {self.inventory} -e @molecule/laptop/vars/me.yml "
            + " ".join(f"-e {name}={value}" for name, value in chosen.items())
        )

    def resolve(self, host: str) -> str:
        """Return all that ssh would do for a host, without its remark that there is no terminal."""
        return self.run(f"ssh -G {host} 2>/dev/null")

    def effective(self, host: str) -> dict[str, list[str]]:
        """Return what ssh would do for a host: each setting's values."""
        settings: dict[str, list[str]] = {}
        for line in self.resolve(host).splitlines():
            name, _, value = line.partition(" ")
            settings.setdefault(name, []).append(value)
        return settings

    def disconnect(self) -> None:
        """Close the connections, and with them the tunnel."""
        for host in (self.node, GATEWAY):
            self.run(f"ssh -O exit {host}", check=False)

    def server_version(self) -> str:
        """Ask the server, through the tunnel, for its version; an empty string where nothing answers."""
        authority = f"{self.home}/.jupyter-cluster/ca/ca.crt"
        return self.run(
            f"curl --silent --max-time 5 --cacert {authority} https://localhost:{self.port}/api", check=False
        )


def root(host: str, command: str, check: bool = True) -> str:
    """Run a command as root on a host of the test cluster; return what it prints."""
    argv = ["podman", "exec", f"{CLUSTER}-{host}", "sh", "-c", command]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    assert not check or done.returncode == 0, done.stdout
    return done.stdout
