"""`jupyter-cluster init`: asks what a cluster is, looks, and writes its files; never over one that is there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import yaml

from jupyter_cluster import playbook, renamed
from jupyter_cluster.inventory import Inventory
from jupyter_cluster.places import own_inventory, project

#: How a cluster's name, a host's and a user's are written; the last words say so to people.
NAME = r"[A-Za-z][A-Za-z0-9_]*", "letters, digits and _"
HOST = r"[A-Za-z0-9_][A-Za-z0-9._-]*", "letters, digits, dots and dashes, as in ssh NAME"
USER = r"[A-Za-z0-9_][A-Za-z0-9._-]*", "letters, digits, dots and dashes"
#: Where the ports on this machine begin that clusters get which are not shipped.
FIRST_PORT = 9901
#: What `doctor` says of Jupyter, and of modules that may have one.
JUPYTER = re.compile(r"^Jupyter: +(/\S+)", re.M)
OFFER = re.compile(r"^On offer: the modules (.+)$", re.M)
#: What a run says where only a person can log in.
LOG_IN = re.compile(r"\bssh (?:-F \S+ )?-fN \S+")


@dataclass
class Cluster:
    """What somebody has said of a cluster."""

    name: str
    node: str = "NODE"
    gateways: tuple[str, ...] = ()
    asks: bool = True
    modules: tuple[str, ...] = ()
    port: int = FIRST_PORT

    def text(self) -> str:
        """Return the cluster's file."""
        gateway = self.gateways[0] if len(self.gateways) == 1 else list(self.gateways)
        values = {
            "cluster_name": self.name,
            "cluster_gateway": gateway,
            "cluster_login": "prompt" if self.asks else "key",
            "cluster_port": self.port,
            "cluster_modules": list(self.modules),
        }
        remarks = {
            "cluster_name": f"Names the tunnel: ssh -N jupyter-{self.name}",
            "cluster_gateway": "The hosts on the way, in their order; [] is a direct login.",
            "cluster_login": "prompt: you log in, once a day. key: a key that works unattended.",
            "cluster_port": f"https://localhost:{self.port} on this machine; each cluster has its own.",
            "cluster_modules": "What `module load` needs before there is a `jupyter`.",
        }
        lines = ["---", f"# {self.name}. docs/clusters.md says what else a cluster's file may have."]
        lines += [f"{self.name}:", "  hosts:", f"    {self.node}:", "  vars:"]
        for name, value in values.items():
            lines += [f"    # {remarks[name]}", f"    {name}: {_yaml(value)}"]
        return "\n".join(lines) + "\n"


