"""Compares the clocks of laptop and node, and says how long a wait may take."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any


def clock_difference(facts: Mapping[str, Any]) -> str:
    """Say how far a node's clock is ahead of this machine's, or behind, as far as that can be known.

    Args:
        facts: of the probe, in whole seconds: ``asked`` and ``answered`` by this machine's clock, and ``time`` and
            ``ended``, by the node's, which lie between them.

    Returns:
        The difference and its uncertainty, however long the way, or a busy machine, took.
    """
    # A whole second stands for all that follows it, up to the next one.
    least, most = facts["ended"] - (facts["answered"] + 1), facts["time"] + 1 - facts["asked"]
    if least <= 0 <= most:
        return f"as this machine's, to {max(-least, most)} s"
    if least > 0:
        return f"{least} to {most} s ahead of this machine"
    return f"{-most} to {-least} s behind this machine"


def with_patience(seconds: float, patience: Any) -> int:
    """Say how long a wait may take.

    Args:
        seconds: how long at most on a usual machine, node and network.
        patience: how many times longer here, from ``my_patience``: a number, or one in words, as the command line has
            it. Until ``preflight`` has refused it, what is no number counts as 1.

    Returns:
        Whole seconds, not fewer.
    """
    try:
        return math.ceil(float(seconds) * float(patience))
    except (OverflowError, TypeError, ValueError):
        return math.ceil(float(seconds))


class FilterModule:
    """Filters for time."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"clock_difference": clock_difference, "with_patience": with_patience}
