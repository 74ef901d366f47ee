"""The password filters against the real jupyter_server, both ways, and every message that they may say."""

from __future__ import annotations

import functools
import logging
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from unittest import mock
from urllib.parse import quote

import argon2
import jupyter_password
import pytest
from ansible.errors import AnsibleFilterError
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import filter_loader, init_plugin_loader
from ansible.template import Templar, is_trusted_as_template, trust_as_template
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jupyter_password import jupyter_password_hash, jupyter_password_problem, jupyter_password_verify
from jupyter_server.auth import security
from jupyter_server.auth.identity import PasswordIdentityProvider
from tornado.httputil import HTTPServerRequest, RequestStartLine, parse_body_arguments
from tornado.web import Application, RequestHandler

#: Jupyter's own, which has no types.
passwd: Callable[[str], str] = security.passwd
passwd_check: Callable[[str, str], bool] = security.passwd_check

#: Hashes that cost next to nothing, for many of them.
CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)

CANARY = "canary"

#: Nothing in these is special.
USABLE = {
    "shortest": "12345678",
    "longest": "x" * 1024,
    "longest, in bytes": "\N{SNOWMAN}" * 341 + "x",
    "braces": "a{{ 7*7 }}{% raw %}{# x #}",
    "in quotes": "\"'12345678'\"",
    "quotes and backslash": "a\"'`\\n\\ \\",
    "shell": "$HOME $(id) ${x} !! ; & | > <",
    "umlauts": "äöüßÄÖÜ€",
    "decomposed": "u\N{COMBINING DIAERESIS}" * 4,
    "emoji": "\N{GRINNING FACE}" * 8,
    "blanks inside": "correct horse  battery staple",
    "other white space inside": "four\N{NO-BREAK SPACE}\N{IDEOGRAPHIC SPACE}five",
    "looks like a form": "a=b&c=d%20+",
    "looks like a hash": "argon2:$argon2id$v=19$m=8,t=1,p=1$",
    "looks like a number": "12345678901234567890",
    "looks like a tag": "!unsafe |- x",
}

#: What is refused: what it must be, what it is, the remedy.
CONTROL = (
    "have no control characters, got {}. A browser's password field cannot take it: remove it (a YAML block adds a "
    "line break unless it begins with |- or >-)."
)
BLANK = "not begin or end with a blank, got one that does. Jupyter's login page cuts blanks off: remove them."
REFUSED: dict[str, tuple[object, str]] = {
    "number": (12345678, "be text, got int. Write it in quotes."),
    "nothing": (None, "be text, got NoneType. Write it in quotes."),
    "bytes": (b"canary-12345", "be text, got bytes. Write it in quotes."),
    "list": (["canary-12345"], "be text, got list. Write it in quotes."),
    "empty": ("", "have at least 8 characters, got none. Choose one."),
    "blanks": (" " * 8, "have characters that can be seen, got blanks only. Choose another one."),
    "wide blanks": (
        "\N{IDEOGRAPHIC SPACE}" * 8,
        "have characters that can be seen, got blanks only. Choose another one.",
    ),
    "7 characters": ("1canary", "have at least 8 characters, got 7. Choose a longer one."),
    "7 characters, 28 bytes": ("\N{GRINNING FACE}" * 7, "have at least 8 characters, got 7. Choose a longer one."),
    "too long": ("x" * 1025, "have at most 1024 bytes in UTF-8, got 1025. Choose a shorter one."),
    "too long, in bytes": ("ü" * 513, "have at most 1024 bytes in UTF-8, got 1026. Choose a shorter one."),
    "line break": ("canary-12345\n", CONTROL.format("a line break")),
    "Windows line break": ("canary-12345\r\n", CONTROL.format("a line break")),
    "tab": ("canary\t12345", CONTROL.format("a tab")),
    "NUL": ("canary\x0012345", CONTROL.format("a NUL")),
    "escape": ("canary\x1b[31m", CONTROL.format("U+001B")),
    "delete": ("canary\x7f12345", CONTROL.format("U+007F")),
    "C1 control": ("canary\x8512345", CONTROL.format("U+0085")),
    "blank first": (" canary-12345", BLANK),
    "blank last": ("canary-12345 ", BLANK),
    "no-break space last": ("canary-12345\N{NO-BREAK SPACE}", BLANK),
    "not UTF-8": (
        b"canary-\xff-123".decode(errors="surrogateescape"),
        "be valid Unicode, got bytes that are not UTF-8. Set the terminal to UTF-8 and type it again.",
    ),
}
#: What cannot even be compared with a hash. A short password with a tab can, if Jupyter hashed it.
NOT_COMPARABLE = {"number", "nothing", "bytes", "list", "too long", "too long, in bytes", "not UTF-8"}

