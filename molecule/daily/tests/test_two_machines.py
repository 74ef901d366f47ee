"""A laptop and a desktop of one person: the second adopts what is there."""

from __future__ import annotations

import time

import pexpect
import pytest
from laptop_container import Person
from patience import SLOWLY, seconds

Machines = tuple[Person, Person]


def on_the_node(person: Person) -> str:
    """The server's process, and the digests of its files."""
    return person.run(
        f"ssh {person.node} 'cd .jupyter-cluster/hydra08i && cat run/lock && sha256sum server.crt password_hash ca.crt'"
    )


def words(printed: str) -> str:
    """Join what Ansible has folded."""
    return " ".join(printed.split())


def test_the_second_machine_adopts_what_is_there(machines: Machines) -> None:
    laptop, desktop = machines
    before = on_the_node(laptop)
    shown = desktop.site(my_user=desktop.account, my_password="")
    assert on_the_node(laptop) == before
    authority = f"{desktop.home}/.jupyter-cluster/ca/{desktop.node}.crt"
    assert f"import its authority into your browser: {authority}" in words(shown)
    assert desktop.read(f".jupyter-cluster/ca/{desktop.node}.crt") == laptop.read(".jupyter-cluster/ca/ca.crt")
    assert desktop.server_version(authority).startswith('{"version"')


def test_alternating_runs_change_nothing(machines: Machines) -> None:
    laptop, desktop = machines
    before = on_the_node(laptop)
    for machine in (laptop, desktop, laptop):
        assert "changed=0" in machine.site(my_user=machine.account, my_password="")
    assert on_the_node(laptop) == before


def test_the_first_machine_notices_that_the_second_has_renewed(machines: Machines) -> None:
    laptop, desktop = machines
    desktop.site("playbooks/renew.yml", my_user=desktop.account, my_password="")
    shown = laptop.site("playbooks/connect.yml", my_user=laptop.account, my_browser=False)
    authority = f"{laptop.home}/.jupyter-cluster/ca/{laptop.node}.crt"
    assert f"import its authority into your browser: {authority}" in words(shown)
    assert laptop.server_version(authority).startswith('{"version"')


@pytest.mark.parametrize(
    ("written", "why"),
    [
        (">ca.crt", "ca.crt may vouch for more than localhost, so it is not ours, and not trusted"),
        (">>ca.crt", "ca.crt has more in it than one certificate"),
    ],
    ids=["in the place of ours", "beside ours"],
)
def test_an_authority_for_more_than_localhost_is_not_adopted(machines: Machines, written: str, why: str) -> None:
    laptop, _ = machines
    any_name = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=x -keyout /dev/null"
    before = laptop.run("sha256sum ~/.jupyter-cluster/ca/*.crt")
    folder = ".jupyter-cluster/hydra08i"
    laptop.run(f"ssh {laptop.node} 'cd {folder} && cp ca.crt kept && {any_name} 2>/dev/null {written}' 2>&1")
    refused = laptop.site("playbooks/connect.yml", check=False, my_user=laptop.account, my_browser=False)
    laptop.run(f"ssh {laptop.node} 'cd {folder} && mv kept ca.crt'")
    assert f"does not serve: {why}. Look at who changed it" in words(refused)
    assert laptop.run("sha256sum ~/.jupyter-cluster/ca/*.crt") == before


def test_a_run_replaces_an_authority_that_is_not_ours(machines: Machines) -> None:
    """The machine's own signs then, and the other one adopts that."""
    laptop, desktop = machines
    laptop.run(
        f"ssh {laptop.node} 'cd .jupyter-cluster/hydra08i && cat ca.crt >>server.crt && cat server.crt >>ca.crt'"
    )
    shown = laptop.site(my_user=laptop.account, my_password="")
    assert "gets another one in its place: ca.crt has more in it than one certificate." in words(shown)
    assert laptop.server_version().startswith('{"version"')
    adopted = desktop.site("playbooks/connect.yml", my_user=desktop.account, my_browser=False)
    assert "Another of your machines has made the server's certificate." in words(adopted)
    assert desktop.read(f".jupyter-cluster/ca/{desktop.node}.crt") == laptop.read(".jupyter-cluster/ca/ca.crt")


