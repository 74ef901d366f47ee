"""What is read once for all runs of playbooks: ansible-core and its plugins, and the project's YAML.

The process that forks for each run imports it. What YAML says is found by its whole text and where that stands, so a
run with another file reads that one.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Any

# The first sets up what the others need.
import ansible.cli.playbook  # isort: skip
import ansible.executor.playbook_executor
import argon2  # noqa: F401
import cryptography.x509  # noqa: F401
import yaml
from ansible._internal._datatag._tags import Origin
from ansible.module_utils._internal._datatag import AnsibleTagHelper
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import get_all_plugin_loaders
from ansible.utils.collection_loader._collection_meta import _meta_yml_to_dict

PROJECT = Path(__file__).resolve().parents[2]
#: Where the YAML is that runs read.
FOLDERS = (
    ".", "group_vars/all", "inventory", "playbooks", "playbooks/tasks", "roles/*/*", "molecule/*/inventory",
    "molecule/*/vars",
)  # fmt: skip

_read = yaml.load
_said: dict[tuple[object, ...], Any] = {}


def _key(text: str | bytes, loader: object) -> tuple[object, ...]:
    plain = str(text) if isinstance(text, str) else bytes(text)
    return loader, plain, frozenset(AnsibleTagHelper.tags(text))


def read(stream: Any, Loader: Any) -> Any:
    """Return what was kept, as `yaml.load` does: once, since whoever gets it may change it."""
    key = _key(stream, Loader) if isinstance(stream, str | bytes) else ()
    return _said.pop(key) if key in _said else _read(stream, Loader)


def _keep(stream: Any, Loader: Any) -> Any:
    if isinstance(stream, str | bytes):
        _said[_key(stream, Loader)] = _read(stream, Loader)
    return _read(stream, Loader)


def prepare() -> None:
    """Read all that."""
    yaml.load = _keep
    for _, loader in get_all_plugin_loaders():
        # Modules have no class, and run elsewhere.
        if loader.class_name:
            list(loader.all(class_only=True))
            # A run finds by itself which there are, and has read these.
            loader._clear_caches()
    # But the project's own, which ask at their import what the run is.
    for name, module in list(sys.modules.items()):
        if name.startswith("ansible.plugins.") and PROJECT in Path(module.__file__ or "/").parents:
            del sys.modules[name]
    builtin = Path(ansible.__file__).parent / "config" / "ansible_builtin_runtime.yml"
    _meta_yml_to_dict(builtin.read_bytes(), None)
    files = DataLoader()
    for path in (path for folder in FOLDERS for path in PROJECT.glob(f"{folder}/*.yml")):
        files.load_from_file(str(path), trusted_as_template=True)
    yaml.load = read
    # Text never changes: it need not be copied.
    for value in ("", 0, 0.0):
        type(Origin(path="/").tag(value)).__deepcopy__ = lambda self, _: self
    # To look each millisecond whether a task is done takes the time that others need.
    ansible.constants.DEFAULT_INTERNAL_POLL_INTERVAL = 0.005
    # Runs are short, and in a fork a collection of garbage copies all the memory that it looks at.
    gc.disable()


prepare()
