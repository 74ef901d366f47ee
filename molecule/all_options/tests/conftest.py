from __future__ import annotations

import pytest
from cluster import Laptop


@pytest.fixture(scope="session")
def laptop() -> Laptop:
    laptop = Laptop("all_options", "vivid", 9880)
    laptop.authority = laptop.folder / "authority" / "ca.crt"
    return laptop
