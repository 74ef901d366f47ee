"""Who gets in: the real jupyter_server with our identity provider, broken and attacked while it runs."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import importlib.util
import json
import logging
import os
import stat
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from identity_server import FORM, Server, Visitor, flood, hashed
from patience import seconds
from tornado.web import create_signed_value

PASSWORD = "correct horse battery staple"
#: The cookie that a login has, and the one of a browser that has logged in before.
LOGIN, KNOWN = "username-localhost-9876", "username-localhost-9876-known"
#: Pages that show something, or run something.
PAGES = ["/api/contents", "/api/kernels", "/api/terminals", "/api/me", "/files/x", "/lab"]
KERNEL, TERMINAL = "/api/kernels/00000000-0000-0000-0000-000000000000/channels", "/terminals/websocket/1"

#: What somebody may have had in ~/.jupyter: all of it would open the server, or weaken it.
OLD_CONFIGURATION = """
for section in (c.IdentityProvider, c.PasswordIdentityProvider, c.Owner):
    section.token = "known"
    section.need_token = False
    section.hashed_password = ""
    section.password_required = False
    section.allow_password_change = True
    section.cookie_name = "_xsrf"
    section.secure_cookie = False
    section.cookie_options = {"httponly": False, "domain": "example.org"}
    section.get_secure_cookie_kwargs = {"max_age_days": 99999}
    section.login_handler_class = "jupyter_server.auth.login.LegacyLoginHandler"
    section.logout_handler_class = "jupyter_server.auth.logout.LogoutHandler"
c.PasswordIdentityProvider.hashed_password = "sha1:0e112c3ddfce:a68df677475c2b47b6e86d0467eec97ac5f4b85a"
c.ServerApp.password = "sha1:0e112c3ddfce:a68df677475c2b47b6e86d0467eec97ac5f4b85a"
c.ServerApp.password_required = False
c.ServerApp.token = "known"
c.ServerApp.cookie_secret = b"known"
c.ServerApp.allow_unauthenticated_access = True
c.ServerApp.disable_check_xsrf = True
c.ServerApp.allow_origin = "*"
c.ServerApp.allow_origin_pat = ".*"
c.ServerApp.allow_credentials = True
c.ServerApp.authenticate_prometheus = False
c.ServerApp.allow_password_change = True
c.ServerApp.login_handler_class = "jupyter_server.auth.login.LegacyLoginHandler"
c.ServerApp.tornado_settings = {"allow_unauthenticated_access": True, "disable_check_xsrf": True, "xsrf_cookies": False}
"""
OLD_ENVIRONMENT = {
    "JUPYTER_TOKEN": "known",
    "JUPYTER_TOKEN_FILE": "/dev/null",
    "JUPYTER_SERVER_ALLOW_UNAUTHENTICATED_ACCESS": "true",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that runs, with all that would open it."""
    with Server(tmp_path_factory.mktemp("s"), PASSWORD, OLD_CONFIGURATION) as server:
        server.environment |= OLD_ENVIRONMENT
        server.start()
        yield server


class Restarted(NamedTuple):
    """A server that was started again, and who had been there before."""

    server: Server
    key: str
    #: Their cookies.
    stays: dict[str, str]
    has_left: list[dict[str, str]]
    has_the_old_password: dict[str, str]


@pytest.fixture(scope="module")
def restarted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restarted]:
    with Server(tmp_path_factory.mktemp("r"), "an old password") as server:
        server.key.write_text("left by another start")
        server.key.chmod(0o644)
        server.start()
        old = server.visitor("an old password")
        server.set(PASSWORD)
        stays, leaves = server.visitor(PASSWORD), server.visitor(PASSWORD)
        copies = [dict(leaves.cookies)]
        # Another cookie of the same login.
        leaves.ask("/api/me", "PATCH", b'{"color": "red"}', {"Content-Type": "application/json"})
        copies.append(dict(leaves.cookies))
        assert len({copy[LOGIN] for copy in copies}) == 2
        assert all(Visitor(server.socket, copy).inside() for copy in copies)
        assert leaves.ask("/logout").status == 200
        key = server.key.read_text()
        server.stop()
        server.start()
        yield Restarted(server, key, stays.cookies, copies, old.cookies)


