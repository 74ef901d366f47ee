"""A run that changes nothing does little: so it is quick everywhere."""

from __future__ import annotations

from cluster import Laptop
from counts import count


def test_a_run_that_changes_nothing(laptop: Laptop) -> None:
    counted = count(laptop, "site.yml")
    assert counted.tasks <= 14
    assert len(counted.commands) == 1, counted.commands
    assert len(counted.programs) <= 6, counted.programs


def test_connect_with_everything_open(laptop: Laptop) -> None:
    counted = count(laptop, "playbooks/connect.yml", my_browser=False)
    assert counted.tasks <= 12
    assert len(counted.commands) == 1, counted.commands
    assert len(counted.programs) <= 6, counted.programs


def test_status_of_one_cluster(laptop: Laptop) -> None:
    counted = count(laptop, "playbooks/status.yml")
    assert counted.tasks <= 8
    assert len(counted.commands) == 1, counted.commands
    assert len(counted.programs) <= 6, counted.programs
