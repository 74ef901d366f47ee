from __future__ import annotations

import pytest
from cluster import Laptop
from states import running as running
from states import stopped as stopped


@pytest.fixture(scope="session")
def laptop() -> Laptop:
    return Laptop("fresh", "fresh", 9877)
