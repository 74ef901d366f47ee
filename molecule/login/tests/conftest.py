from __future__ import annotations

import pytest
from laptop_container import Person, TokenPerson
from viper import STAND_IN, VIPER, log_in_first, words


@pytest.fixture(scope="session")
def token() -> TokenPerson:
    """Somebody with a one-time password token, with a copy of the project."""
    person = TokenPerson("token", 2111, 9877, VIPER)
    # The login node's key is the only one that viper.yml does not pin.
    person.begin(names=("viper-i.mpcdf.mpg.de",))
    parts = "ansible.cfg site.yml group_vars *_plugins inventory examples playbooks roles"
    person.run(f"mkdir project && cd /srv/jupyter-on-a-cluster && cp -a {parts} ~/project")
    person.run("cd project && ln -s /opt/ansible .venv && rm -f inventory/group_vars/*/me.yml")
    return person


@pytest.fixture(scope="session")
def shared() -> TokenPerson:
    """Somebody whose codes work once, and not once a host."""
    person = TokenPerson("shared", 2112, 9892, VIPER)
    person.kind = "shared"
    person.begin(names=("viper-i.mpcdf.mpg.de",))
    return person


@pytest.fixture(scope="session")
def passcode() -> TokenPerson:
    """Somebody who is asked in other words, below a long banner."""
    person = TokenPerson("passcode", 2113, 9893, VIPER)
    person.kind = "passcode"
    person.begin(names=("viper-i.mpcdf.mpg.de",))
    assert log_in_first(person) in words(person.site(check=False, my_user=person.account, **STAND_IN))
    return person


@pytest.fixture(scope="session")
def phrase() -> Person:
    """Somebody with a passphrase, no agent, and an empty known_hosts."""
    person = Person("phrase", 2114, 9894)
    person.begin(passphrase="the key's own", names=())
    return person


@pytest.fixture(scope="session")
def key() -> Person:
    """Somebody with a key that works unattended."""
    person = Person("key", 2115, 9895, VIPER)
    person.begin()
    return person


OWN = """\
Host gate1.mpcdf.mpg.de viper-i.mpcdf.mpg.de
    User own-hpc
    GSSAPIAuthentication yes
    Port 22
Host viper-i.mpcdf.mpg.de
    ProxyCommand ssh -q -W %h:%p gate1.mpcdf.mpg.de
Host *
    ControlMaster auto
    ControlPath ~/.ssh/own-%r@%h
    ControlPersist 600
    ServerAliveInterval 45
    User nobody
Host elsewhere
    HostName elsewhere.example.org
    ProxyJump jump.example.org
"""


@pytest.fixture(scope="session")
def own() -> Person:
    """Somebody with an own proxy and own masters."""
    person = Person("own", 2116, 9896, VIPER)
    person.begin(config=OWN)
    return person


@pytest.fixture(scope="session")
def hashed() -> TokenPerson:
    """Somebody whose own connections have hashed names, and whom prompts await."""
    person = TokenPerson("hashed", 2117, 9897, VIPER)
    person.begin(
        config="Host *\n    ControlMaster auto\n    ControlPath ~/.ssh/%C\n    ControlPersist 600\n",
        names=("viper-i.mpcdf.mpg.de",),
    )
    return person
