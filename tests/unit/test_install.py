"""What `make install` installs is little, and enough."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions

import yaml
from variables import PROJECT

PLUGINS = [path for kind in ("action", "callback", "filter") for path in PROJECT.glob(f"{kind}_plugins/*.py")]
PROGRAMS = [*PLUGINS, *PROJECT.glob("jupyter_cluster/*.py")]


def locked(name: str) -> dict[str, set[str]]:
    """Return the packages that a file locks, each with its versions, where those count, and their digests."""
    found: dict[str, set[str]] = {}
    for block in re.split(r"\n(?=\w)", (PROJECT / name).read_text()):
        words = "\n".join(line for line in block.splitlines() if not line.lstrip().startswith("#"))
        found.setdefault(re.split(r"[^\w.-]", block)[0], set()).add(words)
    return found


USER_S, TESTS = locked("requirements.txt"), locked("requirements-test.txt")


def imported() -> set[str]:
    """Return the modules that plugins and command import, by their names' first part, without Python's and ours."""
    names: set[str] = set()
    for path in PROGRAMS:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module or "")
    return (
        {name.split(".")[0] for name in names}
        - sys.stdlib_module_names
        - {"jupyter_cluster", *(path.stem for path in PLUGINS)}
    )


def packages(module: str) -> set[str]:
    """Return the packages that a module comes from, as the files above spell them."""
    return {re.sub(r"[-_.]+", "-", name).lower() for name in packages_distributions().get(module, [])}


def test_it_is_little() -> None:
    assert {"ansible-core", "cryptography"} <= set(USER_S)
    assert len(USER_S) <= 25
    assert "ansible" in TESTS.keys() - USER_S.keys()


def test_it_is_what_is_tested() -> None:
    for name, versions in USER_S.items():
        assert versions == TESTS[name]


def test_it_has_all_that_plugins_and_command_import() -> None:
    modules = imported()
    assert {"ansible", "click", "cryptography", "passlib"} <= modules
    for module in modules:
        assert packages(module) & set(USER_S), module


def test_it_is_what_preflight_asks_for() -> None:
    preflight = yaml.safe_load((PROJECT / "roles" / "preflight" / "vars" / "main.yml").read_text())
    assert set(preflight["__preflight_libraries"].values()) <= set(USER_S)
    core = preflight["__preflight_core"]
    asked = f"ansible-core>={core['oldest']},<{core['newest']}"
    assert f'"{asked}"' in (PROJECT / "pyproject.toml").read_text()
