"""Reads the inventory's YAML files before Ansible does: which clusters there are, and where a slip is."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

#: What is read here; a file with variables may have no suffix at all.
YAML = (".yml", ".yaml")
#: What Ansible leaves out in a folder.
LEFT_OUT = (".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry")
#: The folders in which variables lie beside an inventory.
VARIABLES = ("group_vars", "host_vars")
#: What a group may have, and how that is written.
PARTS = {"hosts": "a node's name and a colon", "vars": "`name: value`", "children": "a group's name and a colon"}
#: How alike two names must be for one to be taken for the other.
ALIKE = 0.6


@dataclass
class Inventory:
    """What the inventory's YAML files say."""

    #: The groups that have hosts of their own, which are the clusters, with the file that each is in.
    clusters: dict[str, Path] = field(default_factory=dict)
    #: All other names that can be chosen: groups of clusters, and nodes.
    others: set[str] = field(default_factory=set)
    #: The files that could be read.
    files: list[Path] = field(default_factory=list)
    #: What is wrong, a line each: file, line, what was expected.
    mistakes: list[str] = field(default_factory=list)
    #: For which group or node something is in Ansible Vault.
    vaulted: set[str] = field(default_factory=set)
    #: Whether these are all names: not where something else than YAML says which there are, or one is a range.
    complete: bool = True

    @property
    def names(self) -> list[str]:
        """What CLUSTER can be."""
        return sorted({*self.clusters, *self.others})

    def needs_vault(self, cluster: str | None) -> bool:
        """Tell whether a value that counts for a cluster, or for any, is in Ansible Vault."""
        others = set(self.clusters) - {cluster} if cluster in self.clusters else set()
        return bool(self.vaulted - others)


def read(sources: Sequence[Path], variables: Sequence[Path] = ()) -> Inventory:
    """Read an inventory.

    Args:
        sources: its files and folders.
        variables: folders and files with variables that count, and do not lie beside them.

    Returns:
        What they say. What is not written in YAML is left to Ansible.
    """
    found = Inventory()
    for source in sources:
        for file in _files(source):
            if file.suffix in YAML:
                _read(file, found, "")
            else:
                found.complete = False
    beside = [source if source.is_dir() else source.parent for source in sources]
    folders = [folder / name for folder in beside for name in VARIABLES] + list(variables)
    # Each once, also where one of the folders is in another.
    for file in dict.fromkeys(file for folder in folders for file in sorted(folder.rglob("*"))):
        if file.is_file() and file.suffix in (*YAML, "") and not file.name.startswith("."):
            _read(file, found, file.relative_to(_variables_of(file)).parts[0].removesuffix(file.suffix))
    return found


def closest(name: str, names: Iterable[str]) -> str:
    """Return the name that was meant, or an empty string."""
    return next(iter(difflib.get_close_matches(name, list(names), 1, ALIKE)), "")


