"""Options that have another name by now: where they stand, and the line with the new one."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import yaml

from jupyter_cluster.places import project


class Renamed(NamedTuple):
    """A line of a file in which an option has the name of before."""

    file: Path
    #: From 1 on.
    line: int
    old: str
    #: Today's name; or, in several words, what has taken its place.
    new: str

    @property
    def is_simple(self) -> bool:
        """Whether another name is all that the line needs."""
        return re.fullmatch(r"\w+", self.new) is not None and self.old not in OF_OTHER_VALUES

    def __str__(self) -> str:
        """Say where it is, and what it is now."""
        return f"{self.file}, line {self.line}: {self.old} is {self.new} now"


#: Their new names take other values, so that somebody has to think.
OF_OTHER_VALUES = {"screen_session_state"}


def find(files: Iterable[Path]) -> list[Renamed]:
    """Return what the files have of options' names of before, as the preflight knows them."""
    said = yaml.safe_load((project() / "roles" / "preflight" / "vars" / "main.yml").read_text())
    names: dict[str, str] = said["__preflight_renamed"]
    return [
        Renamed(file, number, found[1], names[found[1]])
        for file in files
        for number, line in enumerate(_lines(file), 1)
        if (found := re.match(r"\s*(\w+)\s*:", line)) and found[1] in names
    ]


def rename(one: Renamed) -> None:
    """Write today's name into that line; all else in the file stays."""
    lines = _lines(one.file)
    lines[one.line - 1] = lines[one.line - 1].replace(one.old, one.new, 1)
    real = one.file.resolve()
    new = real.with_name(f".{real.name}.new")
    new.write_bytes("".join(lines).encode())
    shutil.copymode(real, new)
    # Whole, or not at all.
    new.replace(real)


def _lines(file: Path) -> list[str]:
    return file.read_bytes().decode().splitlines(keepends=True)
