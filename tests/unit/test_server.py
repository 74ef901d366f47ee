"""What runs on the node to ask, start and end the server: the parts that need no server."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from variables import PROJECT

PROGRAM = PROJECT / "roles" / "login_node" / "files" / "server.py"


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Its functions; what it does at its end, as a program, is left out."""
    text = PROGRAM.read_text()
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", ["-", "ask", "/nowhere", "1"])
    names: dict[str, Any] = {"__name__": "server"}
    exec(compile(text[: text.index('\nif COMMAND == "ask"')], str(PROGRAM), "exec"), names)
    return names


def server(pid: int, **options: str) -> Any:
    return SimpleNamespace(pid=pid, option=lambda name: options.get(name, ""))


@pytest.mark.parametrize("holder", [1, 2])
def test_the_kernels_of_all_servers_count(program: dict[str, Any], holder: int) -> None:
    """A second one, of a version that started two, would else lose its busy kernels unasked."""
    said = {
        ("socket", "/a"): {"pid": 1, "kernels": [{"name": "idle.ipynb"}], "memory": 1, "cpu": 10},
        ("socket", "/b"): {"pid": 2, "kernels": [{"name": "busy.ipynb"}], "memory": 2, "cpu": 20},
    }
    program["servers"] = lambda: [server(1, sock="/a"), server(2, sock="/b")]
    program["ask"] = said.__getitem__
    program["record"] = lambda name: f"node boot {holder} 99" if name == "lock" else ""
    kernels = [{"name": "idle.ipynb"}, {"name": "busy.ipynb"}]
    assert program["answer"]() == {"pid": holder, "kernels": kernels, "memory": 3, "cpu": 30}


@pytest.mark.parametrize(
    ("options", "kind", "address", "expected"),
    [
        ({"sock": "/a", "ip": "localhost", "port": "8888"}, "socket", "/a", True),
        ({"sock": "/a", "ip": "localhost", "port": "8888"}, "socket", "/b", False),
        ({"sock": "/a", "ip": "localhost", "port": "8888"}, "loopback", "127.0.0.1:9876", False),
        ({"ip": "127.0.0.1", "port": "9876"}, "loopback", "127.0.0.1:9876", True),
        ({"ip": "127.0.0.1", "port": "9876"}, "loopback", "127.0.0.1:9877", False),
        ({"ip": "127.0.0.1", "port": "9876"}, "socket", "/a", False),
        ({"ip": "127.0.0.1", "port": "9876"}, "network", "node:9876", False),
        ({"ip": "0.0.0.0", "port": "9876"}, "network", "node:9876", True),
    ],
)
def test_a_server_of_other_files_is_told_by_its_command_line(
    program: dict[str, Any], options: dict[str, str], kind: str, address: str, expected: bool
) -> None:
    assert program["listens_at"](server(1, **options), kind, address) is expected
