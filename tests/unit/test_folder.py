"""What roles/login_node/files/node does in our folder on the node, sent there as action_plugins/on_node.py does it."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import resource
import shutil
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import validate
from localhost_certificate import sign_request
from login_node import node_program
from node import certificate
from node.folder import Failure
from on_node import MARK, ActionModule, after_mark
from patience import seconds
from variables import PROJECT

PACKAGE = PROJECT / "roles" / "login_node" / "files" / "node"
JUPYTER = PROJECT / "roles" / "jupyter_config" / "files"
PACKED = node_program([str(PACKAGE), str(JUPYTER / "jupyter_cluster_password.py")])
#: All that runs on the node.
ON_NODE = sorted([*PACKAGE.glob("*.py"), *JUPYTER.glob("*.py")])
OPENSSL = shutil.which("openssl") or "openssl"
SECRET = "argon2:a-hash-that-nobody-shall-see"


class Node:
    """A home on a node, and the project's folder in it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.above = home / ".jupyter-cluster"
        self.folder = self.above / "hydra08i"
        #: How the program is started there.
        self.start: dict[str, Any] = {}
        self.python = sys.executable

    def run(self, command: str, **data: Any) -> subprocess.CompletedProcess[str]:
        """Run the program; its output is what it says itself."""
        sent = {
            "program": PACKED["program"],
            "folder": str(self.folder),
            "command": command,
            "data": {"secrets": {}, "leftovers": [], **data},
        }
        done = subprocess.run(
            [self.python, "-c", PACKED["loader"]],
            input=json.dumps(sent),
            capture_output=True,
            text=True,
            cwd=self.home,
            timeout=seconds(20),
            check=False,
            **self.start,
        )
        said = after_mark(done.stdout)
        assert said is not None, done.stderr
        assert done.stderr == ""
        done.stdout = said
        return done

    def does(self, command: str, **data: Any) -> dict[str, Any]:
        """Run what succeeds."""
        done = self.run(command, **data)
        assert done.returncode == 0, done.stdout
        assert done.stdout.count("\n") == 1
        return dict(json.loads(done.stdout))

    def refuses(self, command: str, **data: Any) -> str:
        """Run what fails; return why."""
        done = self.run(command, **data)
        assert done.returncode == 1
        assert done.stdout.count("\n") == 1
        return done.stdout.strip()

    def write(self, **data: Any) -> dict[str, Any]:
        return self.does("write", **{**NOTHING, **data})

    def look(self, **data: Any) -> dict[str, Any]:
        return self.does("look", **{**LOOK, **data})

    def paths(self, *names: str) -> list[str]:
        return [str(self.folder / name) for name in names]

    def set_up(self) -> None:
        for path in (self.above, self.folder, self.folder / "run"):
            path.mkdir(mode=0o700)


LOOK: dict[str, Any] = {
    "cluster": "hydra", "root": "", "place": "login", "writes": False, "hash": False, "server": False, "find": True,
    "patience": 1, "port": 9876, "port_free": True,
    "keeper": {"kind": "screen", "name": "jupyter"},
}  # fmt: skip
NOTHING: dict[str, Any] = {"files": {}, "programs": [], "check": False, "diff": False}


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


