"""What a whole hash of a password is: for the server, which lets in by it, and for whoever looks whether there is one.

It lies beside the identity provider, and goes with the program that looks (`roles/login_node/files/node`).
"""

from __future__ import annotations

import os
import re
import stat

#: A whole hash, and what it costs: memory in KiB, passes, and lanes.
HASH = re.compile(
    r"argon2:\$argon2id\$v=19\$m=([1-9][0-9]{0,8}),t=([1-9][0-9]{0,8}),p=([1-9][0-9]{0,8})"
    r"\$[A-Za-z0-9+/]{21}[AQgw]\$[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]\n?"
)
#: What it may cost. Jupyter's own cost is 10240, 10 and 8.
MOST_MEMORY, MOST_WORK, MOST_LANES = 128 * 1024, 2 * 1024 * 1024, 64


def read_private(path: str, longest: int) -> str:
    """Return the text of a small file; nothing but a file is waited for, and no link is followed."""
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is no file")
        content = file.read(longest + 1)
    if len(content) > longest:
        raise ValueError(f"it has more than {longest} bytes")
    return content.decode("ascii")


def whole_hash(path: str) -> str:
    """Return the hash in a file; ValueError or OSError where it is not whole, or of no bounded cost."""
    whole = HASH.fullmatch(read_private(path, 512))
    if not whole:
        raise ValueError("it has no whole hash")
    memory, passes, lanes = map(int, whole.groups())
    if not 1 <= lanes <= MOST_LANES or not 8 * lanes <= memory <= MOST_MEMORY or not 1 <= passes <= MOST_WORK // memory:
        raise ValueError("its hash costs too much, or too little")
    return whole.group().rstrip("\n")
