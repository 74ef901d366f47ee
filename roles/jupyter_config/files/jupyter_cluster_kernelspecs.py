"""Whether the kernels that Jupyter knows could start: what is known of that before somebody wants one."""

from __future__ import annotations

import contextlib
import importlib
import shutil
from typing import Any

from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpec

Factory: Any = None
# Before jupyter_client 7 there is one way to start a kernel.
with contextlib.suppress(ImportError):
    Factory = importlib.import_module("jupyter_client.provisioning").KernelProvisionerFactory


def trouble(server: Any) -> str:
    """Return why none could start, with what helps; an empty string where one can, or where there is none at all."""
    causes: dict[str, str] = {}
    wanted, allowed = server.kernel_manager.default_kernel_name, server.kernel_manager.allowed_message_types
    missing = sorted({"execute_request", "kernel_info_request"} - set(allowed)) if allowed else []
    if missing:
        return (
            f"Your own configuration of Jupyter keeps {' and '.join(missing)} from them (MappingKernelManager.allowed_"
            "message_types): take that out."
        )
    # A manager of kernelspecs that is not Jupyter's own says itself what is wrong.
    with contextlib.suppress(Exception):
        found = server.kernel_spec_manager.find_kernel_specs()
        if found and wanted not in (*found, NATIVE_KERNEL_NAME):
            return (
                f"There is no kernelspec {wanted}, which your own configuration of Jupyter has for the one to take when"
                " nothing is said (MultiKernelManager.default_kernel_name): install it, or take that out."
            )
        causes = {name: cause(server, name, folder) for name, folder in found.items()}
    return " ".join(sorted(set(causes.values()))) if all(causes.values()) else ""


def cause(server: Any, name: str, folder: str) -> str:
    """Return why the kernels of a kernelspec cannot start; an empty string where nothing is known."""
    try:
        spec = KernelSpec.from_resource_dir(folder)
    except FileNotFoundError:
        # Jupyter's own, of its own Python.
        spec = KernelSpec()
    except (OSError, ValueError) as error:
        return f"{folder}/kernel.json cannot be read ({error}): mend it, or remove that kernelspec."
    if Factory:
        factory = Factory.instance(parent=server)
        wanted = spec.metadata.get("kernel_provisioner", {}).get("provisioner_name", factory.default_provisioner_name)
        if not factory.is_provisioner_available(spec):
            return (
                f"There is no {wanted}: install it, or take it out of your own configuration of Jupyter (Kernel"
                "ProvisionerFactory.default_provisioner_name, JUPYTER_DEFAULT_PROVISIONER_NAME, or a kernelspec)."
            )
        if wanted != "local-provisioner":
            return ""
    program = spec.argv[0] if spec.argv else ""
    # Jupyter puts its own Python for a mere `python`, and fills in braces; a kernelspec may have a PATH of its own.
    known = program and not program.startswith("python") and "{" not in program and "PATH" not in spec.env
    if known and not shutil.which(program):
        return f"The program of the kernelspec {name}, {program}, is not there: install it, or remove that kernelspec."
    return ""
