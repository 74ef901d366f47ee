from __future__ import annotations

from collections.abc import Iterator

import pytest
from cluster import Laptop
from slurm import Slurm


@pytest.fixture(scope="session")
def laptop() -> Laptop:
    return Laptop("compute", "compute", 9882)


@pytest.fixture
def no_job(laptop: Laptop) -> None:
    """Slurm has no job of the account's."""
    ended = laptop.playbook("playbooks/stop.yml", my_end_kernels=True)
    assert ended.returncode == 0, ended.stdout


@pytest.fixture
def in_a_job(laptop: Laptop, slurm: Slurm) -> str:
    """A server runs in a job, one has looked at it, and nobody has started a kernel; the job's number."""
    done = laptop.playbook("site.yml")
    assert done.returncode == 0, done.stdout
    (number,) = slurm.there()
    return number


@pytest.fixture
def slurm(laptop: Laptop) -> Slurm:
    """Slurm's commands as the account runs them."""
    return Slurm(laptop.account)


@pytest.fixture
def neighbour() -> Iterator[Slurm]:
    """The same for another account."""
    other = Slurm("fresh")
    yield other
    other.cancel_all()