@pytest.fixture(params=[0o022, 0o077, 0o000], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.fixture
def somebody() -> Iterator[Node]:
    """A node whose user is not root, who may read everything."""
    home = Path(tempfile.mkdtemp())
    there = Node(home)
    if os.geteuid() == 0:
        os.chown(home, 65534, 65534)
        # One that is for everybody.
        there.python = shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable
        there.start = {"user": 65534, "group": 65534, "extra_groups": []}
    yield there
    shutil.rmtree(home)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def state(path: Path) -> tuple[int, int, int, int]:
    """What changes where it is written."""
    found = path.stat()
    return found.st_ino, found.st_mode, found.st_mtime_ns, found.st_ctime_ns


def tree(folder: Path) -> dict[str, tuple[int, bytes | str]]:
    """All that is there: its mode, and its content, or where it leads."""
    found: dict[str, tuple[int, bytes | str]] = {}
    for path in sorted(folder.rglob("*")):
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else ""
        found[str(path.relative_to(folder))] = (mode(path), content)
    return found


# look


def test_what_a_look_says_is_what_the_laptop_reads(node: Node) -> None:
    """By one schema, whose every fact somebody says."""
    schema = json.loads((PACKAGE.parent / "facts.schema.json").read_text())
    before = node.look()
    validate(before, schema)
    assert (before["directory_exists"], before["directory_opens"], before["server"]) == (False, False, {})
    assert list(node.home.iterdir()) == []
    node.write(files={"launch": "x", "a.py": "y"}, programs=["launch"])
    after = node.look(writes=True, root="~")
    validate(after, schema)
    shell = {"host", "user", "home", "directory", "asked", "time", "ended", "modules_failed", "jupyter", "python"}
    shell |= {"setup_failed", "trouble", "unfit"}
    assert set(after) | shell | {"password_set", "password_hash"} == set(schema["properties"])
    assert (after["private"], after["unwritable"], after["root_exists"]) == (3, "", True)
    assert after["digests"] == {
        name: hashlib.sha256(text).hexdigest() for name, text in (("launch", b"x"), ("a.py", b"y"))
    }


@pytest.mark.parametrize(
    ("name", "lock", "elsewhere"),
    [
        ("hydra", "another c7863cb8 4711 100", "another"),
        ("hydra", f"{os.uname().nodename} c7863cb8 4711 100", ""),
        ("hydra", "another c7863cb8", ""),
        ("hydra", "", ""),
        ("hydra", None, ""),
        # Another cluster's, which shares the home.
        ("viper", "another c7863cb8 4711 100", ""),
    ],
)
def test_a_look_names_the_other_node_that_has_the_cluster_s_server(
    node: Node, name: str, lock: str | None, elsewhere: str
) -> None:
    node.set_up()
    path = node.above / f"{name}.lock"
    if lock is None:
        os.mkfifo(path)
    else:
        path.write_text(lock)
    facts = node.look(cluster="hydra")
    assert (facts["elsewhere"], facts["cluster_lock"]) == (elsewhere, str(node.above / "hydra.lock"))
    assert facts["elsewhere_host"] == elsewhere
    for folder, record in (("x", "viper another.viper.example"), ("y", "hydra other.example"), ("z", "")):
        (node.above / folder).mkdir()
        (node.above / folder / "node").write_text(record)
    assert node.look(cluster="hydra")["elsewhere_host"] == elsewhere
    (node.above / "z" / "node").write_text("hydra another.hydra.example\n")
    assert node.look(cluster="hydra")["elsewhere_host"] == (elsewhere and "another.hydra.example")


def test_a_look_names_the_login_node_that_leads_to_a_server_in_a_job(node: Node) -> None:
    """And not the compute node, where nobody can log in to go on."""
    node.set_up()
    lock = "co001 c7863cb8 4711 100"
    (node.above / "hydra.lock").write_text(lock)
    assert node.look(cluster="hydra")["elsewhere"] == "co001"
    (node.above / "another" / "run").mkdir(parents=True)
    (node.above / "another" / "node").write_text("hydra another.hydra.example\n")
    (node.above / "another" / "run" / "server").write_text(json.dumps({"job": "7", "lock": lock}))
    facts = node.look(cluster="hydra")
    assert (facts["elsewhere"], facts["elsewhere_host"]) == ("another", "another.hydra.example")


def test_a_look_takes_away_what_it_has_left_itself_and_nothing_else(node: Node) -> None:
    node.set_up()
    (node.home / ".jupyter-cluster-probe.1234").touch()
    (node.folder / ".jupyter-cluster-probe.0123456789abcdef").touch()
    (node.home / ".jupyter-cluster-probe.notes").write_text("mine")
    (node.home / ".jupyter-cluster-probe.99").mkdir()
    node.look(writes=True)
    left = sorted(path.name for path in node.home.rglob(".jupyter-cluster-probe.*"))
    assert left == [".jupyter-cluster-probe.99", ".jupyter-cluster-probe.notes"]


def test_a_look_for_jupyters_waits_for_no_pipe(node: Node) -> None:
    (node.home / ".conda").mkdir()
    kernels = node.home / ".local" / "share" / "jupyter" / "kernels"
    for name, spec in (("pipe", None), ("text", "[]"), ("own", json.dumps({"argv": [f"{node.home}/own/bin/python"]}))):
        (kernels / name).mkdir(parents=True)
        if spec is None:
            os.mkfifo(kernels / name / "kernel.json")
        else:
            (kernels / name / "kernel.json").write_text(spec)
    os.mkfifo(node.home / ".conda" / "environments.txt")
    (node.home / "own" / "bin").mkdir(parents=True)
    (node.home / "own" / "bin" / "jupyter").touch(mode=0o755)
    node.start["env"] = {"HOME": str(node.home), "PATH": "/none"}
    assert node.look()["jupyters"] == [f"{node.home}/own/bin/jupyter (of unknown versions)"]


# write


def test_the_folders_are_private_from_the_first(node: Node, umask: int) -> None:
    node.home.chmod(0o755)
    changed = [str(path) for path in (node.above, node.folder, node.folder / "run")]
    assert node.write() == {"changed": changed, "diff": []}
    assert [mode(Path(path)) for path in changed] == [0o700] * 3
    assert mode(node.home) == 0o755
    assert node.write() == {"changed": [], "diff": []}


def test_folders_become_private_and_keep_what_else_their_modes_say(node: Node) -> None:
    """Jupyter sets the sticky bit of the folder that has its sockets."""
    node.set_up()
    node.above.chmod(0o755)
    node.folder.chmod(0o077)
    (node.folder / "run").chmod(0o1777)
    assert len(node.write()["changed"]) == 3
    assert [mode(path) for path in (node.above, node.folder, node.folder / "run")] == [0o700, 0o700, 0o1700]
    # As it is after each start of a server.
    assert node.write()["changed"] == []


def test_files_are_private_and_programs_can_run(node: Node, umask: int) -> None:
    files = {"launch": "#!/bin/sh\n", "config.py": "c = 'é💥'\r\n\n", "empty": ""}
    changed = node.write(files=files, programs=["launch"], secrets={"password_hash": SECRET})["changed"]
    assert changed[3:] == node.paths("launch", "config.py", "empty", "password_hash")
    assert tree(node.folder) == {
        "run": (0o700, ""),
        "launch": (0o700, b"#!/bin/sh\n"),
        "config.py": (0o600, "c = 'é💥'\r\n\n".encode()),
        "empty": (0o600, b""),
        "password_hash": (0o600, SECRET.encode()),
    }


def test_what_is_there_as_it_shall_be_is_not_touched(node: Node) -> None:
    wanted = {"files": {"launch": "x", "config.py": "y"}, "programs": ["launch"], "secrets": {"password_hash": SECRET}}
    node.write(**wanted)
    before = {path: state(path) for path in node.folder.iterdir()}
    assert node.write(**wanted, diff=True) == {"changed": [], "diff": []}
    assert {path: state(path) for path in node.folder.iterdir()} == before


def test_only_what_is_otherwise_is_written(node: Node) -> None:
    node.write(files={"launch": "x", "config.py": "y"}, programs=["launch"])
    before = state(node.folder / "config.py")
    changed = node.write(files={"launch": "z", "config.py": "y"}, programs=["launch"])["changed"]
    assert changed == node.paths("launch")
    assert state(node.folder / "config.py") == before
    assert tree(node.folder)["launch"] == (0o700, b"z")


def test_a_mode_alone_is_mended(node: Node) -> None:
    node.write(files={"launch": "x", "config.py": "y"}, programs=["launch"])
    (node.folder / "launch").chmod(0o600)
    (node.folder / "config.py").chmod(0o700)
    changed = node.write(files={"launch": "x", "config.py": "y"}, programs=["launch"])["changed"]
    assert changed == node.paths("launch", "config.py")
    assert [mode(node.folder / name) for name in ("launch", "config.py")] == [0o700, 0o600]


@pytest.mark.parametrize("content", ["x", "another"], ids=["to the same", "to something else"])
def test_a_link_in_the_place_of_a_file_becomes_one_and_leads_nowhere_any_more(node: Node, content: str) -> None:
    node.set_up()
    elsewhere = node.home / "elsewhere"
    elsewhere.write_text(content)
    elsewhere.chmod(0o644)
    (node.folder / "config.py").symlink_to(elsewhere)
    (node.folder / "dangling.py").symlink_to("nowhere")
    assert node.write(files={"config.py": "x", "dangling.py": "x"})["changed"] == node.paths("config.py", "dangling.py")
    assert tree(node.folder) == {"run": (0o700, ""), "config.py": (0o600, b"x"), "dangling.py": (0o600, b"x")}
    assert (mode(elsewhere), elsewhere.read_text()) == (0o644, content)


def test_a_folder_in_the_place_of_a_file_is_the_user_s_to_move(node: Node) -> None:
    node.set_up()
    (node.folder / "config.py").mkdir()
    (node.folder / "config.py" / "mine").write_text("x")
    before = tree(node.folder)
    said = node.refuses("write", **{**NOTHING, "files": {"config.py": "x"}})
    assert said == f"{node.folder}/config.py is a folder. Move it away, then run this again."
    assert tree(node.folder) == {**before, "config.py/mine": (0o600, b"x")}


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(node: Node) -> None:
    node.set_up()
    os.mkfifo(node.folder / "config.py")
    node.write(files={"config.py": "x"})
    assert tree(node.folder)["config.py"] == (0o600, b"x")


def test_check_mode_says_the_same_and_writes_nothing(node: Node) -> None:
    data: dict[str, Any] = {
        "files": {"launch": "new", "config.py": "same", "other.py": "new"},
        "programs": ["launch"],
        "secrets": {"password_hash": SECRET},
        "diff": True,
    }
    first = node.write(**data, check=True)
    assert list(node.home.iterdir()) == []
    node.set_up()
    node.folder.chmod(0o755)
    (node.folder / "launch").write_text("old")
    (node.folder / "config.py").write_text("same")
    (node.folder / "config.py").chmod(0o644)
    (node.folder / "other.py").symlink_to("launch")
    before = tree(node.home)
    predicted = node.write(**data, check=True)
    assert tree(node.home) == before
    done = node.write(**data)
    # Of a file whose mode is mended with the others, check mode may say besides that it changes.
    assert set(done["changed"]) <= set(predicted["changed"]) <= {*done["changed"], *node.paths("config.py")}
    assert [shown["after_header"] for shown in done["diff"]] == node.paths("launch", "other.py")
    assert set(first["changed"]) - set(done["changed"]) == {str(node.above), *node.paths("run", "config.py")}


def test_the_difference_is_shown_where_it_is_asked_for(node: Node) -> None:
    node.set_up()
    (node.folder / "config.py").write_bytes(b"old \xff\n")
    (node.folder / "config.py").chmod(0o600)
    path = str(node.folder / "config.py")
    assert node.write(files={"config.py": "new\n"}, check=True)["diff"] == []
    assert node.write(files={"config.py": "new\n"}, diff=True)["diff"] == [
        {"before": "old \ufffd\n", "after": "new\n", "before_header": path, "after_header": path}
    ]


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("old", [None, "argon2:an-old-hash"], ids=["new", "another"])
def test_no_secret_is_shown(node: Node, check: bool, old: str | None) -> None:
    node.set_up()
    if old:
        (node.folder / "password_hash").write_text(old)
    # Also beside what is shown, and where it cannot be written.
    data = {**NOTHING, "files": {"config.py": "x"}, "secrets": {"password_hash": SECRET}, "check": check, "diff": True}
    done = node.run("write", **data)
    assert "argon2" not in done.stdout
    assert node.paths("password_hash")[0] in json.loads(done.stdout)["changed"]
    (node.folder / "password_hash").unlink(missing_ok=True)
    (node.folder / "password_hash").mkdir()
    assert "argon2" not in node.run("write", **data).stdout


def test_what_is_in_the_folder_is_mended_down_to_the_second_level(node: Node) -> None:
    node.set_up()
    (node.folder / "run" / "deep").mkdir(mode=0o755)
    elsewhere = node.home / "elsewhere"
    modes = {
        "jupyter.log": (0o644, 0o600), "launch": (0o755, 0o700), "none": (0o000, 0o600), "read": (0o400, 0o600),
        "run/logouts": (0o666, 0o600), "run/lock": (0o600, 0o600), "run/deep/file": (0o644, 0o644),
    }  # fmt: skip
    for name, (before, _) in modes.items():
        (node.folder / name).touch()
        (node.folder / name).chmod(before)
    elsewhere.touch()
    elsewhere.chmod(0o644)
    (node.folder / "link").symlink_to(elsewhere)
    os.mkfifo(node.folder / "pipe")
    (node.folder / "pipe").chmod(0o644)
    assert node.write()["changed"] == [f"modes in {node.folder}"]
    assert {name: mode(node.folder / name) for name in modes} == {name: after for name, (_, after) in modes.items()}
    assert [mode(path) for path in (elsewhere, node.folder / "pipe")] == [0o644, 0o644]
    assert node.write()["changed"] == []


def test_a_look_sees_the_same_files_with_a_wrong_mode(node: Node) -> None:
    """Else each run would mend, and each next one would find something again."""
    node.set_up()
    (node.folder / "run" / "deep").mkdir()
    for name in ("a", "server.key", "server.crt.next", "ca.crt", "ca.crt.old", "run/a", "run/server.x", "run/deep/a"):
        (node.folder / name).touch()
        (node.folder / name).chmod(0o644)
    # a, ca.crt.old and run/a
    assert node.look()["wrong_modes"] == 3
    node.write()
    assert node.look()["wrong_modes"] == 0
    unchanged = ["server.key", "server.crt.next", "ca.crt", "run/server.x", "run/deep/a"]
    assert {mode(node.folder / name) for name in unchanged} == {0o644}


def test_the_certificate_s_files_have_modes_of_their_own(node: Node) -> None:
    node.set_up()
    for name in ("server.key", "server.crt", "ca.crt"):
        (node.folder / name).touch()
        (node.folder / name).chmod(0o640)
    assert node.write()["changed"] == []
    assert {mode(node.folder / name) for name in ("server.key", "server.crt", "ca.crt")} == {0o640}


def test_a_user_s_own_unreadable_files_are_mended_and_written(somebody: Node) -> None:
    wanted = {"files": {"launch": "x", "config.py": "y"}, "programs": ["launch"]}
    somebody.write(**wanted)
    (somebody.folder / "launch").chmod(0o000)
    (somebody.folder / "config.py").chmod(0o000)
    (somebody.folder / "run").chmod(0o000)
    # The content of the second is what it shall be, once it can be read.
    assert somebody.write(**wanted)["changed"] == [
        *somebody.paths("run"), f"modes in {somebody.folder}", *somebody.paths("launch"),
    ]  # fmt: skip
    assert [mode(somebody.folder / name) for name in ("launch", "config.py", "run")] == [0o700, 0o600, 0o700]


def test_a_home_that_takes_no_file_is_one_line(somebody: Node) -> None:
    somebody.home.chmod(0o500)
    assert somebody.refuses("write", **NOTHING) == f"{somebody.above}: Permission denied."
    assert list(somebody.home.iterdir()) == []


def test_a_file_in_the_place_of_the_folder_is_one_line(node: Node) -> None:
    node.above.mkdir()
    node.folder.write_text("mine")
    before = mode(node.folder)
    said = node.refuses("write", **{**NOTHING, "files": {"config.py": "x"}})
    assert said == f"{node.folder} is no folder. Move it away, then run this again."
    assert (node.folder.read_text(), mode(node.folder)) == ("mine", before)


@pytest.mark.parametrize("name", ["", "run"])
def test_what_a_link_leads_to_keeps_its_modes(node: Node, name: str) -> None:
    """It may be for all of a group, or the system's."""
    node.write(files={})
    elsewhere = node.home / "elsewhere"
    elsewhere.mkdir(0o777)
    elsewhere.chmod(0o777)
    shutil.rmtree(node.folder / name)
    (node.folder / name).symlink_to(elsewhere)
    said = node.refuses("write", **NOTHING)
    assert said == f"{node.folder / name} is a link to {elsewhere}, which is not private. Take the link away."
    assert (mode(elsewhere), list(elsewhere.iterdir())) == (0o777, [])


def test_a_full_disk_leaves_the_old_file(node: Node) -> None:
    node.write(files={"config.py": "old"})
    node.start = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))}
    said = node.refuses("write", **{**NOTHING, "files": {"config.py": "x" * 2000}})
    assert said == f"{node.folder}: File too large."
    assert tree(node.folder) == {"run": (0o700, ""), "config.py": (0o600, b"old")}


