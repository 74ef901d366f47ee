from __future__ import annotations

import pytest
from browser import Browser
from cluster import Laptop


@pytest.fixture(scope="session")
def laptop() -> Laptop:
    return Laptop("default", "astro")


@pytest.fixture(scope="session")
def browser(laptop: Laptop) -> Browser:
    """A browser that has logged in with the password."""
    browser = laptop.browser()
    assert browser.login(laptop.password)
    return browser


@pytest.fixture(scope="session")
def kernel(browser: Browser) -> str:
    """A running kernel."""
    return str(browser.api("kernels", {"name": "python3"})["id"])
