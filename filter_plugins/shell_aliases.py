"""Short forms of the verbs for the shells that a person types in."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

#: What a shell that has POSIX functions reads.
_POSIX = """\
# {alias} [VERB [OPTION ...]]: the playbook of that name, connect without one.
{alias}() (
  verb=${{1:-connect}}
  [ $# -eq 0 ] || shift
  cd {project} && exec {program} "playbooks/$verb.yml" {options} "$@"
)
"""
_FISH = """\
# {alias} [VERB [OPTION ...]]: the playbook of that name, connect without one.
function {alias}
    set -l verb connect
    if set -q argv[1]
        set verb $argv[1]
        set -e argv[1]
    end
    sh -c 'cd "$1" && shift && exec "$@"' sh {project} {program} playbooks/$verb.yml {options} $argv
end
"""
#: How a shell reads the file that has them.
_READS = "[ ! -r {file} ] || . {file}"
_FISH_READS = "test -r {file}; and source {file}"


def shell_aliases(
    wanted: Iterable[str],
    *,
    starts: Mapping[str, str],
    folder: str,
    cluster: str,
    alias: str,
    project: str,
    program: str,
    options: Iterable[str],
) -> dict[str, list[Any]]:
    """Say what of the shells' files is to be written for a cluster's short form, and what is to be taken away.

    Args:
        wanted: the shells that shall have it, of those in ``starts``.
        starts: what each shell reads at its start, by its name: ``bash``, ``zsh`` or ``fish``.
        folder: the project's folder on this machine, which gets a file ``aliases.SHELL`` for each.
        cluster: the cluster's name.
        alias: the short form's name.
        project: the folder that the playbooks are in.
        program: ``ansible-playbook``.
        options: its options for this cluster.

    Returns:
        ``blocks``, ``first_lines`` and ``absent_if_empty``, as the task ``laptop_files`` takes them.
    """
    values = {
        "alias": alias, "project": shlex.quote(project), "program": shlex.quote(program),
        "options": shlex.join(str(option) for option in options),
    }  # fmt: skip
    plan: dict[str, list[Any]] = {"blocks": [], "first_lines": [], "absent_if_empty": []}
    for shell, start in starts.items():
        file = f"{folder}/aliases.{shell}"
        if shell not in wanted and not Path(file).exists():
            continue
        form, reads = (_FISH, _FISH_READS) if shell == "fish" else (_POSIX, _READS)
        text = form.format(**values) if shell in wanted else ""
        plan["blocks"].append({"path": file, "name": cluster, "text": text})
        plan["first_lines"].append({"path": start, "line": reads.format(file=shlex.quote(file)), "source": file})
        plan["absent_if_empty"] += [file, start]
    return plan


class FilterModule:
    """Filters for the ssh_tunnel role."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"shell_aliases": shell_aliases}
