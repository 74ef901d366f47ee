"""How kernels talk to the server, whatever an old configuration says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jupyter_cluster_kernels import ClusterKernelManager
from traitlets.config import Config


def manager(folder: Path, **session: Any) -> ClusterKernelManager:
    made = ClusterKernelManager(config=Config({"Session": session}))
    made.connection_file = str(folder / "kernel-1.json")
    return made


@pytest.mark.parametrize("session", [{}, {"key": b""}, {"key": b"known"}])
def test_messages_are_signed_by_a_key_of_the_kernel_s_own(tmp_path: Path, session: dict[str, Any]) -> None:
    keys = [manager(tmp_path, **session).session.key for _ in range(2)]
    assert keys[0] != keys[1]
    assert all(len(key) == 64 for key in keys)


def test_no_kernel_starts_where_others_can_write(tmp_path: Path) -> None:
    place = tmp_path / "place"
    kernel = manager(place)
    with pytest.raises(FileNotFoundError):
        kernel.write_connection_file()
    place.mkdir(0o777)
    place.chmod(0o777)
    with pytest.raises(PermissionError, match="is not private: no kernel starts there"):
        kernel.write_connection_file()
    assert list(place.iterdir()) == []
    place.chmod(0o700)
    kernel.write_connection_file()
    assert [file.name for file in place.iterdir()] == ["kernel-1.json"]