@pytest.fixture(scope="module")
def provider(server: Server) -> ModuleType:
    """The module that the server has."""
    specification = importlib.util.spec_from_file_location("provider", server.folder / "jupyter_cluster_logins.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def _same_again(server: Server) -> Iterator[None]:
    """Each test finds the same password, and no wrong ones before its own."""
    server.set(PASSWORD)
    yield
    server.set(PASSWORD)
    server.visitor(PASSWORD)


@pytest.fixture
def _costly(server: Server, _same_again: None) -> None:
    """A hash that costs as much as those that people have."""
    server.hash.write_text(hashed(PASSWORD, 10240, 10, 8))


def begin(provider: ModuleType) -> Any:
    """What a server's logins begin with."""
    return provider.Logins(logging.getLogger("test"), lambda handler: "name")


@contextlib.contextmanager
def here(provider: ModuleType, folder: Path) -> Iterator[None]:
    """Let it lie in another folder."""
    (folder / "run").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(provider, "HERE", folder)
        yield


def is_closed(server: Server, cookies: dict[str, str] | None = None, pages: list[str] = PAGES) -> None:
    """See that somebody with these cookies sees nothing, whatever the page."""
    for page in pages:
        answer = Visitor(server.socket, cookies).ask(page)
        assert answer.status == 403 or (answer.status == 302 and answer.location.startswith("/login?")), page


# The password


def test_the_password_gets_in_and_no_other(server: Server) -> None:
    visitor = server.visitor()
    assert visitor.login("wrong horse battery staple").status == 401
    assert not visitor.inside()
    answer = visitor.login(PASSWORD, "/login?next=%2Fapi%2Fstatus")
    assert (answer.status, answer.location) == (302, "/api/status")
    assert visitor.inside()


def test_nobody_gets_in_by_an_address_or_an_empty_form(server: Server) -> None:
    visitor = server.visitor()
    visitor.ask("/login")
    assert visitor.ask("/login?password=correct+horse+battery+staple", "POST", b"").status == 401
    assert visitor.ask("/login", "POST", b"").status == 401
    assert visitor.login("", "/login?token=").status == 401
    assert visitor.ask("/api/me?token=").status == 403
    assert not visitor.inside()


def test_cookies_are_for_https_and_this_site_and_no_script(server: Server) -> None:
    visitor = server.visitor()
    (xsrf,) = visitor.ask("/login").cookies
    assert {"secure", "samesite=lax", "path=/"} <= {*xsrf.lower().split("; ")}
    cookies = [line.lower() for line in visitor.login(PASSWORD).cookies]
    # VS Code takes the first one for the login.
    assert cookies[0].startswith(f"{LOGIN}=")
    for cookie in cookies:
        assert {"httponly", "secure", "samesite=lax", "path=/"} <= {*cookie.split("; ")}


@pytest.mark.parametrize(
    "password",
    [
        pytest.param("äöüßÄÖÜ€", id="umlauts"),
        pytest.param("u\N{COMBINING DIAERESIS}" * 4, id="decomposed"),
        pytest.param("\N{GRINNING FACE}" * 8, id="emoji"),
        pytest.param("a=b&c=d%20+ {{ 7*7 }}", id="form"),
        pytest.param("x" * 1024, id="longest"),
    ],
)
def test_any_text_is_a_password(server: Server, password: str) -> None:
    server.set(password)
    assert server.visitor().login(password[:-1] + "!").status == 401
    assert server.visitor(password).inside()


def test_what_is_longer_than_a_password_is_none(server: Server) -> None:
    server.set("x" * 1025)
    assert server.visitor().login("x" * 1025).status == 401


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"password=%ff%fe", id="not UTF-8"),
        pytest.param(b"password=" + b"x" * 2_000_000, id="huge"),
        pytest.param(b"\xff" * 99, id="binary"),
        pytest.param(b"password=%00&password=", id="twice"),
    ],
)
def test_no_form_gets_in_or_fails(server: Server, body: bytes) -> None:
    visitor = server.visitor()
    visitor.ask("/login")
    assert visitor.ask("/login", "POST", body, {"Content-Type": FORM}).status in {400, 401}
    assert not visitor.inside()


def test_a_new_password_ends_all_logins_at_once(server: Server) -> None:
    before = server.visitor(PASSWORD)
    server.set("another password")
    is_closed(server, before.cookies)
    assert server.visitor().login(PASSWORD).status == 401
    assert server.visitor("another password").inside()


def test_a_login_outlasts_a_restart_also_after_a_new_password(restarted: Restarted) -> None:
    assert Visitor(restarted.server.socket, restarted.stays).inside()
    is_closed(restarted.server, restarted.has_the_old_password)


