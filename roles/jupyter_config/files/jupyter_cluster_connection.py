"""What a page says to a kernel of jupyter_server 2, but for the first message of a debugger."""

from __future__ import annotations

from typing import Any

from jupyter_cluster_kernels import BINARY, refuse_debugger
from jupyter_server.services.kernels.connection import base
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from traitlets import Bool


class ClusterKernelConnection(ZMQChannelsWebsocketConnection):
    """Jupyter's own, which passes on what a page says."""

    debugger: Any = Bool(False, help="Whether kernels may open a debugger's port.", config=True)

    def handle_incoming_message(self, incoming_msg: Any) -> None:
        """Pass a message on, or answer it."""
        refused = None if self.debugger else refuse_debugger(incoming_msg, self.subprotocol, self.session, base)
        if refused is None:
            super().handle_incoming_message(incoming_msg)
        else:
            self.websocket_handler.write_message(refused, binary=self.subprotocol == BINARY)
