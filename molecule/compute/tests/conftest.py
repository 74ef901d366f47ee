from __future__ import annotations

from collections.abc import Iterator

import pytest
from cluster import Laptop
from slurm import Slurm


@pytest.fixture(scope="session")
def laptop() -> Laptop:
    return Laptop("compute", "compute", 9882)


@pytest.fixture
def slurm(laptop: Laptop) -> Iterator[Slurm]:
    """Slurm's commands as the account runs them; nothing of its jobs is left."""
    own = Slurm(laptop.account)
    yield own
    own.cancel_all()


@pytest.fixture
def neighbour() -> Iterator[Slurm]:
    """The same for another account."""
    other = Slurm("fresh")
    yield other
    other.cancel_all()
