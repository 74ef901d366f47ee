"""The person's own ~/.ssh/config, which ssh finds by the home in the passwd: it leads to ours, and keeps counting."""

from __future__ import annotations

import json

import pytest
from cluster import GATEWAY
from laptop_container import Person, root


def test_site_runs_without_an_ssh_config(plain: Person) -> None:
    assert plain.read(".ssh/config").decode() == plain.include
    assert plain.run("stat -c '%a %F' ~/.ssh ~/.ssh/config") == "700 directory\n600 regular file\n"
    assert json.loads(plain.server_version())["version"].startswith("2.")


def test_a_second_run_changes_nothing(plain: Person) -> None:
    again = plain.site(my_user=plain.account)
    assert "changed=0" in again, again


def test_blocks_of_the_person_keep_counting(blocks: Person) -> None:
    gateway, node, tunnel = (blocks.effective(host) for host in (GATEWAY, blocks.node, blocks.tunnel))
    for one in (gateway, node, tunnel):
        assert one["user"] == ["blocks-hpc"]
        assert one["identityfile"] == ["~/.ssh/cluster"]
        assert one["port"] == ["22"]
        # Of `Host *`, what nobody says before it.
        assert one["compression"] == ["yes"]
    assert gateway["controlpath"] == [f"{blocks.home}/.jupyter-cluster/cm/blocks-hpc@{GATEWAY}:22"]
    assert "proxyjump" not in gateway
    for one in (node, tunnel):
        assert one["hostname"] == [blocks.node]
        assert one["proxyjump"] == [GATEWAY]
        assert one["forwardx11"] == ["yes"]
        assert one["controlpath"] == [f"{blocks.home}/.jupyter-cluster/cm/blocks-hpc@{blocks.node}:22"]
    assert "localforward" not in node
    assert blocks.run(f"ssh {blocks.node} id -un") == "blocks-hpc\n"


def test_a_symlinked_config_stays_a_symlink(symlink: Person) -> None:
    assert symlink.run("readlink ~/.ssh/config") == "../dotfiles/ssh/config\n"
    assert symlink.run("stat -c '%a %U %F' ~/dotfiles/ssh/config") == "640 symlink regular file\n"
    assert symlink.read("dotfiles/ssh/config") == symlink.include.encode() + symlink.config


def test_crlf_lines_survive(crlf: Person) -> None:
    config = crlf.read(".ssh/config")
    assert config == crlf.include.encode() + crlf.config
    assert config.count(b"\r\n") == config.count(b"\n") - 1 > 20
    assert crlf.effective(crlf.node)["proxyjump"] == [GATEWAY]
    assert crlf.effective(crlf.tunnel)["user"] == ["crlf-hpc"]


@pytest.mark.parametrize("name", ["blocks", "crlf"])
def test_a_line_below_their_blocks_is_moved_to_where_it_counts(request: pytest.FixtureRequest, name: str) -> None:
    """There ssh reads ours for another host alone."""
    person: Person = request.getfixturevalue(name)
    config = person.read(".ssh/config")
    end = "\r\n" if b"\r\n" in config else "\n"
    above = f"    ControlPath ~/.ssh/elsewhere-%C{end}"
    moved = person.config.replace(above.encode(), f"{above}{person.include.strip()}{end}".encode())
    assert moved != person.config
    person.write(".ssh/config", moved)
    assert "proxyjump" not in person.effective(person.node)
    assert f"+{person.include}" in person.site("playbooks/doctor.yml --check --diff")
    assert person.read(".ssh/config") == moved
    assert "changed=1" in person.site("playbooks/doctor.yml")
    assert person.read(".ssh/config") == config
    assert person.effective(person.node)["proxyjump"] == [GATEWAY]
    assert "changed=0" in person.site("playbooks/doctor.yml")


def test_a_foreign_alias_resolves_as_before(person: Person) -> None:
    if person.config:
        assert "\nuser somebody\n" in person.foreign
        assert "\nproxyjump jump.example.org\n" in person.foreign
    assert person.resolve("elsewhere") == person.foreign


def test_the_config_keeps_its_mode(person: Person) -> None:
    assert person.run("stat --dereference -c %a ~/.ssh/config") == person.mode.lstrip("0") + "\n"


@pytest.mark.parametrize(
    "command", ["ssh -fN {0}", "ssh -fN {1} && ssh -O forward {0}"], ids=["alone", "on the node's"]
)
def test_the_tunnel_opens_by_its_name(person: Person, command: str) -> None:
    person.disconnect()
    assert person.server_version() == ""
    person.run(f"{{ {command.format(person.tunnel, person.node)}; }} </dev/null >/dev/null 2>&1")
    assert json.loads(person.server_version())["version"].startswith("2.")


def test_old_node_and_new_laptop(plain: Person) -> None:
    assert plain.run("cat /etc/debian_version").startswith("13.")
    assert "OpenSSH_10." in plain.run("ssh -V")
    version = plain.run("/opt/ansible/bin/ansible --version")
    assert version.startswith("ansible [core 2.21.")
    assert "python version = 3.13." in version
    assert plain.run(f"ssh {plain.node} cat /etc/debian_version").startswith("11.")
    assert "OpenSSH_8.4" in plain.run(f"ssh {plain.node} ssh -V")
    assert plain.run(f"ssh {plain.node} /opt/anaconda3/bin/python --version") == "Python 3.9.2\n"
    assert "/opt/anaconda3/bin/python" in plain.run(f"ssh {plain.node} ps -u {plain.account} -o args")


def test_the_laptop_reaches_the_gate_alone(plain: Person) -> None:
    routes = root("laptop", "ip route").splitlines()
    assert len(routes) == 1
    assert "dev eth0" in routes[0]
    for host in ("hydra08i", "hydra11i"):
        address = root(host, "hostname -I").split()[0]
        said = plain.run(f"curl --silent --show-error --max-time 2 http://{address}:22", check=False)
        assert "Could not connect" in said or "Couldn't connect" in said, said
        assert "Network is unreachable" in plain.run(f"ssh -o ProxyJump=none {address} true", check=False)
    assert plain.run("getent hosts gate.rzg.mpg.de").split()[0] == routes[0].split()[0]
    assert plain.run("getent hosts hydra08i.rzg.mpg.de hydra11i.rzg.mpg.de", check=False) == ""
