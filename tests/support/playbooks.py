"""Runs ansible-playbook many times, and reads what is the same for all runs once.

The scenarios run playbooks by the hundred, and most of a run is what Ansible reads before it begins. A process that has
read that (preloaded.py) forks for each run; from there on all is what the program `ansible-playbook` does, but that a
template is compiled once.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

import compiled

#: How the names of variables begin that count while Ansible is imported.
READ = ("ANSIBLE_", "COLUMNS", "HOME", "LANG", "LC_", "PATH", "PYTHON", "TERM", "TZ")
#: Of those, what each run reads again here.
OUTPUT = "ANSIBLE_STDOUT_CALLBACK"

_server = multiprocessing.get_context("forkserver")
_begun: dict[str, str] = {}
_compiled = tempfile.TemporaryDirectory(prefix="jupyter-compiled-")


def run(argv: list[str], env: Mapping[str, str], cwd: Path, limit: float) -> subprocess.CompletedProcess[str]:
    """Run a playbook with nothing to read; return what it prints. Another Ansible than the first one's is a program."""
    begin(env)
    if read_at_import(env) != _begun:
        return subprocess.run(
            argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=limit, check=False,
        )  # fmt: skip
    with tempfile.NamedTemporaryFile("r") as output:
        with without_a_main():
            process = _server.Process(target=play, args=(argv, dict(env), str(cwd), output.name, _compiled.name))
            process.start()
        process.join(limit)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(argv, limit, output.read())
        return subprocess.CompletedProcess(argv, process.exitcode, output.read())


def read_at_import(env: Mapping[str, str]) -> dict[str, str]:
    """Return what counts of an environment while Ansible is imported."""
    return {name: value for name, value in env.items() if name.startswith(READ) and name != OUTPUT}


def begin(env: Mapping[str, str]) -> None:
    """Start the process that forks, for the first environment."""
    if _begun:
        return
    _begun.update(read_at_import(env))
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(env)
    # Where it finds what it imports: Python 3.11 does not tell it.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parent), env.get("PYTHONPATH")]))
    try:
        with without_a_main():
            _server.set_forkserver_preload(["preloaded"])
            _server.Process(target=int).start()
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def without_a_main() -> Iterator[None]:
    """Keep what is forked from importing the program that runs the tests."""
    main = sys.modules["__main__"]
    kept = {name: value for name, value in vars(main).items() if name in ("__file__", "__spec__")}
    vars(main).pop("__file__", None)
    vars(main)["__spec__"] = None
    try:
        yield
    finally:
        vars(main).update(kept)


def play(argv: list[str], env: dict[str, str], cwd: str, output: str, templates: str) -> NoReturn:
    """Become the program."""
    os.setsid()
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    for descriptor, path, mode in ((0, os.devnull, os.O_RDONLY), (1, output, os.O_WRONLY), (2, output, os.O_WRONLY)):
        os.dup2(os.open(path, mode | os.O_APPEND), descriptor)
    sys.argv[:] = argv
    # An import that fails there is not told.
    assert "preloaded" in sys.modules
    from ansible import constants
    from ansible.cli.playbook import main

    constants.DEFAULT_STDOUT_CALLBACK = constants.config.get_config_value("DEFAULT_STDOUT_CALLBACK")
    compiled.keep(templates)
    main()
    raise SystemExit(0)
