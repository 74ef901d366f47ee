"""The verbs, each a playbook, and the options that mean something to it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """An option of a verb's, for one run: a variable of the playbooks."""

    #: As it is typed; two names are a short and a long one.
    flags: tuple[str, ...]
    variable: str
    help: str
    #: What the variable is set to; without one, the option takes a value.
    value: str | None = None
    #: What that value is, in one word.
    metavar: str | None = None


@dataclass(frozen=True)
class Verb:
    """What one can do with a cluster."""

    name: str
    playbook: str
    help: str
    options: tuple[Option, ...] = ()
    #: Whether it is for all clusters, where none is named.
    for_all: bool = False


RESTART = Option(
    ("--restart",), "my_restart", "Restart a server whose configuration has changed; ends its kernels.", "true"
)
START = Option(("--start",), "my_start", "Start a server, where none runs.", "true")
END_KERNELS = Option(("--end-kernels",), "my_end_kernels", "End the server also while kernels are busy.", "true")
NEXT_PORT = Option(
    ("--next-port",), "my_next_port", "Take the next free port here, where another program has yours.", "true"
)
NO_BROWSER = Option(("--no-browser",), "my_browser", "Say the address, and open no browser.", "false")
JSON = Option(("--json",), "status_format", "For machines.", "json")
FOLLOW = Option(("-f", "--follow"), "logs_follow", "Go on with what comes, until Ctrl-C.", "true")
LINES = Option(("-n", "--lines"), "logs_lines", "How many lines, 1 to 100000; else 50.", metavar="NUMBER")
AUTHORITY = Option(
    ("--authority",), "tls_cert_ca_keep", "Your certificate authority, too, which all clusters share.", "false"
)

#: For each verb.
COMMON = (
    Option(("--gateway",), "my_gateway", "Another of the cluster's gateways, while one is down.", metavar="HOST"),
    Option(("--patience",), "my_patience", "How many times longer every wait may be, 1 to 20.", metavar="NUMBER"),
)

VERBS = (
    Verb("start", "site.yml", "Set all up, start the server, and open the tunnel.", (RESTART, END_KERNELS, NEXT_PORT)),
    Verb("connect", "playbooks/connect.yml", "Open the tunnel again, and a browser.", (START, NEXT_PORT, NO_BROWSER)),
    Verb("status", "playbooks/status.yml", "Say what runs; without CLUSTER, on all.", (JSON,), for_all=True),
    Verb("stop", "playbooks/stop.yml", "End the server, unless kernels are busy.", (END_KERNELS,)),
    Verb(
        "restart",
        "playbooks/restart.yml",
        "End the server, unless kernels are busy, and start it.",
        (END_KERNELS, NEXT_PORT),
    ),
    Verb("disconnect", "playbooks/disconnect.yml", "Close tunnel and connections; the server goes on."),
    Verb("logs", "playbooks/logs.yml", "Show the end of the server's log.", (LINES, FOLLOW)),
    Verb("doctor", "playbooks/doctor.yml", "Say what the node has, and what will not work."),
    Verb("password", "playbooks/password.yml", "Choose another password for the server."),
    Verb("renew", "playbooks/renew.yml", "Make another certificate for the server."),
    Verb("remove", "playbooks/remove.yml", "Take away all that was made, there and here.", (END_KERNELS, AUTHORITY)),
)
