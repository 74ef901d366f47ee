"""How kernels talk to the server: through sockets in a private folder, or, by a kernelspec's name, through ports.

And what they are not told to do: open a port that lets neighbours in.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
from typing import TYPE_CHECKING, Any

from jupyter_client.jsonutil import json_default
from jupyter_server.services.kernels.connection.base import (
    deserialize_binary_message,
    deserialize_msg_from_ws_v1,
    serialize_msg_to_ws_v1,
)
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from jupyter_server.services.kernels.kernelmanager import ServerKernelManager
from traitlets import Bool, List, TraitType, Unicode

if TYPE_CHECKING:
    Trait = TraitType[Any, Any]
else:
    Trait = TraitType


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


class ClusterKernelManager(ServerKernelManager):
    """Jupyter's own, for a kernel whose name alone decides how it talks."""

    transport: Any = Transport().tag(config=True)
    ip: Any = Address().tag(config=True)
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


class ClusterKernelConnection(ZMQChannelsWebsocketConnection):
    """Jupyter's own, which passes on what a page says to a kernel; but for the first message of a debugger.

    At that one the kernel opens a port on the node's loopback, where its debugger asks nobody for a password, and which
    stays open until the kernel has ended.
    """

    debugger: Any = Bool(False, help="Whether kernels may open a debugger's port.", config=True)

    def handle_incoming_message(self, incoming_msg: Any) -> None:
        """Pass a message on, or answer it as a kernel would that has no debugger."""
        message = None if self.debugger else self.starts_debugger(incoming_msg)
        if message is None:
            super().handle_incoming_message(incoming_msg)
            return
        refused = {
            "type": "response",
            "command": "initialize",
            "request_seq": message["content"].get("seq", 0),
            "success": False,
            "message": "The debugger is off on this server: its port on the node would let neighbours run code as you. "
            "To have it all the same: my_debugger: true",
        }
        reply = self.session.msg("debug_reply", content=refused, parent=message["header"])
        if self.subprotocol == "v1.kernel.websocket.jupyter.org":
            said: Any = serialize_msg_to_ws_v1(reply, "control", self.session.pack)
            self.websocket_handler.write_message(said, binary=True)
        else:
            self.websocket_handler.write_message(json.dumps({**reply, "channel": "control"}, default=json_default))

    def starts_debugger(self, sent: Any) -> dict[str, Any] | None:
        """Return the header and content of the message that makes a kernel open the port; None of any other."""
        if self.subprotocol == "v1.kernel.websocket.jupyter.org":
            _, (header, _, _, content, *_) = deserialize_msg_from_ws_v1(sent)
            message = {"header": self.session.unpack(header)}
            if message["header"]["msg_type"] == "debug_request":
                message["content"] = self.session.unpack(content)
        else:
            message = deserialize_binary_message(sent) if isinstance(sent, bytes) else json.loads(sent)
        is_first = (
            message["header"]["msg_type"] == "debug_request" and message["content"].get("command") == "initialize"
        )
        return message if is_first else None
