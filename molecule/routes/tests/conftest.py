from __future__ import annotations

import pytest
from cluster import Laptop


@pytest.fixture(scope="session", params=["direct", "hops"])
def laptop(request: pytest.FixtureRequest) -> Laptop:
    """A person with the inventory of one of the clusters."""
    return Laptop("routes", "roamer", {"direct": 9892, "hops": 9893}[request.param], cluster=request.param)
