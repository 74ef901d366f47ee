from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Thread

import pytest
from browser import Browser
from cluster import Laptop
from laptop_container import Person
from patience import seconds
from states import running as running


@pytest.fixture(scope="session")
def laptop() -> Laptop:
    laptop = Laptop("daily", "daily", 9886)
    done = laptop.playbook("site.yml")
    assert done.returncode == 0, done.stdout
    return laptop


@pytest.fixture
def browser(laptop: Laptop, running: str) -> Browser:
    """A browser that has logged in, over an open tunnel."""
    laptop.playbook("playbooks/connect.yml", my_browser=False)
    browser = laptop.browser()
    assert browser.login(laptop.password)
    return browser


@pytest.fixture
def busy(browser: Browser) -> Iterator[str]:
    """A kernel that works for a minute, or more on a slow machine; its notebook's name."""
    session = browser.api(
        "sessions",
        {"path": "long.ipynb", "name": "long.ipynb", "type": "notebook", "kernel": {"name": "python3"}},
        "POST",
    )
    kernel = session["kernel"]["id"]

    def work() -> None:
        try:
            browser.run(kernel, f"import time; time.sleep({seconds(60)})")
        except Exception:
            # The server has ended, or the test.
            return

    Thread(target=work, daemon=True).start()
    deadline = time.monotonic() + seconds(20)
    while browser.api(f"kernels/{kernel}")["execution_state"] != "busy":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    yield "long.ipynb"
    # Unless the server was restarted.
    browser.request(f"/api/kernels/{kernel}", method="DELETE")


@pytest.fixture(scope="session")
def machines() -> tuple[Person, Person]:
    """One person's laptop and desktop; the server was made from the laptop."""
    laptop = Person("pair", 2121, 9887)
    laptop.begin()
    desktop = laptop.at("desktop")
    for machine in (laptop, desktop):
        machine.at_first = machine.files()
    laptop.site(my_user=laptop.account)
    return laptop, desktop
