"""What a failed login means, out of what both hops print."""

from __future__ import annotations

import pytest
from ssh import ssh_failure

#: What `ssh -v` says that tells nothing, around what does.
BEFORE = "OpenSSH_9.2p1 Debian-2, OpenSSL 3.0\ndebug1: Reading configuration data /etc/ssh/ssh_config\r\n"
IMPLICIT = "debug1: Setting implicit ProxyCommand from ProxyJump: ssh -v -W '[%h]:%p' GATE\n"
JUMP = BEFORE + IMPLICIT + "debug1: Executing proxy command: exec ssh -v -W '[n]:22' GATE\n" + BEFORE
CALLS = "debug1: Connecting to GATE [192.0.2.1] port 22.\n"
GATE_IN = 'Authenticated to GATE ([192.0.2.1]:22) using "publickey".\r\ndebug1: Local version string SSH-2.0\n'
NODE_IN = 'Authenticated to n (via proxy) using "publickey".\n'
AFTER = "debug1: Exit status -1\nTransferred: sent 1 bytes\nBytes per second: sent 1\nKilled by signal 1.\n"
THROUGH = JUMP + CALLS + GATE_IN
GATE_ENDS = "Connection closed by 192.0.2.1 port 22\n"
NO_BANNER = "kex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535\n"
NODE_ENDS = "Connection closed by UNKNOWN port 65535\n"
PROHIBITED = "channel 0: open failed: administratively prohibited: open failed\nstdio forwarding failed\n"
CHANGE = "You are required to change your password immediately (administrator enforced).\n"
EXPIRED = "Your account has expired; please contact your system administrator.\n"
DOWN = "Down for work until noon.\n\n"
TIMED_OUT = "Connection to UNKNOWN port 65535 timed out\n"
REFUSED = "Stdio forwarding request failed: Session open refused by peer\n"
NO_MATCH = BEFORE + "Unable to negotiate with 192.0.2.1 port 22: no matching "
DENIED = "me@host: Permission denied (publickey).\n"
OWN_PROXY = BEFORE + "debug1: Executing proxy command: exec way-out n 22\n"


@pytest.mark.parametrize(
    ("said", "begins", "line"),
    [
        # As sshd and PAM of Debian 11, 12 and 13 were heard to say it.
        (THROUGH + PROHIBITED + NO_BANNER + AFTER, "The gateway GATE lets you in, but does not forward", "channel 0"),
        (JUMP + CALLS + CHANGE + GATE_IN + PROHIBITED + NO_BANNER, "Your password on GATE has", "You are"),
        (JUMP + CALLS + EXPIRED + GATE_ENDS + NO_BANNER, "Your account on GATE has expired", "Your account has"),
        (THROUGH + EXPIRED + NODE_ENDS + AFTER, "Your account on NODE has expired", "Your account has"),
        (EXPIRED + NODE_ENDS, "Your account on GATE or NODE has expired", "Your account has"),
        (JUMP + EXPIRED + NODE_ENDS + AFTER, "Your account on NODE has expired", "Your account has"),
        (THROUGH + CHANGE + NODE_IN + AFTER, "Your password on NODE has expired.", "You are required"),
        (CHANGE + "forwards nowhere\n" + JUMP + REFUSED, "Your password on GATE has expired.", "You are required"),
        (JUMP + CALLS + DOWN + GATE_ENDS + NO_BANNER, "The gateway GATE ends the connection before the login", "Down"),
        (THROUGH + DOWN + NODE_ENDS + AFTER, "NODE ends the connection before the login", "Down for"),
        (
            THROUGH + NODE_IN + "channel 0: open failed: connect failed: open failed\n" + AFTER,
            "NODE takes no further session",
            "channel 0: open failed",
        ),
        (
            THROUGH + "channel 0: open failed: connect failed: Name or service not known\n" + NO_BANNER,
            "The gateway GATE lets you in, but knows no host NODE.",
            "channel 0",
        ),
        (JUMP + CALLS + TIMED_OUT, "The gateway GATE does not let you in in time", "Connection to"),
        (
            THROUGH + TIMED_OUT,
            "The gateway GATE lets you in, but NODE cannot be reached",
            "Connection to",
        ),
        # An open connection to the gateway, which does not tell why; and what it was asked beside that.
        (JUMP + REFUSED + NO_BANNER, "The gateway GATE lets you in, but NODE cannot be", "Stdio forw"),
        ("forwards nowhere\n" + JUMP + REFUSED, "The gateway GATE lets you in, but does not forward", "forwards"),
        (
            NO_MATCH + "key exchange method found. Their offer: x\n",
            "The ssh of this machine and that of GATE or NODE have too little in",
            "Unable to negotiate",
        ),
        (
            NO_MATCH + "host key type found. Their offer: ssh-rsa\n",
            "The ssh of this machine and that of GATE or NODE have too little in",
            "Unable to negotiate",
        ),
        (
            "unix_listener: cannot bind to path /x/cm/me@g:22.aB: No space left on device\n" + NO_BANNER,
            "ssh cannot make the socket of an open connection.",
            "unix_listener: cannot bind to path /x/cm/me@g:22.aB: No space left on device)",
        ),
        ('ControlPath too long (\'x\' >= 108 bytes)\n', "ssh cannot make the socket", "ControlPath too long"),
        (
            "mux_client_request_session: session request failed: Permission denied\n",
            "The connection that is open does not let others use it.",
            "mux_client",
        ),
        (
            "@ UNPROTECTED PRIVATE KEY FILE! @\nPermissions 0644 for '/k' are too open.\n" + DENIED + NO_BANNER,
            "ssh does not use a key of yours that others may read",
            "Permissions 0644 for '/k' are too open.",
        ),
        (
            "no such identity: /me/.ssh/k: No such file or directory\n" + DENIED + NO_BANNER,
            "The gateway GATE does not let you in. Is my_user in inventory/group_vars/all/me.yml right, and your key "
            "known there (ssh finds no /me/.ssh/k)?",
            "me@host: Permission denied",
        ),
        (
            "sign_and_send_pubkey: signing failed for ED25519 \"/k\" from agent: agent refused operation\n" + DENIED,
            "Your ssh agent did not sign with your key.",
            "sign_and_send_pubkey",
        ),
        (JUMP + CALLS + "Tunnel device open failed.\n" + NO_BANNER, "Your ssh_config says Tunnel of GATE", "Tunnel"),
        (
            "ssh_dispatch_run_fatal: Connection to UNKNOWN port 65535: Broken pipe\n",
            "ssh has no way through the gateway GATE.",
            "ssh_dispatch_run_fatal",
        ),
        # Their own words.
        (
            OWN_PROXY + "No VPN today.\n" + NO_BANNER,
            "The way to NODE by the ProxyCommand in your ssh_config fails. Try it by itself: way-out n 22",
            "No VPN today. / kex_",
        ),
        (
            JUMP + "debug1: Executing proxy command: exec way-out {g} 22\nsh: way-out: not found\n" + NO_BANNER,
            "The way to NODE by the ProxyCommand in your ssh_config fails. Try it by itself: way-out {g} 22",
            "sh: way-out: not found / ",
        ),
        (OWN_PROXY + NO_BANNER, "The way to NODE by the ProxyCommand in your ssh_config fails", "kex_exchange_ident"),
        ("works now", "The connection to NODE broke off, and a new one works.", "works now"),
        ("no answer within 20 s", "The open connection to NODE, or the way to it, does not answer", "no answer within"),
    ],
)  # fmt: skip
def test_ssh_failure_names_the_cause(said: str, begins: str, line: str) -> None:
    message = ssh_failure(said, node="NODE", gateways=["GATE"], log_in="ssh -fN NODE")
    assert message.startswith(begins)
    assert f"(ssh: {line}" in message
    assert "\n" not in message


