"""Commands in the containers of the test cluster, as root there.

They enter the namespaces of the container's first process, as `podman exec` does, which takes fifty times as long for
it; what is measured, depends on a container's cgroup, or needs a terminal of its own goes through podman.
"""

from __future__ import annotations

import subprocess
from functools import lru_cache
from pathlib import Path

from patience import seconds

#: What `podman exec` gives a command.
ENVIRONMENT = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "container=podman"]


def inside(container: str) -> list[str]:
    """How the command line begins that runs the rest of it in a container; a container that has ended raises."""
    pid, begun = first_process(container)
    if _begun(pid) != begun:
        first_process.cache_clear()
        pid, _ = first_process(container)
    return ["nsenter", "--target", pid, "--all", "env", "--ignore-environment", *ENVIRONMENT]


@lru_cache
def first_process(container: str) -> tuple[str, str]:
    """Return the number of a container's first process on this machine, and when it began."""
    asked = ["podman", "inspect", "--format", "{{.State.Pid}}", container]
    pid = subprocess.run(asked, capture_output=True, text=True, timeout=seconds(60), check=True).stdout.strip()
    return pid, _begun(pid)


def _begun(pid: str) -> str:
    """Return when a process began, in ticks since the machine's start; an empty string where it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""
