"""Write and remove what is in the project's folder on the node: COMMAND FOLDER, and DATA beside it.

    write    files, secrets: {NAME: CONTENT}, programs: [NAME], check, diff; makes the folder private, and what is in it
    request  openssl, leftovers: a new key and a request for its certificate, in a set of their own, and no other set
    place    openssl, set, certificate, authority: puts that set in its place
    remove   names: takes these away

Each prints one JSON object. `write` says `changed`, a list of paths, and `diff`. Where something cannot be done, one
line says why, and the exit status is 1.
"""

from __future__ import annotations

import sys

# Not from the home directory, where a file of the user's may have the name of a module.
sys.path[:] = [path for path in sys.path if path not in ("", ".")]

import contextlib
import json
import os
import secrets
import shutil
import stat
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    #: What the laptop has sent.
    DATA: dict[str, Any] = {}

COMMAND, FOLDER = sys.argv[1:3]
#: What the role tls_cert has there, which has its own modes.
CERTIFICATE = ("server.key", "server.crt", "ca.crt")
#: How long openssl may take for what it does in a moment: on a node that is out of random numbers it waits.
OPENSSL_SECONDS = 60
REQUEST = """\
[req]
prompt = no
default_md = sha256
distinguished_name = name
[name]
CN = localhost
"""


def fail(why: str) -> NoReturn:
    """Say why it cannot be done, and end."""
    print(why)
    raise SystemExit(1)


def private(path: str, check: bool) -> bool:
    """Make a folder, or make it private; tell whether there was something to do.

    Not by a whole mode: Jupyter sets the sticky bit of the folder that has its sockets.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        if not check:
            os.mkdir(path, 0o700)
            os.chmod(path, 0o700)
        return True
    if not stat.S_ISDIR(found.st_mode):
        fail(f"{path} is no folder. Move it away, then run this again.")
    bits = stat.S_IMODE(found.st_mode)
    wanted = (bits & ~0o077) | 0o700
    if bits == wanted:
        return False
    if not check:
        os.chmod(path, wanted)
    return True


def readable(check: bool) -> bool:
    """Make the files in the folder readable, and for one user only; tell whether there was something to do."""
    changed = False
    for above, folders, names in os.walk(FOLDER):
        if above != FOLDER:
            folders.clear()
        for path in (os.path.join(above, name) for name in names if not _of_certificate(name)):
            # What another start or run has there for a moment may be gone by now.
            with contextlib.suppress(FileNotFoundError):
                found = os.lstat(path)
                bits = stat.S_IMODE(found.st_mode)
                wanted = (bits & ~0o077) | 0o600
                if stat.S_ISREG(found.st_mode) and bits != wanted:
                    changed = True
                    if not check:
                        os.chmod(path, wanted)
    return changed


def _of_certificate(name: str) -> bool:
    return name.startswith("server.") or name == "ca.crt"


def content(path: str) -> bytes | None:
    """Return what is in a file of the user's own, and nothing where it is none, or cannot be read."""
    with contextlib.suppress(OSError):
        if stat.S_ISREG(os.lstat(path).st_mode):
            with open(path, "rb") as file:
                return file.read()
    return None


def put(path: str, text: bytes, mode: int) -> None:
    """Write a file whole, or not at all."""
    handle, new = tempfile.mkstemp(prefix=".new.", dir=os.path.dirname(path))
    try:
        with open(handle, "wb") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        if os.path.isdir(path) and not os.path.islink(path):
            fail(f"{path} is a folder. Move it away, then run this again.")
        os.replace(new, path)
    except BaseException:
        os.unlink(new)
        raise


def write() -> None:
    """Write the files that are not there as they shall be."""
    check, changed, diff = bool(DATA["check"]), [], []
    for path in (os.path.dirname(FOLDER), FOLDER, os.path.join(FOLDER, "run")):
        if private(path, check):
            changed.append(path)
    if readable(check):
        changed.append(f"modes in {FOLDER}")
    for name, text in {**DATA["files"], **DATA["secrets"]}.items():
        path, mode = os.path.join(FOLDER, name), 0o700 if name in DATA["programs"] else 0o600
        old = content(path)
        if old == text.encode() and stat.S_IMODE(os.stat(path).st_mode) == mode:
            continue
        changed.append(path)
        if DATA["diff"] and name not in DATA["secrets"]:
            before = (old or b"").decode(errors="replace")
            diff.append({"before": before, "after": text, "before_header": path, "after_header": path})
        if not check:
            put(path, text.encode(), mode)
    print(json.dumps({"changed": changed, "diff": diff}))


def openssl(*arguments: str, data: str = "") -> str:
    """Run openssl; return what it prints."""
    command = [DATA["openssl"], *arguments]
    try:
        done = subprocess.run(command, input=data, capture_output=True, text=True, timeout=OPENSSL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        fail(f"openssl {arguments[0]} has not ended within {OPENSSL_SECONDS} s.")
    if done.returncode:
        fail(" ".join(done.stderr.split()) or f"openssl {arguments[0]}: exit status {done.returncode}")
    return done.stdout


def request() -> None:
    """Make a key, which is born private, and a request for its certificate, in a folder of their own."""
    os.umask(0o077)
    clear(DATA["leftovers"])
    # The probe knows what an interrupted run leaves by this form of its name.
    made = os.path.join(FOLDER, f"tls.{secrets.token_hex(3)}")
    os.mkdir(made, 0o700)
    try:
        key = os.path.join(made, "server.key")
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
        asked = openssl("req", "-new", "-key", key, "-config", "/dev/stdin", data=REQUEST)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    print(json.dumps({"request": asked, "set": made, "time": int(time.time())}))


def place() -> None:
    """Put a set in its place, each file at once.

    What a cut in between leaves, the next run mends, and a server that runs goes on with its last pair.
    """
    os.umask(0o022)
    made = DATA["set"]
    for name, text in (("server.crt", DATA["certificate"]), ("ca.crt", DATA["authority"])):
        with open(os.path.join(made, name), "w") as file:
            file.write(text)
    openssl("x509", "-in", os.path.join(made, "ca.crt"), "-noout")
    ends = (
        openssl("x509", "-in", os.path.join(made, "server.crt"), "-noout", "-pubkey"),
        openssl("pkey", "-in", os.path.join(made, "server.key"), "-pubout"),
    )
    if ends[0] != ends[1]:
        fail("the certificate is not for the key.")
    for name in CERTIFICATE:
        old = os.path.join(FOLDER, name)
        if os.path.isdir(old) and not os.path.islink(old):
            shutil.rmtree(old)
        os.replace(os.path.join(made, name), old)
    os.rmdir(made)
    print(json.dumps({}))


def clear(names: list[str]) -> list[str]:
    """Take away what is named, a folder with all that is in it; return what was there."""
    gone = []
    for path in (os.path.join(FOLDER, name) for name in names):
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)
        else:
            continue
        gone.append(path)
    return gone


def remove() -> None:
    """Take away what is named, and say what was there."""
    print(json.dumps({"changed": clear(DATA["names"])}))


if __name__ == "__main__":
    try:
        {"write": write, "request": request, "place": place, "remove": remove}[COMMAND]()
    except OSError as error:
        fail(f"{error.filename or FOLDER}: {error.strerror or error}.")
