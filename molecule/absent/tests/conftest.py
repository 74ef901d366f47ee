from __future__ import annotations

import pytest
from cluster import Laptop


@pytest.fixture(scope="session")
def laptop() -> Laptop:
    """A person whose account has the same past as that of the scenario `default`."""
    laptop = Laptop("absent", "leaver", 9879)
    prepared = laptop.playbook("molecule/default/prepare.yml")
    assert prepared.returncode == 0, prepared.stdout
    return laptop
