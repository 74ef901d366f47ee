"""sshd that allows few sessions on a connection, or few connections that have not logged in yet."""

from __future__ import annotations

import pytest
from laptop_container import Person, TokenPerson, against, root
from patience import seconds
from viper import GATE1, GATE2, STAND_IN, words

PORT = 2222


@pytest.mark.parametrize("sessions", [1, 2])
def test_max_sessions(passcode: TokenPerson, sessions: int) -> None:
    """They count on a connection, and neither the way to the node nor the tunnel is one."""
    with against(passcode, f"max-sessions-{sessions}"):
        passcode.log_in(GATE1)
        assert "failed=0" in passcode.site(my_user=passcode.account, **STAND_IN)
        before = passcode.logins()
        # The person's own sessions take them all.
        begin = f"ssh {passcode.node} sleep {seconds(30)} >/dev/null 2>&1 &"
        passcode.run(f"for n in $(seq {sessions}); do {begin} done; sleep {seconds(1)}")
        shown = passcode.site("playbooks/stop.yml", check=False, my_user=passcode.account, **STAND_IN)
        assert (
            f"{passcode.node} takes no further session on the connection that is open (MaxSessions in its sshd). Close "
            "what else uses it, an ssh, scp or editor, and run this again. (ssh: "
        ) in words(shown)
        assert passcode.logins() == before
        root("hydra08i", f"pkill -u {passcode.account} sleep")
        assert "failed=0" in passcode.site("playbooks/stop.yml", my_user=passcode.account, **STAND_IN)


def test_max_startups(key: Person) -> None:
    """An open connection does not mind, and who has none is told. It is an sshd of its own: all others go on."""
    key.disconnect()
    key.write(".ssh/config", f"Host {GATE1}\n    Port {PORT}\n".encode())
    root("gate", f"/usr/sbin/sshd -p {PORT} -o MaxStartups=1 -o PidFile=/run/sshd-{PORT}.pid")
    chosen = {"my_user": key.account, "my_login": "key", **STAND_IN}
    try:
        assert "failed=0" in key.site("playbooks/stop.yml", **chosen)
        # Somebody who does not log in.
        key.run(f"(exec 3<>/dev/tcp/{GATE1}/{PORT}; sleep {seconds(60)}) >/dev/null 2>&1 &")
        assert "failed=0" in key.site("playbooks/stop.yml", **chosen)
        key.disconnect()
        shown = key.site("playbooks/stop.yml", check=False, **chosen)
        key.run("pkill -x sleep")
    finally:
        root("gate", f"kill $(cat /run/sshd-{PORT}.pid)")
    assert (
        f"The gateway {GATE1} ends the connection before the login. Too many log in at once (MaxStartups in its sshd), "
        "it has banned your address for a while, or your account is locked: wait some minutes, or take another "
        f"gateway: -e my_gateway={GATE2}. See what this says: ssh -fN {key.node} (ssh: "
    ) in words(shown)
