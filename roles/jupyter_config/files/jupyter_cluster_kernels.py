"""Kernels that cannot talk through sockets get ports, by the names of their kernelspecs."""

from __future__ import annotations

from jupyter_server.services.kernels.kernelmanager import ServerKernelManager
from traitlets import List, Unicode, validate


class ClusterKernelManager(ServerKernelManager):
    """Jupyter's own, for a kernel whose name decides how it talks."""

    tcp_kernels: List[str] = List(
        Unicode(), help="The kernelspecs whose kernels get ports on the loopback.", config=True
    )

    @validate("transport")
    def _transport_by_name(self, proposal: object) -> str:
        return "tcp" if self.kernel_name in self.tcp_kernels else "ipc"
