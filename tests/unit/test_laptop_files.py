"""What action_plugins/laptop_files.py writes on the laptop, among what is the person's own."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import laptop_files
import pytest
import yaml
from ansible.errors import AnsibleActionFail
from hypothesis import given
from hypothesis import strategies as st
from laptop_files import ActionModule, Files, read, with_block, with_first_line
from variables import PROJECT

MANAGED = "Written by us."
BLOCK = "Host a\n    User jane\n"
LINE = 'Include "/home/jane/.jupyter-cluster/ssh_config"'
#: The part of an ssh_config in which a line counts for some hosts alone.
BELOW = yaml.safe_load((PROJECT / "roles" / "ssh_config" / "vars" / "main.yml").read_text())["__ssh_config_conditional"]
#: What no decoder of UTF-8 takes.
BYTES = b"# Caf\xe9 \xff\xfe\r\nHost x\n"


def block(text: str = BLOCK, name: str = "hydra, the way in") -> str:
    return f"# BEGIN {name}. {MANAGED}\n{text}# END {name}. {MANAGED}\n"


def put(text: str, new: str, name: str = "hydra, the way in") -> str:
    return with_block(text, name, MANAGED, new)


@pytest.fixture(params=[0o022, 0o077, 0o000], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


# Texts.


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", block()),
        ("# mine\n", "# mine\n" + block()),
        ("# mine", "# mine\n" + block()),
        ("# mine\r\n", "# mine\r\n" + block()),
        (block("Host old\n"), block()),
        ("# mine\n" + block("Host old\n") + "# too\n", "# mine\n" + block() + "# too\n"),
        # As an editor, or a synchronizer, of another system has left it.
        ("# mine\r\n" + block("Host old\n").replace("\n", "\r\n") + "# too\r\n", "# mine\r\n" + block() + "# too\r\n"),
        (block("Host old\n").rstrip("\n"), block()),
        (block("x\n", "viper, the way in") + block("Host old\n"), block("x\n", "viper, the way in") + block()),
        (block("x\n", "hydra, the tunnel"), block("x\n", "hydra, the tunnel") + block()),
        # Whose name only begins as ours.
        (block("x\n", "hydra, the way into it"), block("x\n", "hydra, the way into it") + block()),
        # Half of one is none.
        (f"# END hydra, the way in. {MANAGED}\n", f"# END hydra, the way in. {MANAGED}\n" + block()),
    ],
)
def test_a_block_is_put_between_its_lines_and_all_else_stays(before: str, after: str) -> None:
    assert put(before, BLOCK) == after
    assert put(after, BLOCK) == after


@pytest.mark.parametrize("own", ["", "# mine\n", "# mine\r\n\r\n"])
@pytest.mark.parametrize("below", ["", "# too\n", "# too\r\n", "# no last line break"])
def test_a_block_goes_with_its_lines_and_nothing_else(own: str, below: str) -> None:
    assert put(own + block() + below, "") == own + below
    assert put(own + below, "") == own + below


def test_of_several_clusters_each_has_its_own() -> None:
    names = ["hydra, the way in", "hydra, the tunnel", "viper, the way in"]
    text = ""
    for name in names:
        text = put(text, f"{name}\n", name)
    assert text == "".join(block(f"{name}\n", name) for name in names)
    assert put(text, "", names[1]) == block(f"{names[0]}\n", names[0]) + block(f"{names[2]}\n", names[2])


def test_half_a_block_takes_nothing_of_the_person_s_along() -> None:
    text = f"# BEGIN hydra, the way in. {MANAGED}\n" + "# mine\n"
    for new in (BLOCK, "Host b\n", ""):
        text = put(text, new)
        assert "# mine\n" in text


LINES = st.lists(st.text(max_size=8) | st.sampled_from([LINE, *block().splitlines()]), max_size=6)


@given(LINES, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_what_a_block_leaves_behind_it_is_what_was_there(lines: list[str], end: str, last: bool) -> None:
    before = end.join(lines) + (end if last else "")
    if "# BEGIN" in before or "# END" in before:
        return
    whole = before if not before or before.endswith("\n") else f"{before}\n"
    assert put(put(before, BLOCK), "") == whole


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"{LINE}\n"),
        ("Host x\n", f"{LINE}\nHost x\n"),
        ("Host x", f"{LINE}\nHost x"),
        ("Host x\r\n", f"{LINE}\nHost x\r\n"),
        (f"{LINE}\nHost x\n", f"{LINE}\nHost x\n"),
        # Wherever the person has put it.
        (f"Host x\n{LINE}\n", f"Host x\n{LINE}\n"),
        (f"Host x\r\n{LINE}\r\n", f"Host x\r\n{LINE}\r\n"),
        (f"Host x\n{LINE}", f"Host x\n{LINE}"),
        # It does not count there.
        (f"# {LINE}\n", f"{LINE}\n# {LINE}\n"),
        (f"{LINE}.old\n", f"{LINE}\n{LINE}.old\n"),
    ],
)
def test_a_line_is_there_once(before: str, after: str) -> None:
    assert with_first_line(before, LINE, True) == after
    assert with_first_line(after, LINE, True) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"{LINE}\nHost x\n", "Host x\n"),
        (f"{LINE}\r\nHost x\r\n", "Host x\r\n"),
        (f"Host x\n{LINE}\n\nHost y", "Host x\n\nHost y"),
        (f"Host x\n{LINE}", "Host x\n"),
        (f"{LINE}\n{LINE}\nHost x\n", "Host x\n"),
        (f"# {LINE}\n{LINE}.old\n{LINE} # mine\n", f"# {LINE}\n{LINE}.old\n{LINE} # mine\n"),
        # What has a meaning in an expression has none here.
        ('Include "/home/jane/xjupyter-cluster/ssh_config"\n', 'Include "/home/jane/xjupyter-cluster/ssh_config"\n'),
    ],
)
def test_a_line_goes_wherever_it_is(before: str, after: str) -> None:
    assert with_first_line(before, LINE, False) == after


@given(st.text().filter(lambda text: LINE not in text))
def test_a_line_that_goes_gives_back_what_was_there(text: str) -> None:
    assert with_first_line(with_first_line(text, LINE, True), LINE, False) == text


#: How a part of an ssh_config begins that counts for some hosts alone, and what only looks like it.
CONDITIONS = [
    "Host x", "host x", "HOST\tx", "  Host x", "\t Host x", "Host=x", "Host = x", "Host  =x", 'Host "x"',
    '"Host" x', "=Host x", "Host *", "Match all", "match host x", "Match=host=x", "MATCH final all",
]  # fmt: skip
NO_CONDITIONS = [
    "# Host x", "#Match all", "Hostname x", "HostName=x", "HostKeyAlias x", "ProxyCommand ssh Host x", "", "\t",
    "SendEnv Match",
]  # fmt: skip


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("above", [*CONDITIONS, *NO_CONDITIONS])
def test_an_include_counts_where_ssh_says_so(tmp_path: Path, above: str, end: str) -> None:
    """And where it does not, the line is moved, once, and nothing else is."""
    (tmp_path / "ours").write_text("Host node\nUser ours\n")
    line = f'Include "{tmp_path}/ours"'
    mine = [f"# mine{end}", f"{above}{end}", f"Port 22{end}"]
    text = "".join([*mine[:2], line, end, mine[2]])
    (tmp_path / "config").write_bytes(text.encode())
    ssh = ["ssh", "-G", "-F", str(tmp_path / "config"), "node"]
    read_by_ssh = "\nuser ours\n" in subprocess.run(ssh, capture_output=True, text=True, check=True).stdout
    if "*" not in above and "all" not in above:
        assert read_by_ssh == (above in NO_CONDITIONS)
    there = with_first_line(text, line, True, BELOW)
    assert there == (text if above in NO_CONDITIONS else "".join([f"{line}\n", *mine]))
    assert with_first_line(there, line, True, BELOW) == there
    assert with_first_line(text, line, False, BELOW) == "".join(mine)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # All of them become one.
        (f"Host x\n{LINE}\nHost y\n    {LINE}\nPort 22\n{LINE}", f"{LINE}\nHost x\nHost y\nPort 22\n"),
        # As an editor has put it there; and one that counts is enough.
        (f"Host x\n\t{LINE} \r\n  Port 22\n", f"{LINE}\nHost x\n  Port 22\n"),
        (f"# mine\n  {LINE}\nHost x\n{LINE}\n", f"# mine\n  {LINE}\nHost x\n{LINE}\n"),
        (f"Host x\n# {LINE}\n", f"{LINE}\nHost x\n# {LINE}\n"),
    ],
)
def test_a_line_is_moved_to_where_it_counts(before: str, after: str) -> None:
    assert with_first_line(before, LINE, True, BELOW) == after
    assert with_first_line(after, LINE, True, BELOW) == after
    for text in (before, after):
        without = "".join(one for one in text.splitlines(keepends=True) if one.strip() != LINE)
        assert with_first_line(text, LINE, False, BELOW) == without


def test_in_a_shell_s_file_an_indented_line_is_the_person_s() -> None:
    """It may be all that an `if` has."""
    text = f"if true; then\n  {LINE}\nfi\nHost x\n{LINE}\n"
    assert with_first_line(text, LINE, True) == text
    assert with_first_line(text, LINE, False) == f"if true; then\n  {LINE}\nfi\nHost x\n"


# Files.


def modes(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_folders_are_the_person_s_alone_also_those_above(tmp_path: Path, umask: int) -> None:
    path, files = tmp_path / "a" / "b" / "c", Files(check=False)
    tmp_path.chmod(0o755)
    files.folder(path)
    assert [modes(one) for one in (path, path.parent, path.parent.parent, tmp_path)] == [0o700] * 3 + [0o755]
    files.folder(path)
    assert files.changed == [str(path)]


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to("real")
    files = Files(check=False)
    files.folder(tmp_path / "real")
    files.folder(tmp_path / "link")
    files.folder(tmp_path / "link" / "below")
    assert files.changed == [str(tmp_path / "link" / "below")]
    assert modes(tmp_path / "real") == 0o755
    assert modes(tmp_path / "real" / "below") == 0o700


def test_a_file_in_the_place_of_a_folder_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "cm").touch()
    with pytest.raises(OSError, match="cm"):
        Files(check=False).folder(tmp_path / "cm")


def test_a_new_file_is_the_person_s_alone(tmp_path: Path, umask: int) -> None:
    files = Files(check=False)
    files.write(tmp_path / "new", "x\r\ny", "")
    files.write(tmp_path / "public", "x", "", mode=0o644)
    assert (tmp_path / "new").read_bytes() == b"x\r\ny"
    assert (modes(tmp_path / "new"), modes(tmp_path / "public")) == (0o600, 0o644)
    assert files.changed == [str(tmp_path / "new"), str(tmp_path / "public")]
    assert left(tmp_path) == ["new", "public"]


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o400, 0o664])
def test_a_file_keeps_its_mode(tmp_path: Path, mode: int, umask: int) -> None:
    path = tmp_path / "config"
    path.write_text("old")
    path.chmod(mode)
    Files(check=False).write(path, "new", "old")
    assert (path.read_text(), modes(path)) == ("new", mode)


def test_what_is_as_it_shall_be_is_not_touched(tmp_path: Path) -> None:
    path, files = tmp_path / "config", Files(check=False)
    path.write_text("same")
    before = path.stat()
    files.write(path, "same", "same")
    assert (files.changed, files.diff) == ([], [])
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("there", [True, False], ids=["of a file", "of none yet"])
def test_a_link_stays_one(tmp_path: Path, there: bool) -> None:
    """As dotfile managers make them; also one of a link, and from another folder."""
    dotfiles = tmp_path / "dotfiles"
    dotfiles.mkdir()
    (tmp_path / "config").symlink_to("middle")
    (tmp_path / "middle").symlink_to(dotfiles / "config")
    if there:
        (dotfiles / "config").write_text("old")
    Files(check=False).write(tmp_path / "config", "new", "old" if there else "")
    assert os.readlink(tmp_path / "config") == "middle"
    assert (tmp_path / "middle").is_symlink()
    assert (dotfiles / "config").read_text() == "new"
    assert left(tmp_path) == ["config", "dotfiles", "middle"]
    assert left(dotfiles) == ["config"]


def test_bytes_that_are_no_text_survive(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_bytes(BYTES)
    old = read(path)
    Files(check=False).write(path, with_first_line(old, LINE, True), old)
    assert path.read_bytes() == f"{LINE}\n".encode() + BYTES
    old = read(path)
    Files(check=False).write(path, with_first_line(old, LINE, False), old)
    assert path.read_bytes() == BYTES


def test_of_what_is_no_file_nothing_is_read(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to("nowhere")
    assert [read(tmp_path), read(tmp_path / "none"), read(tmp_path / "dangling")] == ["", "", ""]


def refuse(said: str) -> list[str]:
    return [sys.executable, "-c", f"import sys; open(sys.argv[1]).read() == 'new' and sys.exit({said!r})", "%s"]


@pytest.mark.parametrize("there", [True, False])
def test_a_file_that_is_refused_is_not_written(tmp_path: Path, there: bool) -> None:
    path = tmp_path / "config"
    if there:
        path.write_text("old")
        path.chmod(0o640)
    with pytest.raises(
        AnsibleActionFail, match=r"config would not be understood: line 1: Bad configuration option: x$"
    ):
        Files(check=False).write(path, "new", "old", refuse("line 1: Bad configuration option: x"))
    assert left(tmp_path) == (["config"] if there else [])
    if there:
        assert (path.read_text(), modes(path)) == ("old", 0o640)


def test_a_refusal_names_the_file_and_not_what_it_was_for_a_moment(tmp_path: Path) -> None:
    check = ["sh", "-c", 'echo "$1 line 3: Bad"; echo "$1: terminating" >&2; exit 255', "sh", "%s"]
    with pytest.raises(AnsibleActionFail) as refused:
        Files(check=False).write(tmp_path / "config", "new", "", check)
    assert str(refused.value).endswith(f"config would not be understood: {tmp_path}/config: terminating")


def test_one_that_is_refused_without_a_word_says_by_what(tmp_path: Path) -> None:
    with pytest.raises(AnsibleActionFail, match=r"config would not be understood: false refuses it$"):
        Files(check=False).write(tmp_path / "config", "new", "", ["false", "%s"])
    assert left(tmp_path) == []


def test_one_that_is_accepted_is_written_and_the_check_has_seen_it_whole(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    check = ["sh", "-c", 'stat -c %a "$1" >"$2" && cat "$1" >>"$2"', "sh", "%s", str(seen)]
    Files(check=False).write(tmp_path / "config", "new", "", check)
    assert seen.read_text() == "600\nnew"
    assert (tmp_path / "config").read_text() == "new"


def test_a_check_that_does_not_end_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laptop_files, "VALIDATION", 0.1)
    (tmp_path / "config").write_text("old")
    with pytest.raises(AnsibleActionFail, match=r"sleep has not read .*config within 0.1 s\.$"):
        Files(check=False).write(tmp_path / "config", "new", "old", ["sleep", "60"])
    assert (tmp_path / "config").read_text() == "old"
    assert left(tmp_path) == ["config"]


@pytest.mark.parametrize("step", ["fsync", "fchmod", "replace"])
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    (tmp_path / "config").write_text("old")

    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(os, step, mock.Mock(side_effect=full))
    with pytest.raises(OSError, match="No space left on device"):
        Files(check=False).write(tmp_path / "config", "new", "old")
    monkeypatch.undo()
    assert (tmp_path / "config").read_text() == "old"
    assert left(tmp_path) == ["config"]


def test_what_is_taken_away_is_that_and_nothing_that_it_leads_to(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("x")
    folder = tmp_path / "folder"
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "file").touch()
    (folder / "link").symlink_to(kept)
    (tmp_path / "link").symlink_to(kept)
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "file").touch()
    files = Files(check=False)
    names = ["folder", "link", "dangling", "file", "none"]
    for name in names:
        files.remove(tmp_path / name)
    assert files.changed == [str(tmp_path / name) for name in names[:-1]]
    assert left(tmp_path) == ["kept"]
    assert (kept / "file").read_text() == "x"


def test_only_what_is_empty_and_no_link_is_taken_away_for_that(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "nothing").touch()
    for name in ("empty", "nothing", "nowhere"):
        (tmp_path / f"to {name}").symlink_to(name)
    files = Files(check=False)
    for name in ("kept", "kept/file", "to empty", "to nothing", "to nowhere", "none"):
        files.remove_if_empty(tmp_path / name)
    assert files.changed == []
    for name in ("empty", "nothing"):
        files.remove_if_empty(tmp_path / name)
    assert files.changed == [str(tmp_path / "empty"), str(tmp_path / "nothing")]
    assert left(tmp_path) == ["kept", "to empty", "to nothing", "to nowhere"]


# The task.


def run(check: bool = False, diff: bool = True, **arguments: Any) -> dict[str, Any]:
    """Run the task, as Ansible does."""
    task = mock.MagicMock(args={"managed": MANAGED, **arguments}, async_val=0, check_mode=check, diff=diff)
    return dict(ActionModule(task, *[mock.MagicMock()] * 5).run(task_vars={}))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "config").write_text("Host x\n")
    return tmp_path


def way_in(home: Path, text: str = BLOCK) -> dict[str, Any]:
    """What the role ssh_tunnel has it write, or take away."""
    ours = str(home / "ours" / "ssh_config")
    validate = ["ssh", "-G", "-F", "%s", "node"]
    return {
        "folders": [str(home / "ours" / "cm")] if text else [],
        "blocks": [{"path": ours, "name": "hydra, the way in", "text": text, "validate": validate}],
        "first_lines": [{"path": str(home / "config"), "line": LINE, "source": ours, "validate": validate}],
        "absent_if_empty": [ours],
    }


def test_the_task_writes_all_and_then_nothing_and_takes_all_away(home: Path) -> None:
    written = run(**way_in(home))
    assert written["changed"] is True
    assert written["files"] == [str(home / "ours" / "cm"), str(home / "ours" / "ssh_config"), str(home / "config")]
    assert (home / "config").read_text() == f"{LINE}\nHost x\n"
    assert (home / "ours" / "ssh_config").read_text() == block()
    assert [modes(home / "ours"), modes(home / "ours" / "ssh_config")] == [0o700, 0o600]
    again = run(**way_in(home))
    assert (again["changed"], again["files"], again["diff"]) == (False, [], [])
    gone = run(**way_in(home, ""))
    assert gone["files"] == [str(home / "ours" / "ssh_config"), str(home / "config"), str(home / "ours" / "ssh_config")]
    assert (home / "config").read_text() == "Host x\n"
    assert left(home / "ours") == ["cm"]
    assert run(**way_in(home, ""))["changed"] is False


def test_a_line_stays_while_its_file_has_another_cluster_s_block(home: Path) -> None:
    run(**way_in(home))
    ours = home / "ours" / "ssh_config"
    ours.write_text(ours.read_text() + block("Host y\n", "viper, the way in"))
    run(**way_in(home, ""))
    assert (home / "config").read_text() == f"{LINE}\nHost x\n"
    assert ours.read_text() == block("Host y\n", "viper, the way in")


def test_a_line_that_is_moved_is_shown(home: Path) -> None:
    (home / "ours").write_text(BLOCK)
    (home / "config").write_text(f"Host x\n{LINE}\nPort 22\n")
    line = {"path": str(home / "config"), "line": LINE, "source": str(home / "ours"), "below": BELOW}
    for check in (True, False):
        (diff,) = run(check=check, first_lines=[line])["diff"]
        assert (diff["before"], diff["after"]) == (f"Host x\n{LINE}\nPort 22\n", f"{LINE}\nHost x\nPort 22\n")
    assert (home / "config").read_text() == f"{LINE}\nHost x\nPort 22\n"
    assert run(first_lines=[line])["changed"] is False


@pytest.mark.parametrize("gone", [True, False])
def test_no_line_leads_to_a_file_that_has_nothing_in_it_or_goes(home: Path, gone: bool) -> None:
    (home / "config").write_text(f"{LINE}\nHost a\n")
    ours = home / "ours"
    ours.write_text("Host b\n" if gone else " \n\n")
    line = {"path": str(home / "config"), "line": LINE, "source": str(ours)}
    run(first_lines=[line], absent=[str(ours)] if gone else [])
    assert (home / "config").read_text() == "Host a\n"


def test_nothing_is_made_only_to_be_empty(home: Path) -> None:
    assert run(**way_in(home, ""))["changed"] is False
    assert left(home) == ["config"]
    (home / "config").unlink()
    assert run(**way_in(home, ""))["changed"] is False
    assert left(home) == []


def everything(home: Path) -> dict[str, Any]:
    files = {"files": [{"path": str(home / "whole"), "text": "x"}], "absent": [str(home / "old")]}
    return {**way_in(home), **files, "absent_if_empty": [str(home / "empty")]}


def test_check_mode_says_the_same_and_writes_nothing(home: Path) -> None:
    (home / "old").write_text("x")
    (home / "empty").mkdir()
    predicted = run(check=True, **everything(home))
    assert left(home) == ["config", "empty", "old"]
    assert (home / "config").read_text() == "Host x\n"
    done = run(**everything(home))
    assert left(home) == ["config", "ours", "whole"]
    assert modes(home / "whole") == 0o644
    assert {key: predicted[key] for key in ("changed", "files", "diff")} == {
        key: done[key] for key in ("changed", "files", "diff")
    }
    assert len(done["files"]) == 6


def test_the_difference_is_shown_only_where_it_is_asked_for(home: Path) -> None:
    path = str(home / "config")
    assert run(**way_in(home))["diff"][1:] == [
        {"before": "Host x\n", "after": f"{LINE}\nHost x\n", "before_header": path, "after_header": path}
    ]
    assert "diff" not in run(diff=False, **way_in(home, ""))


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (lambda home: {"folders": [str(home / "config" / "below")]}, "Not a directory"),
        (lambda home: {"files": [{"path": str(home / "config" / "below"), "text": "x"}]}, "Not a directory"),
        (lambda home: {"files": [{"path": str(home / "none" / "below"), "text": "x"}]}, "No such file or directory"),
        (lambda home: {"files": [{"path": str(home / "folder"), "text": "x"}]}, "Is a directory"),
    ],
    ids=["folder", "below a file", "without a folder", "a folder"],
)
def test_what_cannot_be_done_is_one_line_with_its_cause(home: Path, arguments: Any, cause: str) -> None:
    (home / "folder").mkdir()
    found = run(**arguments(home))
    assert found["failed"] is True
    assert "\n" not in found["msg"]
    assert found["msg"].startswith(str(home))
    assert f" cannot be written: {cause}. Make it yours to write to, " in found["msg"]
    assert left(home) == ["config", "folder"]


def test_a_full_disk_is_one_line_with_its_cause(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(os, "fsync", mock.Mock(side_effect=full))
    found = run(**way_in(home))
    assert (found["failed"], found["msg"]) == (
        True,
        "This machine's part cannot be written: No space left on device. Make it yours to write to, on a disk with "
        "room.",
    )
    assert left(home / "ours") == ["cm"]


def test_a_program_that_is_not_there_to_check_is_one_line_with_its_name(home: Path) -> None:
    given = way_in(home)
    given["blocks"][0]["validate"] = ["no-such-ssh", "%s"]
    with pytest.raises(AnsibleActionFail, match=r"There is no no-such-ssh to read .* with\.$"):
        run(**given)
    assert (home / "config").read_text() == "Host x\n"
