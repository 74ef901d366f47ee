"""How kernels talk to the server: through sockets in a private folder, or, by a kernelspec's name, through ports.

And what they are not told to do: open a port that lets neighbours in.
"""

from __future__ import annotations

import importlib
import json
import os
import secrets
import stat
from types import ModuleType
from typing import TYPE_CHECKING, Any

from jupyter_client import ioloop, jsonutil
from jupyter_client.manager import KernelManager
from traitlets import List, TraitType, Unicode

if TYPE_CHECKING:
    Trait = TraitType[Any, Any]
else:
    Trait = TraitType

try:
    ServerKernelManager: Any = importlib.import_module(
        "jupyter_server.services.kernels.kernelmanager"
    ).ServerKernelManager
except (ImportError, AttributeError):
    # Before jupyter_server 2.
    ServerKernelManager = ioloop.AsyncIOLoopKernelManager  # type: ignore[attr-defined]

# Before jupyter_client 7 it has another name.
json_default: Any = getattr(jsonutil, "json_default", None) or vars(jsonutil)["date_default"]
#: The form of a websocket's messages that is not JSON.
BINARY = "v1.kernel.websocket.jupyter.org"


class Transport(Trait):
    """What the kernelspec's name decides, whatever a configuration says."""

    def get(self, obj: Any, cls: Any = None) -> str:
        """Return the transport."""
        # Jupyter knows each by its name in small letters, too.
        return "tcp" if obj.kernel_name.lower() in map(str.lower, obj.tcp_kernels) else "ipc"

    def set(self, obj: Any, value: Any) -> None:
        """Keep it."""


class Address(Trait):
    """What the sockets' names begin with, beside the connection file; or the loopback."""

    def get(self, obj: Any, cls: Any = None) -> str:
        """Return the address, as Jupyter's own default is made."""
        if obj.transport == "tcp":
            return "127.0.0.1"
        return f"{os.path.splitext(obj.connection_file)[0]}-ipc"

    def set(self, obj: Any, value: Any) -> None:
        """Keep it."""


class CachePorts(Trait):
    """Whether ports are kept for one kernel alone: where it has any."""

    def get(self, obj: Any, cls: Any = None) -> bool:
        """Tell it."""
        return bool(obj.transport == "tcp")

    def set(self, obj: Any, value: Any) -> None:
        """Keep it."""


class ClusterKernelManager(KernelManager):
    """Jupyter's own, for a kernel whose name alone decides how it talks."""

    transport: Any = Transport().tag(config=True)
    ip: Any = Address().tag(config=True)
    cache_ports: Any = CachePorts().tag(config=True)
    tcp_kernels: List[str] = List(
        Unicode(), help="The kernelspecs whose kernels get ports on the loopback.", config=True
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Sign its messages by a key of its own, whatever a configuration says of `Session`."""
        super().__init__(*args, **kwargs)
        self.session.key = secrets.token_hex(32).encode()

    def write_connection_file(self, **kwargs: Any) -> None:
        """Write it where nobody else can: the folder may have been taken away under the server, and its name, too."""
        place = os.path.dirname(self.connection_file)
        found = os.lstat(place)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise PermissionError(f"{place}, where kernels get their sockets, is not private: no kernel starts there.")
        super().write_connection_file(**kwargs)


class AsyncClusterKernelManager(ClusterKernelManager, ServerKernelManager):  # type: ignore[misc]
    """For a server that goes on while kernels start, as jupyter_server does."""


class BlockingClusterKernelManager(ClusterKernelManager, ioloop.IOLoopKernelManager):  # type: ignore[name-defined, misc]
    """For one that waits, as notebook 6 does."""


def refuse_debugger(sent: Any, subprotocol: str | None, session: Any, forms: ModuleType) -> Any:
    """Return the answer to the first message of a debugger, as a websocket sends it; None to any other message.

    At that one the kernel opens a port on the node's loopback, where its debugger asks nobody for a password, and which
    stays open until the kernel has ended. `forms` is Jupyter's module for the forms of messages.
    """
    if subprotocol == BINARY:
        _, (header, _, _, content, *_) = forms.deserialize_msg_from_ws_v1(sent)
        message = {"header": session.unpack(header)}
        if message["header"]["msg_type"] == "debug_request":
            message["content"] = session.unpack(content)
    else:
        message = forms.deserialize_binary_message(sent) if isinstance(sent, bytes) else json.loads(sent)
    if message["header"]["msg_type"] != "debug_request" or message["content"].get("command") != "initialize":
        return None
    # As a kernel answers that has no debugger.
    refused = {
        "type": "response",
        "command": "initialize",
        "request_seq": message["content"].get("seq", 0),
        "success": False,
        "message": "The debugger is off on this server: its port on the node would let neighbours run code as you. "
        "To have it all the same: my_debugger: true",
    }
    reply = session.msg("debug_reply", content=refused, parent=message["header"])
    if subprotocol == BINARY:
        return forms.serialize_msg_to_ws_v1(reply, "control", session.pack)
    return json.dumps({**reply, "channel": "control"}, default=json_default)
