"""Who has logged in to the Jupyter server: who knew the password, or shows a key that the server's account alone has.

It lies in the server's private folder on the node, beside `password_hash` and `run/`, and asks nothing of Jupyter, of
which each generation has a module that does. Nothing here is decided by a configuration, an environment variable or
what is missing from a file: where a file is not whole, nobody logs in, and nobody who has logged in before counts.
"""

from __future__ import annotations

import abc
import contextlib
import hashlib
import hmac
import json
import logging
import os
import secrets
import time
from asyncio import Future, get_running_loop, sleep, wrap_future
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import argon2
from jupyter_cluster_password import read_private, whole_hash
from tornado.web import HTTPError, StaticFileHandler

HERE = Path(__file__).resolve().parent

#: The longest password, in bytes, as the playbooks have it.
LONGEST = 1024
#: How long a login lasts, in days.
DAYS = 30
#: How many logouts are remembered, one by one. The oldest makes room for another: then all logins that began no later
#: than that one have ended.
REMEMBERED = 256
#: How many passwords may wait for their turn, and how many wrong ones for their answer.
QUEUE, HELD = 64, 128
#: How late the first wrong password is answered, how late at most, and how long without one until it begins anew, in
#: seconds. It doubles each time.
SOONEST, LATEST, FORGIVEN = 0.1, 10.0, 60.0

#: What the name of the cookie ends in that a browser keeps after it has logged in once.
KNOWN = "-known"

#: What a page may not decide for itself, whatever a configuration says: the settings of tornado's application.
CLOSED = {
    "allow_unauthenticated_access": False,
    "authenticate_prometheus": True,
    "xsrf_cookies": True,
    "disable_check_xsrf": False,
    "allow_origin": "",
    "allow_origin_pat": None,
    "allow_credentials": False,
}


def write_private(path: Path, text: str) -> None:
    """Write a file that this account alone can read: all of it, on the disk, or nothing."""
    new = path.with_name(path.name + ".new")
    # What an interrupted one has left.
    new.unlink(missing_ok=True)
    try:
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # Not every file system of a network can; the file itself is on the disk.
        with contextlib.suppress(OSError):
            os.fsync(folder)
    finally:
        os.close(folder)


def password_hash() -> str:
    """Return the hash; ValueError or OSError where it is not whole, or of no bounded cost."""
    return whole_hash(str(HERE / "password_hash"))


def fits(password: str, whole: str) -> bool:
    """Tell whether a hash is of this password. It takes time, and the memory that the hash names."""
    try:
        return argon2.PasswordHasher().verify(whole.partition(":")[2], password)
    except (argon2.exceptions.Argon2Error, argon2.exceptions.InvalidHash):
        return False


