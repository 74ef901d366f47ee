from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster import Laptop, engine, node_home
from patience import seconds


@pytest.fixture(scope="session")
def laptop() -> Laptop:
    return Laptop("refuse", "picky", 9878)


def here(laptop: Laptop) -> dict[str, bytes]:
    """What the laptop has of ours, and the person's ssh_config."""
    files = [laptop.ssh_config, *(path for path in laptop.folder.rglob("*") if path.is_file())]
    return {str(path): path.read_bytes() for path in files}


@pytest.fixture(scope="session", autouse=True)
def acquainted(laptop: Laptop) -> None:
    """The ssh blocks are written: a first run has come as far as the password, and there was none."""
    refused = laptop.playbook("site.yml", my_password="", env={"JUPYTER_CLUSTER_PASSWORD": ""})
    assert "The server needs a password, and none was given." in " ".join(refused.stdout.split())


@pytest.fixture
def refusal(laptop: Laptop) -> Iterator[Callable[..., str]]:
    """Run site.yml with bad input; return the message, once it is seen that nothing has changed, there and here."""
    before = node_home("picky"), here(laptop)

    def run(*options: str, environment: dict[str, str] | None = None, **variables: Any) -> str:
        begun = time.monotonic()
        env = {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", "JUPYTER_CLUSTER_PASSWORD": "", **(environment or {})}
        done = laptop.playbook("site.yml", *options, env=env, **variables)
        took = time.monotonic() - begun
        # Two connections that time out, 4 s each; and the rest is measured by the engine where a machine is slow.
        assert took < seconds(12) or took < seconds(8) + 12 * engine()
        assert done.returncode != 0, done.stdout
        report = json.loads(done.stdout[done.stdout.index("{\n") :].rsplit("}", 1)[0] + "}")
        results = [result for play in report["plays"] for task in play["tasks"] for result in task["hosts"].values()]
        failed = next(result for result in reversed(results) if result.get("failed"))
        message = str(next((item for item in failed.get("results", []) if item.get("failed")), failed)["msg"])
        assert "\n" not in message
        return message

    yield run
    assert (node_home("picky"), here(laptop)) == before


@pytest.fixture
def ssh_config(laptop: Laptop) -> Iterator[Callable[[str], dict[str, str]]]:
    """Make another ssh_config, which begins with some lines, and a folder without open connections."""

    # Its name is short, as that of pytest's folders is not.
    folder = Path(tempfile.mkdtemp(prefix="picky-"))

    def make(lines: str) -> dict[str, str]:
        config = folder / "ssh_config"
        original = laptop.ssh_config.read_text()
        config.write_text(lines + "Host *\n" + original[original.index("# BEGIN of the test cluster") :])
        return {"my_ssh_config": str(config), "my_folder": str(folder / "jupyter")}

    yield make
    for connection in (folder / "jupyter" / "cm").glob("*"):
        subprocess.run(
            ["ssh", "-S", connection, "-O", "exit", "any"], capture_output=True, timeout=seconds(10), check=False
        )
    shutil.rmtree(folder)


@pytest.fixture
def stranger_s_key(tmp_path: Path) -> Path:
    """A key that the cluster does not know."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    return key
