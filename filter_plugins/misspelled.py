"""Finds variables that nothing reads, and what was meant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import SequenceMatcher


def misspelled(
    names: Iterable[str], valid: Iterable[str], *, cutoff: float = 0.0, renamed: Mapping[str, str] | None = None
) -> list[str]:
    """Say of each name that is not valid which valid one is closest.

    Args:
        names: names of variables, as somebody wrote them.
        valid: the names that are read.
        cutoff: how alike two names must be, from 0 to 1, for one to be taken for the other; names that are like no
            valid one are left out. What both begin with, up to and with the first ``_``, does not count, since all
            names of a kind share it. 0 lists every name that is not valid.
        renamed: today's names, by those of before.

    Returns:
        One text a name, sorted: ``"my_usr (did you mean my_user?)"``, or ``"my_usr (it is my_user now)"``.
    """
    known = sorted(set(valid))
    found = []
    for name in sorted(set(names) - set(known)):
        if now := (renamed or {}).get(name):
            found.append(f"{name} (it is {now} now)")
            continue
        closest = max(known, key=lambda other: _likeness(name, other), default="")
        if closest and _likeness(name, closest) >= cutoff:
            found.append(f"{name} (did you mean {closest}?)")
    return found


def _likeness(one: str, other: str) -> float:
    prefix, _, rest = one.partition("_")
    other_prefix, _, other_rest = other.partition("_")
    if prefix != other_prefix:
        return 0.0
    # Of two letters that have changed places, the matcher sees one: too little, in a short name.
    swapped = (rest[:at] + rest[at + 1] + rest[at] + rest[at + 2 :] for at in range(len(rest) - 1))
    return 1.0 if other_rest in swapped else SequenceMatcher(None, rest, other_rest).ratio()


class FilterModule:
    """Filters for the preflight role."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Return the filters by name."""
        return {"misspelled": misspelled}
