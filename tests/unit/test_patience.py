"""Every wait of the tests has the factor for slow machines."""

from __future__ import annotations

import ast
import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest
from variables import PROJECT

TESTS = sorted([*PROJECT.glob("tests/**/*.py"), PROJECT / "tests" / "run", *PROJECT.glob("molecule/*/tests/*.py")])
PLAYBOOKS = sorted(PROJECT.glob("molecule/**/*.yml"))


def unscaled(source: str) -> Iterator[int]:
    """Find the lines with a number where a wait or a limit is: no call of `seconds`."""
    for node in ast.walk(ast.parse(source)):
        limits: list[ast.expr] = []
        if isinstance(node, ast.Call):
            limits = [keyword.value for keyword in node.keywords if keyword.arg == "timeout"]
            # A thread's or a process's, where that of a string takes other strings.
            if isinstance(node.func, ast.Attribute) and node.func.attr in {"join", "wait"}:
                limits += node.args
        elif isinstance(node, ast.BinOp | ast.Compare) and "time.monotonic()" in ast.unparse(node):
            limits = [node.right, node.left] if isinstance(node, ast.BinOp) else [node.left, *node.comparators]
        yield from (limit.lineno for limit in limits if isinstance(limit, ast.Constant) and _is_number(limit.value))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("run(command, timeout=60)", True),
        ("run(command, timeout=seconds(60))", False),
        ("run(command, timeout=None)", False),
        ("deadline = time.monotonic() + 20", True),
        ("deadline = time.monotonic() + seconds(20)", False),
        ("assert time.monotonic() - begun < 2.5", True),
        ("assert time.monotonic() - begun < LIMIT", False),
        ("thread.join(5)", True),
        ("', '.join(names)", False),
        ("refusal(screen_session_timeout=1)", False),
    ],
)
def test_a_number_is_found(source: str, found: bool) -> None:
    assert bool(list(unscaled(source))) == found


def test_the_factor_is_the_environment_s(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, factor, product in (("5", 5, {"my_patience": 5}), ("", 1, {})):
        monkeypatch.setenv("JUPYTER_TEST_PATIENCE", given)
        read = runpy.run_path(str(PROJECT / "tests" / "support" / "patience.py"))
        assert read["seconds"](2) == 2 * factor
        assert read["SLOWLY"] == product


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_wait_of_a_test_has_the_factor(path: Path) -> None:
    lines = sorted(set(unscaled(path.read_text())))
    assert lines == [], f"seconds(N) instead of N, in lines {lines}"


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_wait_of_the_test_cluster_has_the_factor(path: Path) -> None:
    assert re.findall(r"^ *(?:timeout|delay|retries): *[\"']?\d.*", path.read_text(), re.M) == []