def describe(error: Exception) -> str:
    """Say what is wrong with a file, with nothing of what is in it."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error) if type(error) is ValueError else "it is damaged"


def now() -> int:
    """Return the time, in milliseconds."""
    return int(time.time() * 1000)


def close(app: Any, logins: Logins) -> None:
    """Set what no configuration may open, when all of them have been read."""
    app.web_app.settings.update(CLOSED)
    # Behind what a configuration names stand Jupyter's own.
    close_files(logins, [f"{folder}{os.sep}" for folder in app.static_file_path[len(app.extra_static_paths) :]])
    # Scripts of the page read this one.
    app.web_app.settings["xsrf_cookie_kwargs"] = {"path": app.base_url, "secure": True, "samesite": "Lax"}


def close_files(logins: Logins, public: list[str]) -> None:
    """Have a stranger get no file but those of these folders, which the login page needs.

    A configuration may name folders of the user's for what Jupyter takes for parts of its pages, and shows everybody.
    """
    validate = StaticFileHandler.validate_absolute_path

    def validate_absolute_path(self: Any, root: str, absolute_path: str) -> str | None:
        path = validate(self, root, absolute_path)
        if path is not None and not path.startswith(tuple(public)) and not logins.knows(self):
            raise HTTPError(403)
        return path

    StaticFileHandler.validate_absolute_path = validate_absolute_path  # type: ignore[method-assign]


class Session(NamedTuple):
    """A login: its random name, when it began, and the hash of the password that it was made with."""

    name: str
    began: int
    whole: str

    def seal(self, user: str) -> str:
        """Return what only somebody who has the hash can make of it: another password ends the login."""
        message = json.dumps([self.name, self.began, user])
        return hmac.new(self.whole.encode(), message.encode(), "sha256").hexdigest()

    def digest(self) -> str:
        """Return what it is remembered by, which is of no use to whoever reads it."""
        return hashlib.sha256(self.name.encode()).hexdigest()


class Logouts:
    """Logins that ended by a logout, in a file, so that they have ended for the next start, too."""

    def __init__(self, path: Path) -> None:
        """Read them. Where there is no whole record of them, all logins end: one of them may have ended before."""
        self.path = path
        #: All logins that began no later than this have ended.
        self.before = 0
        #: When each of the others began, by its digest.
        self.ended: dict[str, int] = {}
        #: Why the record could not be read.
        self.flaw = ""
        try:
            self.read()
        except (OSError, ValueError, RecursionError) as error:
            self.flaw = "" if isinstance(error, FileNotFoundError) else describe(error)
            self.before = now()
            self.write()

    def read(self) -> None:
        """Take over what the record says."""
        content = json.loads(read_private(str(self.path), 1 << 16))
        if not isinstance(content, dict) or content.keys() != {"before", "ended"}:
            raise ValueError("it is damaged")
        before, ended = content["before"], content["ended"]
        if type(before) is not int or not isinstance(ended, dict) or {type(began) for began in ended.values()} - {int}:
            raise ValueError("it is damaged")
        self.before, self.ended = before, ended

    def write(self) -> None:
        """Write the record."""
        write_private(self.path, json.dumps({"before": self.before, "ended": self.ended}))

    def begin(self) -> int:
        """Return when a login begins that begins now. It counts, also where the clock has gone back."""
        return max(now(), self.before + 1)

    def counts(self, session: Session) -> bool:
        """Tell whether a login has not ended."""
        young = now() - session.began <= DAYS * 24 * 3600 * 1000
        return young and session.began > self.before and session.digest() not in self.ended

    def add(self, session: Session) -> None:
        """End a login for good. Where that cannot be written, all end: those of now, and at the next start."""
        self.ended[session.digest()] = session.began
        while len(self.ended) > REMEMBERED:
            oldest = min(self.ended, key=self.ended.__getitem__)
            self.before = max(self.before, self.ended.pop(oldest))
        try:
            self.write()
        except OSError:
            self.before = max(self.before, now())
            # This can be done on a full disk, too.
            with contextlib.suppress(OSError):
                self.path.unlink()
            raise


class Crowded(Exception):
    """Too many passwords wait for their turn."""


class Door:
    """Judges passwords one after the other, and answers wrong ones the later the more of them there are.

    Over a socket everybody looks the same, so nobody is told to stay away: what is wrong waits for its answer. Every
    other turn is that of who came last, who then has not all those before him who try again and again.
    """

    def __init__(self) -> None:
        """Begin with nobody there."""
        self.thread = ThreadPoolExecutor(1, "password")
        #: Who waits for a turn, in the order in which they came.
        self.queue: list[Future[None]] = []
        self.busy = self.newest = False
        self.held = self.wrong = 0
        self.last = 0.0

    async def enter(self) -> None:
        """Wait for a turn. Where too many wait, one of them, by chance, is sent away."""
        if not self.busy:
            self.busy = True
            return
        if len(self.queue) >= QUEUE:
            self.queue.pop(secrets.randbelow(QUEUE)).set_exception(Crowded())
        turn: Future[None] = get_running_loop().create_future()
        self.queue.append(turn)
        await turn

    def leave(self) -> None:
        """Give the turn to another one."""
        self.busy, self.newest = bool(self.queue), not self.newest
        if self.busy:
            self.queue.pop(-1 if self.newest else 0).set_result(None)

    async def judge(self, password: str, whole_hash: Callable[[], str | None], gone: Callable[[], bool]) -> str | None:
        """Return the hash that a password fits, or nothing, later. Whoever has gone away costs nothing."""
        await self.enter()
        try:
            whole = None if gone() or len(password.encode()) > LONGEST else whole_hash()
            right = False if whole is None else await wrap_future(self.thread.submit(fits, password, whole))
        finally:
            self.leave()
        if right:
            self.wrong = 0
            return whole
        if not gone():
            await self.hold()
        return None

    async def hold(self) -> None:
        """Hold the answer to a wrong password back; of too many at once, the turn alone slows them down."""
        self.wrong = min(self.wrong, 10) + 1 if time.monotonic() < self.last + FORGIVEN else 1
        self.last = time.monotonic()
        if self.held < HELD:
            self.held += 1
            try:
                await sleep(min(LATEST, SOONEST * 2 ** (self.wrong - 1)))
            finally:
                self.held -= 1


class Logins:
    """The password as it is now: a new one counts at once, ends the old logins, and needs no restart."""

    def __init__(self, log: logging.Logger, cookie_name: Callable[[Any], str]) -> None:
        """Begin, with a new key for the owner; where that cannot be, end the start.

        `cookie_name` tells Jupyter's name of the login cookie, for a request.
        """
        self.log, self.cookie_name = log, cookie_name
        #: What is wrong with the password's hash, as it was last said.
        self.complaint = ""
        self.key = secrets.token_urlsafe()
        #: For browsers that have logged in before, and for all others, who cannot crowd those out.
        self.doors = {True: Door(), False: Door()}
        if not self.whole_hash():
            stop(f"{self.complaint} Run the playbook again.")
        try:
            self.logouts = Logouts(HERE / "run" / "logouts")
            self.write_key()
        except OSError as error:
            stop(f"{HERE / 'run'} cannot be written ({describe(error)}).")
        if self.logouts.flaw:
            self.log.error("run/logouts cannot be used (%s): all logins have ended.", self.logouts.flaw)

    def write_key(self) -> None:
        """Write down the owner's key, where it does not stand whole."""
        path, there = HERE / "run" / "owner", ""
        with contextlib.suppress(OSError):
            there = path.read_text(errors="replace") if path.is_file() else ""
        if there != self.key:
            write_private(path, self.key)

    def whole_hash(self) -> str | None:
        """Return the password's hash as it is now, if it is whole, and say once where it is not."""
        try:
            whole, complaint = password_hash(), ""
        except (OSError, ValueError) as error:
            whole, complaint = None, f"{HERE / 'password_hash'} cannot be used ({describe(error)}): nobody can log in."
        if complaint and complaint != self.complaint:
            self.log.error(complaint)
        self.complaint = complaint
        return whole

    def shows_key(self, handler: Any) -> bool:
        """Tell whether a request shows the owner's key; the key is written down again where another one is shown."""
        shown = handler.request.headers.get("Owner-Key", "")
        if hmac.compare_digest(shown.encode(), self.key.encode()):
            return True
        if shown:
            with contextlib.suppress(OSError):
                self.write_key()
        return False

    def fits(self, password: str) -> bool:
        """Tell whether this is the password, for whoever asks another way than by the login page."""
        whole = self.whole_hash()
        return whole is not None and len(password.encode()) <= LONGEST and fits(password, whole)

    async def judge(self, handler: Any, password: str) -> bool:
        """Tell whether somebody has the password; then `begin` begins the login."""
        known = self.signed(handler, KNOWN, 365) is not None
        whole = await self.doors[known].judge(password, self.whole_hash, lambda: handler.gone)
        if whole:
            handler.login_session = Session(secrets.token_urlsafe(), self.logouts.begin(), whole)
        return bool(whole)

    # Cookies

    def signed(self, handler: Any, suffix: str, days: int) -> str | None:
        """Return what one of our cookies says, if this server has signed it."""
        name = self.cookie_name(handler) + suffix
        try:
            # The first version would log what is wrong with it, and so the cookie.
            value = handler.get_secure_cookie(name, max_age_days=days, min_version=2)
            return None if value is None else str(value, "ascii")
        except ValueError:
            return None

    def set_cookie(self, handler: Any, suffix: str, value: str, days: int) -> None:
        """Give the browser one of our cookies."""
        handler.set_secure_cookie(
            self.cookie_name(handler) + suffix,
            value,
            expires_days=days,
            path=handler.base_url,
            secure=True,
            httponly=True,
            samesite="Lax",
        )

    def begin(self, handler: Any, user: str) -> None:
        """Let a login last in the browser, under Jupyter's own text for the user; the owner of the key has none."""
        session = getattr(handler, "login_session", None)
        if session:
            content = {"name": session.name, "began": session.began, "user": user, "seal": session.seal(user)}
            self.set_cookie(handler, "", json.dumps(content), DAYS)

    def read_login(self, handler: Any) -> dict[str, Any] | None:
        """Return what the login cookie says, if this server has signed it and it has the form of one."""
        try:
            content = json.loads(self.signed(handler, "", DAYS) or "null")
        except (ValueError, RecursionError):
            return None
        form = {"name": str, "began": int, "user": str, "seal": str}
        whole = isinstance(content, dict) and {key: type(value) for key, value in content.items()} == form
        return content if whole else None

    def user(self, handler: Any) -> str | None:
        """Return the text for who has logged in with the password as it is now, and has not logged out."""
        content = self.read_login(handler)
        whole = self.whole_hash() if content else None
        if not content or not whole:
            return None
        session = Session(content["name"], content["began"], whole)
        if not hmac.compare_digest(content["seal"].encode(), session.seal(content["user"]).encode()):
            return None
        if not self.logouts.counts(session):
            return None
        handler.login_session = session
        return str(content["user"])

    def knows(self, handler: Any) -> bool:
        """Tell whether a request is of somebody who gets in."""
        return self.shows_key(handler) or self.user(handler) is not None

    def has_ended(self, handler: Any) -> bool:
        """Tell whether a request has a login cookie that will never count: the browser may forget it.

        While the hash is not whole no cookie counts, but it may again.
        """
        return not self.complaint and handler.get_cookie(self.cookie_name(handler)) is not None

    def end(self, handler: Any) -> bool:
        """End the login of this browser for good; tell whether that could be written."""
        content = self.read_login(handler)
        if content:
            # Also of one that does not count at this moment.
            session = Session(content["name"], content["began"], "")
            try:
                if self.logouts.counts(session):
                    self.logouts.add(session)
            except OSError as error:
                self.log.error("run/logouts cannot be written (%s): all logins have ended.", describe(error))
                return False
        return True


