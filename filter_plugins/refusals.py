"""Says which values a role cannot work with, before anything looks at them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.template import accept_args_markers

#: Of a value that is shown, not more characters than that.
_SHOWN = 200
#: No sign, no leading zero, which Python and C read otherwise, and no other script's digits.
_INTEGER = re.compile(r"0|[1-9][0-9]{0,8}")
_FLOAT = re.compile(r"(?:0|[1-9][0-9]{0,8})(?:[.][0-9]{1,9})?")

#: Of a bound, what another option may take over.
_SHARED = {"form", "only", "keys", "least", "most", "unit", "user", "but"}

Spec = Mapping[str, Any]


class _Fault(NamedTuple):
    """What of a value is wrong, and why: `is` the value itself, or it `has` this in it."""

    verb: str
    value: object
    but: str


def refusals(
    values: Mapping[str, Any],
    options: Mapping[str, Spec],
    bounds: Mapping[str, Any],
    group_vars: str = "inventory/group_vars",
) -> list[str]:
    """Say of each value that is not what its option takes, what it is, and what it has to be.

    Args:
        values: the values of the variables that are set, by name.
        options: the options, by name, as a role's argument spec has them.
        bounds: what an argument spec cannot say, by name: `form`, a regular expression for all of a text, of each
            element of a list, or of each text in a dictionary of lists; `keys`, one for a dictionary's keys; `only`,
            of what is no option of ours, the values that do no harm; `least` and `most`, for numbers, with their
            `unit`; `user`, of the hosts on a way, the form of a user's name; `called`, the name for people; `but`, what
            is wrong with another value; `remedy`; `absent`, what to say where it has to be set, and is not. Or, for all
            of that but name and remedy, another option's name.
        group_vars: the folder with the user's choices for one cluster, as a remedy has it for ``{group_vars}``.

    Returns:
        A line for each, in the order of the bounds. A text is one line of what can be seen, whatever its form is.
    """
    cluster, node = (str(values.get(name, "")) for name in ("cluster_name", "inventory_hostname"))
    found = []
    for name, own in bounds.items():
        bound = {key: bounds[own][key] for key in _SHARED & set(bounds[own])} if isinstance(own, str) else own
        called, value = bound.get("called", name), values.get(name)
        if "absent" in bound and value in (None, ""):
            problem, rest = name, f" {bound['absent']}"
        elif name in values and value is None:
            problem, rest = f"{called} has no value", ": give it one, or leave it out."
        elif name in values and (fault := _fault(name, _plain(value), options.get(name) or _spec(bound), bound)):
            problem = f"{called} {fault.verb} {_shown(fault.value)}" if fault.verb else ""
            rest = f"{fault.but} {bound.get('remedy', '')}".rstrip()
        else:
            continue
        for key, text in (("{cluster}", cluster), ("{node}", node), ("{group_vars}", group_vars)):
            rest = rest.replace(key, text)
        found.append(problem + rest)
    return found


@accept_args_markers  # type: ignore[untyped-decorator]  # Ansible has no types.
def unreadable(names: Sequence[str], variables: Mapping[str, Any]) -> list[str]:
    """Say of each variable whose value Ansible cannot work out, why: a template's name, or its form, is wrong.

    Args:
        names: the names of the variables.
        variables: the host's, as ``hostvars`` has them.

    Returns:
        A line for each, in the order of the names.
    """
    found = []
    for name in names:
        try:
            _plain(variables[name])
        # Whatever a template may raise.
        except Exception as error:
            why = re.sub(
                r"^(.*?tripped: )?((Error rendering|Syntax error in) template: )?", "", " ".join(str(error).split())
            )
            found.append(
                f"{name} cannot be worked out: {why.rstrip('.')}. Ansible takes {{{{, {{% and {{# in a value for its "
                "own; where that is meant as it stands, write !unsafe before the value."
            )
    return found


def _spec(bound: Spec) -> Spec:
    """Say what a variable is that is no option of ours."""
    return {"type": "int" if "least" in bound else "str", "choices": bound.get("only", ())}


def _plain(value: object) -> object:
    """Take Ansible's tags off, and let it template what is in lists and dictionaries; what it cannot raises."""
    if hasattr(value, "trip"):
        value.trip()
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_plain(item) for item in value]
    return value


