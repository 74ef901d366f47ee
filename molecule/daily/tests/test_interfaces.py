"""What people use beside a browser: an editor, the file browser's uploads, ssh, scp and rsync."""

from __future__ import annotations

import base64
import random
import time
from threading import Thread

import pytest
from browser import Browser
from cluster import Laptop
from editor import Editor
from laptop_container import Person
from patience import seconds

CHUNK = 2**20


def test_an_editor_logs_in_and_works_with_a_kernel(laptop: Laptop, browser: Browser) -> None:
    """The handshake of VS Code, from its password prompt to the restart of a kernel."""
    editor = Editor(laptop.url, laptop.authority)
    assert not editor.login("not the password")
    editor = Editor(laptop.url, laptop.authority)
    assert editor.login(laptop.password)
    assert "python3" in editor.api("kernelspecs")["kernelspecs"]
    notebook = {"path": "editor.ipynb", "name": "editor.ipynb", "type": "notebook", "kernel": {"name": "python3"}}
    session = editor.api("sessions", notebook, "POST")
    kernel = session["kernel"]["id"]
    editor.run(kernel, "answer = 42")
    assert editor.run(kernel, "print(answer)") == "42\n"

    interrupted: list[str] = []

    def sleep() -> None:
        try:
            editor.run(kernel, f"import time; time.sleep({seconds(60)})")
        except AssertionError as error:
            interrupted.append(str(error))

    cell = Thread(target=sleep, daemon=True)
    cell.start()
    deadline = time.monotonic() + seconds(20)
    while editor.api(f"kernels/{kernel}")["execution_state"] != "busy":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    editor.api(f"kernels/{kernel}/interrupt", {}, "POST")
    cell.join(seconds(20))
    assert "KeyboardInterrupt" in interrupted[0]
    assert editor.run(kernel, "print(answer)") == "42\n"

    assert editor.api(f"kernels/{kernel}/restart", {}, "POST")["id"] == kernel
    with pytest.raises(AssertionError, match="NameError"):
        editor.run(kernel, "print(answer)")
    editor.api(f"sessions/{session['id']}", method="DELETE")


def test_fifty_megabytes_up_and_down(browser: Browser) -> None:
    """In pieces of 1 MiB, as JupyterLab's file browser does it."""
    data = random.Random(11).randbytes(50 * CHUNK)
    pieces = range(0, len(data), CHUNK)
    for number, begin in enumerate(pieces, 1):
        content = base64.b64encode(data[begin : begin + CHUNK]).decode()
        body = {"type": "file", "format": "base64", "name": "big.bin", "path": "big.bin", "content": content}
        browser.api("contents/big.bin", {**body, "chunk": -1 if number == len(pieces) else number}, "PUT")
    assert browser.download("big.bin") == data
    browser.api("contents/big.bin", method="DELETE")


def test_ssh_scp_and_rsync_use_the_open_connection(machines: tuple[Person, Person]) -> None:
    person, _ = machines
    person.site("playbooks/connect.yml", my_user=person.account, my_browser=False)
    before = person.logins()
    person.run("head -c 1000000 /dev/urandom >sent && mkdir -p folder && cp sent folder/one && echo two >folder/two")
    person.run(f"scp -q sent {person.node}:copied && scp -q {person.node}:copied back && cmp sent back")
    person.run(f"rsync -a folder/ {person.node}:folder/ && rsync -a {person.node}:folder/ again/")
    person.run("diff -r folder again")
    assert person.run(f"ssh {person.node} 'cat copied folder/one' | sha256sum") == person.run(
        "cat sent folder/one | sha256sum"
    )
    assert person.logins() == before
    person.run(f"ssh {person.node} 'rm -r copied folder' && rm -r sent back folder again")
