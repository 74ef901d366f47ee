"""Run a command for so many seconds at most, without an input: within.py SECONDS COMMAND...

macOS has no `timeout`, and Ansible's own counts the start of a module too, and fails a task that may fail.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys


def main() -> int:
    """Return the command's exit status, or that of timeout(1)."""
    seconds, *command = sys.argv[1:]
    # A session of its own, so that its proxies end with it.
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        return process.wait(float(seconds))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        print(f"no answer within {seconds} s", file=sys.stderr)
        return 124


if __name__ == "__main__":
    sys.exit(main())