def test_no_file_of_the_user_s_has_a_module_s_place(node: Node) -> None:
    for name in ("json", "tempfile", "os", "contextlib", "stat", "subprocess"):
        (node.home / f"{name}.py").write_text("raise SystemExit('not this one')")
    node.write(files={"config.py": "x"})


# request and place


@pytest.fixture
def ready(node: Node) -> Node:
    node.set_up()
    return node


def openssl(*arguments: str | Path, data: str = "") -> str:
    return subprocess.run(
        [OPENSSL, *arguments], input=data, capture_output=True, text=True, timeout=seconds(20), check=True
    ).stdout


def wrapped(node: Node, script: str) -> str:
    """An openssl that does something else, too."""
    path = node.home / "openssl"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def signed(node: Node, request: str, authority: str = "ca") -> dict[str, str]:
    """As the role has it signed."""
    found = sign_request(
        {
            "folder": str(node.home / authority),
            "request": request,
            "names": ["localhost"],
            "days": 30,
            "authority_days": 60,
            "time_there": int(time.time()),
            "authorities": [],
            "digest": "",
            "problem": "",
        },
        time.time(),
    )
    return {"certificate": found["certificate"], "authority": found["authority"]}


def place(node: Node, **changed: Any) -> dict[str, Any]:
    """The data of a set that is right, with something changed."""
    asked = node.does("request", openssl=OPENSSL)
    return {"openssl": OPENSSL, "set": asked["set"], **signed(node, asked["request"]), **changed}


