"""Fixtures of a scenario with one server: whether it runs. A conftest.py that has a `laptop` takes them over."""

from __future__ import annotations

import pytest
from cluster import Laptop


@pytest.fixture
def stopped(laptop: Laptop) -> None:
    """A server is set up, and none runs."""
    if laptop.servers():
        ended = laptop.playbook("playbooks/stop.yml", screen_session_end_busy=True)
        assert ended.returncode == 0, ended.stdout
        assert laptop.servers() == []


@pytest.fixture
def running(laptop: Laptop) -> str:
    """A server runs; its process number."""
    if not laptop.server():
        done = laptop.playbook("site.yml")
        assert done.returncode == 0, done.stdout
    return laptop.server()
