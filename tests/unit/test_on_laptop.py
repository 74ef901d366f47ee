"""What runs on the laptop is bounded, and leaves nothing behind."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from on_laptop import NOT_FOUND, TIMED_OUT, run
from patience import seconds


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo out; echo err >&2", (0, "out\n", "err\n")),
        ("exit 3", (3, "", "")),
        # There is no input, so nothing waits for one.
        ("cat; echo done", (0, "done\n", "")),
        (r"printf '\377'", (0, "\ufffd", "")),
    ],
)
def test_what_it_prints(script: str, said: tuple[int, str, str]) -> None:
    assert run(["sh", "-c", script], seconds(20)) == said


def test_what_takes_too_long_ends_with_all_that_it_started() -> None:
    begun = time.monotonic()
    status, printed, error = run(["sh", "-c", "sleep 60 & echo $!; wait"], 0.5)
    assert time.monotonic() - begun < seconds(20)
    assert (status, error) == (TIMED_OUT, "no answer within 0.5 s\n")
    child = int(printed)
    deadline = time.monotonic() + seconds(5)
    state = Path(f"/proc/{child}/stat")
    while state.exists() and " Z " not in state.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_it_leaves_in_the_background_goes_on() -> None:
    status, printed, _ = run(["sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"], seconds(20))
    assert status == 0
    os.kill(int(printed), 0)
    os.kill(int(printed), 15)


def test_what_stays_in_the_background_with_its_output_is_not_waited_for() -> None:
    """As ssh's own connection does, which `-v` lets keep it."""
    begun = time.monotonic()
    status, printed, error = run(["sh", "-c", "setsid sleep 60 & echo $!"], seconds(20))
    assert (status, error) == (0, "")
    assert time.monotonic() - begun < seconds(15)
    os.kill(int(printed), 15)


def test_what_is_not_there() -> None:
    assert run([f"{sys.prefix}/no/such/program"], 1)[0] == NOT_FOUND
