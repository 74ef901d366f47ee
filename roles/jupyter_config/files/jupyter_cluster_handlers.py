"""Who gets in to a server of jupyter_server 1 or notebook 6, by the class of its login page; and its kernels' messages.

They have no identity provider: they ask that class for the user of each request, and let it set what it wants before
they serve. `take` makes ours of the package that is started.
"""

from __future__ import annotations

import importlib
from typing import Any

from jupyter_cluster_kernels import BINARY, refuse_debugger
from jupyter_cluster_logins import LoginPage, Logins, LogoutPage, close

#: Where the server keeps its logins, among the settings of tornado's application.
LOGINS = "jupyter_cluster_logins"


class _Handler:
    """A page of the server."""

    def logins(self) -> Logins:
        """Return what knows who has logged in."""
        page: Any = self
        logins: Logins = page.settings[LOGINS]
        return logins


class _Login(_Handler, LoginPage):
    """What Jupyter asks the class of its login page, and the page."""

    def begin_login(self) -> None:
        """Give the browser the cookie of its login."""
        self.logins().begin(self, "owner")

    @classmethod
    def validate_security(cls, app: Any, ssl_options: Any = None) -> None:
        """Set what no configuration may open, when all of them have been read; where nobody could log in, end."""
        logins = app.web_app.settings[LOGINS] = Logins(app.log, lambda handler: handler.cookie_name)
        close(app, logins)

    @classmethod
    def get_user(cls, handler: Any) -> str | None:
        """Return the owner of the key, or who has logged in, or nobody."""
        logins: Logins = handler.settings[LOGINS]
        user = "owner" if logins.shows_key(handler) else logins.user(handler)
        if user is None and logins.has_ended(handler):
            handler.log.warning("Clearing an invalid or expired login cookie.")
            handler.clear_login_cookie()
        return user

    @classmethod
    def should_check_origin(cls, handler: Any) -> bool:
        """Have everybody's origin checked."""
        return True

    @classmethod
    def is_token_authenticated(cls, handler: Any) -> bool:
        """Deny it: there is no token."""
        return False

    @classmethod
    def get_login_available(cls, settings: Any) -> bool:
        """Tell that there is a login page, whatever the settings say."""
        return True


class _Logout(_Handler, LogoutPage):
    """The logout page."""

    def forget(self) -> None:
        """Have the browser forget its login."""
        page: Any = self
        page.clear_login_cookie()


#: The login and logout page of the package that is started, which Jupyter imports by these names.
Login: Any = None
Logout: Any = None


def take(package: str) -> None:
    """Make them of a package's own: `jupyter_server` or `notebook`."""
    global Login, Logout
    login = importlib.import_module(f"{package}.auth.login").LoginHandler
    logout = importlib.import_module(f"{package}.auth.logout").LogoutHandler
    Login, Logout = type("Login", (_Login, login), {}), type("Logout", (_Logout, logout), {})


def refuse_debuggers(package: str) -> None:
    """Have the pages of a package pass on all messages to kernels but the first one of a debugger.

    They have one class for a kernel's websocket, which no setting names.
    """
    module = importlib.import_module(f"{package}.services.kernels.handlers")
    pass_on = module.ZMQChannelsHandler.on_message

    def on_message(self: Any, sent: Any) -> Any:
        protocol = self.selected_subprotocol
        refused = refuse_debugger(sent, protocol, self.session, module)
        return pass_on(self, sent) if refused is None else self.write_message(refused, binary=protocol == BINARY)

    module.ZMQChannelsHandler.on_message = on_message
