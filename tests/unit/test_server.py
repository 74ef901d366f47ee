"""The servers of this user, as the program on the node finds and asks them: the parts that need none."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from node import ask, logind, look, ports, processes, programs
from node.folder import Failure, Folder
from node.keepers import KEEPERS, choose
from node.start import Start
from patience import seconds

FOLDER = Folder("/home/jane/.jupyter-cluster/hydra08i")


def server(pid: int = 1, parent: int = 0, begun: int = 0, config: str = FOLDER.path, **options: Any) -> Any:
    """A process, as `Process` reads it."""
    one = processes.Process.__new__(processes.Process)
    one.pid, one.parent, one.begun, one.dead = pid, parent, begun, False
    given = [f"--ServerApp.{name}={value}" for name, value in options.items()]
    one.words = ["python", f"{config}/serve.py", f"--config={config}/jupyter_server_config.py", *given, ""]
    return one


@pytest.mark.parametrize("holder", [1, 2])
def test_the_kernels_of_all_servers_count(monkeypatch: pytest.MonkeyPatch, holder: int) -> None:
    """A second one, of a version that started two, would else lose its busy kernels unasked."""
    said = {
        ("socket", "/a"): {"pid": 1, "kernels": [{"name": "idle.ipynb"}], "memory": 1, "cpu": 10},
        ("socket", "/b"): {"pid": 2, "kernels": [{"name": "busy.ipynb"}], "memory": 2, "cpu": 20},
    }
    monkeypatch.setattr(ask, "servers", lambda folder: [server(1, sock="/a"), server(2, sock="/b")])
    monkeypatch.setattr(ask, "ask", lambda at, folder, patience: said[at])
    monkeypatch.setattr(Folder, "record", lambda self, name: f"node boot {holder} 99" if name == "lock" else "")
    kernels = [{"name": "idle.ipynb"}, {"name": "busy.ipynb"}]
    answer = ask.answer(FOLDER, {"patience": 1})
    assert answer == {"pid": holder, "kernels": kernels, "memory": 3, "cpu": 30}


@pytest.mark.parametrize(
    ("options", "kind", "address", "right"),
    [
        ({"sock": "/a", "ip": "localhost", "port": "8888"}, "socket", "/a", True),
        ({"sock": "/a", "ip": "localhost", "port": "8888"}, "socket", "/b", False),
        ({"sock": "/a", "ip": "localhost", "port": "8888"}, "loopback", "127.0.0.1:9876", False),
        ({"sock": "/old/.jupyter-cluster/hydra08i/run/jupyter.sock"}, "socket", FOLDER.socket, True),
        ({"sock": "/old/.jupyter-cluster/other/run/jupyter.sock"}, "socket", FOLDER.socket, False),
        ({"ip": "127.0.0.1", "port": "9876"}, "loopback", "127.0.0.1:9876", True),
        ({"ip": "127.0.0.1", "port": "9876"}, "loopback", "127.0.0.1:9877", False),
        ({"ip": "127.0.0.1", "port": "9876"}, "socket", "/a", False),
        ({"ip": "127.0.0.1", "port": "9876"}, "network", "node:9876", False),
        ({"ip": "0.0.0.0", "port": "9876"}, "network", "node:9876", True),
    ],
)
def test_a_server_of_other_files_is_told_by_its_command_line(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], kind: str, address: str, right: bool
) -> None:
    start = Start(FOLDER, KEEPERS["screen"]("screen", "jupyter", [], 1), (kind, address), 1, 1)
    monkeypatch.setattr(start, "processes", list)
    if right:
        start.require_endpoint(server(1, **options))
    else:
        with pytest.raises(Failure, match="older than your inventory"):
            start.require_endpoint(server(1, **options))


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ("loopback 127.0.0.1:9876", ("loopback", "127.0.0.1:9876")),
        ("network node:9876", ("network", "node:9876")),
        ("", ("socket", FOLDER.socket)),
        ("garbage", ("socket", FOLDER.socket)),
        ("pipe /x", ("socket", FOLDER.socket)),
    ],
)
def test_a_server_of_an_older_version_is_known_by_its_record(
    monkeypatch: pytest.MonkeyPatch, record: str, expected: tuple[str, str]
) -> None:
    monkeypatch.setattr(Folder, "record", lambda self, name: record)
    assert processes.endpoint(server(), FOLDER) == expected
    # And no other one: whatever stands in it.
    assert processes.endpoint(server(sock="/a"), FOLDER) == ("socket", "/a")


def test_a_child_is_no_server_and_the_oldest_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    there = [server(3, 1, 30), server(4, 3, 40), server(2, 1, 20), server(5, 1, 5, config="/elsewhere")]
    monkeypatch.setattr(processes, "processes", lambda: {one.pid: one for one in there})
    assert [one.pid for one in processes.servers(FOLDER)] == [2, 3]


@pytest.mark.parametrize("lock", ["", "garbage", "hydra boot 1 1", "hydra boot x 1", "\0\0\0\0", "hydra boot 3 1"])
def test_of_two_servers_the_one_that_has_the_lock_counts(monkeypatch: pytest.MonkeyPatch, lock: str) -> None:
    monkeypatch.setattr(look, "servers", lambda folder: [server(2), server(3)])
    monkeypatch.setattr(look, "describe", lambda one, folder: {"pid": one.pid})
    monkeypatch.setattr(Folder, "record", lambda self, name: lock if name == "lock" else "")
    asked = {
        "cluster": "hydra",
        "root": "",
        "writes": False,
        "hash": False,
        "server": False,
        "find": False,
        "patience": 1,
        "port": 9876,
        "port_free": True,
    }
    facts = look.look(FOLDER, {**asked, "keeper": {"kind": "screen", "name": "jupyter"}})
    assert facts["server"]["pid"] == (3 if lock == "hydra boot 3 1" else 2)


@pytest.mark.parametrize(
    ("said", "log", "expected"),
    [
        (
            ["begun", "Not started: Jupyter has ended by itself, and its log says why."],
            ["[I ServerApp] begins", "[C ServerApp] No such directory: /gone", "[C ServerApp] more"],
            [
                "Not started: Jupyter has ended by itself, and its log says why.",
                "[C ServerApp] No such directory: /gone",
            ],
        ),
        (
            ["begun", "Not started: Jupyter does not listen where it shall, and its log says why."],
            [
                "[E ServerApp] Exception in callback functools.partial(<bound method _bind_http_server>)",
                "    Traceback (most recent call last):",
                '        raise OSError(95, "no")',
                "    OSError: [Errno 95] Operation not supported",
            ],
            [
                "Not started: Jupyter does not listen where it shall, and its log says why.",
                "OSError: [Errno 95] Operation not supported",
            ],
        ),
        (["begun", "Not started: no Python."], ["[C ServerApp] other"], ["Not started: no Python."]),
        (
            ["begun"],
            ["[I ServerApp] begins", "ValueError: why"],
            [
                "The server ended before it answered: ValueError: why",
                "The end of its log:",
                "[I ServerApp] begins",
                "ValueError: why",
            ],
        ),
    ],
    ids=["Jupyter ended", "Jupyter does not listen", "the launcher ended", "the server ended"],
)
def test_a_start_that_has_ended_says_the_first_error_of_its_own(
    monkeypatch: pytest.MonkeyPatch, said: list[str], log: list[str], expected: list[str]
) -> None:
    start = Start(FOLDER, KEEPERS["screen"]("screen", "jupyter", [], 1), ("socket", FOLDER.socket), 1, 1)
    monkeypatch.setattr(start, "said", lambda: said)
    monkeypatch.setattr(start, "log", lambda: log)
    assert start.explain() == expected


def test_a_program_gets_the_libraries_of_modules_only_where_it_needs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's loader, which has not found a library, ends by 127."""
    program = tmp_path / "program"
    program.write_text('#!/bin/sh\ncat\n[ -n "$LD_LIBRARY_PATH" ] || exit $1\necho $LD_LIBRARY_PATH\n')
    program.chmod(0o700)
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)

    def run(status: int) -> tuple[int, bytes]:
        done = programs.run([str(program), str(status)], input=b"in\n", capture_output=True, timeout=seconds(10))
        return done.returncode, done.stdout

    assert run(127) == (127, b"in\n")
    monkeypatch.setattr(programs, "LIBRARY_PATH", ["/of/a/module"])
    assert run(127) == (0, b"in\n/of/a/module\n")
    assert run(1) == (1, b"in\n")


