from __future__ import annotations

import pytest
from cluster import Laptop


@pytest.fixture(scope="session")
def laptop() -> Laptop:
    return Laptop("absent", "leaver", 9879)
