"""Reads what the roles say of their options: argument specs, and the bounds beside them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

# The one in C takes a tenth of the time, where PyYAML has it.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@functools.cache
def _read(folder: str, name: str) -> dict[str, Any]:
    content = yaml.load(Path(folder, name).read_text(), _LOADER)  # noqa: S506  It is a safe one.
    return dict(content)


def spec_options(folders: Sequence[str]) -> dict[str, Any]:
    """Return the options of some roles.

    Args:
        folders: the roles' folders ``meta``, each with an ``argument_specs.yml``.

    Returns:
        The options of all entry points, as an argument spec has them, by name.
    """
    specs = [spec for folder in folders for spec in _read(str(folder), "argument_specs.yml")["argument_specs"].values()]
    return {name: option for spec in specs for name, option in spec.get("options", {}).items()}


def spec_bounds(folders: Sequence[str]) -> dict[str, Any]:
    """Return what an argument spec cannot say of some roles' options; the filter ``refusals`` explains it.

    Args:
        folders: the roles' folders ``meta``, each with a ``bounds.yml``.

    Returns:
        The bounds by the name of the option, in the order of the files.
    """
    return {name: bound for folder in folders for name, bound in _read(str(folder), "bounds.yml").items()}


class FilterModule:
    """Filters for the role preflight."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"spec_bounds": spec_bounds, "spec_options": spec_options}