KERNEL = ["deno", "--conn", "/tmp/place/kernel-1.json"]


def kernel(pid: int, parent: int, begun: int = 5, words: list[str] = KERNEL, place: str = "/tmp/place") -> Any:
    """A process, as a kernel's is."""
    one = server(pid, parent, begun)
    one.words = words
    one.environment = {"JUPYTER_RUNTIME_DIR": place}.get
    return one


@pytest.mark.parametrize(
    ("there", "left"),
    [
        ([kernel(7, 1)], [7]),
        ([kernel(7, 1, words=["R", "--args", "file=/tmp/place/kernel-1.json"])], [7]),
        # What a script has started is a part of the kernel.
        ([kernel(7, 1), kernel(8, 7)], [7]),
        # Beside a server that was started since.
        ([server(2, begun=6), kernel(7, 1)], [7]),
        # Of one that runs; and what that kernel has left in the background.
        ([server(2, begun=4), kernel(7, 2)], []),
        ([server(2, begun=4), kernel(7, 2), kernel(8, 1)], []),
        # In somebody's own place; of a notebook that runs by itself; a look at a file.
        ([kernel(7, 1, words=["deno", "--conn", "/run/user/1/jupyter/kernel-1.json"])], []),
        ([kernel(6, 1, words=["nbconvert"]), kernel(7, 6)], []),
        ([kernel(7, 1, words=["tail", "-f", "/tmp/place/kernel-1.json"], place="")], []),
        # The user's service manager takes whose parent has ended.
        ([kernel(6, 1, words=["/lib/systemd/systemd", "--user"]), kernel(7, 6)], [7]),
    ],
)
def test_a_kernel_is_left_where_its_server_was_killed(
    monkeypatch: pytest.MonkeyPatch, there: list[Any], left: list[int]
) -> None:
    monkeypatch.setattr(processes, "processes", lambda: {one.pid: one for one in there})
    assert list(processes.left_kernels(FOLDER, ["/tmp/place", "/var/tmp/place"], 0)) == left


