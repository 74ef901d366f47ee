"""How the node's programs are run: openssl, and what keeps a server alive."""

from __future__ import annotations

import os
import subprocess
from typing import Any

#: What a program that the system's loader does not start gets as LD_LIBRARY_PATH: the one that modules have set.
LIBRARY_PATH: list[str] = []
#: The exit status of the system's loader, where it does not find a library.
NOT_LOADED = 127


def run(words: list[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run a program; one that needs the libraries of its module, with them.

    Others go without: what they start would have them, too.
    """
    done = subprocess.run(words, check=False, **options)
    if done.returncode == NOT_LOADED and LIBRARY_PATH:
        options["env"] = {**(options.get("env") or os.environ), "LD_LIBRARY_PATH": LIBRARY_PATH[0]}
        done = subprocess.run(words, check=False, **options)
    return done
