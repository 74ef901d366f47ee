"""What a job is asked for, as words for sbatch: never as text of a script."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple


class _Wish(NamedTuple):
    """One thing that a job can be asked for: sbatch's option, the form of its value, and what that is, in words."""

    option: str
    form: str
    but: str


#: The shortest time of a job, in seconds: `sbatch --signal` ends the server a minute before its end.
LEAST = 120
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.,@+-]{0,200}"
_WISHES = {
    "time": _Wish("--time", r"(?:\d{1,3}-)?\d{1,4}(?::\d{2}){0,2}", "a time in quotes, such as '2:00:00' or '1-12'"),
    "cpus": _Wish("--cpus-per-task", r"[1-9]\d{0,4}", "a number of CPUs"),
    "memory": _Wish("--mem", r"[1-9]\d{0,9}[KMGT]?", "a size, such as 16G"),
    "gres": _Wish("--gres", r"[A-Za-z][A-Za-z0-9_:.,=-]{0,200}", "as in gpu:1"),
    "partition": _Wish("--partition", _NAME, "a partition's name, as `sinfo` lists them"),
    "account": _Wish("--account", _NAME, "an account's name"),
    "qos": _Wish("--qos", _NAME, "the name of a quality of service"),
    "constraint": _Wish("--constraint", r"[A-Za-z0-9_(\[][A-Za-z0-9_&|*()\[\],.!-]{0,200}", "features of nodes"),
    "reservation": _Wish("--reservation", _NAME, "a reservation's name"),
}
#: What this project says itself, what has a name of its own, and what would make something else of a job.
_OURS = (
    "job-name", "output", "error", "input", "dependency", "signal", "chdir", "open-mode", "parsable", "requeue",
    "no-requeue", "array", "wrap", "nodes", "ntasks", "ntasks-per-node", "test-only", "export", "export-file",
    "wait", "hold", "batch", "clusters", "uid", "gid", "quiet", "help", "usage", "version", "time",
    "cpus-per-task", "mem", "gres", "partition", "account", "qos", "constraint", "reservation",
)  # fmt: skip


def _problem(name: str, value: object) -> str:
    """Say what is wrong with a wish; nothing where it is right."""
    if name == "options":
        return _options_problem(value)
    if name not in _WISHES:
        return f"is no wish: {', '.join([*_WISHES, 'options'])} are."
    wish = _WISHES[name]
    if name == "time" and not isinstance(value, str):
        # YAML reads 2:00:00 as a number, of seconds, and Slurm a number as minutes.
        return f"is no text: it is {wish.but}."
    if isinstance(value, bool) or not isinstance(value, str | int) or not re.fullmatch(wish.form, str(value)):
        return f"is not right: it is {wish.but}."
    if name == "time" and _seconds(str(value)) < LEAST:
        return f"is too short: the server ends a minute before, so it is {LEAST // 60} minutes at least."
    return ""


def _seconds(time: str) -> int:
    """Return what Slurm makes of a time: M, M:S, H:M:S, or with days D-H, D-H:M, D-H:M:S."""
    days, dash, rest = time.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    if dash:
        hours, minutes, seconds = [*parts, 0, 0][:3]
    else:
        hours, minutes, seconds = ([0, *parts, 0] if len(parts) < 3 else parts)[:3]
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds


def _options_problem(value: object) -> str:
    if isinstance(value, str) or not isinstance(value, Sequence):
        return "is no list: it is a list of sbatch's options, each as --name or --name=value."
    for word in map(str, value):
        if not re.fullmatch(r"--[a-z][a-z0-9-]*(=[^\x00-\x1f\x7f]{1,1000})?", word):
            return f"has {word!r}: each is one of sbatch's options, as --name or --name=value."
        # sbatch takes the beginning of an option's name for it.
        if any(option.startswith(word[2:].partition("=")[0]) for option in _OURS):
            return f"has {word!r}, which this project says by itself, or which has a name of its own here."
    return ""


def slurm_refusals(wishes: Any, name: str) -> list[str]:
    """Say what is wrong with the wishes for a job.

    Args:
        wishes: a dictionary of wishes; of ``time``, ``cpus``, ``memory``, ``gres``, ``partition``, ``account``,
            ``qos``, ``constraint``, ``reservation``, and ``options``, a list of words for sbatch.
        name: the name of the variable, for the sentences.

    Returns:
        A sentence for each wish that is wrong.
    """
    if not isinstance(wishes, Mapping):
        return [f"{name} is no dictionary: it has wishes such as time: '2:00:00'."]
    problems = {str(key): _problem(str(key), value) for key, value in wishes.items()}
    return [f"{name}.{key} {problem}" for key, problem in problems.items() if problem]


def slurm_words(wishes: Mapping[str, Any]) -> list[str]:
    """Return what a job is asked for as words for sbatch.

    Args:
        wishes: as ``slurm_refusals`` has found nothing wrong with them.

    Returns:
        Words such as ``--time=2:00:00``, in a fixed order.
    """
    words = [f"{wish.option}={wishes[name]}" for name, wish in _WISHES.items() if name in wishes]
    return words + [str(word) for word in wishes.get("options", [])]


class FilterModule:
    """Filters for the slurm_job role."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"slurm_refusals": slurm_refusals, "slurm_words": slurm_words}
