"""Writes on this machine, in the process of the task: no other Python is started for a line in a file."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

#: How long a check of what is to be written may take, in seconds.
VALIDATION = 20


def _lines(text: str) -> list[str]:
    """Return the lines with their ends, which are where ssh and shells see them; Python's splitlines sees more."""
    return re.findall(r"[^\n]*\n|[^\n]+\Z", text)


def with_block(text: str, name: str, managed: str, block: str) -> str:
    """Return a text with a block of ours between two lines that name it, at its end where there was none.

    Args:
        text: what is there.
        name: the block's name.
        managed: what its first and last line say behind the name.
        block: what stands between them; with ``""`` the two lines go, too.

    Returns:
        The text with the block, and all else as it was.
    """
    begin, end = (f"# {mark} {name}. {managed}" for mark in ("BEGIN", "END"))
    lines = _lines(text)
    bare = [line.rstrip("\r\n") for line in lines]
    new = [f"{begin}\n", *_lines(block), f"{end}\n"] if block else []
    if begin in bare and end in bare[bare.index(begin) :]:
        last = bare.index(end, bare.index(begin))
        # The nearest one: a line that has lost its other half begins nothing.
        first = max(number for number in range(last) if bare[number] == begin)
        return "".join([*lines[:first], *new, *lines[last + 1 :]])
    if not new:
        return text
    return "".join([text, "" if not text or text.endswith("\n") else "\n", *new])


def with_first_line(text: str, line: str, present: bool, below: str = "") -> str:
    """Return a text that begins with a line, or that has it nowhere.

    Args:
        text: what is there.
        line: the line.
        present: whether it shall be there; wherever it counts is good.
        below: of an ssh_config, a regular expression for the part where the line would not count.

    Returns:
        The text with the line, or without it, and all else as it was.
    """
    # An indented line of a shell may be all that an `if` has.
    blanks = r"[ \t]*" if below else ""
    found = re.compile(rf"(?m)^{blanks}{re.escape(line)}{blanks}\r?(?:\n|\Z)")
    if present and found.search(re.sub(below, "", text) if below else text):
        return text
    return (f"{line}\n" if present else "") + found.sub("", text)


@dataclass
class Files:
    """What one task has changed, or would change."""

    check: bool
    changed: list[str] = field(default_factory=list)
    diff: list[dict[str, str]] = field(default_factory=list)
    #: What is in the files by now, or would be.
    texts: dict[Path, str] = field(default_factory=dict)

    def folder(self, path: Path) -> None:
        """Make a folder for the user alone, with those above it."""
        if path.is_dir():
            return
        self.changed.append(str(path))
        if not self.check:
            for above in reversed(path.parents):
                if not above.exists():
                    above.mkdir(0o700)
            path.mkdir(0o700)

    def write(self, path: Path, text: str, old: str, validate: Sequence[str] = (), mode: int = 0o600) -> None:
        """Write a file whole, or not at all; one that is there keeps its mode, and a link stays one."""
        self.texts[path] = text
        if text == old and path.exists():
            return
        real = Path(os.path.realpath(path))
        self.changed.append(str(path))
        self.diff.append({"before": old, "after": text, "before_header": str(path), "after_header": str(path)})
        if self.check:
            return
        handle, name = tempfile.mkstemp(prefix=f".{real.name}.", dir=real.parent)
        try:
            with open(handle, "w", newline="", errors="surrogateescape") as file:
                file.write(text)
                os.fchmod(file.fileno(), stat.S_IMODE(real.stat().st_mode) if real.exists() else mode)
                file.flush()
                os.fsync(file.fileno())
            if validate:
                _require(path, name, validate)
            os.replace(name, real)
        except BaseException:
            os.unlink(name)
            raise

    def remove(self, path: Path) -> None:
        """Take something away, a folder with all that is in it; a link alone."""
        if not os.path.lexists(path):
            return
        self.changed.append(str(path))
        if self.check:
            return
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

    def remove_if_empty(self, path: Path) -> None:
        """Take away what has nothing in it; no link."""
        if path.is_symlink() or not path.exists():
            return
        if not any(path.iterdir()) if path.is_dir() else path.stat().st_size == 0:
            self.remove(path)


def read(path: Path) -> str:
    """Return what is in a file, and nothing where there is none; line breaks stay as they are."""
    if not path.is_file():
        return ""
    with path.open(newline="", errors="surrogateescape") as file:
        return file.read()


def _require(path: Path, new: str, validate: Sequence[str]) -> None:
    """Require that a command accepts what a file is to become."""
    command = [word if word != "%s" else new for word in validate]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=VALIDATION, check=False
        )
    except subprocess.TimeoutExpired:
        raise AnsibleActionFail(f"{command[0]} has not read {path} within {VALIDATION} s.") from None
    except FileNotFoundError:
        raise AnsibleActionFail(f"There is no {command[0]} to read {path} with.") from None
    if done.returncode:
        said = next(iter(done.stderr.splitlines()), f"{command[0]} refuses it").replace(new, str(path))
        raise AnsibleActionFail(f"{path} would not be understood: {said}")


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types.
    """The task ``laptop_files``."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Do it, in the order of DOCUMENTATION's options."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        files = Files(bool(self._task.check_mode))
        try:
            self._do(files, self._task.args)
        except OSError as error:
            where = error.filename or "This machine's part"
            why = (
                f"{where} cannot be written: {error.strerror or error}. Make it yours to write to, on a disk with room."
            )
            return {**result, "failed": True, "msg": why}
        shown = {"diff": files.diff} if self._task.diff else {}
        return {**result, **shown, "changed": bool(files.changed), "files": files.changed}

    @staticmethod
    def _do(files: Files, given: Mapping[str, Any]) -> None:
        for path in given.get("folders", ()):
            files.folder(Path(path))
        for block in given.get("blocks", ()):
            path = Path(block["path"])
            old = read(path)
            text = with_block(old, block["name"], given["managed"], block["text"])
            if block["text"] or path.exists():
                files.write(path, text, old, block.get("validate", ()))
        for first in given.get("first_lines", ()):
            path, source = Path(first["path"]), Path(first["source"])
            there = str(source) not in map(str, given.get("absent", ()))
            old, present = read(path), there and bool(files.texts.get(source, read(source)).strip())
            if present or path.exists():
                files.write(
                    path,
                    with_first_line(old, first["line"], present, first.get("below", "")),
                    old,
                    first.get("validate", ()),
                )
        for one in given.get("files", ()):
            files.write(Path(one["path"]), one["text"], read(Path(one["path"])), mode=0o644)
        for path in given.get("absent", ()):
            files.remove(Path(path))
        for path in given.get("absent_if_empty", ()):
            files.remove_if_empty(Path(path))
