"""The machines `laptop` and `desktop`, whose accounts have a ~/.ssh/config of their own, used as people do."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pexpect
from cluster import GATEWAY, PROJECT, TESTBED
from containers import inside
from patience import SLOWLY, seconds

CLUSTER = "jupyter-test"
HOSTS = ("gate", "hydra08i", "hydra11i")
MACHINES = ("laptop", "desktop")
NODES = {"hydra": "hydra08i.rzg.mpg.de", "hydra11": "hydra11i.rzg.mpg.de", "viper": "viper-i.mpcdf.mpg.de"}
NODES |= {"direct": GATEWAY, "hops": NODES["hydra"]}
PASSWORD = "what the account knows"


class Person:
    """An account on the laptop, with another one on the cluster, whose server is that of one inventory file."""

    def __init__(
        self, name: str, uid: int, port: int, inventory: str = "inventory/hydra.yml", machine: str = "laptop"
    ) -> None:
        self.name = name
        self.machine = machine
        #: What was in the home before there was anything of ours.
        self.at_first: set[str] = set()
        # Named otherwise, so that nothing logs in by chance.
        self.account = f"{name}-hpc"
        self.uid = uid
        self.port = port
        self.inventory = inventory
        self.cluster = PROJECT.joinpath(inventory).stem
        self.home = f"/home/{name}"
        self.node = NODES[self.cluster]
        self.tunnel = f"jupyter-{self.cluster}"
        self.include = f'Include "{self.home}/.jupyter-cluster/ssh_config"\n'

    def begin(
        self,
        key: str = "id_ed25519",
        config: str = "",
        path: str = ".ssh/config",
        mode: str = "0600",
        passphrase: str = "",
        names: tuple[str, ...] = (GATEWAY, *NODES.values()),
    ) -> None:
        """Make both accounts, as good as new; a key lets one in to the other.

        An ssh_config, where one is given, is put where `path` says. What ssh then makes of a foreign alias is kept. The
        known_hosts has the hosts' keys under `names`.
        """
        self.end()
        self.past = {"gate": (0, 0), "hydra08i": (0, 0)}
        self.past = self.logins()
        self.sit_down(key, config, path, mode, passphrase, names)

    def sit_down(self, key: str, config: str, path: str, mode: str, passphrase: str, names: tuple[str, ...]) -> None:
        """Make the account on the machine, and let its key in to the cluster's, which is made if it is missing."""
        root(self.machine, f"useradd --create-home --shell /bin/bash {self.name}")
        self.run(f"install -d -m 0700 ~/.ssh && ssh-keygen -q -t ed25519 -N {shlex.quote(passphrase)} -f ~/.ssh/{key}")
        self.write(".ssh/known_hosts", known_hosts(*names))
        public = self.read(f".ssh/{key}.pub").decode().strip()
        for host in HOSTS:
            self.account_on(host, public)
        self.config = config.format(account=self.account, key=key).encode()
        self.mode = mode
        if config:
            self.write(path, self.config, mode)
            if path != ".ssh/config":
                self.run(f"ln -s ../{path} ~/.ssh/config")
        self.foreign = self.resolve("elsewhere")

    def at(self, machine: str) -> Person:
        """Let the same person sit down at another machine, with another home and key."""
        other = Person(self.name, self.uid, self.port, self.inventory, machine)
        other.past = self.past
        other.sit_down("id_ed25519", "", "", "0600", "", (GATEWAY, *NODES.values()))
        return other

    def end(self) -> None:
        """Take away the accounts, with all that runs for them."""
        everywhere = [*((machine, self.name) for machine in MACHINES), *((host, self.account) for host in HOSTS)]
        for host, account in everywhere:
            ended = f"pkill -KILL -u {account}; userdel --remove {account}; rm -rf /run/screen/S-{account}"
            root(host, ended, check=False)

    def account_on(self, host: str, public_key: str) -> None:
        """Make the account on a host of the cluster."""
        root(host, shlex.join(["testbed-accounts", public_key, f"{self.account}:{self.uid}"]))

    def run(self, command: str, check: bool = True, data: bytes = b"") -> str:
        """Run a command on the laptop as somebody does who has logged in there; return all that it prints."""
        # Not the quick way: what is measured here is measured by what the same way takes for nothing.
        argv = ["podman", "exec", "-i", f"{CLUSTER}-{self.machine}", "su", "--login", self.name, "--command", command]
        done = subprocess.run(
            argv, input=data, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds(180), check=False
        )
        printed = done.stdout.decode()
        assert not check or done.returncode == 0, printed
        return printed

    def types(self, command: str, *answers: tuple[str, str]) -> tuple[int, str]:
        """Type a command at a terminal, and answer its prompts, each a regular expression and what is typed.

        Return the exit status, and all that was shown.
        """
        with self.at_a_terminal(command) as child:
            for prompt, answer in answers:
                child.expect(prompt)
                child.sendline(answer)
            child.expect(pexpect.EOF)
        assert child.exitstatus is not None
        return child.exitstatus, child.logfile_read.getvalue()

    @contextlib.contextmanager
    def at_a_terminal(self, command: str) -> Iterator[Any]:
        """Type a command at a terminal, and go on there."""
        # With a shell as the session's leader, as in a terminal: where ssh itself is, what it leaves in the background
        # ends with the session (and bash would put ssh in its own place).
        inside = [
            "--user",
            self.name,
            "--workdir",
            self.home,
            "--env",
            f"HOME={self.home}",
            f"{CLUSTER}-{self.machine}",
        ]
        shell = ["sh", "-c", f"set -m; {command}"]
        child = pexpect.spawn("podman", ["exec", "-it", *inside, *shell], encoding="utf-8", timeout=seconds(90))
        child.logfile_read = io.StringIO()
        try:
            yield child
        finally:
            child.close()

    def logins(self) -> dict[str, tuple[int, int]]:
        """Count the account's logins on gate and node since it began: those that succeeded, and those that failed."""
        counts = {}
        for host in ("gate", "hydra08i"):
            log = root(host, f"journalctl --unit ssh --output cat | grep -w -- {self.account} || true")
            accepted = len(re.findall(r"^Accepted (?:publickey|keyboard)", log, re.M))
            failed = len(
                re.findall(r"^Failed |^(?:Connection closed|Disconnected) (?:by|from) authenticating ", log, re.M)
            )
            counts[host] = (accepted - self.past[host][0], failed - self.past[host][1])
        return counts

    def write(self, path: str, content: bytes, mode: str = "0600") -> None:
        """Write a file, with its folder, into the home."""
        self.run(f"mkdir -p $(dirname {path}) && cat >{path} && chmod {mode} {path}", data=content)

    def read(self, path: str) -> bytes:
        """Return what is in a file in the home."""
        return self.run(f"cat {path}").encode()

    def site(self, playbook: str = "site.yml", check: bool = True, **variables: Any) -> str:
        """Run site.yml, or another one, as it is typed in the project's folder; return what it prints."""
        chosen = {"my_port": self.port, **SLOWLY, **variables}
        return self.run(
            "cd /srv/jupyter-on-a-cluster && . /opt/ansible/bin/activate &&"
            f" ansible-playbook {playbook} -l {self.cluster} -i {self.inventory} -e @molecule/laptop/vars/me.yml"
            f" -e {shlex.quote(json.dumps(chosen))}",
            check=check,
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

    def files(self, host: str = "") -> set[str]:
        """Describe every file in the home on this machine, or in the account's on a host: kind, mode, name, digest.

        Without those of the programs beside ours: Ansible's, Jupyter's and the shells' own.
        """
        home = f"/home/{self.account}" if host else self.home
        described = root(
            host or self.machine,
            f"cd {home} && find . -printf '%y %m %p\\n' && find . -type f -exec sha256sum {{}} +",
        )
        theirs = r"\./\.(ansible|local|jupyter|ipython|cache|config/fish/fish_variables)(/|$)"
        return {line for line in described.splitlines() if not re.match(theirs, line.split(maxsplit=2)[-1])}

    def disconnect(self) -> None:
        """Close the connections, and with them the tunnel."""
        for host in (self.node, GATEWAY, "gate1.mpcdf.mpg.de", "gate2.mpcdf.mpg.de"):
            self.run(f"ssh -O exit {host}", check=False)

    def server_version(self, authority: str = "") -> str:
        """Ask the server, through the tunnel, for its version; an empty string where nothing answers."""
        authority = authority or f"{self.home}/.jupyter-cluster/ca/ca.crt"
        return self.run(
            f"curl --silent --max-time {seconds(5)} --cacert {authority} https://localhost:{self.port}/api", check=False
        )


class TokenPerson(Person):
    """Somebody whom the cluster lets in by password and one-time password alone."""

    #: Whether each host remembers the codes that were used (own), or all together (shared); or another kind of prompt.
    kind = "own"
    #: The last time step, of 30 s, whose code was taken: a code works once.
    step = 0

    @property
    def secret(self) -> str:
        """The secret that the token and the cluster share, in hexadecimal."""
        return self.name.encode().hex().ljust(40, "5")

    def account_on(self, host: str, public_key: str) -> None:
        """Make the account on a host of the cluster; what is Debian 11 asks for no token, and lets the key in."""
        if host == "hydra11i":
            super().account_on(host, public_key)
        else:
            root(host, shlex.join(["testbed-token", f"{self.account}:{self.uid}", PASSWORD, self.secret, self.kind]))

    def code(self) -> str:
        """Return a one-time password that was not used: that of now or, not to wait for it, one of those to come."""
        now = int(time.time()) // 30
        # The one with other words takes a code again, and none from afar.
        self.step = now if self.kind == "passcode" else max(self.step + 1, now)
        return self.last_code()

    def last_code(self) -> str:
        """Return the code that was taken last."""
        return root("gate", f"oathtool --totp --now=@{30 * self.step} {self.secret}").strip()

    def asked(self, host: str, code: str, password: str = PASSWORD) -> list[tuple[str, str]]:
        """Return what a host asks for, and the answers."""
        return [(rf"@{host}\) Password: ", password), (rf"@{host}\) .*: ", code)]

    def log_in(self, gateway: str) -> str:
        """Open the connections, as the messages say it; return what is shown."""
        self.disconnect()
        code = self.code()
        status, shown = self.types(f"ssh -fN {self.node}", *self.asked(gateway, code), *self.asked(self.node, code))
        assert status == 0, shown
        return shown


def known_hosts(*names: str) -> bytes:
    """Return a known_hosts with these of the names that the cluster's hosts have."""
    keys = dict(line.split(" ", 1) for line in (TESTBED / "known_hosts").read_text().splitlines())
    keys["viper-i.mpcdf.mpg.de"] = keys["hydra08i.rzg.mpg.de"]
    keys["gate1.mpcdf.mpg.de"] = keys["gate2.mpcdf.mpg.de"] = keys[GATEWAY]
    return "".join(f"{name} {keys[name]}\n" for name in names).encode()


def fingerprint(name: str) -> str:
    """Return a host's key as clusters publish it."""
    printed = subprocess.run(
        ["ssh-keygen", "-l", "-f", "-"],
        input=known_hosts(name),
        stdout=subprocess.PIPE,
        timeout=seconds(10),
        check=True,
    )
    return "ED25519 " + printed.stdout.decode().split()[1]


@contextlib.contextmanager
def against(person: Person, group: str, *hosts: str) -> Iterator[None]:
    """Let the sshd of some hosts, or of gate and node, have something against the account for a while.

    What that is, says the group's name in molecule/cluster/image/files/sshd.conf.
    """
    hosts = hosts or ("gate", "hydra08i")
    for host in hosts:
        root(host, f"gpasswd --add {person.account} {group}")
    try:
        yield
    finally:
        for host in hosts:
            root(host, f"gpasswd --delete {person.account} {group}")


def root(host: str, command: str, check: bool = True) -> str:
    """Run a command as root on a host of the test cluster; return what it prints."""
    argv = [*inside(f"{CLUSTER}-{host}"), "sh", "-c", command]
    done = subprocess.run(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds(60), check=False
    )
    assert not check or done.returncode == 0, done.stdout
    return done.stdout