SALT, DIGEST = "Y2FuYXJ5Y2FuYXJ5Y2FuYQ", "Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2E"
FOREIGN = "the hash must begin with argon2:, got another form. Set the password anew."
BROKEN = (
    "the hash must be whole (argon2:$argon2id$v=…$m=…,t=…,p=…$salt$digest), got one that cannot be read. "
    "Set the password anew."
)
COSTLY = "the hash must cost at most 2097152 KiB times passes, got more. Set the password anew."
BAD_HASHES: dict[str, tuple[object, str]] = {
    "nothing": (None, "the hash must be text, got NoneType."),
    "bytes": (b"argon2:$argon2id$canary", "the hash must be text, got bytes."),
    "empty": ("", FOREIGN),
    "no prefix": (f"$argon2id$v=19$m=10240,t=10,p=8${SALT}${DIGEST}", FOREIGN),
    "sha1": ("sha1:canary:a68df677475c2b47b6e86d0467eec97ac5f4b85a", FOREIGN),
    "sha256": ("sha256:canary:" + "a6" * 32, FOREIGN),
    "clear text": ("canary-12345", FOREIGN),
    "blank first": (f" argon2:$argon2id$v=19$m=10240,t=10,p=8${SALT}${DIGEST}", FOREIGN),
    "prefix only": ("argon2:", BROKEN),
    "prefix twice": (f"argon2:argon2:$argon2id$v=19$m=10240,t=10,p=8${SALT}${DIGEST}", BROKEN),
    "clear text behind the prefix": ("argon2:canary-12345", BROKEN),
    "cut off": (f"argon2:$argon2id$v=19$m=10240,t=10,p=8${SALT}", BROKEN),
    "line break last": (f"argon2:$argon2id$v=19$m=10240,t=10,p=8${SALT}${DIGEST}\n", BROKEN),
    "unknown kind": (f"argon2:$argon2x$v=19$m=10240,t=10,p=8${SALT}${DIGEST}", BROKEN),
    "too little memory": (f"argon2:$argon2id$v=19$m=8,t=10,p=8${SALT}${DIGEST}", BROKEN),
    "no passes": (f"argon2:$argon2id$v=19$m=10240,t=0,p=8${SALT}${DIGEST}", BROKEN),
    "salt too short": (f"argon2:$argon2id$v=19$m=10240,t=10,p=8$Y2Fu${DIGEST}", BROKEN),
    "not ASCII": (f"argon2:$argon2id$v=19$m=10240,t=10,p=8${SALT}$canäry", BROKEN),
    "other digits": (f"argon2:$argon2id$v=19$m=10240,t=\N{ARABIC-INDIC DIGIT ONE},p=8${SALT}${DIGEST}", BROKEN),
    "all of the memory": (f"argon2:$argon2id$v=19$m=4194304,t=1,p=8${SALT}${DIGEST}", COSTLY),
    "all of the time": (f"argon2:$argon2id$v=19$m=10240,t=9999999,p=8${SALT}${DIGEST}", COSTLY),
}


def rows(table: dict[str, tuple[object, str]]) -> list[object]:
    """Make a parametrization with the table's own names."""
    return [pytest.param(*row, id=name) for name, row in table.items()]


def everything_said(error: BaseException) -> str:
    """Return all that Ansible could print of an error: messages of it and its causes, and the lines that raised it."""
    return "".join(traceback.format_exception(error)) + repr(error)


def logs_in(password: str, hashed: str) -> bool:
    """Send a password to Jupyter's own login form, as a browser does; it asks Jupyter's own ``passwd_check``."""
    body = f"password={quote(password)}".encode()
    line = RequestStartLine("POST", "/login", "HTTP/1.0")
    request = HTTPServerRequest(start_line=line, body=body, connection=mock.Mock())
    parse_body_arguments("application/x-www-form-urlencoded", body, request.body_arguments, request.files)
    request.arguments = request.body_arguments
    handler = RequestHandler(Application(), request)
    handler.log = logging.getLogger(__name__)  # type: ignore[attr-defined]  # Jupyter's handlers have one
    return PasswordIdentityProvider(hashed_password=hashed, token="").process_login_form(handler) is not None


@pytest.fixture(scope="module")
def hashed() -> str:
    """Hash one good password, once."""
    return jupyter_password_hash("canary-12345")


# Which passwords can be used


@pytest.mark.parametrize("password", USABLE.values(), ids=USABLE)
def test_usable_password_logs_in(password: str) -> None:
    assert jupyter_password_problem(password) == ""
    assert logs_in(password, jupyter_password_hash(password))


@pytest.mark.parametrize(("password", "message"), rows(REFUSED))
def test_problem_says_what_is_wrong(password: object, message: str) -> None:
    assert jupyter_password_problem(password) == f"The password must {message}"


