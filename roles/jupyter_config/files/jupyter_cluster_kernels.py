"""How kernels talk to the server: through sockets in a private folder, or, by a kernelspec's name, through ports."""

from __future__ import annotations

import os
import secrets
import stat
from typing import TYPE_CHECKING, Any

from jupyter_server.services.kernels.kernelmanager import ServerKernelManager
from traitlets import List, TraitType, Unicode

if TYPE_CHECKING:
    Trait = TraitType[Any, Any]
else:
    Trait = TraitType


class Transport(Trait):
    """What the kernelspec's name decides, whatever a configuration says."""

    def get(self, obj: Any, cls: Any = None) -> str:
        """Return the transport."""
        return "tcp" if obj.kernel_name in obj.tcp_kernels else "ipc"

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