def begin(name: str | None, folder: Path, found: Inventory) -> None:
    """Write down a cluster.

    Args:
        name: what it is called, or shall be; without one, it is asked for.
        folder: the inventory.
        found: what is in there.
    """
    if folder.exists() and not folder.is_dir():
        raise click.ClickException(f"{folder} is a file: name the folder that the cluster's file shall be in, by -i.")
    at_terminal = is_terminal()
    _move_renamed(found, at_terminal)
    if name is None:
        if not at_terminal:
            raise click.ClickException(
                f"There is no terminal to ask at: jupyter-cluster init CLUSTER\n{_shipped_ones()}"
            )
        click.echo(_shipped_ones())
        name = _ask("Which cluster? One of these, or a name of your own", *NAME)
    _require(name, *NAME)
    if name in found.clusters:
        click.echo(f"{name} is written down already, in {found.clusters[name]}; nothing was changed.")
        click.echo(_next(name, folder))
        return
    sample = samples().get(name)
    if not at_terminal:
        raise click.ClickException(_by_hand(name, folder, sample))

    chosen: dict[str, Any] = {}
    if sample:
        text = sample.read_text()
        click.echo(f"{name} is one of those that are shipped: {sample}")
        variables = yaml.safe_load(text)[name]["vars"]
        if not variables.get("cluster_interactive", True):
            click.echo(
                f"Its nodes are not for this, and a start is refused there: {variables['cluster_policy'].strip()}"
            )
    else:
        cluster = Cluster(name, port=_free_port(found))
        cluster.node = _ask("Which node do you log in to, by its real name?", *HOST)
        if cluster.node in found.names:
            raise click.ClickException(f"{cluster.node} is in {folder} already; a node belongs to one cluster.")
        said = click.prompt("Through which gateway? (none: Enter; several: in their order)", "", show_default=False)
        cluster.gateways = tuple(said.replace(",", " ").split())
        for gateway in cluster.gateways:
            _require(gateway, *HOST)
    user = click.prompt("Your user name there? (as your ssh configuration has it: Enter)", "", show_default=False)
    if user:
        _require(user, *USER)
        chosen["my_user"] = user
    if not sample:
        cluster.asks = click.confirm("Does a login ask for anything (password, code, passphrase)?", default=True)
        said = ""
        if click.confirm("Log in now, and look where Jupyter is?", default=True):
            said = _look(cluster, chosen, folder, found)
        _ask_for_jupyter(cluster, chosen, said)
        text = cluster.text()

    files = {folder / f"{name}.yml": text, **_me(name, chosen, folder)}
    if there := [str(path) for path in files if path.exists()]:
        raise click.ClickException(f"{there[0]} is there already, without {name} in it. Nothing was written.")
    for path, content in files.items():
        click.echo(f"\n{path}:\n\n{content}")
    if not click.confirm("Write this?", default=True):
        raise click.ClickException("Nothing was written.")
    try:
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            # Never over one that is there.
            with path.open("x") as file:
                file.write(content)
    except OSError as error:
        raise click.ClickException(f"{error.filename} cannot be written: {error.strerror}.") from None
    click.echo(_next(name, folder))


def _move_renamed(found: Inventory, at_terminal: bool) -> None:
    """Say which options have another name by now, and write it where that is agreed to."""
    for one in renamed.find(found.files):
        if not one.is_simple or not at_terminal:
            click.echo(f"{one}. Correct it there.")
        elif click.confirm(f"{one}. Write that name there?", default=True):
            renamed.rename(one)


def samples() -> dict[str, Path]:
    """Return the clusters that are shipped, by their names."""
    folder = project() / "examples" / "clusters"
    return {path.stem: path for path in sorted(folder.glob("*.yml")) if path.stem != "every-option"}


