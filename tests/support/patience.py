"""One factor for all that a test waits for: JUPYTER_TEST_PATIENCE, how many times as slow as usual a machine is."""

from __future__ import annotations

import os

PATIENCE = float(os.environ.get("JUPYTER_TEST_PATIENCE") or "1")
#: The product's own factor, for people whom the tests play; without one on a usual machine, as most people are.
SLOWLY = {} if PATIENCE == 1 else {"my_patience": PATIENCE}


def seconds(usual: float) -> float:
    """Return how long something may take here that takes at most so long on a usual machine."""
    return usual * PATIENCE