def whole(node: Node) -> dict[str, tuple[int, bytes | str]]:
    return {name: found for name, found in tree(node.folder).items() if name in ("server.key", "server.crt", "ca.crt")}


def test_a_request_belongs_to_a_key_that_stays_there(ready: Node, umask: int) -> None:
    begun = int(time.time())
    asked = ready.does("request", openssl=OPENSSL)
    made = Path(asked["set"])
    assert made.parent == ready.folder
    assert [path.name for path in made.iterdir()] == ["server.key"]
    assert (mode(made), mode(made / "server.key")) == (0o700, 0o600)
    assert "PRIVATE" not in json.dumps(asked)
    public = openssl("req", "-verify", "-noout", "-pubkey", data=asked["request"])
    assert public == openssl("pkey", "-in", made / "server.key", "-pubout")
    assert begun <= asked["time"] <= time.time()


def test_a_key_is_private_from_birth(ready: Node, umask: int) -> None:
    """Its folder is private before there is one, and no umask of the user's counts."""
    script = f'{{ umask; stat -c %a {ready.folder}/tls.*; }} >>"$(dirname "$0")/seen"; exec {OPENSSL} "$@"'
    ready.does("request", openssl=wrapped(ready, script))
    seen = (ready.home / "seen").read_text().splitlines()
    assert [(int(bits, 8), folder) for bits, folder in zip(seen[::2], seen[1::2], strict=True)] == [(0o077, "700")] * 2


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'unable to write' >&2; echo 'random state' >&2; exit 1", "unable to write random state"),
        ("exit 3", "openssl ecparam: exit status 3"),
        (f'[ "$1" != req ] || {{ echo no >&2; exit 1; }}; exec {OPENSSL} "$@"', "no"),
    ],
    ids=["two lines", "without a word", "the request"],
)
def test_a_request_that_fails_leaves_nothing(ready: Node, script: str, said: str) -> None:
    assert ready.refuses("request", openssl=wrapped(ready, script)) == said
    assert list(tree(ready.folder)) == ["run"]