def is_terminal() -> bool:
    """Tell whether there is somebody to ask."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _ask(question: str, form: str, words: str) -> str:
    def right(typed: str) -> str:
        if not re.fullmatch(form, typed):
            raise click.UsageError(f"{typed} is none: {words}.")
        return typed

    return str(click.prompt(question, value_proc=right))


def _require(value: str, form: str, words: str) -> None:
    if not re.fullmatch(form, value):
        raise click.ClickException(f"{value!r} is no name: it has {words}.")


def _look(cluster: Cluster, chosen: dict[str, Any], folder: Path, found: Inventory) -> str:
    """Return what `doctor` says of the node, once the person has logged in, where that is needed."""
    with _for_a_look(cluster, chosen, folder) as inventory:
        command = playbook.words(
            "playbooks/doctor.yml",
            inventories=[inventory],
            cluster=cluster.name,
            variables=[],
            ask_vault=found.needs_vault(cluster.name),
            more=[],
        )
        done = _run(command)
        log_in = LOG_IN.search(done.stderr + done.stdout)
        if done.returncode and log_in:
            click.echo(f"Logging in: {log_in[0]}")
            # A job of its own, as when it is typed: else a later Ctrl-C would end the way to the node, too.
            job = ["sh", "-c", 'set -m; "$@"', "sh", *shlex.split(log_in[0].rstrip("."))]
            subprocess.run(job, check=False)  # noqa: S603  It is this project's own line.
            done = _run(command)
    click.echo(done.stdout + ("" if JUPYTER.search(done.stdout) else done.stderr))
    return done.stdout


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    click.echo("Looking ...")
    around = playbook.environment(os.environ)
    return subprocess.run(command, env=around, capture_output=True, text=True, check=False)  # noqa: S603  No shell.


@contextmanager
def _for_a_look(cluster: Cluster, chosen: dict[str, Any], folder: Path) -> Iterator[Path]:
    """Make an inventory with the cluster alone, and what the person has chosen for all."""
    with tempfile.TemporaryDirectory() as name:
        inventory = Path(name)
        (inventory / f"{cluster.name}.yml").write_text(cluster.text())
        variables = inventory / "group_vars" / cluster.name
        variables.mkdir(parents=True)
        (variables / "me.yml").write_text(yaml.safe_dump(chosen))
        if (folder / "group_vars" / "all").is_dir():
            (inventory / "group_vars" / "all").symlink_to((folder / "group_vars" / "all").resolve())
        yield inventory


def _ask_for_jupyter(cluster: Cluster, chosen: dict[str, Any], said: str) -> None:
    """Ask where Jupyter is, and offer what was found."""
    if there := JUPYTER.search(said):
        click.echo(f"Jupyter is there without more: {there[1]}")
    offer = OFFER.search(said)
    if offer:
        click.echo(f"Modules that may have it: {offer[1]}")
    question = "Where is Jupyter? (modules, or an environment's folder from / or ~; found by itself: Enter)"
    default = offer[1].split(", ")[0] if offer and not there else ""
    answer = click.prompt(question, default, show_default=bool(default)).replace(",", " ").split()
    if answer and answer[0].startswith(("/", "~")):
        chosen["my_environment"] = " ".join(answer)
    else:
        cluster.modules = tuple(answer)


def _me(name: str, chosen: dict[str, Any], folder: Path) -> dict[Path, str]:
    """Return the files with the person's choices, those that are not there yet."""
    for_all, for_one = (folder / "group_vars" / group / "me.yml" for group in ("all", name))
    rest = {
        key: value for key, value in chosen.items() if not (_says(for_all, key, value) or _says(for_one, key, value))
    }
    files: dict[Path, str] = {}
    if "my_user" in rest and not for_all.exists():
        files[for_all] = _choices("Yours alone, for all clusters; git ignores it.", {"my_user": rest.pop("my_user")})
    if rest and for_one.exists():
        lines = "\n".join(f"{key}: {_yaml(value)}" for key, value in rest.items())
        click.echo(f"{for_one} is there already, and stays as it is. To be written into it by you:\n{lines}")
    elif rest:
        files[for_one] = _choices(f"Yours alone, for {name}; git ignores it.", rest)
    return files


def _says(file: Path, name: str, value: Any) -> bool:
    lines = file.read_text().splitlines() if file.exists() else []
    return f"{name}: {_yaml(value)}" in [line.partition(" #")[0].rstrip() for line in lines]


def _choices(remark: str, values: dict[str, Any]) -> str:
    return "\n".join(["---", f"# {remark}", *(f"{name}: {_yaml(value)}" for name, value in values.items())]) + "\n"


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n").strip()


def _free_port(found: Inventory) -> int:
    files = [*found.clusters.values(), *samples().values()]
    taken = {int(port) for file in files for port in re.findall(r"^ *cluster_port: *(\d+)", file.read_text(), re.M)}
    return next(port for port in range(FIRST_PORT, 65536) if port not in taken)


def _by_hand(name: str, folder: Path, sample: Path | None) -> str:
    """Say what init would write, where nobody can be asked."""
    text = sample.read_text() if sample else Cluster(name).text()
    me = _choices("Yours alone, for all clusters; git ignores it.", {"my_user": "jane"})
    return (
        f"There is no terminal to ask at. Write {folder}/{name}.yml:\n\n{text}\n"
        f"and {folder}/group_vars/all/me.yml, with your user name:\n\n{me}\nthen: jupyter-cluster doctor {name}"
    )


def _shipped_ones() -> str:
    return f"Clusters that are shipped: {', '.join(samples())}"


def _next(name: str, folder: Path) -> str:
    where = "" if folder == own_inventory() else f" -i {shlex.quote(str(folder))}"
    return f"Next: jupyter-cluster start {name}{where}"