class _SlipError(Exception):
    """Something that Ansible would not understand, or not as it was meant, at a line of a file."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line


def _files(source: Path) -> Iterator[Path]:
    if source.is_dir():
        for entry in sorted(source.iterdir()):
            if not entry.name.startswith(".") and entry.name not in (*VARIABLES, "vars_plugins"):
                yield from _files(entry)
    elif source.is_file() and not source.name.endswith(LEFT_OUT):
        yield source


def _variables_of(file: Path) -> Path:
    return next(folder for folder in file.parents if folder.name in VARIABLES)


def _read(file: Path, found: Inventory, variables_of: str) -> None:
    """Read a file that has variables of a group or node; or, of none, groups."""
    try:
        text = file.read_text()
        if text.startswith("$ANSIBLE_VAULT"):
            found.vaulted.add(variables_of)
            return
        root = _parsed(text)
        found.files.append(file)
        _look_through(root, found, variables_of)
        if root is not None and not isinstance(root, yaml.MappingNode):
            raise _no_mapping(root, "`name: value` on each line" if variables_of else "a cluster's name and a colon")
        if not variables_of:
            _groups(root, file, found)
    except (OSError, UnicodeError) as error:
        found.mistakes.append(f"{file} cannot be read: {error}.")
    except _SlipError as slip:
        found.mistakes.append(f"{file}, line {slip.line}: {slip}")


def _parsed(text: str) -> yaml.Node | None:
    try:
        # Not the parser in C, whose words for what it has expected are others.
        return yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise _slip(error, text) from None
    except yaml.YAMLError as error:
        raise _SlipError(1, f"{str(error).splitlines()[0]}.") from None


def _look_through(node: yaml.Node | None, found: Inventory, variables_of: str) -> None:
    """Look for what is good YAML, and not what was meant; and for what is in Ansible Vault."""
    if node and node.tag == "!vault":
        found.vaulted.add(variables_of)
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _look_through(item, found, variables_of)
    elif isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            line = _line(key)
            if not isinstance(key, yaml.ScalarNode):
                raise _SlipError(line, "a value that begins with { or [ needs quotes, as a template does: '{{ … }}'.")
            if key.value in lines:
                raise _SlipError(
                    line, f"`{key.value}` is there already, in line {lines[key.value]}: leave one of them."
                )
            lines[key.value] = line
            _look_through(value, found, variables_of)


def _groups(root: yaml.MappingNode | None, file: Path, found: Inventory) -> None:
    if root is None:
        raise _SlipError(1, "nothing is in it. A cluster's file begins with the cluster's name and a colon.")
    # One for a plugin of Ansible's, which makes hosts of something else.
    if any(key.value == "plugin" for key, _ in root.value):
        found.complete = False
        return
    for key, group in root.value:
        if key.value in PARTS:
            raise _SlipError(_line(key), f"`{key.value}:` belongs below the cluster's name, and is indented there.")
        _group(key.value, group, file, found)


def _group(name: str, group: yaml.Node, file: Path, found: Inventory) -> None:
    if name != "all":
        found.others.add(name)
    for key, part in _entries(group, "`hosts:`, `vars:` or `children:`, indented"):
        if key.value not in PARTS:
            meant = closest(key.value, PARTS)
            hint = f"did you mean `{meant}:`?" if meant else "variables stand below `vars:`."
            raise _SlipError(
                _line(key), f"`{key.value}:` is expected to be `hosts:`, `vars:` or `children:` of `{name}`; {hint}"
            )
        form = f"{PARTS[key.value]}, on a line of its own, indented below `{key.value}:`"
        entries = {entry.value: node for entry, node in _entries(part, form)}
        if key.value == "hosts":
            found.clusters[name] = file
            found.others.update(entries)
            found.complete &= not any("[" in node for node in entries)
        elif key.value == "children":
            for child, node in entries.items():
                _group(child, node, file, found)


def _entries(node: yaml.Node, expected: str) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
    if node.tag == "tag:yaml.org,2002:null":
        return []
    if not isinstance(node, yaml.MappingNode):
        raise _no_mapping(node, expected)
    entries: list[tuple[yaml.ScalarNode, yaml.Node]] = node.value
    return entries


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _no_mapping(node: yaml.Node, expected: str) -> _SlipError:
    value = node.value if isinstance(node, yaml.ScalarNode) else ""
    shown = _beginning(value) or ("a list" if isinstance(node, yaml.SequenceNode) else "this")
    name = re.match(r"(\w+)[ =:]+\S", value)
    hint = f" Write `{name[1]}: …`, with a colon and a blank." if name else ""
    return _SlipError(_line(node), f"{shown} is not what is expected there: {expected}.{hint}")


def _beginning(line: str) -> str:
    """Return a line's first word: what follows it may be a password."""
    word = re.match(r"\s*((?:- )?[^\s:=]+:?)(.*)", line)
    return f"`{word[1]}{' …' if word[2].strip() else ''}`" if word else ""


_INDENTED = "wrong indentation: lines that belong together begin in the same column."
#: What is to be done about the likeliest slips, each by a part of the parser's words; and whether it is where the
#: parser began to read what it did not understand, instead of where it stopped.
LIKELY = {
    r"found character '\\t'": ("a tab stands there: indent by blanks.", False),
    "mapping values are not allowed": ("", False),
    "could not find expected ':'": ("a colon and a blank are expected after a name.", True),
    "found unexpected end of stream": ("a quotation mark is opened there, and not closed.", True),
    "expected ',' or": ("a bracket is opened there and not closed, or a comma is missing.", True),
    "expected <block end>": (_INDENTED, False),
    "expected alphabetic or numeric": ("a value that begins with * or & needs quotes.", False),
    "undefined alias": ("a value that begins with * needs quotes.", False),
    "cannot start any token": ("a value that begins with such a sign needs quotes.", False),
}


def _slip(error: yaml.MarkedYAMLError, text: str) -> _SlipError:
    words = f"{error.context or ''} {error.problem or ''}".strip()
    hint, begun = next((told for part, told in LIKELY.items() if re.search(part, words)), (f"{words}.", False))
    mark = (error.context_mark if begun else None) or error.problem_mark or error.context_mark
    line = mark.line if mark else 0
    read = "".join(text.splitlines()[line : line + 1])
    if not hint:
        two = re.match(r"\s*(- )?[^:'\"]+: .*:(\s|$)", read)
        hint = 'a value with a colon in it needs quotes: `name: "value: more"`.' if two else _INDENTED
    shown = _beginning(read)
    return _SlipError(line + 1, f"{shown}: {hint}" if shown else hint)
