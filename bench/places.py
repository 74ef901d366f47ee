"""Measures what it costs that a server is in a job, behind the relay, and not on the login node."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator

from browser import Browser
from laptop import PASSWORD, Laptop

#: Where a server may run, and how many times something short is done.
PLACES = ("login", "compute")
TIMES = 50
#: What is downloaded, in bytes: 100 MB.
SIZE = 10**8


def timed(what: Callable[[], object]) -> float:
    """Return how long something takes, in seconds."""
    begun = time.monotonic()
    what()
    return time.monotonic() - begun


def mean(what: Callable[[], object], times: int = TIMES) -> float:
    """Return how long something takes that is done many times."""
    begun = time.monotonic()
    for _ in range(times):
        what()
    return (time.monotonic() - begun) / times


def both_places(laptop: Laptop, rounds: int) -> dict[str, list[float]]:
    """Use a server at both places in turn, as a page does."""
    found: dict[str, list[float]] = {}
    laptop.choices["my_job"] = {"time": "30:00", "cpus": 1}
    laptop.play("site.yml")
    for _ in range(rounds):
        for place in PLACES:
            laptop.choices["my_place"] = place
            took = timed(lambda: laptop.play("playbooks/restart.yml"))
            for name, seconds in [("restart", took), *use(laptop)]:
                found.setdefault(f"{name}, {place}", []).append(seconds)
                print(f"{name}, {place}: {seconds:.4f} s", flush=True)
    return found


def use(laptop: Laptop) -> Iterator[tuple[str, float]]:
    """Measure what a page does; each is the mean of many, but for the download."""
    page = Browser(f"https://localhost:{laptop.local_port}", laptop.folder / "j" / "ca" / "ca.crt")
    assert page.login(PASSWORD)
    kept = http.client.HTTPSConnection("localhost", laptop.local_port, context=page.tls)
    cookies = {"Cookie": page.identification()[0]}

    def ask() -> None:
        kept.request("GET", "/api/status", headers=cookies)
        kept.getresponse().read()

    ask()
    yield "request on a kept connection", mean(ask)
    yield "request on a new connection", mean(lambda: page.request("/api/status"))
    kernel = page.api("kernels", {"name": "python3"})["id"]
    page.run(kernel, f"import os; open('big', 'wb').write(os.urandom({SIZE}))")
    yield "cell, with its websocket", mean(lambda: page.run(kernel, "1"), 10)
    yield "100 MB down", timed(lambda: page.download("big"))
    page.run(kernel, "os.unlink('big')")
    page.api(f"kernels/{kernel}", method="DELETE")
