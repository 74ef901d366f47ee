"""The server's key and certificate: what is there of them, a new key with its request, and a new set in its place."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import stat
import subprocess
import time
from typing import Any

from node import programs
from node.folder import CERTIFICATE, Failure, Folder, read

#: How long openssl may take for what it does in a moment: on a node that is out of random numbers it waits.
OPENSSL_SECONDS = 60
#: The most that is read of a certificate, in bytes.
LONGEST = 20000
REQUEST = """\
[req]
prompt = no
default_md = sha256
distinguished_name = name
[name]
CN = localhost
"""
#: What an interrupted run may leave, also one of an earlier version.
LEFTOVER = re.compile(r"server\.(key|crt)\.next|tls\.[0-9A-Za-z]{6}|\.ansible_tmp.*\.crt|\.new\..{8}")


def openssl(program: str, *arguments: str, data: bytes = b"") -> bytes:
    """Run openssl; return what it prints."""
    try:
        done = programs.run([program, *arguments], input=data, capture_output=True, timeout=OPENSSL_SECONDS)
    except subprocess.TimeoutExpired:
        raise Failure(f"openssl {arguments[0]} has not ended within {OPENSSL_SECONDS} s.") from None
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise Failure(said or f"openssl {arguments[0]}: exit status {done.returncode}")
    return done.stdout


def leftovers(folder: Folder) -> list[str]:
    """Return the names of what interrupted runs have left."""
    return sorted(name for name in os.listdir(folder.path) if LEFTOVER.fullmatch(name))


def found(folder: Folder, program: str) -> dict[str, Any]:
    """Say what is there, whatever it is by now: no pipe is waited for, and no passphrase is asked for."""
    modes, key = {}, ""
    for name in CERTIFICATE:
        with contextlib.suppress(OSError):
            modes[name] = f"{stat.S_IMODE(os.stat(folder.file(name)).st_mode):o}"
    if os.path.isfile(folder.file("server.key")):
        with contextlib.suppress(Failure, OSError):
            public = openssl(
                program, "pkey", "-passin", "pass:", "-in", folder.file("server.key"), "-pubout", "-outform", "DER"
            )
            key = hashlib.sha256(public).hexdigest()
    text = {"certificate": "", "ca": ""}
    for fact, name in (("certificate", "server.crt"), ("ca", "ca.crt")):
        with contextlib.suppress(OSError):
            text[fact] = read(folder.file(name), LONGEST).decode(errors="replace")
    return {
        **text,
        "key_digest": key,
        "certificate_modes": modes,
        "certificate_leftovers": leftovers(folder),
    }


def request(folder: Folder, data: dict[str, Any]) -> dict[str, Any]:
    """Make a key, which is born private, and a request for its certificate, in a set of their own, and no other set."""
    os.umask(0o077)
    folder.clear(data["leftovers"])
    # By the form of its name the next run knows what an interrupted one leaves.
    made = folder.file(f"tls.{secrets.token_hex(3)}")
    os.mkdir(made, 0o700)
    try:
        key = os.path.join(made, "server.key")
        openssl(data["openssl"], "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
        asked = openssl(
            data["openssl"], "req", "-new", "-key", key, "-config", "/dev/stdin", data=REQUEST.encode()
        ).decode()
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return {"request": asked, "set": made, "time": int(time.time())}


def tidy(folder: Folder, data: dict[str, Any]) -> dict[str, Any]:
    """Take away what interrupted runs have left, as a look has seen it, and say what was there.

    What has come since may be another run's, which goes on.
    """
    return {"changed": folder.clear(data["leftovers"])}


def place(folder: Folder, data: dict[str, Any]) -> dict[str, Any]:
    """Put a set in its place, each file at once.

    What a cut in between leaves, the next run mends, and a server that runs goes on with its last pair.
    """
    os.umask(0o022)
    made, program = data["set"], data["openssl"]
    for name, text in (("server.crt", data["certificate"]), ("ca.crt", data["authority"])):
        with open(os.path.join(made, name), "w") as file:
            file.write(text)
    openssl(program, "x509", "-in", os.path.join(made, "ca.crt"), "-noout")
    ends = (
        openssl(program, "x509", "-in", os.path.join(made, "server.crt"), "-noout", "-pubkey"),
        openssl(program, "pkey", "-in", os.path.join(made, "server.key"), "-pubout"),
    )
    if ends[0] != ends[1]:
        raise Failure("the certificate is not for the key.")
    for name in CERTIFICATE:
        old = folder.file(name)
        if os.path.isdir(old) and not os.path.islink(old):
            shutil.rmtree(old)
        os.replace(os.path.join(made, name), old)
    os.rmdir(made)
    return {}