@pytest.mark.parametrize(("password", "message"), rows(REFUSED))
def test_hash_refuses_what_problem_refuses(password: str, message: str) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        jupyter_password_hash(password)
    assert str(caught.value) == f"jupyter_password_hash: the password must {message}"
    assert CANARY not in everything_said(caught.value)


@pytest.mark.parametrize("name", ["blank first", "blank last", "no-break space last", "blanks", "wide blanks"])
def test_blanks_at_the_ends_never_log_in(name: str) -> None:
    """Jupyter itself hashes such a password, and then does not let it in: why it is refused."""
    password = str(REFUSED[name][0])
    theirs = passwd(password)
    assert passwd_check(theirs, password)
    assert not logs_in(password, theirs)


@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=7, max_size=24))
@example("\N{LINE SEPARATOR}12345678")
@example("12345678\x1f")
@example("\N{ZERO WIDTH SPACE}1234567")
def test_whatever_is_usable_logs_in(password: str) -> None:
    if jupyter_password_problem(password):
        with pytest.raises(AnsibleFilterError):
            jupyter_password_hash(password)
    else:
        ours = jupyter_password_hash(password)
        assert logs_in(password, ours)
        assert jupyter_password_verify(password, ours)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zs", "Zl", "Zp"]), min_size=8, max_size=256))
def test_no_visible_text_is_refused(password: str) -> None:
    assert jupyter_password_problem(password) == ""


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(), st.sampled_from(["\n", "\t", "\x00", "\x1b", "\x9f", "\ud800"]), st.text())
def test_no_problem_tells_the_password(before: str, bad: str, after: str) -> None:
    problem = jupyter_password_problem(f"{before}{CANARY}{bad}{CANARY}{after}")
    assert problem.startswith("The password must have no control") or problem.startswith("The password must be valid")
    assert CANARY not in problem
    assert problem.isprintable()


# The hash


def test_hash_has_the_parameters_that_jupyter_uses(hashed: str) -> None:
    jupyters = passwd("canary-12345")
    assert hashed.startswith("argon2:$argon2id$v=19$m=10240,t=10,p=8$")
    assert argon2.extract_parameters(hashed.removeprefix("argon2:")) == argon2.extract_parameters(
        jupyters.removeprefix("argon2:")
    )
    assert len(hashed) == len(jupyters)
    context = jupyter_password._context()
    assert not context.needs_update(jupyters)
    assert context.needs_update(jupyters.replace("m=10240", "m=10248"))
    assert context.needs_update(jupyters.replace("t=10", "t=9"))
    assert context.needs_update(jupyters.replace("argon2id", "argon2i"))


def test_hash_has_a_new_salt_each_time(hashed: str) -> None:
    assert jupyter_password_hash("canary-12345") != hashed


@pytest.mark.parametrize("password", ["canary-1234", "canary-123456", "Canary-12345", "", " canary-12345", "{{ x }}"])
def test_no_other_password_fits(hashed: str, password: str) -> None:
    assert jupyter_password_verify(password, hashed) is False
    assert not passwd_check(hashed, password)


def test_decomposed_letters_are_other_letters() -> None:
    """Nothing is normalized, since Jupyter normalizes nothing."""
    composed, decomposed = "ü" * 8, "u\N{COMBINING DIAERESIS}" * 8
    ours = jupyter_password_hash(composed)
    assert (jupyter_password_verify(decomposed, ours), passwd_check(ours, decomposed)) == (False, False)


# Comparing


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text(st.characters(codec="utf-8"), max_size=24), st.text(st.characters(codec="utf-8"), max_size=24))
@example("", "x")
@example("x", "")
@example("short", "tab\t")
@example("nul\x00l", "nul")
def test_verify_says_what_jupyter_says(password: str, other: str) -> None:
    theirs = "argon2:" + CHEAP.hash(password)
    assert jupyter_password_verify(password, theirs) is True
    assert jupyter_password_verify(other, theirs) is passwd_check(theirs, other)


@pytest.mark.parametrize("kind", [argon2.Type.ID, argon2.Type.I, argon2.Type.D])
def test_verify_accepts_other_parameters(kind: argon2.Type) -> None:
    theirs = "argon2:" + argon2.PasswordHasher(time_cost=2, memory_cost=512, parallelism=2, type=kind).hash("x")
    assert passwd_check(theirs, "x")
    assert jupyter_password_verify("x", theirs) is True
    assert jupyter_password_verify("y", theirs) is False


@pytest.mark.parametrize(("bad", "message"), rows(BAD_HASHES))
def test_verify_refuses_hash(bad: str, message: str) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        jupyter_password_verify("canary-12345", bad)
    assert str(caught.value) == f"jupyter_password_verify: {message}"
    said = everything_said(caught.value).replace('jupyter_password_verify("canary-12345", bad)', "")
    assert CANARY not in said
    assert SALT not in said
    assert DIGEST not in said