def test_a_request_without_an_openssl_is_one_line(ready: Node) -> None:
    assert ready.refuses("request", openssl="/none/openssl") == "/none/openssl: No such file or directory."
    assert list(tree(ready.folder)) == ["run"]


def test_an_openssl_that_does_not_come_to_an_end_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "openssl"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr(certificate, "OPENSSL_SECONDS", 0.2)
    with pytest.raises(Failure, match=r"\Aopenssl req has not ended within 0\.2 s\.\Z"):
        certificate.openssl(str(slow), "req")


def test_a_set_is_put_in_place(ready: Node, umask: int) -> None:
    for _ in "once", "again":
        shutil.rmtree(ready.home / "ca", ignore_errors=True)
        data = place(ready)
        key = Path(data["set"], "server.key").read_bytes()
        assert ready.does("place", **data) == {}
        assert tree(ready.folder) == {
            "run": (0o700, ""),
            "server.key": (0o600, key),
            "server.crt": (0o644, data["certificate"].encode()),
            "ca.crt": (0o644, data["authority"].encode()),
        }


def _another_key(node: Node) -> dict[str, str]:
    return signed(node, node.does("request", openssl=OPENSSL)["request"], "another")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_another_key, r"the certificate is not for the key\."),
        (lambda _: {"certificate": "garbage"}, ".*(unable to load|Could not).*certificate.*"),
        (lambda _: {"certificate": ""}, ".*(unable to load|Could not).*certificate.*"),
        (lambda _: {"authority": "garbage"}, ".*(unable to load|Could not).*certificate.*"),
        (lambda _: {"authority": ""}, ".*(unable to load|Could not).*certificate.*"),
        (lambda node: {"set": str(node.folder / "tls.gone")}, r".*/tls\.gone/server\.crt: No such file or directory\."),
        (lambda _: {"openssl": "/none/openssl"}, r"/none/openssl: No such file or directory\."),
    ],
    ids=["another key", "garbage", "nothing", "garbage above", "nothing above", "no set", "no openssl"],
)
def test_a_set_that_does_not_belong_together_leaves_the_old_one_in_use(
    ready: Node, change: Callable[[Node], dict[str, str]], said: str
) -> None:
    ready.does("place", **place(ready))
    shutil.rmtree(ready.home / "ca")
    before = whole(ready)
    assert len(before) == 3
    data = place(ready)
    assert re.fullmatch(said, ready.refuses("place", **{**data, **change(ready)}))
    assert whole(ready) == before


