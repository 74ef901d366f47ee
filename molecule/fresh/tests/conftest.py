from __future__ import annotations

import pytest
from cluster import Laptop


@pytest.fixture(scope="session")
def laptop() -> Laptop:
    return Laptop("fresh", "fresh", 9877)


@pytest.fixture
def stopped(laptop: Laptop) -> None:
    """A server is set up, and none runs."""
    if laptop.server():
        assert laptop.playbook("playbooks/stop.yml", screen_session_end_busy=True).returncode == 0
        assert laptop.server() == ""


@pytest.fixture
def running(laptop: Laptop) -> str:
    """A server runs; its process number."""
    if not laptop.server():
        assert laptop.playbook("site.yml").returncode == 0
    return laptop.server()
