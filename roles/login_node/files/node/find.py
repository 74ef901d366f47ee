"""The Jupyters on a node, besides the one that would be used: to choose one of them."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import signal
import subprocess

from node.folder import read

#: Where environments usually are, in the home.
USUAL = ("venvs/*", ".venvs/*", ".virtualenvs/*", "envs/*", ".local/share/uv/tools/*", "*/.pixi/envs/*")
PACKAGES = ("jupyterlab", "notebook", "jupyter_server")
#: What is in the names of modules that may have one; and how long the node's list of modules may take, in seconds.
NAMES, LISTED = re.compile(r"(?i)python|conda|jupyter|notebook"), 20.0


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


def modules() -> list[str]:
    """Return the names of the modules that may have a Jupyter, as `module avail` lists them."""
    try:
        # In a group of its own, whose members would keep its output open.
        asked = subprocess.Popen(
            ["bash", "-lc", "module -t avail 2>&1"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return []
    with asked:
        try:
            listed, _ = asked.communicate(timeout=LISTED)
        except subprocess.TimeoutExpired:
            os.killpg(asked.pid, signal.SIGKILL)
            return []
    # A folder of modules ends with a colon or a slash; behind the default one stands that it is.
    lines = (re.sub(r"(\(.*\)|<.*>)$", "", line.strip()) for line in os.fsdecode(listed).splitlines())
    return sorted({line for line in lines if re.fullmatch(r"[^\s:]*[^\s:/]", line) and NAMES.search(line)})