def test_whatever_has_the_place_of_the_set_goes(ready: Node) -> None:
    elsewhere = ready.home / "elsewhere"
    elsewhere.write_text("mine")
    (ready.folder / "server.key").mkdir()
    (ready.folder / "server.key" / "file").touch()
    (ready.folder / "server.crt").symlink_to(elsewhere)
    (ready.folder / "ca.crt").symlink_to(ready.folder / "run")
    ready.does("place", **place(ready))
    assert [found[0] for found in whole(ready).values()] == [0o644, 0o644, 0o600]
    assert sorted(tree(ready.folder)) == ["ca.crt", "run", "server.crt", "server.key"]
    assert elsewhere.read_text() == "mine"


def test_a_request_takes_away_what_interrupted_ones_have_left(ready: Node) -> None:
    (ready.folder / "tls.abcdef").mkdir()
    (ready.folder / "tls.abcdef" / "server.key").touch()
    (ready.folder / "server.key.next").touch()
    (ready.folder / "server.key").write_text("in use")
    asked = ready.does("request", openssl=OPENSSL, leftovers=["tls.abcdef", "server.key.next", "none"])
    made = Path(asked["set"]).name
    assert sorted(tree(ready.folder)) == sorted(["run", "server.key", made, f"{made}/server.key"])
    assert (ready.folder / "server.key").read_text() == "in use"


def test_a_look_sees_what_an_interrupted_request_has_left(ready: Node) -> None:
    """Else it would stay for good, with a key, and so would the folder when all is removed."""
    left = [Path(ready.does("request", openssl=OPENSSL)["set"]).name]
    # And what a file is called before it is whole.
    handle, new = tempfile.mkstemp(prefix=".new.", dir=ready.folder)
    os.close(handle)
    assert ready.look()["certificate_leftovers"] == sorted([*left, Path(new).name])


# tidy


def test_what_was_left_goes_and_nothing_that_it_leads_to(ready: Node) -> None:
    kept = ready.home / "kept"
    kept.mkdir()
    (kept / "file").touch()
    (ready.folder / "tls.abcdef").mkdir()
    (ready.folder / "tls.abcdef" / "server.key").touch()
    (ready.folder / "tls.abcdef" / "link").symlink_to(kept)
    (ready.folder / "tls.linked").symlink_to(kept)
    (ready.folder / "server.crt.next").symlink_to("nowhere")
    (ready.folder / "server.key.next").touch()
    for name in ("mine", "tls.mine", "server.key"):
        (ready.folder / name).touch()
    names = ["server.crt.next", "server.key.next", "tls.abcdef", "tls.linked"]
    assert ready.look()["certificate_leftovers"] == names
    assert ready.does("tidy", leftovers=[*names, "none"]) == {"changed": ready.paths(*names)}
    assert sorted(tree(ready.folder)) == ["mine", "run", "server.key", "tls.mine"]
    assert (kept / "file").exists()
    assert ready.does("tidy", leftovers=names) == {"changed": []}


