"""The Jupyter server's password: whether it can be used, its hash, and whether a stored hash is of it."""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from collections.abc import Callable
from typing import Any, NamedTuple

from ansible.errors import AnsibleFilterError
from ansible.module_utils.datatag import native_type_name

#: Shortest password, in characters (Unicode code points, as NIST SP 800-63B counts them). 8 is what it asks of a
#: password that is not alone: nobody reaches the server's login page without the account on the cluster.
MIN_CHARACTERS = 8
#: Longest password, in bytes of UTF-8.
MAX_BYTES = 1024

#: Jupyter's own parameters (``passwd`` in jupyter_server/auth/security.py; salt and digest have the lengths that
#: argon2-cffi gives them there). Memory in KiB, lengths in bytes.
_ARGON2 = {"type": "id", "memory_cost": 10240, "time_cost": 10, "parallelism": 8, "salt_len": 16, "hash_len": 32}

#: argon2's text form (https://github.com/P-H-C/phc-winner-argon2), without its rare ``keyid`` and ``data``.
_ARGON2_FORM = re.compile(
    r"argon2:\$argon2(?:id|i|d)\$(?:v=\d{1,3}\$)?m=(\d{1,7}),t=(\d{1,7}),p=\d{1,3}\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+"
)
#: What a stored hash may cost, in KiB times passes: the most that RFC 9106 recommends (2 GiB, one pass). The hash
#: comes from the node, and must not be able to take all of the laptop's memory.
_MAX_COST = 2 * 1024 * 1024

_CONTROL_NAMES = {"\n": "a line break", "\r": "a line break", "\t": "a tab", "\0": "a NUL"}


class _Flaw(NamedTuple):
    """What is wrong with a password. No part may carry any of the password."""

    must: str
    got: str
    remedy: str

    def __str__(self) -> str:
        return f"the password must {self.must}, got {self.got}. {self.remedy}"


def _cannot_be_hashed(password: object) -> _Flaw | None:
    """Name what keeps a value from being hashed or compared at all."""
    if not isinstance(password, str):
        return _Flaw("be text", native_type_name(password), "Write it in quotes.")
    if any("\ud800" <= character <= "\udfff" for character in password):
        return _Flaw("be valid Unicode", "bytes that are not UTF-8", "Set the terminal to UTF-8 and type it again.")
    if (size := len(password.encode())) > MAX_BYTES:
        return _Flaw(f"have at most {MAX_BYTES} bytes in UTF-8", str(size), "Choose a shorter one.")
    return None


def _cannot_be_used(password: object) -> _Flaw | None:
    """Name what keeps a value from being a password that a person types into Jupyter's login page."""
    flaw = _cannot_be_hashed(password)
    if flaw or not isinstance(password, str):
        return flaw
    if not password:
        return _Flaw(f"have at least {MIN_CHARACTERS} characters", "none", "Choose one.")
    control = next((character for character in password if unicodedata.category(character) == "Cc"), None)
    if control is not None:
        return _Flaw(
            "have no control characters",
            _CONTROL_NAMES.get(control, f"U+{ord(control):04X}"),
            "A browser's password field cannot take it: remove it (a YAML block adds a line break unless it begins "
            "with |- or >-).",
        )
    # Jupyter reads the form with tornado's get_argument, which strips: such a password could never log in.
    if not password.strip():
        return _Flaw("have characters that can be seen", "blanks only", "Choose another one.")
    if password != password.strip():
        return _Flaw(
            "not begin or end with a blank", "one that does", "Jupyter's login page cuts blanks off: remove them."
        )
    if len(password) < MIN_CHARACTERS:
        return _Flaw(f"have at least {MIN_CHARACTERS} characters", str(len(password)), "Choose a longer one.")
    return None


