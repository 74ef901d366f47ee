"""How kernels talk to the server, whatever an old configuration says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.session import Session
from jupyter_cluster_connection import ClusterKernelConnection
from jupyter_cluster_kernels import AsyncClusterKernelManager
from jupyter_server.services.kernels.connection.base import (
    deserialize_msg_from_ws_v1,
    serialize_binary_message,
    serialize_msg_to_ws_v1,
)
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from jupyter_server.services.kernels.websocket import KernelWebsocketHandler
from traitlets.config import Config


def manager(folder: Path, **session: Any) -> AsyncClusterKernelManager:
    made = AsyncClusterKernelManager(config=Config({"Session": session}))
    made.connection_file = str(folder / "kernel-1.json")
    return made


@pytest.mark.parametrize("session", [{}, {"key": b""}, {"key": b"known"}])
def test_messages_are_signed_by_a_key_of_the_kernel_s_own(tmp_path: Path, session: dict[str, Any]) -> None:
    keys = [manager(tmp_path, **session).session.key for _ in range(2)]
    assert keys[0] != keys[1]
    assert all(len(key) == 64 for key in keys)


def test_no_kernel_starts_where_others_can_write(tmp_path: Path) -> None:
    place = tmp_path / "place"
    kernel = manager(place)
    with pytest.raises(FileNotFoundError):
        kernel.write_connection_file()
    place.mkdir(0o777)
    place.chmod(0o777)
    with pytest.raises(PermissionError, match="is not private: no kernel starts there"):
        kernel.write_connection_file()
    assert list(place.iterdir()) == []
    place.chmod(0o700)
    kernel.write_connection_file()
    assert [file.name for file in place.iterdir()] == ["kernel-1.json"]


class Page(KernelWebsocketHandler):
    """What a page gets."""

    def __init__(self, protocol: str | None) -> None:
        self.protocol, self.got = protocol, []  # type: ignore[var-annotated]

    @property
    def selected_subprotocol(self) -> str | None:
        return self.protocol

    def write_message(self, message: Any, binary: bool = False) -> Any:
        self.got.append(message)


FORMS = ["v1.kernel.websocket.jupyter.org", None, "binary"]


def connection(
    form: str | None, monkeypatch: pytest.MonkeyPatch, debugger: bool
) -> tuple[ClusterKernelConnection, Page, list[Any]]:
    """A connection, the page at its one end, and what the kernel gets at the other."""
    passed: list[Any] = []
    monkeypatch.setattr(ZMQChannelsWebsocketConnection, "handle_incoming_message", lambda _, sent: passed.append(sent))
    page = Page(None if form == "binary" else form)
    made = ClusterKernelConnection(
        parent=AsyncClusterKernelManager(),
        websocket_handler=page,
        session=Session(),
        config=Config({"ClusterKernelConnection": {"debugger": debugger}}),
    )
    return made, page, passed


def sent(form: str | None, kind: str, content: dict[str, Any]) -> Any:
    """A message, as a page sends it."""
    message = {**Session().msg(kind, content), "channel": "control"}
    if form == "binary":
        return serialize_binary_message({**message, "buffers": [b"some"]})
    return (
        json.dumps(message, default=str) if form is None else serialize_msg_to_ws_v1(message, "control", Session().pack)
    )


@pytest.mark.parametrize("form", FORMS)
def test_no_debugger_is_started(form: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    made, page, passed = connection(form, monkeypatch, debugger=False)
    made.handle_incoming_message(sent(form, "debug_request", {"command": "initialize", "seq": 7}))
    assert passed == []
    (answer,) = page.got
    if page.protocol:
        channel, parts = deserialize_msg_from_ws_v1(answer)
        header, parent, content = (json.loads(parts[i]) for i in (0, 1, 3))
    else:
        message = json.loads(answer)
        channel, header, parent, content = (message[name] for name in ("channel", "header", "parent_header", "content"))
    assert (channel, header["msg_type"], parent["msg_type"]) == ("control", "debug_reply", "debug_request")
    assert (content["success"], content["request_seq"]) == (False, 7)
    assert "my_debugger: true" in content["message"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("debug_request", {"command": "debugInfo"}),
        ("debug_request", {}),
        ("execute_request", {"command": "initialize", "code": "initialize"}),
    ],
)
def test_what_starts_no_debugger_is_passed_on_as_it_is(
    form: str | None, kind: str, content: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, page, passed = connection(form, monkeypatch, debugger=False)
    message = sent(form, kind, content)
    made.handle_incoming_message(message)
    assert (passed, page.got) == ([message], [])


def test_a_debugger_is_started_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made, page, passed = connection(None, monkeypatch, debugger=True)
    message = sent(None, "debug_request", {"command": "initialize", "seq": 7})
    made.handle_incoming_message(message)
    assert (passed, page.got) == ([message], [])
