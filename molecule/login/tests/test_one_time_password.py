"""Password and one-time password on both hops, by PAM, with no key at all: one login a hop, typed once."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator

import pytest
import yaml
from cluster import VERBS
from laptop_container import PASSWORD, TokenPerson, against, root
from patience import SLOWLY, seconds
from viper import GATE1, NONE, ONE_EACH, STAND_IN, log_in_first, readme_lines, words


@pytest.fixture
def no_login(token: TokenPerson) -> Iterator[None]:
    """See that a test leaves sshd's log as it was."""
    before = token.logins()
    yield
    assert token.logins() == before


def engine(token: TokenPerson) -> float:
    """How long ansible-core takes there for nothing, in seconds: what a run is measured by, since machines differ."""
    begun = time.monotonic()
    token.run("cd /tmp && /opt/ansible/bin/ansible localhost -c local -m ansible.builtin.debug")
    return time.monotonic() - begun


def test_the_lines_of_the_readme(token: TokenPerson) -> None:
    """Word for word, but for `make install`, which the laptop has done, and for what the test cluster has instead."""
    install, activate, copy, cluster, first, log_in, second, tunnel = readme_lines()
    assert install == "make install"
    token.types(f"cd project && {copy} && {cluster}")
    me = "project/inventory/group_vars/all/me.yml"
    assert yaml.safe_load(token.read(me)) == {"my_user": "jane"}
    mine = {"my_user": token.account, "my_password": "correct horse battery staple", **SLOWLY, **STAND_IN}
    token.write(me, yaml.safe_dump(mine).encode())

    begun = time.monotonic()
    status, shown = token.types(f"cd project && {activate} && {first}")
    assert time.monotonic() - begun < 10 * engine(token)
    assert status == 2
    assert log_in in shown
    assert log_in_first(token) in words(shown)
    assert token.logins() == NONE

    code = token.code()
    status, shown = token.types(log_in, *token.asked(GATE1, code), *token.asked(token.node, code))
    assert status == 0, shown
    status, shown = token.types(f"cd project && {activate} && {second}")
    assert status == 0, shown
    token.run(f"ssh -O cancel {token.tunnel}")
    assert token.server_version() == ""
    status, shown = token.types(f"timeout {seconds(2)} {tunnel}")
    assert json.loads(token.server_version())["version"].startswith("2.")
    assert token.logins() == ONE_EACH


def test_no_run_takes_a_second_code(token: TokenPerson) -> None:
    status, shown = token.types("cd project && . .venv/bin/activate && ansible-playbook site.yml -l viper")
    assert status == 0
    assert "changed=0" in shown
    token.run(f"timeout {seconds(2)} ssh -fN jupyter-viper </dev/null >/dev/null 2>&1")
    token.run(f"ssh {token.node} true")
    status, shown = token.types("cd project && . .venv/bin/activate && ansible-playbook playbooks/stop.yml -l viper")
    assert status == 0
    assert token.logins() == ONE_EACH


@pytest.fixture
def stalled(token: TokenPerson) -> Iterator[None]:
    """The processes that serve the connection on the gate stand still: as the network sees it, that is a cut cable."""
    serving = root("gate", f"pgrep -u {token.account} sshd").split()
    root("gate", f"kill -STOP {' '.join(serving)}")
    yield
    root("gate", f"kill -CONT {' '.join(serving)}")


@pytest.mark.parametrize("verb", ["status", "doctor", "logs"])
def test_looking_leaves_a_connection_that_stalls(token: TokenPerson, no_login: None, stalled: None, verb: str) -> None:
    begun = time.monotonic()
    shown = token.site(f"playbooks/{verb}.yml", check=False, my_user=token.account, **STAND_IN)
    assert time.monotonic() - begun < seconds(8)
    assert f"The open connection to {token.node} and {GATE1} does not answer: it stalls, or is dead. " in words(shown)
    assert token.run(f"ssh -O check {token.node}").startswith("Master running")


def test_a_connection_that_stalled_goes_on(token: TokenPerson, no_login: None) -> None:
    assert token.run(f"ssh {token.node} echo still here") == "still here\n"


def test_a_dead_connection_is_noticed_and_closed(token: TokenPerson, no_login: None, stalled: None) -> None:
    assert token.run(f"ssh -O check {token.node}").startswith("Master running")
    # The machine's pace, before and behind it.
    pace = engine(token)
    begun = time.monotonic()
    shown = token.site(check=False, my_user=token.account, **STAND_IN)
    took = time.monotonic() - begun
    # After 2.5 s without an answer; and within the five that are promised.
    assert took < max(seconds(5), seconds(2.5) + 3 * max(pace, engine(token)))
    assert (
        f"The connection that was open did not answer, and is given up, with all that used it. {log_in_first(token)}"
    ) in words(shown)
    assert token.run("ls ~/.jupyter-cluster/cm") == ""
    assert token.run("pgrep -u token -x ssh", check=False) == ""


