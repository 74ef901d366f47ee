"""What else brings a notebook from the node to the laptop: jupyter-forward, and a script written by hand."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from laptop import GATE, NODE, PLACE, PROJECT, Laptop, node, verified

#: What it calls a browser: it notes when.
BROWSER = """\
#!/bin/sh
date +%s.%N >"$0.opened"
"""


def _end(account: str) -> None:
    node(f"pkill -u {account}; sleep 0.5; pkill -KILL -u {account}; true")


@contextlib.contextmanager
def jupyter_forward(laptop: Laptop) -> Iterator[float]:
    """Run jupyter-forward until it opens the browser: how long that takes, in seconds.

    It ends with "Could not activate environment" unless it is given an environment; the module's own `activate` serves.
    It reads no ProxyCommand that our cluster's configuration has for hosts that are not there, and needs the jump said.
    """
    home = PLACE / "laptops" / "rival"
    theirs = Laptop(laptop.port, "rival").ssh_config.read_text()
    theirs = re.sub(r"(?ms)^ *Host \* !gate.*?exit 1'\n", "", theirs).replace("BindAddress 127.0.0.1", "")
    theirs = theirs.replace(f"Host {NODE}\n", f"Host {NODE}\n    ProxyJump {GATE}\n")
    (home / ".ssh").mkdir(exist_ok=True)
    (home / ".ssh" / "config").write_text(theirs)
    shutil.copy(PLACE / "known_hosts", home / ".ssh" / "known_hosts")
    node("grep -qs anaconda ~rival/.bash_profile || echo 'module load anaconda/3' >>~rival/.bash_profile")
    browser = home / "browser"
    browser.write_text(BROWSER)
    browser.chmod(0o755)
    opened = browser.with_name("browser.opened")
    opened.unlink(missing_ok=True)
    begun = time.time()
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            [PROJECT / ".venv-bench" / "bin" / "jupyter-forward", NODE, "--port", "8888", "--conda-env", "base"],
            env={**os.environ, "HOME": str(home), "BROWSER": str(browser)},
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        while not (opened.exists() and opened.read_text().strip()):
            if process.poll() is not None or time.time() > begun + 90:
                raise RuntimeError(f"jupyter-forward did not open a browser:\n{(home / 'log').read_text()}")
            time.sleep(0.02)
        yield float(opened.read_text()) - begun
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        _end("rival")


@contextlib.contextmanager
def by_hand(laptop: Laptop) -> Iterator[float]:
    """Do the tutorial's steps by bench/by_hand.sh, until the server answers: how long that takes, in seconds."""
    theirs = Laptop(laptop.port, "hand")
    ssh = ["ssh", "-F", str(theirs.ssh_config), "-o", f"ControlPath={theirs.folder}/%h"]
    begun = time.monotonic()
    try:
        said = subprocess.run(
            [*ssh, "-J", GATE, "-o", "ControlMaster=auto", "-o", "ControlPersist=60", NODE, "bash -ls"],
            stdin=(PROJECT / "bench" / "by_hand.sh").open(), capture_output=True, text=True, check=True, timeout=90,
        ).stdout  # fmt: skip
        authority = Path(theirs.folder / "server.pem")
        authority.write_text(said[said.index("-----BEGIN") :])
        forward = ["-O", "forward", "-L", "9875:/home/hand/by-hand/sock", NODE]
        subprocess.run([*ssh, *forward], check=True, capture_output=True, timeout=30)
        while True:
            try:
                verified(9875, authority)
                break
            except OSError:
                if time.monotonic() > begun + 60:
                    raise
                time.sleep(0.1)
        yield time.monotonic() - begun
    finally:
        subprocess.run([*ssh, "-O", "exit", NODE], capture_output=True, timeout=30, check=False)
        _end("hand")
        node("rm -rf ~hand/by-hand")
