from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from laptop_container import Person

# What stands in the ~/.ssh/config of somebody with more than one cluster.
CONFIG = """\
# My hosts
Host gate.rzg.mpg.de
    User {account}
    IdentityFile ~/.ssh/{key}
    Port 22

Host hydra*.rzg.mpg.de
    User {account}
    IdentityFile ~/.ssh/{key}
    Port 22
    ForwardX11 yes

Host elsewhere
    HostName elsewhere.example.org
    User somebody
    Port 2222
    IdentityFile ~/.ssh/elsewhere
    ProxyJump jump.example.org
    ControlPath ~/.ssh/elsewhere-%C

Host *
    User somebody-else
    ServerAliveInterval 60
    Compression yes
"""


# All that would keep a command of ours from running, or the tunnel from opening. The two ports of the node's own
# forwardings are somebody else's.
ODD = """\
Host hydra*.rzg.mpg.de
    RemoteCommand echo theirs
    LocalForward 127.0.0.1:9899 localhost:22
    DynamicForward 127.0.0.1:9898
    ExitOnForwardFailure yes
    StdinNull yes

Host *
    User {account}
    RequestTTY force
    LogLevel QUIET
    PermitLocalCommand yes
    LocalCommand echo local
    ClearAllForwardings no
    ControlMaster yes
    FingerprintHash md5
"""


def provisioned(person: Person, **variables: Any) -> Person:
    """Run site.yml as the person."""
    person.site(**variables)
    return person


@pytest.fixture(scope="session")
def people() -> Iterator[dict[str, Future[Person]]]:
    """All of them, who run site.yml two at a time."""
    plain = Person("plain", 2101, 9881, "molecule/laptop/inventory/hydra11.yml")
    blocks = Person("blocks", 2102, 9882)
    symlink = Person("symlink", 2103, 9883)
    crlf = Person("crlf", 2104, 9884)
    odd = Person("odd", 2105, 9885)
    plain.begin()
    blocks.begin("cluster", CONFIG)
    symlink.begin("cluster", CONFIG, "dotfiles/ssh/config", "0640")
    crlf.begin("cluster", CONFIG.replace("\n", "\r\n"))
    odd.begin(config=ODD)
    with ThreadPoolExecutor(2) as pool:
        runs = {"plain": pool.submit(provisioned, plain, my_user=plain.account)}
        runs |= {person.name: pool.submit(provisioned, person) for person in (blocks, symlink, crlf, odd)}
        yield runs


@pytest.fixture(scope="session")
def plain(people: dict[str, Future[Person]]) -> Person:
    """Somebody without a ~/.ssh/config, whose login node is old."""
    return people["plain"].result()


@pytest.fixture(scope="session")
def blocks(people: dict[str, Future[Person]]) -> Person:
    """Somebody with blocks for these hosts."""
    return people["blocks"].result()


@pytest.fixture(scope="session")
def symlink(people: dict[str, Future[Person]]) -> Person:
    """Somebody whose ~/.ssh/config is a symlink."""
    return people["symlink"].result()


@pytest.fixture(scope="session")
def crlf(people: dict[str, Future[Person]]) -> Person:
    """Somebody whose ~/.ssh/config has another system's line ends."""
    return people["crlf"].result()


@pytest.fixture(scope="session")
def odd(people: dict[str, Future[Person]]) -> Person:
    """Somebody whose ~/.ssh/config means something else by `ssh NODE` than a shell."""
    return people["odd"].result()


@pytest.fixture(params=["plain", "blocks", "symlink", "crlf"])
def person(request: pytest.FixtureRequest, people: dict[str, Future[Person]]) -> Person:
    """Each of them in turn."""
    return people[request.param].result()