def test_what_cannot_be_removed_is_one_line(somebody: Node) -> None:
    somebody.write()
    (somebody.folder / "server.key.next").touch()
    os.chmod(somebody.folder, 0o500)
    assert (
        somebody.refuses("tidy", leftovers=["server.key.next"])
        == f"{somebody.folder}/server.key.next: Permission denied."
    )


# The way there.


@pytest.mark.parametrize("path", ON_NODE, ids=lambda path: path.name)
def test_what_runs_on_the_node_is_python_3_8(path: Path) -> None:
    minimum = re.search(r'__login_node_python_minimum: "3\.(\d+)"', (PACKAGE.parents[1] / "vars/main.yml").read_text())
    assert minimum
    read = ast.parse(path.read_text(), feature_version=(3, int(minimum[1])))
    newer = {"removeprefix", "removesuffix", "cache", "batched", "pairwise", "bit_count", "is_relative_to", "UTC"}
    assert not newer & {node.attr for node in ast.walk(read) if isinstance(node, ast.Attribute)}
    # Where an annotation is evaluated, `str | None` would not do.
    if any(isinstance(node, ast.AnnAssign) or getattr(node, "returns", None) for node in ast.walk(read)):
        assert "from __future__ import annotations" in path.read_text()


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        (f"\n{MARK}\n{{}}\n", "{}\n"),
        (f"Welcome!\n\n{MARK}\n{{}}\n", "{}\n"),
        (f"half a line\n{MARK}\n{{}}\n", "{}\n"),
        (f"Welcome!\r\n\r\n{MARK}\r\n{{}}\r\nand\r\n", "{}\nand\n"),
        (f"half a line\r\n{MARK}\r\n{{}}\r\n", "{}\n"),
        # A login script that shows what it runs.
        (f"+ python3 -c print({MARK})\n\n{MARK}\n{{}}\n", "{}\n"),
        (f"\n{MARK}\nof a first try\n\n{MARK}\n{{}}\n", "{}\n"),
        (f"\n{MARK}\n", ""),
        ("", None),
        ("bash: python3: command not found\n", None),
        (f"\nsay {MARK}\n", None),
        (f"\n{MARK} and more\n", None),
    ],
)
def test_what_was_printed_before_the_program_is_not_its_own(printed: str, said: str | None) -> None:
    assert after_mark(printed) == said


@given(st.text())
def test_whatever_a_login_script_prints_is_ignored(noise: str) -> None:
    assert after_mark(f"{noise}\n{MARK}\nsaid") == "said"


class OnNode:
    """The task `on_node`, on a node that is this machine."""

    def __init__(self, home: Path) -> None:
        self.home = home
        #: What the login script does.
        self.login = ""
        self.commands: list[str] = []
        self.known: dict[str, Any] = {"login_node_facts": {}}
        self.node(runs_with=sys.executable, directory="/f", library_path="")

    def node(self, **facts: str) -> None:
        """Let the probe have found something else."""
        self.known["login_node_facts"].update(facts)

    def run(self, program: str, command: str = "say", *, check: bool = False, **given: Any) -> dict[str, Any]:
        package = self.home / "node"
        package.mkdir(exist_ok=True)
        shutil.copy(PACKAGE / "__main__.py", package)
        (package / "__init__.py").touch()
        (package / "main.py").write_text(f"def run(sent):\n{textwrap.indent(program, '    ')}")
        self.known["login_node_program"] = node_program([str(package)])
        task = mock.MagicMock(args={"command": command, **given}, async_val=0, check_mode=check)
        templar = mock.MagicMock(template=lambda text: text)
        action = ActionModule(task, *[mock.MagicMock()] * 3, templar, mock.MagicMock())
        with mock.patch.object(action, "_low_level_execute_command", self._execute):
            return dict(action.run(task_vars=self.known))

    def _execute(self, command: str, in_data: bytes, sudoable: bool) -> dict[str, Any]:
        assert sudoable is False
        self.commands.append(command)
        done = subprocess.run(
            ["sh", "-c", f"{self.login}\n{command}"],
            input=in_data,
            capture_output=True,
            timeout=seconds(20),
            check=False,
        )
        return {"rc": done.returncode, "stdout": done.stdout.decode(), "stderr": done.stderr.decode()}


@pytest.fixture
def on_node(tmp_path: Path) -> OnNode:
    return OnNode(tmp_path)


SAY_ALL = """\
import json
del sent["program"]
print(json.dumps({**sent, "changed": ["x"], "diff": ["y"]}))
"""


