"""Finds Python libraries that Ansible's Python does not have."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping


def missing_libraries(libraries: Mapping[str, str]) -> list[str]:
    """Say which libraries cannot be imported where Ansible runs.

    Args:
        libraries: what to install, by the name of the module to import; a collection is a module too, as
            ``ansible_collections.containers.podman``.

    Returns:
        What to install, in the order of the modules, each once.
    """
    missing: dict[str, None] = {}
    for module, package in libraries.items():
        try:
            importlib.import_module(module)
        except ImportError:
            missing[package] = None
    return list(missing)


class FilterModule:
    """Filters for the preflight role."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Return the filters by name."""
        return {"missing_libraries": missing_libraries}