# Logins and logouts


def test_a_copy_of_a_login_that_has_ended_does_not_count(server: Server) -> None:
    visitor, other = server.visitor(PASSWORD), server.visitor(PASSWORD)
    copy = dict(visitor.cookies)
    assert visitor.ask("/logout").status == 200
    assert LOGIN not in visitor.cookies
    is_closed(server, copy)
    assert other.inside()
    assert stat.S_IMODE(server.logouts.stat().st_mode) == 0o600


def test_a_copy_of_a_login_that_has_ended_does_not_count_after_a_restart(restarted: Restarted) -> None:
    for copy in restarted.has_left:
        is_closed(restarted.server, copy)


def test_a_logout_that_cannot_be_written_ends_all_logins(server: Server, provider: ModuleType) -> None:
    visitor, other = server.visitor(PASSWORD), server.visitor(PASSWORD)
    copies = [dict(visitor.cookies), dict(other.cookies)]
    began = provider.now()
    # As a full disk does: root may write everywhere.
    blocked = server.folder / "run" / "logouts.new"
    blocked.mkdir()
    try:
        assert "so is everybody" in visitor.ask("/logout").text
    finally:
        blocked.rmdir()
    for copy in copies:
        is_closed(server, copy)
    assert server.visitor(PASSWORD).inside()
    # And for the next start.
    assert not provider.Logouts(server.logouts).counts(provider.Session("name", began, ""))


def test_the_record_of_logouts_is_bounded_and_forgets_none(tmp_path: Path, provider: ModuleType) -> None:
    logouts = provider.Logouts(tmp_path / "logouts")
    others = [provider.Session("early", logouts.begin(), ""), provider.Session("late", logouts.begin() + 999_999, "")]
    ended = [provider.Session(str(number), logouts.begin() + number, "") for number in range(1, 300)]
    for session in ended:
        logouts.add(session)
    again = provider.Logouts(tmp_path / "logouts")
    assert (tmp_path / "logouts").stat().st_size < 50_000
    assert not any(record.counts(session) for session in ended for record in (logouts, again))
    # Where it has no room it takes what is old for ended.
    assert [again.counts(session) for session in others] == [False, True]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="missing"),
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\x00", id="binary"),
        pytest.param(b"[]", id="list"),
        pytest.param(b'{"before": 0}', id="half"),
        pytest.param(b'{"before": 0, "ended": {"x": "y"}}', id="text for a number"),
        pytest.param(b"[" * 60_000, id="nested"),
        pytest.param(b"x" * 100_000, id="huge"),
    ],
)
def test_without_a_whole_record_of_logouts_all_logins_have_ended(
    tmp_path: Path, provider: ModuleType, content: bytes | None
) -> None:
    path = tmp_path / "logouts"
    if content is not None:
        path.write_bytes(content)
    began = provider.now()
    logouts = provider.Logouts(path)
    assert not logouts.counts(provider.Session("name", began, ""))
    assert logouts.counts(provider.Session("name", logouts.begin(), ""))
    # It is whole from now on.
    assert not provider.Logouts(path).flaw


def test_a_login_ends_after_thirty_days(tmp_path: Path, provider: ModuleType) -> None:
    (tmp_path / "logouts").write_text('{"before": 0, "ended": {}}')
    logouts, day = provider.Logouts(tmp_path / "logouts"), 24 * 3600 * 1000
    old, young = (provider.Session("name", provider.now() - days * day, "") for days in (30.1, 29.9))
    assert [logouts.counts(session) for session in (old, young)] == [False, True]


# Cookies


def forged() -> dict[str, str]:
    """Cookies that no server has signed."""
    now = int(time.time())
    inner = base64.b64encode(json.dumps({"user": json.dumps({"username": "x"}), "password": ""}).encode()).decode()
    second = f"2|1:0|10:{now}|{len(LOGIN)}:{LOGIN}|{len(inner)}:{inner}|"
    return {
        "empty": "",
        "text": "owner",
        "JSON": '{"username":"x"}',
        "number": "5",
        "list": "[]",
        "null": "null",
        "not ASCII": "\xff\xfe\xe4",
        "quotes": '"\\"\\377"',
        "unsigned": second,
        "signed by nothing": second + "0" * 64,
        "first version": f"{inner}|{now}|{'0' * 40}",
        "huge version": "9" * 5000 + "|x",
        "lengths lie": "2|1:0|999999:1|3:x|-5:y|z",
        "no lengths": "2|a:b|c:d|e:f|",
        "huge": "x" * 30_000,
        "nested": "[" * 20_000,
        "equal signs": "a=b=c==",
        "bytes in base 64": base64.b64encode(bytes(range(256))).decode(),
    }