def _shown(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _fault(name: str, value: object, option: Spec, bound: Spec) -> _Fault | None:
    kind = option["type"]
    if kind == "list":
        return _first(_of_list(value, option, bound))
    if kind == "dict":
        return _first(_of_dict(value, option, bound))
    if "user" in bound:
        return _first(_of_way(value, bound))
    if kind == "bool":
        if _is_bool(value):
            return None
        said = f"argument '{name}' is of type {type(value).__name__} and we were unable to convert to bool: "
        return _Fault("", value, f"{said}{_shown(value)} is neither true nor false.")
    but = _wrong(value, kind, option.get("choices", ()), bound)
    return None if but is None else _Fault("is", value, but)


def _first(faults: Iterator[_Fault]) -> _Fault | None:
    return next(faults, None)


def _of_list(value: object, option: Spec, bound: Spec) -> Iterator[_Fault]:
    choices = option.get("choices", ())
    what = f": it is a list of {_listed(choices, 'and')}." if choices else ": it is a list."
    if not isinstance(value, list):
        yield _Fault("is", value, what)
        return
    for item in value:
        if (but := _wrong(item, option["elements"], choices, {"but": what, **bound})) is not None:
            yield _Fault("has", item, what if choices else but)


def _of_dict(value: object, option: Spec, bound: Spec) -> Iterator[_Fault]:
    if not isinstance(value, dict):
        yield _Fault("is", value, ": it is a dictionary.")
        return
    for key, spec in option.get("options", {}).items():
        wrong = _wrong(value.get(key), spec["type"], spec.get("choices", ()), {"form": bound["form"]})
        if wrong is not None:
            yield _Fault("has", {key: value.get(key)}, wrong)
    if "options" in option or "keys" not in bound:
        return
    for key, items in value.items():
        right = (
            _wrong(key, "str", (), {"form": bound["keys"]}) is None
            and isinstance(items, list)
            and len(items) > 0
            and all(_wrong(item, "str", (), bound) is None for item in items)
        )
        if not right:
            yield _Fault("has", key, f": {_shown(items)}{bound.get('but', '.')}")


def _of_way(value: object, bound: Spec) -> Iterator[_Fault]:
    """Judge a host's name, or a list of hops: names, or dictionaries of `host`, `user` and `port`."""
    if not isinstance(value, list):
        if _wrong(value, "str", (), bound) is not None:
            yield _Fault("is", value, str(bound["but"]))
        return
    for hop in value:
        said = hop if isinstance(hop, dict) else {"host": hop}
        right = (
            set(said) <= {"host", "user", "port"}
            and _wrong(said.get("host"), "str", (), bound) is None
            and ("user" not in said or _wrong(said["user"], "str", (), {"form": bound["user"]}) is None)
            and ("port" not in said or _wrong(said["port"], "int", (), {"least": 1, "most": 65535}) is None)
        )
        if not right:
            yield _Fault("has", hop, str(bound["but"]))


def _is_bool(value: object) -> bool:
    try:
        boolean(value)
    except TypeError:
        return False
    return True


def _wrong(value: object, kind: str, choices: Sequence[str], bound: Spec) -> str | None:
    """Say what is wrong with one text or number."""
    if choices:
        return None if value in choices else str(bound.get("but") or f": it is {_listed(choices, 'or')}.")
    if kind in ("int", "float"):
        unit = f" of {bound['unit']}" if "unit" in bound else ""
        number = _number(value, _INTEGER if kind == "int" else _FLOAT)
        right = number is not None and bound["least"] <= number <= bound["most"]
        what = f": it is a number{unit} from {bound['least']} to {bound['most']}."
        return None if right else str(bound.get("but", what))
    if not isinstance(value, str):
        return ": it is text, so write it in quotes."
    if value.isprintable() and re.fullmatch(bound["form"], value):
        return None
    return str(bound.get("but", ": it has another form."))


def _number(value: object, form: re.Pattern[str]) -> float | None:
    if isinstance(value, str):
        return float(value) if form.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and (form is _INTEGER or not math.isfinite(value)):
        return None
    return value


def _listed(choices: Sequence[str], word: str) -> str:
    *first, last = choices
    return f"{', '.join(first)} {word} {last}" if first else last


class FilterModule:
    """Filters for the preflight role."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Return the filters by name."""
        return {"refusals": refusals, "unreadable": unreadable}
