"""Fixtures of a scenario with one server: whether it runs. A conftest.py that has a `laptop` takes them over."""

from __future__ import annotations

import pytest
from cluster import Laptop


@pytest.fixture
def stopped(laptop: Laptop) -> None:
    """A server is set up, and none runs: not by `stop`, which is tested by itself and takes some seconds."""
    laptop.end_server()


@pytest.fixture
def running(laptop: Laptop) -> str:
    """A server runs; its process number."""
    if not laptop.server():
        done = laptop.playbook("site.yml")
        assert done.returncode == 0, done.stdout
    return laptop.server()