def test_a_kernel_that_ends_by_itself_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = iter([{7: kernel(7, 1)}, {7: kernel(7, 1)}, {}])
    monkeypatch.setattr(processes, "processes", lambda: next(seen))
    assert processes.left_kernels(FOLDER, ["/tmp/place"], 5) == {}


LAUNCH = """\
exec python serve.py \\
  --ServerApp.sock='' \\
  --ServerApp.port=9950 \\
  <&7
"""


@pytest.mark.parametrize(
    ("launch", "told", "running", "taken", "chosen", "is_taken"),
    [
        ("", {}, 0, [], 9876 + 7, False),
        ("", {}, 0, [9883, 9884], 9885, False),
        # Where one runs, or the last one was, unless somebody has that by now.
        ("", {}, 9999, [9999], 9999, False),
        (LAUNCH, {}, 0, [], 9950, False),
        (LAUNCH, {}, 0, [9950], 9883, False),
        (LAUNCH.replace("''", "/a"), {}, 0, [], 9883, False),
        # The one that was asked for, and no other.
        (LAUNCH, {"port_free": False}, 9999, [9876], 9876, True),
        (LAUNCH, {"port_free": False}, 9876, [9876], 9876, False),
        # There is none beyond the last.
        ("", {"port": 65535}, 0, [], 64535 + 7, False),
        ("", {}, 0, range(1024, 65536), 9876, True),
    ],
)
def test_a_port_is_chosen_that_nobody_else_has(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    launch: str,
    told: dict[str, Any],
    running: int,
    taken: Any,
    chosen: int,
    is_taken: bool,
) -> None:
    (tmp_path / "launch").write_text(launch)
    monkeypatch.setattr("os.getuid", lambda: 2007)
    rows = [["0:", f"0100007F:{port:04X}", "00000000:0000", "0A"] for port in taken]
    # A connection, whose port nobody holds.
    rows.append(["1:", "0100007F:269B", "0100007F:1234", "01"])
    monkeypatch.setattr(ports, "connections", lambda: rows)
    found = ports.choose(Folder(str(tmp_path)), {"port": 9876, "port_free": True, **told}, running)
    assert found == (chosen, is_taken)


