"""The relay into a job goes on where it can write nothing down."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from patience import seconds
from variables import PROJECT

PROGRAM = PROJECT / "roles" / "jupyter_config" / "files" / "jupyter_cluster_relay.py"


def test_a_full_disk_is_no_end_of_it(tmp_path: Path) -> None:
    """It says so where no job is wanted, and that it cannot be noted is no error."""
    shutil.copy(PROGRAM, tmp_path)
    own = tmp_path / "run" / "relay"
    own.mkdir(parents=True)
    for name in (own / "log", tmp_path / "run" / "session"):
        name.symlink_to("/dev/full")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, tmp_path / PROGRAM.name, tmp_path / "run" / "x.sock"],
            stdout=full, stderr=subprocess.PIPE, timeout=seconds(20), check=False, text=True,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