@functools.cache
def _context() -> Any:
    """Make passlib's context for the forms that Jupyter reads: the first scheme hashes, every one verifies.

    Raises:
        AnsibleFilterError: passlib or argon2 is not installed.
    """
    try:
        # Not at the top: the other filters and ansible-doc must work, and this error be readable, without passlib.
        from passlib.context import CryptContext
        from passlib.hash import argon2
        from passlib.utils.handlers import PrefixWrapper

        argon2.get_backend()
    except (ImportError, RuntimeError) as error:
        raise AnsibleFilterError(
            "jupyter_password: the packages libpass and argon2-cffi must be installed for Ansible's Python, got "
            f"{type(error).__name__}. Install them: {sys.executable} -m pip install libpass argon2-cffi"
        ) from error
    schemes = (
        PrefixWrapper("jupyter_argon2", argon2.using(**_ARGON2), prefix="argon2:"),
        # Handlers for sha1:salt:digest and sha256:salt:digest (notebook before 6.1) go here, deprecated.
    )
    return CryptContext(schemes=schemes)


def jupyter_password_problem(password: object) -> str:
    """Say why a password cannot be the Jupyter server's.

    Args:
        password: the password, as it would be typed into Jupyter's login page. Nothing in it is special: quotes,
            backslashes, braces and every visible Unicode character are as good as letters.

    Returns:
        ``""`` for one that can be used, else one line with what is wrong and the remedy. It never carries any of the
        password.

    A password has 8 characters (Unicode code points) to 1024 bytes (UTF-8), is valid Unicode, has no control
    characters, and has no white space at its ends.
    """
    flaw = _cannot_be_used(password)
    return f"T{str(flaw)[1:]}" if flaw else ""


def jupyter_password_hash(password: str) -> str:
    """Hash a password for Jupyter's ``hashed_password``.

    Args:
        password: a password that `jupyter_password_problem` has nothing against.

    Returns:
        ``argon2:$argon2id$v=19$m=10240,t=10,p=8$SALT$DIGEST``, what ``jupyter_server.auth.passwd`` makes and
        ``passwd_check`` accepts. The salt is new at every call: keep a stored hash that still verifies, since another
        hash, even of the same password, ends every login.

    Raises:
        AnsibleFilterError: the password cannot be used, or passlib or argon2 is not installed.
    """
    if flaw := _cannot_be_used(password):
        raise AnsibleFilterError(f"jupyter_password_hash: {flaw}")
    # str() takes Ansible's tags (trust, origin) off.
    return str(_context().hash(str(password)))


def jupyter_password_verify(password: str, hashed: str) -> bool:
    """Tell whether a hash is of a password.

    Args:
        password: the password. It may be one that `jupyter_password_problem` would refuse today, such as a short one
            that was hashed elsewhere.
        hashed: what Jupyter stores as ``hashed_password``, of the form ``argon2:$argon2id$…`` (also ``$argon2i$`` and
            ``$argon2d$``), with whatever parameters up to a memory of 2 GiB times one pass. No white space around it.

    Returns:
        Whether ``jupyter_server.auth.passwd_check`` says yes.

    Raises:
        AnsibleFilterError: the password is not text, the hash cannot be read, or passlib or argon2 is not installed.
            The message carries nothing of either.
    """
    if flaw := _cannot_be_hashed(password):
        raise AnsibleFilterError(f"jupyter_password_verify: {flaw}")
    if not isinstance(hashed, str):
        raise AnsibleFilterError(f"jupyter_password_verify: the hash must be text, got {native_type_name(hashed)}.")
    if not hashed.startswith("argon2:"):
        raise AnsibleFilterError(
            "jupyter_password_verify: the hash must begin with argon2:, got another form. Set the password anew."
        )
    form = _ARGON2_FORM.fullmatch(hashed)
    if form and int(form[1]) * int(form[2]) > _MAX_COST:
        raise AnsibleFilterError(
            f"jupyter_password_verify: the hash must cost at most {_MAX_COST} KiB times passes, got more. "
            "Set the password anew."
        )
    context = _context()
    try:
        if form:
            return bool(context.verify(str(password), str(hashed)))
    except (ValueError, RuntimeError):
        pass  # passlib's message quotes the hash, and Ansible prints every cause: so this error has none.
    raise AnsibleFilterError(
        "jupyter_password_verify: the hash must be whole (argon2:$argon2id$v=…$m=…,t=…,p=…$salt$digest), "
        "got one that cannot be read. Set the password anew."
    )


class FilterModule:
    """Filters for the Jupyter server's password."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "jupyter_password_hash": jupyter_password_hash,
            "jupyter_password_problem": jupyter_password_problem,
            "jupyter_password_verify": jupyter_password_verify,
        }