@pytest.mark.parametrize("value", forged().values(), ids=forged())
def test_no_malformed_cookie_gets_in_or_fails(server: Server, value: str) -> None:
    is_closed(server, {LOGIN: value}, ["/api/contents", "/lab"])
    assert Visitor(server.socket, {LOGIN: value, KNOWN: value}).login(PASSWORD).status == 302


def test_no_cookie_that_the_secret_has_signed_gets_in_or_fails(server: Server) -> None:
    """Whoever knows the cookies' secret, as by an old configuration that sets it, still lacks the password's hash."""
    user = json.dumps(dict.fromkeys(["username", "name", "display_name", "initials", "avatar_url", "color"], "x"))
    login = {"name": "x", "began": int(time.time() * 1000), "user": user, "seal": "0" * 64}
    changes: list[dict[str, object]] = [
        {},
        {"seal": "\xe4"},
        {"seal": 5},
        {"began": 1e99},
        {"began": True},
        {"name": None},
        {"user": "["},
        {"x": 1},
    ]
    forms = [b"\xff\xfe", b"null", b"5", b'"x"', b"[" * 3000, b"{}", user.encode(), b'{"user": "x", "password": ""}']
    for form in [*forms, *(json.dumps({**login, **change}).encode() for change in changes)]:
        signed = create_signed_value(b"known", LOGIN, form).decode()
        is_closed(server, {LOGIN: signed}, ["/api/contents"])
        assert Visitor(server.socket, {LOGIN: signed}).ask("/logout").status == 200


# What is broken


