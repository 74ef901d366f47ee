"""A slip in a YAML file of the inventory is named with its line, and without what may be a password."""

from __future__ import annotations

from pathlib import Path

import pytest
from variables import PROJECT

from jupyter_cluster.inventory import closest, read

INDENTED = "wrong indentation: lines that belong together begin in the same column."
QUOTES = 'a value with a colon in it needs quotes: `name: "value: more"`.'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("my_user: jane\nmy_port: 9\n", ""),
        ("", ""),
        ("# nothing yet\n", ""),
        ("my_user: '{{ x }}'\nmy_setup: [a, b]\n", ""),
        ("my_password: !unsafe a{{b\n", ""),
        (
            "my_user jane\n",
            "line 1: `my_user …` is not what is expected there: `name: value` on each line. Write `my_user: …`, with a "
            "colon and a blank.",
        ),
        (
            "my_user: jane\nmy_password sesame\nx: 3\n",
            "line 2: `my_password …`: a colon and a blank are expected after",
        ),
        ("my_password: sesame: x\n", f"line 1: `my_password: …`: {QUOTES}"),
        ("my_password: 'sesame\nx: 3\n", "line 1: `my_password: …`: a quotation mark is opened there, and not closed."),
        ("my_password: @sesame\n", "line 1: `my_password: …`: a value that begins with such a sign needs quotes."),
        ("my_password: *sesame\n", "line 1: `my_password: …`: a value that begins with * needs quotes."),
        ("my_password: {{ sesame }}\n", "line 1: a value that begins with { or [ needs quotes, as a template does: "),
        ("my_user: jane\n  my_port: 9\n", f"line 2: `my_port: …`: {INDENTED}"),
        ("my_user: jane\n\tmy_port: 9\n", "line 2: `my_port: …`: a tab stands there: indent by blanks."),
        ("my_setup: [a,\nb: 2\n", "line 1: `my_setup: …`: a bracket is opened there and not closed, or a comma is "),
        ("my_port: 1\nmy_port: 2\n", "line 2: `my_port` is there already, in line 1: leave one of them."),
        ("- my_port: 1\n", "line 1: a list is not what is expected there: `name: value` on each line."),
        ("\x00", "line 1: unacceptable character #x0000"),
    ],
)
@pytest.mark.parametrize("place", ["group_vars/all/me.yml", "group_vars/hydra.yml", "host_vars/node"])
def test_variables(tmp_path: Path, place: str, text: str, said: str) -> None:
    file = tmp_path / place
    file.parent.mkdir(parents=True)
    file.write_text(text)
    found = read([tmp_path]).mistakes
    assert [line[: len(f"{file}, {said}")] for line in found] == ([f"{file}, {said}"] if said else [])
    assert "sesame" not in "".join(found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: nothing is in it. A cluster's file begins with the cluster's name and a colon."),
        ("hydra\n", "line 1: `hydra` is not what is expected there: a cluster's name and a colon."),
        ("hydra:\nhosts:\n  a:\n", "line 2: `hosts:` belongs below the cluster's name, and is indented there."),
        ("hydra:\n  hosts: a\n", "line 2: `a` is not what is expected there: a node's name and a colon, on a line of "),
        ("hydra:\n  hosts:\n    - a\n", "line 3: a list is not what is expected there: a node's name and a colon, on "),
        (
            "hydra:\n  host:\n    a:\n",
            "line 2: `host:` is expected to be `hosts:`, `vars:` or `children:` of `hydra`; ",
        ),
        (
            "hydra:\n  cluster_port: 1\n",
            "line 2: `cluster_port:` is expected to be `hosts:`, `vars:` or `children:` of",
        ),
        ("hydra:\n  hosts:\n    a:\n  vars:\n    x: 1\n   y: 2\n", f"line 6: `y: …`: {INDENTED}"),
    ],
)
def test_a_cluster_s_file(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "hydra.yml"
    file.write_text(text)
    assert [line[: len(f"{file}, {said}")] for line in read([tmp_path]).mistakes] == [f"{file}, {said}"]


def test_which_names_there_are(tmp_path: Path) -> None:
    file = tmp_path / "all.yml"
    file.write_text(
        "all:\n  children:\n    astro:\n      children:\n        hydra: {hosts: {a: , b: }}\n        viper:\n"
    )
    found = read([file])
    assert (found.clusters, found.names, found.mistakes) == ({"hydra": file}, ["a", "astro", "b", "hydra", "viper"], [])
    assert found.complete
    # What nobody can know without Ansible.
    for name, text in {"x.yml": "x: {hosts: {'a[1:3]': }}", "y.yml": "plugin: constructed", "z.ini": "[z]"}.items():
        (tmp_path / name).write_text(text)
        assert not read([tmp_path / name]).complete
    (tmp_path / "notes.md").write_text("# notes")
    assert read([tmp_path / "notes.md"]).complete


def test_a_file_counts_once_that_two_folders_have(tmp_path: Path) -> None:
    me = tmp_path / "group_vars" / "all" / "me.yml"
    me.parent.mkdir(parents=True)
    me.write_text("my_user jane\n")
    assert len(read([tmp_path], [me.parent]).mistakes) == 1


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "hydra.yml").write_bytes(b"\xff\xfe\x00")
    (said,) = read([tmp_path]).mistakes
    assert said.startswith(f"{tmp_path}/hydra.yml cannot be read: ")


def test_what_is_shipped_has_no_slip() -> None:
    found = read([PROJECT / "inventory", PROJECT / "examples" / "clusters"])
    assert found.mistakes == []
    assert {"hydra", "viper", "example"} <= set(found.clusters)


@pytest.mark.parametrize(("typed", "meant"), [("hydar", "hydra"), ("vipr", "viper"), ("perlmutter", ""), ("", "")])
def test_what_was_meant(typed: str, meant: str) -> None:
    assert closest(typed, ["hydra", "viper"]) == meant