@pytest.mark.parametrize(
    ("said", "ends"),
    [
        ("b false\nas 0\nas 0\n", False),
        ("b true\nas 0\nas 0\n", True),
        ('b true\nas 0\nas 2 "root" "jane"\n', False),
        ('b false\nas 1 "jane"\nas 0\n', True),
        # As logind has it, who is named alone counts then.
        ('b true\nas 1 "bob"\nas 0\n', False),
        ("", False),
        ("Failed to connect to bus\n", False),
    ],
)
def test_what_logind_does_at_a_logout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, ends: bool) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(logind, "_user", lambda: "jane")
    assert logind.ends_processes() is False
    (tmp_path / "busctl").write_text(f"#!/bin/sh\nprintf %s '{said}'\n")
    (tmp_path / "busctl").chmod(0o700)
    assert logind.ends_processes() is ends


LOGINCTL = """\
#!/bin/sh
echo "$*" >>"${{0%/*}}/asked"
{does}
"""


@pytest.mark.parametrize("before", [False, True])
def test_a_program_outlives_the_logout_by_a_scope_of_one_who_lingers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, before: bool
) -> None:
    lingering = tmp_path / "linger"
    lingering.mkdir()
    folder = Folder(str(tmp_path))
    (tmp_path / "run").mkdir()
    program = tmp_path / "loginctl"
    program.write_text(LOGINCTL.format(does=f": >{lingering}/jane"))
    program.chmod(0o700)
    if before:
        (lingering / "jane").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", "")
    monkeypatch.setattr(logind, "_user", lambda: "jane")
    monkeypatch.setattr(logind, "LINGER", str(lingering))
    monkeypatch.setattr(logind, "ends_processes", lambda: False)
    assert logind.keeps(folder) == []
    assert not (tmp_path / "asked").exists()
    monkeypatch.setattr(logind, "ends_processes", lambda: True)
    assert logind.keeps(folder) == logind.SCOPE
    # What the user had asked for is not taken back by `remove`.
    assert (tmp_path / "run" / "lingers").exists() is not before


