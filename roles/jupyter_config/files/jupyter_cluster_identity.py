"""Who gets in to a server of jupyter_server 2, by its identity provider."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jupyter_cluster_logins import LoginPage, Logins, LogoutPage, close
from jupyter_server.auth import decorator
from jupyter_server.auth.identity import PasswordIdentityProvider, User
from jupyter_server.auth.login import LoginFormHandler
from jupyter_server.auth.logout import LogoutHandler
from traitlets import TraitType

# Before jupyter_server 2.13 a page that asks for no login needs no mark.
allow_unauthenticated: Callable[[Any], Any] = getattr(decorator, "allow_unauthenticated", lambda method: method)


class _Handler:
    """A page of the server."""

    def logins(self) -> Logins:
        """Return what knows who has logged in."""
        page: Any = self
        logins: Logins = page.identity_provider.logins
        return logins


class Login(_Handler, LoginPage, LoginFormHandler):
    """Jupyter's login page, with ours behind it."""

    def begin_login(self) -> None:
        """Give the browser the cookie of its login."""
        page: Any = self
        page.current_user = page.identity_provider.generate_anonymous_user(self)
        page.identity_provider.set_login_cookie(self, page.current_user)

    @allow_unauthenticated
    async def post(self) -> None:
        """Judge the password in the form."""
        await super().post()


class Logout(_Handler, LogoutPage, LogoutHandler):
    """Jupyter's logout page, with ours behind it."""

    def forget(self) -> None:
        """Have the browser forget its login."""
        page: Any = self
        page.identity_provider.clear_login_cookie(self)

    @allow_unauthenticated
    def get(self) -> None:
        """End the login."""
        super().get()


if TYPE_CHECKING:
    Trait = TraitType[Any, Any]
else:
    # Older ones take no types.
    Trait = TraitType


class Fixed(Trait):
    """A setting with one value, whatever a configuration, the command line or the environment says."""

    def __init__(self, value: Any) -> None:
        """Take that value."""
        super().__init__(value, config=True)

    def get(self, obj: Any, cls: Any = None) -> Any:
        """Return that value."""
        return self.default_value

    def set(self, obj: Any, value: Any) -> None:
        """Keep that value."""


class Owner(PasswordIdentityProvider):
    """Jupyter's own, with what nobody sets, and our logins."""

    token: Any = Fixed("")
    need_token: Any = Fixed(False)
    #: Whoever asks whether there is a password sees that there is, and cannot check one here.
    hashed_password: Any = Fixed("see password_hash")
    password_required: Any = Fixed(True)
    allow_password_change: Any = Fixed(False)
    cookie_name: Any = Fixed("")
    cookie_options: Any = Fixed({})
    get_secure_cookie_kwargs: Any = Fixed({})
    secure_cookie: Any = Fixed(True)
    login_handler_class: Any = Fixed(Login)
    logout_handler_class: Any = Fixed(Logout)

    auth_enabled = login_available = logout_available = True

    def __init__(self, **kwargs: Any) -> None:
        """Begin; where nobody could log in, end the start."""
        super().__init__(**kwargs)
        self.logins = Logins(self.log, self.get_cookie_name)

    def validate_security(self, app: Any, ssl_options: dict[str, Any] | None = None) -> None:
        """Set what no configuration may open, when all of them have been read."""
        close(app, self.logins)
        super().validate_security(app, ssl_options)

    def get_user(self, handler: Any) -> User | None:
        """Return the owner of the key, or who has logged in, or nobody."""
        if self.logins.shows_key(handler):
            return User("owner")
        user = self.get_user_cookie(handler)
        if user is None and self.logins.has_ended(handler):
            self.log.warning("Clearing an invalid or expired login cookie.")
            self.clear_login_cookie(handler)
        return user

    def is_token_authenticated(self, handler: Any) -> bool:
        """Deny it: there is no token, so everybody's origin is checked."""
        return False

    def passwd_check(self, password: str) -> bool:
        """Tell whether this is the password, for whoever asks another way than by the login page."""
        return self.logins.fits(password)

    def set_login_cookie(self, handler: Any, user: User) -> None:
        """Let a login last in the browser."""
        self.logins.begin(handler, self.user_to_cookie(user))

    def get_user_cookie(self, handler: Any) -> User | None:
        """Return who has logged in with the password as it is now, and has not logged out."""
        text = self.logins.user(handler)
        return None if text is None else self.user_from_cookie(text)

    def cookie_secret_hook(self, h: hmac.HMAC) -> hmac.HMAC:
        """Leave the cookies' secret alone: each login is sealed with the password's hash, and lasts over a restart."""
        return h
