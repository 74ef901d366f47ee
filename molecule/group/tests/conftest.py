from __future__ import annotations

import pytest
from cluster import Laptop


class Member(Laptop):
    """One of the group, with files, a port and a password of their own."""

    def __init__(self, number: int) -> None:
        super().__init__("group", f"member{number}", 9893 + number)
        self.password = f"correct horse {self.account}"
        self.here = {
            "my_ssh_config": str(self.ssh_config), "my_folder": str(self.folder), "my_port": 9893 + number,
            "my_password": self.password,
        }  # fmt: skip


@pytest.fixture(scope="session")
def group() -> list[Member]:
    return [Member(number) for number in range(1, 6)]
