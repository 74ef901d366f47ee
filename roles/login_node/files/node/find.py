"""The Jupyters on a node, besides the one that would be used: to choose one of them."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re

from node.folder import read

#: Where environments usually are, in the home.
USUAL = ("venvs/*", ".venvs/*", ".virtualenvs/*", "envs/*", ".local/share/uv/tools/*", "*/.pixi/envs/*")
PACKAGES = ("jupyterlab", "notebook", "jupyter_server")


def jupyters() -> list[str]:
    """Return their paths, each with what it has, as `PATH (jupyterlab 4.6.6, jupyter_server 2.21.1)`."""
    found: dict[str, str] = {}
    for folder in _folders():
        path = os.path.join(folder, "jupyter")
        if os.access(path, os.X_OK) and os.path.isfile(path):
            found.setdefault(os.path.realpath(path), path)
    return [f"{path} ({', '.join(_versions(real)) or 'of unknown versions'})" for real, path in found.items()]


def _folders() -> list[str]:
    home = os.path.expanduser("~")
    folders = [*os.environ.get("PATH", "").split(os.pathsep), os.path.join(home, ".local/bin")]
    for form in USUAL:
        folders += sorted(glob.glob(os.path.join(glob.escape(home), form, "bin")))
    with contextlib.suppress(OSError):
        prefixes = os.fsdecode(read(os.path.join(home, ".conda/environments.txt"), 10**5)).splitlines()
        folders += [os.path.join(line.strip(), "bin") for line in prefixes if line.strip()]
    # A kernel that somebody has made of an environment.
    for spec in sorted(glob.glob(os.path.join(glob.escape(home), ".local/share/jupyter/kernels/*/kernel.json"))):
        with contextlib.suppress(OSError, ValueError, KeyError, IndexError, TypeError):
            folders.append(os.path.dirname(json.loads(read(spec, 10**5))["argv"][0]))
    return [folder for folder in dict.fromkeys(folders) if os.path.isabs(folder)]


def _versions(path: str) -> list[str]:
    """Return the versions of the packages beside it, without running anything."""
    libraries = os.path.join(glob.escape(os.path.dirname(os.path.dirname(path))), "lib/python3*/site-packages")
    found = []
    for package in PACKAGES:
        for folder in sorted(glob.glob(os.path.join(libraries, f"{package}-*.dist-info"))):
            version = re.fullmatch(rf"{package}-(.+)\.dist-info", os.path.basename(folder))
            found += [f"{package} {version[1]}"] if version else []
    return found