class LoginPage(abc.ABC):
    """A login page where a password is judged while other requests go on; for Jupyter's own, which has all else."""

    #: Whether the browser has gone away.
    gone = False

    @abc.abstractmethod
    def logins(self) -> Logins:
        """Return what knows who has logged in."""

    @abc.abstractmethod
    def begin_login(self) -> None:
        """Give the browser the cookie of its login."""

    def on_connection_close(self) -> None:
        """Notice that nobody waits for an answer any more."""
        self.gone = True
        page: Any = super()
        page.on_connection_close()

    async def post(self) -> None:
        """Judge the password in the form; one in the address, which is logged, is none."""
        page: Any = self
        password = page.get_body_argument("password", default="")
        # Many may wait, and none of them keeps what it was sent.
        page.request.body = b""
        for kept in page.request.arguments, page.request.body_arguments, page.request.files:
            kept.clear()
        page.request.arguments.update(page.request.query_arguments)
        try:
            right = await self.logins().judge(self, password)
        except Crowded:
            page.set_status(429)
            page.set_header("Retry-After", "5")
            page._render(message={"error": "Too many passwords at once. Try again in a few seconds."})
            return
        if not right:
            page.set_status(401)
            page._render(message={"error": "Invalid credentials"})
            return
        page.log.info("Somebody logged in.")
        self.begin_login()
        # Behind the login: editors take the first cookie for it.
        self.logins().set_cookie(self, KNOWN, "1", 365)
        page._redirect_safe(page.get_argument("next", default=page.base_url))


class LogoutPage(abc.ABC):
    """A logout page, behind which a copy of the cookie does not count either."""

    @abc.abstractmethod
    def logins(self) -> Logins:
        """Return what knows who has logged in."""

    @abc.abstractmethod
    def forget(self) -> None:
        """Have the browser forget its login."""

    def get(self) -> None:
        """End the login."""
        page: Any = self
        if self.logins().end(self):
            message = {"info": "Successfully logged out."}
        else:
            message = {"warning": "Logged out, and so is everybody: the disk did not take a record of it."}
        self.forget()
        page.write(page.render_template("logout.html", message=message))


def stop(why: str) -> NoReturn:
    """End the start with one line."""
    raise SystemExit(f"Not started: {why}")