@pytest.mark.parametrize(("password", "message"), rows({name: REFUSED[name] for name in NOT_COMPARABLE}))
def test_verify_refuses_password(hashed: str, password: str, message: str) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        jupyter_password_verify(password, hashed)
    assert str(caught.value) == f"jupyter_password_verify: the password must {message}"
    assert CANARY not in everything_said(caught.value)


@pytest.mark.parametrize("name", sorted(REFUSED.keys() - NOT_COMPARABLE))
def test_verify_compares_what_jupyter_hashed(name: str) -> None:
    password = str(REFUSED[name][0])
    assert jupyter_password_verify(password, passwd(password)) is True


# In Ansible


@functools.cache
def load_filters() -> None:
    """Let Ansible find the filters."""
    init_plugin_loader()
    filter_loader.add_directory(str(Path(jupyter_password.__file__).parent))


def render(expression: str, **variables: object) -> object:
    """Evaluate a Jinja expression as a task does."""
    load_filters()
    return Templar(loader=DataLoader(), variables=variables).template(trust_as_template(f"{{{{ {expression} }}}}"))


def test_tags_and_trust_stay_behind() -> None:
    trusted = trust_as_template("a{{ 7*7 }}\"'\\ü")
    assert is_trusted_as_template(trusted)
    ours = jupyter_password_hash(trusted)
    assert type(ours) is str
    assert passwd_check(ours, "a{{ 7*7 }}\"'\\ü")
    assert jupyter_password_verify(trusted, trust_as_template(ours)) is True
    assert type(jupyter_password_problem(trust_as_template("1canary"))) is str


def test_braces_from_the_environment_are_not_templated(monkeypatch: pytest.MonkeyPatch) -> None:
    password = "a{{ 7*7 }}\"'\\ü"
    monkeypatch.setenv("JUPYTER_CLUSTER_PASSWORD", password)
    given_by = "lookup('env', 'JUPYTER_CLUSTER_PASSWORD')"
    ours = str(render(f"{given_by} | jupyter_password_hash"))
    assert passwd_check(ours, password)
    assert render(f"{given_by} | jupyter_password_verify(hashed)", hashed=ours) is True
    assert render(f"{given_by} | jupyter_password_problem") == ""


def test_ansible_prints_no_secret_of_a_cause(hashed: str) -> None:
    """Ansible prints an error with all of its causes, and passlib's own message quotes the hash."""
    broken = str(BAD_HASHES["salt too short"][0])
    with pytest.raises(Exception, match="jupyter_password_verify: the hash must be whole") as caught:
        render("password | jupyter_password_verify(hashed)", password="canary-12345", hashed=broken)
    said = []
    error: BaseException | None = caught.value
    while error:
        said.append(str(error))
        error = error.__cause__ or error.__context__
    assert len(said) > 1
    assert not any(secret in message for message in said for secret in (CANARY, SALT, DIGEST))


@pytest.mark.parametrize("missing", ["passlib.context", "passlib.hash"])
def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    jupyter_password._context.cache_clear()
    monkeypatch.setitem(sys.modules, missing, None)
    message = (
        "jupyter_password: the packages libpass and argon2-cffi must be installed for Ansible's Python, got "
        f"ModuleNotFoundError. Install them: {sys.executable} -m pip install libpass argon2-cffi"
    )
    with pytest.raises(AnsibleFilterError, match=re.escape(message)) as caught:
        jupyter_password_hash("canary-12345")
    assert isinstance(caught.value.__cause__, ImportError)


def test_missing_argon2_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import passlib.exc
    import passlib.hash

    jupyter_password._context.cache_clear()
    monkeypatch.setattr(passlib.hash.argon2, "get_backend", mock.Mock(side_effect=passlib.exc.MissingBackendError))
    with pytest.raises(AnsibleFilterError, match=r"got MissingBackendError\. Install them: "):
        jupyter_password_hash("canary-12345")


@pytest.mark.parametrize("name", jupyter_password.FilterModule().filters())
def test_every_filter_is_documented(name: str) -> None:
    """The names in the documentation are those of the code, so that keywords work as ansible-doc says."""
    code = jupyter_password.FilterModule().filters()[name].__code__
    path = Path(jupyter_password.__file__).with_name(f"{name}.yml")
    document = DataLoader().load_from_file(str(path))
    documentation = document["DOCUMENTATION"]
    arguments = list(code.co_varnames[: code.co_argcount])
    assert documentation["name"] == name
    assert list(documentation["options"]) == ["_input", *arguments[1:]]
    assert documentation["positional"] == ", ".join(["_input", *arguments[1:]])
    assert all(option["required"] and option["type"] for option in documentation["options"].values())
    assert document["RETURN"]["_value"]["type"] in ("str", "bool")
    assert name in document["EXAMPLES"]
