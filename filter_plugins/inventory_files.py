"""Says which of the inventory's files counts for a login node."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from ansible.plugins.inventory import detect_range, expand_hostname_range

#: What Ansible reads as an inventory file written in YAML; and what it reads beside, or does not.
_YAML = {".yml", ".yaml", ".json"}
_OTHERS = {"group_vars", "host_vars", "vars_plugins"}


# The one in C takes a tenth of the time, where PyYAML has it.
class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # It is one of two.
    """Reads what stands there, whatever a tag such as `!vault` makes of it."""


_Loader.add_multi_constructor("", lambda *_: None)


def inventory_files(sources: Sequence[str], node: str) -> list[str]:
    """Return the files that have a login node.

    Args:
        sources: Ansible's ``ansible_inventory_sources``, files and folders. What is neither is left out, as is a file
            that is not written in YAML.
        node: the login node, by its name in the inventory.

    Returns:
        The files, in Ansible's order: each that has the node among the ``hosts`` of a group, whatever it says of it
        there or in group_vars. Ansible mixes what several say.
    """
    files = dict.fromkeys(file for source in sources for file in _files(Path(source)))
    return [str(file) for file in files if node in _nodes(file)]


def group_vars_folder(sources: Sequence[str], file: str, project: str) -> str:
    """Return the folder in which Ansible looks for a group's ``me.yml``.

    Args:
        sources: Ansible's ``ansible_inventory_sources``.
        file: the file that has the login node, Ansible's ``inventory_file``.
        project: the project's own folder.

    Returns:
        The ``group_vars`` beside the file, or in the folder that was given with the file somewhere in it. A path from
        the project's folder where it is in there, as ``inventory/group_vars``, else from the root.
    """
    place = Path(file).absolute()
    folders = [path for path in map(Path, map(os.path.abspath, sources)) if path.is_dir()]
    given = [path for path in folders if path in place.parents]
    folder = (given[-1] if given else place.parent) / "group_vars"
    root = Path(os.path.realpath(project))
    real = Path(os.path.realpath(folder.parent)) / "group_vars"
    return str(real.relative_to(root)) if root in real.parents else str(folder)


def _files(source: Path) -> Iterator[Path]:
    if source.is_dir():
        for entry in sorted(source.iterdir()):
            if not entry.name.startswith(".") and entry.name not in _OTHERS:
                yield from _files(entry)
    elif source.suffix in _YAML:
        yield source.absolute()


def _nodes(file: Path) -> set[str]:
    try:
        groups = yaml.load(file.read_text(), _Loader)  # noqa: S506  It is a safe one.
    except (OSError, UnicodeError, yaml.YAMLError):
        # Ansible has said so.
        return set()
    return set(_hosts(groups))


def _hosts(groups: Any) -> Iterator[str]:
    for group in groups.values() if isinstance(groups, dict) else ():
        if isinstance(group, dict):
            hosts = group.get("hosts")
            for host in map(str, hosts if isinstance(hosts, dict) else ()):
                yield from expand_hostname_range(host) if detect_range(host) else [host]
            yield from _hosts(group.get("children"))


class FilterModule:
    """Filters for the preflight role."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"inventory_files": inventory_files, "group_vars_folder": group_vars_folder}
