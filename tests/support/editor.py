"""What VS Code's Jupyter extension does with an `Existing Jupyter Server`, as far as the server sees it."""

from __future__ import annotations

import http.client
import urllib.parse

from browser import Browser
from patience import seconds


class Editor(Browser):
    """Somebody's editor: it keeps two cookies by itself, shows no origin, and does not follow redirects."""

    keeps = ""
    xsrf = ""

    def ask(self, path: str, form: dict[str, str] | None = None) -> http.client.HTTPResponse:
        """Ask for a page, or send a form, and look at the first answer."""
        server = http.client.HTTPSConnection(self.url.removeprefix("https://"), context=self.tls, timeout=seconds(20))
        headers = {"Cookie": self.keeps} if self.keeps else {}
        if form is None:
            server.request("GET", path, headers=headers)
        else:
            headers["Content-Type"] = "application/x-www-form-urlencoded;charset=UTF-8"
            server.request("POST", path, urllib.parse.urlencode(form), headers)
        return server.getresponse()

    def login(self, password: str) -> bool:
        """See that a password is wanted, and log in; tell whether it worked."""
        assert self.ask("/hub/api").status != 200
        assert self.ask("/tree?").status != 200
        page = self.ask("/login?")
        self.xsrf = _cookies(page)["_xsrf"]
        self.keeps = f"_xsrf={self.xsrf}"
        answer = self.ask("/login?", {"_xsrf": self.xsrf, "password": password})
        if answer.status != 302:
            return False
        # It takes the first one for the login.
        name, value = next(iter(_cookies(answer).items()))
        self.keeps += f"; {name}={value}"
        self.opener.addheaders = [("Cookie", self.keeps)]
        return self.request("/api/status")[0] == 200

    def cookie(self, name: str) -> str:
        """Return the cookie's value, which it also sends in a header."""
        return self.xsrf

    def identification(self) -> tuple[str, str | None]:
        """Return what its websockets show."""
        return self.keeps, None


def _cookies(answer: http.client.HTTPResponse) -> dict[str, str]:
    """Return the cookies that an answer sets, in their order."""
    set_cookies = answer.headers.get_all("Set-Cookie") or []
    return dict(cookie.partition(";")[0].split("=", 1) for cookie in set_cookies)