def test_ssh_failure_blames_the_pins_only_where_there_are_some() -> None:
    said = NO_MATCH + "host key type found. Their offer: ssh-rsa"
    assert "(cluster_host_keys)" in ssh_failure(said, node="N", gateways=["A"], log_in="ssh N", pinned=True)
    assert "(cluster_host_keys)" not in ssh_failure(said, node="N", gateways=["A"], log_in="ssh N")


@pytest.mark.parametrize(
    ("said", "begins"),
    [
        ("jane@node: Permission denied (publickey).", "NODE does not let you in. Is my_user"),
        ("ssh: Could not resolve hostname node: Name or service not known", "This machine does not find NODE."),
        ("ssh: connect to host node port 22: Connection refused", "NODE cannot be reached."),
        ("ssh: connect to host node port 22: Connection timed out", "NODE cannot be reached."),
        ("Connection closed by 10.0.0.1 port 22", "NODE ends the connection before the login."),
        ("kex_exchange_identification: Connection closed by remote host", "NODE ends the connection before the login."),
        ("Host key verification failed.", "This machine does not know the host key of NODE yet."),
        ("WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!", "The host key of NODE is not the one"),
        ("Your account has expired; please contact your system administrator.", "Your account on NODE has expired"),
        ("", "The login to NODE fails."),
    ],
)
def test_without_a_gateway_no_message_names_one(said: str, begins: str) -> None:
    message = ssh_failure(said, node="NODE", gateways=[], log_in="ssh -fN NODE")
    assert message.startswith(begins)
    assert "gateway" not in message
    assert "NODE or" not in message


def test_of_several_hops_the_first_that_has_not_let_one_in_is_named() -> None:
    first = 'Connecting to A [10.0.0.1] port 22.\nAuthenticated to A ([10.0.0.1]:22) using "publickey".\n'
    denied = "jane@b: Permission denied (publickey).\nConnection closed by UNKNOWN port 65535"
    for said, gateway in ((first + denied, "B"), (denied, "A or B")):
        message = ssh_failure(said, node="N", gateways=["A", "B"], log_in="ssh N")
        assert message.startswith(f"The gateway {gateway} does not let you in.")
