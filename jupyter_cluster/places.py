"""Where the playbooks are, and where the clusters are written down."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

#: Names an inventory, as `-i` does.
VARIABLE = "JUPYTER_CLUSTER_INVENTORY"


def project() -> Path:
    """Return the folder with site.yml: that of the checkout, or the one that a wheel has brought along."""
    package = Path(__file__).resolve().parent
    brought = package / "project"
    return brought if brought.is_dir() else package.parent


def own_inventory() -> Path:
    """Return the person's inventory: `~/.config/jupyter-cluster/inventory`, or else that of the checkout.

    The first may be a link to a group's. Without a checkout, it is the one that is made.
    """
    chosen = _configuration() / "jupyter-cluster" / "inventory"
    checkout = project() / "inventory"
    return chosen if chosen.exists() or not checkout.is_dir() else checkout


def inventories(given: Sequence[str]) -> list[Path]:
    """Return the inventories that count.

    Args:
        given: those of the command line; without one, that of the environment; without that, the person's own.
    """
    named = list(given) or [os.environ.get(VARIABLE, "")]
    return [Path(name).expanduser() for name in named if name] or [own_inventory()]


def _configuration() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