@pytest.mark.parametrize("login", ["", "echo Welcome!", "printf 'half a line'", "printf 'a\\r\\nb\\r\\n'"])
def test_a_program_gets_what_it_is_given_whatever_a_login_script_prints(on_node: OnNode, login: str) -> None:
    on_node.login = login
    on_node.known["__hash"] = SECRET
    secrets = {"password_hash": "__hash", "other": "__unset"}
    found = on_node.run(SAY_ALL, "it's", data={"é": [1, None]}, secrets=secrets)
    assert found["said"] == {
        "folder": "/f",
        "library_path": "",
        "command": "it's",
        "data": {"é": [1, None], "secrets": {"password_hash": f"{SECRET}\n"}},
        "changed": ["x"],
    }
    assert (found["rc"], found["changed"], found["diff"]) == (0, True, ["y"])
    assert found["failed"] is False


def test_neither_program_nor_data_nor_secret_is_in_the_list_of_processes(on_node: OnNode) -> None:
    on_node.known["__hash"] = SECRET
    on_node.run("# a remark\n" + SAY_ALL, "write", data={"file": "content"}, secrets={"password_hash": "__hash"})
    (command,) = on_node.commands
    assert not any(word in command for word in (SECRET, "a remark", "write", "content", "password_hash"))


def test_a_program_that_fails_says_why(on_node: OnNode) -> None:
    on_node.login = "echo Welcome!"
    found = on_node.run("import sys; print('why'); sys.exit('and how')")
    assert {key: found[key] for key in ("rc", "stdout", "stderr", "failed", "changed", "msg")} == {
        "rc": 1,
        "stdout": "why",
        "stderr": "and how\n",
        "failed": True,
        "changed": False,
        "msg": "why",
    }
    assert "said" not in found


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("print('{why}'); raise SystemExit(3)", "It cannot be: {why} See there."),
        ("raise SystemExit('how')", "It cannot be: how See there."),
        ("raise SystemExit(7)", "It cannot be: exit status 7 See there."),
        ("1 / 0", "It cannot be: ZeroDivisionError: division by zero See there."),
    ],
)
def test_what_the_task_says_of_a_failure_has_the_program_s_own_words(
    on_node: OnNode, program: str, message: str
) -> None:
    assert on_node.run(program, problem="It cannot be: {said} See there.")["msg"] == message


def test_an_exit_status_that_is_accepted_is_no_failure(on_node: OnNode) -> None:
    program = "raise SystemExit(int(sent['command']))"
    found = on_node.run(program, "3", accepts=[0, 3])
    # Said, and not left out: of another status than 0, Ansible itself makes a failure.
    assert (found["rc"], found["changed"], found["failed"]) == (3, False, False)
    assert on_node.run(program, "4", accepts=[0, 3])["failed"] is True
    assert on_node.run(program, "3")["failed"] is True


@pytest.mark.parametrize("status", [0, 5])
def test_a_program_that_was_not_begun_is_a_failure(on_node: OnNode, status: int) -> None:
    on_node.login = f"echo 'no more jobs'; exit {status}"
    found = on_node.run(SAY_ALL, problem="No: {said}")
    assert found["failed"] is True
    assert found["rc"] != 0
    assert found["msg"].startswith("No: /")
    assert found["msg"].endswith(" did not begin. It said: no more jobs")


@pytest.mark.parametrize(
    ("login", "said"),
    [("echo 'no more'; echo; echo '  jobs'; echo 'ask for some' >&2", "no more jobs ask for some"), ("", "nothing")],
)
def test_what_is_said_instead_of_a_program_is_one_line(on_node: OnNode, login: str, said: str) -> None:
    on_node.login = f"{login}\nexit 1"
    assert on_node.run(SAY_ALL)["msg"].endswith(f" did not begin. It said: {said}")


def test_a_login_script_has_no_exit_status_that_is_accepted(on_node: OnNode) -> None:
    on_node.login = "exit 3"
    assert on_node.run(SAY_ALL, accepts=[0, 3]).get("failed") is True


@pytest.mark.parametrize("path", ["", "/opt/it's a module/lib:/lib"])
def test_a_python_finds_the_libraries_that_it_was_found_with(on_node: OnNode, path: str) -> None:
    on_node.login = "export LD_LIBRARY_PATH=/of/the/session"
    on_node.node(library_path=path)
    found = on_node.run("import json, os; print(json.dumps({'is': os.environ['LD_LIBRARY_PATH']}))")
    assert found["said"]["is"] == (path or "/of/the/session")


def test_check_mode_runs_nothing(on_node: OnNode) -> None:
    assert on_node.run(SAY_ALL, check=True)["skipped"] is True
    assert on_node.commands == []


def test_without_a_python_there_is_nothing_to_run_it_with(on_node: OnNode) -> None:
    on_node.node(runs_with="", host="node")
    found = on_node.run(SAY_ALL, problem="It cannot be: {said}")
    assert found["failed"] is True
    assert found["msg"] == "It cannot be: There is no Python on node to run this with: 3.8 or newer is needed."
    assert on_node.commands == []
