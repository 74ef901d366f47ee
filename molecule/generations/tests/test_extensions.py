"""Extensions that people have, on jupyter_server 2: they keep working, for who has logged in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from browser import Browser
from generations import Elder, Generation


@pytest.fixture(scope="module")
def person() -> Iterator[Elder]:
    """Somebody whose Jupyter has jupyterlab-git and dask-labextension."""
    person = Elder("generations", "elder", 9899, cluster="hydra12", node="hydra12i.rzg.mpg.de")
    person.generation = Generation(
        {"cluster_modules": ["anaconda/3"]}, "jupyter_server", "/opt/anaconda3/bin/python", "2.21.1"
    )
    person.verb("site.yml")
    yield person
    person.verb("playbooks/remove.yml", my_end_kernels=True)


def ask(browser: Browser, path: str, body: dict[str, Any] | None = None, method: str = "GET") -> Any:
    """Ask an extension's endpoint; return what it answers, and fail where it refuses."""
    status, text, _ = browser.request(path, None if body is None else json.dumps(body).encode(), method)
    assert status < 300, f"{path}: {status} {text}"
    return json.loads(text)


@pytest.mark.parametrize("path", ["/git/settings", "/dask/clusters"])
def test_an_extension_s_endpoint_is_for_who_has_logged_in(person: Elder, path: str) -> None:
    stranger = person.browser()
    status, text, _ = stranger.request(path)
    # Of a page, the stranger gets the login's.
    assert status == 403 or "password" in text
    assert "version" not in text
    status, text, _ = person.visitor().request(path)
    assert status == 200
    assert "password" not in text


def test_git_sees_what_has_changed(person: Elder) -> None:
    person.ssh("git init -q work && echo 1 >work/new.txt")
    browser = person.visitor()
    try:
        said = ask(browser, "/git/work/status", {}, "POST")
        assert [file["to"] for file in said["files"]] == ["new.txt"]
    finally:
        person.ssh("rm -rf work")


def test_a_cluster_of_dask_s_is_started_and_ended(person: Elder) -> None:
    browser = person.visitor()
    made = ask(browser, "/dask/clusters", {}, "PUT")
    try:
        assert made["workers"] >= 0
        assert [one["id"] for one in ask(browser, "/dask/clusters")] == [made["id"]]
    finally:
        assert browser.request(f"/dask/clusters/{made['id']}", method="DELETE")[0] == 204
    assert ask(browser, "/dask/clusters") == []