def test_what_the_user_s_service_manager_keeps_needs_lingering_on_any_node(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", "")
    monkeypatch.setattr(logind, "_user", lambda: "jane")
    monkeypatch.setattr(logind, "LINGER", str(tmp_path))
    monkeypatch.setattr(logind, "ends_processes", lambda: False)
    monkeypatch.setattr(logind, "_loginctl", lambda command: f"{command}: no")
    with pytest.raises(
        Failure, match=r"log out \(my_keeper: scope\), and does not let you linger: enable-linger: no[.]"
    ):
        logind.keeps(Folder(str(tmp_path)), by_manager=True)
    (tmp_path / "jane").touch()
    assert logind.keeps(Folder(str(tmp_path)), by_manager=True) == logind.SCOPE


def test_who_may_not_linger_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    program = tmp_path / "loginctl"
    program.write_text(LOGINCTL.format(does="echo 'Could not enable linger: Access denied.'; exit 1"))
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(logind, "_user", lambda: "jane")
    monkeypatch.setattr(logind, "LINGER", str(tmp_path))
    monkeypatch.setattr(logind, "ends_processes", lambda: True)
    with pytest.raises(Failure, match=r"does not let you linger: Could not enable linger: Access denied[.] Ask the"):
        logind.keeps(Folder(str(tmp_path)))
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize(("kind", "session"), [("screen", "12.jupyter"), ("tmux", "12,0")])
def test_a_keeper_shows_the_session_that_is_meant(kind: str, session: str) -> None:
    keeper = KEEPERS[kind](kind, "jupyter", [], 1)
    shown = {"screen": "screen -r 12.jupyter", "tmux": "tmux attach -t jupyter"}
    assert keeper.look(session) == shown[kind]
    assert keeper.look() == shown[kind].replace("12.", "")
    # In any shell, also csh's and fish.
    keeper.folder = "/own folder"
    assert keeper.look(session) == f"env {keeper.variable}='/own folder' {shown[kind]}"


@pytest.mark.parametrize(
    ("kind", "said", "starts"),
    [
        ("screen", "No Sockets found in /run/screen/S-jane.\n\n", True),
        ("screen", "There are screens on:\n\t7.other\t(Detached)\n\t8.jupyter\t(Dead ???)\n", True),
        ("screen", "Directory '/run/screen' must have mode 777.\n", False),
        ("screen", "Cannot make directory '/run/screen': Permission denied\n", False),
        ("tmux", "no server running on /tmp/tmux-7/default\n", True),
        ("tmux", "error connecting to /tmp/tmux-7/default (No such file or directory)\n", True),
        ("tmux", "4711,$0.jupyter\n", True),
        ("tmux", "couldn't create directory /nowhere/tmux-7 (No such file or directory)\n", False),
        ("tmux", "directory /tmp/tmux-7 has unsafe permissions\n", False),
    ],
)
def test_a_keeper_says_whether_it_would_start_something(kind: str, said: str, starts: bool) -> None:
    keeper = KEEPERS[kind](kind, "jupyter", [], 1)
    trouble = keeper.trouble(subprocess.CompletedProcess([kind], 1, said.encode()))
    assert (trouble == "") is starts
    assert starts or trouble.startswith(f"{kind} does not start: {said.strip()} Where its folder")


def test_a_unit_of_the_user_s_own_is_taken_only_where_it_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.keepers.shutil.which", lambda name: "" if name in ("screen", "tmux") else f"/bin/{name}")
    asked = {"kind": "auto", "name": "jupyter"}
    assert choose(asked, "", lambda _: "")["program"] == ""
    chosen = choose({**asked, "kind": "scope"}, "", lambda _: "")
    assert (chosen["program"], chosen["look"]) == ("/bin/systemd-run", "systemctl --user status 'jupyter-*'")
    # One that runs in it stays in it.
    assert choose(asked, "scope", lambda _: "")["kind"] == "scope"
    scope = KEEPERS["scope"]("", "jupyter", [], 1)
    ours, rows = "jupyter-0123abcd.service", "{} loaded active running /bin/sh /home/jane/launch\n"
    listed = subprocess.CompletedProcess(
        ["systemctl"], 0, (rows.format("jupyter-hub.service") + rows.format(ours)).encode()
    )
    assert (scope.trouble(listed), scope.alive(listed)) == ("", [ours])
    assert scope.look(ours) == f"systemctl --user status {ours}"
    lost = subprocess.CompletedProcess(["systemctl"], 1, b"Failed to connect to bus: No medium found\n")
    assert scope.trouble(lost).startswith("scope does not start: Failed to connect to bus: No medium found Another")
    assert scope.alive(lost) == []
