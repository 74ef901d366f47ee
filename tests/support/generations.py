"""Somebody who uses one of the generations of Jupyter before, on the node that has them."""

from __future__ import annotations

from typing import Any, NamedTuple

from browser import Browser
from cluster import Laptop


class Generation(NamedTuple):
    """A Jupyter of the node: how one chooses it, what it is, its Python, and its version."""

    chosen: dict[str, Any]
    package: str
    python: str
    version: str


GENERATIONS = {
    "notebook 6.4": Generation({}, "notebook", "/usr/bin/python3", "6.4.12"),
    "jupyter_server 1": Generation(
        {"cluster_modules": ["jupyterlab/3"]},
        "jupyter_server",
        "/opt/lab3/bin/python",
        "1.24.0",
    ),
}


class Elder(Laptop):
    """A person whose choice of a Jupyter stands in each command."""

    generation: Generation

    def verb(self, name: str, **variables: Any) -> str:
        """Run a playbook that works; return what it says, as one line."""
        done = self.playbook(name, **{**self.generation.chosen, **variables})
        assert done.returncode == 0, done.stdout
        return " ".join(done.stdout.split())

    def refused(self, name: str, **variables: Any) -> str:
        """Run a playbook that refuses to do it; return what it says, as one line."""
        done = self.playbook(name, **{**self.generation.chosen, **variables})
        assert done.returncode != 0, done.stdout
        return " ".join(done.stdout.split())

    def visitor(self) -> Browser:
        """Return a browser that has logged in."""
        browser = self.browser()
        # The notebook's page offers none.
        browser.protocols = browser.protocols if self.generation.package == "jupyter_server" else []
        assert browser.login(self.password)
        return browser
