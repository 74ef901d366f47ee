"""playbooks/remove.yml gives back the ~/.ssh/config that was there, or none."""

from __future__ import annotations

import pytest
from laptop_container import Person


@pytest.mark.parametrize("name", ["plain", "symlink", "crlf"])
def test_remove_gives_back_the_ssh_config(request: pytest.FixtureRequest, name: str) -> None:
    person: Person = request.getfixturevalue(name)
    person.site("playbooks/remove.yml", my_user=person.account, tls_cert_ca_keep="false")
    assert person.run("test ! -e ~/.jupyter-cluster && echo gone") == "gone\n"
    if person.config:
        assert person.read(".ssh/config") == person.config
        assert person.run("stat --dereference -c %a ~/.ssh/config") == person.mode.lstrip("0") + "\n"
    else:
        assert person.run("test ! -e ~/.ssh/config && echo gone") == "gone\n"
    if name == "symlink":
        assert person.run("readlink ~/.ssh/config") == "../dotfiles/ssh/config\n"
    assert person.resolve("elsewhere") == person.foreign


def test_another_folder_is_the_only_one(crlf: Person) -> None:
    # With something of the person's own in it, which is no file.
    crlf.run("mkdir -p elsewhere/mine")
    before = crlf.files()
    crlf.site("playbooks/doctor.yml", my_folder="~/elsewhere")
    assert crlf.run("test -d elsewhere/cm && test ! -e .jupyter-cluster && echo alone") == "alone\n"
    crlf.site("playbooks/remove.yml", my_folder="~/elsewhere")
    assert crlf.files() == before