def test_without_a_connection_a_run_stops_at_once(token: TokenPerson, no_login: None) -> None:
    before = engine(token)
    for playbook in ("site.yml", "playbooks/status.yml", *(f"playbooks/{verb}.yml" for verb in VERBS)):
        # What else the machine does meets one run, or two.
        for again in (True, True, False):
            begun = time.monotonic()
            shown = token.site(playbook, check=False, my_user=token.account, **STAND_IN)
            took = time.monotonic() - begun
            # How busy the machine was meanwhile, say both sides of it.
            after = engine(token)
            if took < 3 * (before + after) / 2:
                break
            assert again, playbook
            before = after
        before = after
        # The table leaves out the advice in brackets.
        said = log_in_first(token).partition(" (")[0] if playbook == "playbooks/status.yml" else log_in_first(token)
        assert said in words(shown)


@pytest.mark.parametrize("wrong", ["code that was used", "code", "password"])
def test_a_wrong_answer(token: TokenPerson, wrong: str) -> None:
    """ssh asks again, three times in all, and does not say what was wrong; the next run says what may be."""
    code = {"code that was used": token.last_code, "code": lambda: "000000", "password": token.code}[wrong]()
    password = "another" if wrong == "password" else PASSWORD
    status, shown = token.types(f"ssh -fN {token.node}", *token.asked(GATE1, code, password) * 3)
    assert status == 255
    assert shown.strip().endswith("Connection closed by UNKNOWN port 65535")
    before = token.logins()
    assert log_in_first(token) in words(token.site(check=False, my_user=token.account, **STAND_IN))
    assert token.logins() == before


def test_hops_that_share_what_codes_were_used(shared: TokenPerson) -> None:
    """The second hop needs a new code, and its prompt says who asks."""
    checked = words(shared.site("site.yml --check", check=False, my_user=shared.account, **STAND_IN))
    assert (
        f"On {shared.node} only you can log in, and check mode has not written the way there: run this once without "
        "--check."
    ) in checked
    shared.site(check=False, my_user=shared.account, **STAND_IN)
    code = shared.code()
    command = f"ssh -o NumberOfPasswordPrompts=1 -fN {shared.node}"
    status, shown = shared.types(command, *shared.asked(GATE1, code), *shared.asked(shared.node, code))
    assert status == 255
    assert f"{shared.account}@{shared.node}: Permission denied (keyboard-interactive)." in shown
    status, shown = shared.types(command, *shared.asked(shared.node, shared.code()))
    assert status == 0, shown
    before = shared.logins()
    assert "changed=0" in shared.site("playbooks/stop.yml", my_user=shared.account, **STAND_IN)
    assert shared.logins() == before
    assert before == {"gate": (1, 0), "hydra08i": (1, 2)}


def test_prompts_in_other_words_below_a_long_banner(passcode: TokenPerson) -> None:
    """ssh and the person read them; Ansible sees neither."""
    with against(passcode, "long-banner"):
        before = passcode.logins()
        shown = passcode.log_in(GATE1)
        assert "Line 39 of what every user must know." in shown
        assert shown.count("Passcode or option (1-3):") == 2
        printed = passcode.site(my_user=passcode.account, **STAND_IN)
        assert "failed=0" in printed
        assert json.loads(passcode.server_version())["version"].startswith("2.")
    assert passcode.logins() == {host: (logins + 1, failed) for host, (logins, failed) in before.items()}


@contextlib.contextmanager
def unreachable_for(person: TokenPerson) -> Iterator[None]:
    """Let the gate find no route to the node, as to one that is down, for what runs as this person alone."""
    node = root("gate", "getent hosts hydra08i.rzg.mpg.de").split()[0]
    rule = f"uidrange {person.uid}-{person.uid} lookup {person.uid}"
    root("gate", f"ip route add unreachable {node} table {person.uid} && ip rule add {rule}")
    try:
        yield
    finally:
        root("gate", f"ip rule del {rule}; ip route del {node} table {person.uid}")


def test_a_node_that_is_down(passcode: TokenPerson) -> None:
    """The gateway's connection is open, and tells."""
    passcode.log_in(GATE1)
    before = passcode.logins()
    root("hydra08i", f"pkill -u {passcode.account} sshd")
    with unreachable_for(passcode):
        shown = passcode.site(check=False, my_user=passcode.account, **STAND_IN)
    assert (
        f"The gateway {GATE1} lets you in, but {passcode.node} cannot be reached from it. The node may be down: see "
        "the cluster's status page, or name another login node in the cluster's inventory file."
    ) in words(shown)
    assert passcode.logins() == before


def test_an_account_that_is_locked(passcode: TokenPerson) -> None:
    """The host says so itself, on the terminal."""
    root("hydra08i", f"usermod --expiredate 1 {passcode.account}")
    try:
        passcode.disconnect()
        code = passcode.code()
        asked = [*passcode.asked(GATE1, code), *passcode.asked(passcode.node, code)]
        status, shown = passcode.types(f"ssh -fN {passcode.node}", *asked)
        assert status == 255
        assert "Your account has expired" in shown
        assert log_in_first(passcode) in words(passcode.site(check=False, my_user=passcode.account, **STAND_IN))
    finally:
        root("hydra08i", f"usermod --expiredate '' {passcode.account}")