def breaks() -> dict[str, Callable[[Path], object]]:
    """Ways to break the password's hash."""
    whole = hashed(PASSWORD)

    def link(path: Path) -> None:
        elsewhere = path.with_name("elsewhere")
        elsewhere.write_text(whole)
        path.symlink_to(elsewhere)

    return {
        "missing": lambda path: None,
        "empty": lambda path: path.write_text(""),
        "one newline": lambda path: path.write_text("\n"),
        "cut": lambda path: path.write_text(whole[:-1]),
        "something behind it": lambda path: path.write_text(whole + "x"),
        "two newlines": lambda path: path.write_text(f"{whole}\n\n"),
        "blank before it": lambda path: path.write_text(f" {whole}"),
        "binary": lambda path: path.write_bytes(b"\xff\x00" * 50),
        "huge": lambda path: path.write_text(whole * 10_000),
        "clear text": lambda path: path.write_text(PASSWORD),
        "sha1 of nothing": lambda path: path.write_text("sha1::da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        "argon2i": lambda path: path.write_text(whole.replace("argon2id", "argon2i")),
        "all of the memory": lambda path: path.write_text(whole.replace("m=64", "m=4194304")),
        "all of the time": lambda path: path.write_text(whole.replace("t=1,", "t=99999999,")),
        "all of the threads": lambda path: path.write_text(whole.replace("m=64", "m=131072").replace("p=1$", "p=999$")),
        "too little memory": lambda path: path.write_text(whole.replace("m=64", "m=1")),
        "no passes": lambda path: path.write_text(whole.replace("t=1,", "t=0,")),
        "folder": lambda path: path.mkdir(),
        "pipe": lambda path: os.mkfifo(path),
        "link": link,
        "link to nothing": lambda path: path.symlink_to("/nonexistent"),
        "device": lambda path: path.symlink_to("/dev/zero"),
    }


@pytest.mark.parametrize("way", breaks())
def test_a_broken_hash_lets_nobody_in_and_heals(server: Server, way: str) -> None:
    visitor, logged = server.visitor(PASSWORD), len(server.log.read_text())
    server.hash.rename(server.hash.with_name("kept"))
    breaks()[way](server.hash)
    try:
        attacker = server.visitor()
        assert attacker.login("" if way == "empty" else "wrong").status == 401
        assert attacker.login(PASSWORD).status == 401
        is_closed(server, attacker.cookies, ["/api/contents", "/api/kernels", "/api/terminals", "/lab"])
        is_closed(server, visitor.cookies, ["/api/contents", "/lab"])
        assert Visitor(server.socket, visitor.cookies).websocket(KERNEL) == 403
        assert Visitor(server.socket).ask("/api/status", headers={"Owner-Key": server.key.read_text()}).status == 200
    finally:
        server.hash.rmdir() if server.hash.is_dir() else server.hash.unlink(missing_ok=True)
        server.hash.with_name("kept").rename(server.hash)
    # It has not been told to forget its login.
    assert visitor.inside()
    assert server.log.read_text()[logged:].count("password_hash cannot be used (") == 1


@pytest.mark.parametrize("way", breaks())
def test_nothing_starts_without_a_whole_hash(tmp_path: Path, provider: ModuleType, way: str) -> None:
    with here(provider, tmp_path):
        breaks()[way](tmp_path / "password_hash")
        with pytest.raises(
            SystemExit, match=r"^Not started: .*password_hash cannot be used \(.+\): .* Run the playbook"
        ):
            begin(provider)
        assert not (tmp_path / "run" / "owner").exists()


@pytest.mark.parametrize("what", ["run/owner", "run/owner.new", "run/logouts", "run/logouts.new"])
def test_nothing_starts_where_the_records_cannot_be_written(tmp_path: Path, provider: ModuleType, what: str) -> None:
    with here(provider, tmp_path):
        (tmp_path / "password_hash").write_text(hashed(PASSWORD))
        (tmp_path / what).mkdir()
        with pytest.raises(SystemExit, match=r"^Not started: .*run cannot be written \(.+\)\.$"):
            begin(provider)
        assert not [path for path in (tmp_path / "run").iterdir() if path.is_file() and path.name != "logouts"]


def test_jupyter_ends_where_the_provider_does_not_start(tmp_path: Path) -> None:
    with Server(tmp_path, PASSWORD) as server:
        server.key.mkdir()
        assert server.launch().wait(seconds(60)) == 1
    said = f"\nNot started: {tmp_path / 'run'} cannot be written (Is a directory).\n"
    assert said in server.log.read_text()
    assert not server.socket.exists()


def test_no_old_configuration_and_no_environment_opens_it(server: Server) -> None:
    visitor = server.visitor()
    for password in ("", "known", "foo"):
        assert visitor.login(password).status == 401
    is_closed(server)
    for page in ("/api/me?token=known", "/metrics", "/api/kernelspecs", "/api/config/x"):
        assert Visitor(server.socket).ask(page, headers={"Authorization": "token known"}).status in {302, 403}
        assert Visitor(server.socket, {"_xsrf": "known"}).ask(page).status in {302, 403}
    assert visitor.login(PASSWORD).status == 302
    assert visitor.ask("/api/contents", "POST", b"{}", {"Origin": "https://example.org"}).status == 404


# The owner's key


def test_the_owner_looks_in_by_a_key_that_is_private_and_new_at_each_start(restarted: Restarted) -> None:
    key, socket = restarted.server.key, restarted.server.socket
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(restarted.key) >= 43
    for shown, status in ((restarted.key, 403), (key.read_text(), 200), ("left by another start", 403)):
        answer = Visitor(socket).ask("/api/contents", headers={"Owner-Key": shown})
        assert answer.status == status
        assert not any(LOGIN in cookie for cookie in answer.cookies)
    assert Visitor(socket).ask("/api/contents", "POST", b"{}", {"Owner-Key": key.read_text()}).status == 403


@pytest.mark.parametrize("key", ["", "x", "\xff\xe4", "x" * 60_000, "KEY,KEY", "KEYx", "null"], ids=range(7))
def test_no_other_key_gets_in_or_fails(server: Server, key: str) -> None:
    key = key.replace("KEY", server.key.read_text())
    assert Visitor(server.socket).ask("/api/contents", headers={"Owner-Key": key}).status == 403


# Other sites, and websockets


def test_a_login_needs_the_page_that_it_comes_from(server: Server) -> None:
    form, body = {"Content-Type": FORM}, b"password=correct+horse+battery+staple"
    for headers in (form, {**form, "Origin": "https://example.org"}, {**form, "X-XSRFToken": "x", "Cookie": "_xsrf=y"}):
        answer = Visitor(server.socket).ask("/login", "POST", body, headers)
        assert answer.status in {403, 404}
        assert not any(LOGIN in cookie for cookie in answer.cookies)
    visitor = server.visitor(PASSWORD)
    without = {LOGIN: visitor.cookies[LOGIN]}
    assert Visitor(server.socket, without).ask("/api/contents", "POST", b"{}").status == 403
    for page in ("//example.org", "https://example.org/", "/\\example.org", "https:///example.org"):
        assert visitor.login(PASSWORD, f"/login?next={page}").location in {"/", "/%5Cexample.org"}


def test_a_websocket_needs_a_login(server: Server) -> None:
    """There is no such kernel: who may ask is told so."""
    for path in (KERNEL, TERMINAL):
        assert Visitor(server.socket).websocket(path) == 403
        assert Visitor(server.socket, {LOGIN: "x"}).websocket(path) == 403
        assert server.visitor(PASSWORD).websocket(path) == 404


# Many at once


@pytest.mark.usefixtures("_costly")
def test_twenty_log_in_at_once(server: Server) -> None:
    visitors = [server.visitor() for _ in range(20)]
    with ThreadPoolExecutor(20) as pool:
        answers = [*pool.map(lambda visitor: visitor.login(PASSWORD).status, visitors)]
    assert answers == [302] * 20
    assert all(visitor.inside() for visitor in visitors)


def test_others_are_answered_while_passwords_are_hashed(server: Server) -> None:
    server.hash.write_text(hashed(PASSWORD, 16384, 5))
    owner, visitors = server.visitor(PASSWORD), [server.visitor() for _ in range(4)]
    answers = 0
    with ThreadPoolExecutor(4) as pool:
        logins = [pool.submit(visitor.login, PASSWORD) for visitor in visitors]
        while not all(login.done() for login in logins):
            assert owner.inside()
            answers += 1
    assert [login.result().status for login in logins] == [302] * 4
    # Where a password keeps the server busy, there is one before the first, and one behind each.
    assert answers > 10


def test_wrong_passwords_are_answered_later_and_later_and_the_right_one_at_once(server: Server) -> None:
    visitor = server.visitor()
    took = []
    for password in ("wrong",) * 5:
        begun = time.monotonic()
        assert visitor.login(password).status == 401
        took.append(time.monotonic() - begun)
    assert took[0] < took[4]
    assert took[4] > 1.6
    begun = time.monotonic()
    assert server.visitor(PASSWORD).inside()
    assert time.monotonic() - begun < seconds(1.6)


def test_who_comes_last_does_not_wait_for_all_who_came_before(provider: ModuleType) -> None:
    whole, judged = hashed(PASSWORD), 0

    def whole_hash() -> str:
        nonlocal judged
        judged += 1
        return whole

    async def come() -> object:
        door = provider.Door()
        others = [asyncio.ensure_future(door.judge("wrong", whole_hash, lambda: False)) for _ in range(60)]
        await asyncio.sleep(0)
        answer: object = await door.judge(PASSWORD, whole_hash, lambda: False)
        for other in others:
            other.cancel()
        return answer

    assert asyncio.run(come()) == whole
    assert judged < 5


@pytest.mark.usefixtures("_costly")
def test_the_owner_gets_in_while_others_try(server: Server) -> None:
    inside = server.visitor(PASSWORD)
    with flood(server, 50) as answers:
        time.sleep(0.5)
        begun = time.monotonic()
        assert inside.inside()
        assert time.monotonic() - begun < seconds(2)
        assert server.visitor(PASSWORD).inside()
        assert time.monotonic() - begun < seconds(10)
    assert 302 not in answers


@pytest.mark.usefixtures("_costly")
def test_more_than_can_wait_are_sent_away_and_a_known_browser_gets_in_all_the_same(server: Server) -> None:
    known = server.visitor(PASSWORD)
    known.ask("/logout")
    with flood(server, 200) as answers:
        time.sleep(0.5)
        begun = time.monotonic()
        assert known.login(PASSWORD).status == 302
        assert time.monotonic() - begun < seconds(10)
    assert 429 in answers
    assert {*answers} <= {401, 429}


# What is left behind


def test_the_log_has_no_secret(server: Server) -> None:
    visitor = server.visitor(PASSWORD)
    visitor.login("canary-wrong-password")
    secrets = [server.hash.read_text().strip(), server.key.read_text(), visitor.cookies[LOGIN], "canary", PASSWORD]
    visitor.ask("/logout")
    Visitor(server.socket, {LOGIN: secrets[2]}).ask("/api/contents")
    Visitor(server.socket).ask("/api/contents", headers={"Owner-Key": secrets[1] + "x"})
    log = server.log.read_text()
    assert [secret for secret in secrets if secret in log] == []
    assert "Uncaught exception" not in log
    assert "Somebody logged in." in log