def given(person: Person, project: str = "") -> str:
    """Return what a person gives a playbook that is typed, in the project's folder or elsewhere."""
    chosen = {"my_user": person.account, "my_port": person.port, **SLOWLY}
    return f"-e @{project}molecule/laptop/vars/me.yml" + "".join(
        f" -e {name}={value}" for name, value in chosen.items()
    )


def test_logs_are_followed_until_control_c(machines: Machines) -> None:
    person, _ = machines
    options = given(person)
    playbook = f"playbooks/logs.yml -l hydra -i inventory/hydra.yml {options} -e logs_follow=true"
    with person.at_a_terminal(
        f"cd /srv/jupyter-on-a-cluster && . /opt/ansible/bin/activate && ansible-playbook {playbook}"
    ) as typed:
        typed.expect("Jupyter Server 2")
        person.run(f"ssh {person.node} 'echo something new >>.jupyter-cluster/hydra08i/jupyter.log'")
        typed.expect("something new")
        typed.sendintr()
        typed.expect("User interrupted execution")
        typed.expect(pexpect.EOF)
    time.sleep(seconds(1))
    assert person.run("pgrep -a ssh | grep -w tail || true") == ""
    assert person.run(f"ssh {person.node} 'pgrep -x tail || true'") == ""


def test_the_command_from_another_directory(machines: Machines) -> None:
    person, _ = machines
    command = "PYTHONPATH=/srv/jupyter-on-a-cluster /opt/ansible/bin/python -P -m jupyter_cluster"
    said = person.run(f"cd /tmp && {command} status hydra -- {given(person, '/srv/jupyter-on-a-cluster/')} </dev/null")
    assert f"{person.node}  since " in said


def write_short_forms(person: Person) -> None:
    """Write what versions before have written for shells."""
    folder = f"{person.home}/.jupyter-cluster"
    lines = {
        "bash": (".bashrc", f"[ ! -r {folder}/aliases.bash ] || . {folder}/aliases.bash"),
        "zsh": (".zshrc", f"[ ! -r {folder}/aliases.zsh ] || . {folder}/aliases.zsh"),
        "fish": (".config/fish/config.fish", f"test -r {folder}/aliases.fish; and source {folder}/aliases.fish"),
    }
    for shell, (start, line) in lines.items():
        person.write(f".jupyter-cluster/aliases.{shell}", b"# BEGIN hydra.\njupyter-hydra() { :; }\n# END hydra.\n")
        person.run(f"sed -i '1i {line}' {start}")


def test_short_forms_of_before_are_taken_away(machines: Machines) -> None:
    person, _ = machines
    person.write(".config/fish/config.fish", b"# mine, without a newline")
    person.write(".zshrc", b"# from before UTF-8: caf\xe9\nset -o nobeep")
    before = person.files()
    write_short_forms(person)
    assert "changed=0" not in person.site(my_user=person.account)
    assert person.files() == before
    assert "changed=0" in person.site(my_user=person.account)
    # With the rest, when all is removed.
    write_short_forms(person)


def test_remove_leaves_nothing_on_either(machines: Machines) -> None:
    laptop, desktop = machines
    removed = laptop.site("playbooks/remove.yml", my_user=laptop.account, tls_cert_ca_keep=False)
    laptop.run("test ! -e .bashrc || ! grep jupyter-cluster/aliases .bashrc .zshrc .config/fish/config.fish")
    laptop.run("rm -r .config .zshrc")
    shown = words(removed)
    for gone in (
        f"/home/{laptop.account}/.jupyter-cluster/hydra08i (",
        "the server, process ",
        "the Include line in ",
        "the short forms of the verbs in ",
    ):
        assert gone in shown.partition("changed: ")[0], gone
    # What was adopted from another cluster is not this one's.
    desktop.run("cd ~/.jupyter-cluster/ca && rm ca.key ca.crt && echo other >other.example.org.crt")
    desktop.site("playbooks/remove.yml", my_user=desktop.account)
    assert desktop.run("ls ~/.jupyter-cluster/ca") == "other.example.org.crt\n"
    desktop.site("playbooks/remove.yml", my_user=desktop.account, tls_cert_ca_keep=False)
    for machine in machines:
        assert machine.files() == machine.at_first
    assert not {file for file in laptop.files("hydra08i") if "jupyter" in file}
    assert laptop.files("hydra08i") == laptop.files("hydra11i")
