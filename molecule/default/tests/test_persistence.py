"""The server outlives the connection, and what the tutorial does by hand does it no harm."""

from __future__ import annotations

import shlex
import time

import pexpect
from browser import Browser
from cluster import GATEWAY, NODE, Laptop, node_root, takes_calls
from patience import seconds


def test_the_same_server_and_kernel_are_there_after_logging_out(laptop: Laptop, browser: Browser, kernel: str) -> None:
    before = laptop.server()
    browser.run(kernel, "answer = 42")
    for host in (NODE, GATEWAY):
        assert laptop.control("exit", host) == 0
    deadline = time.monotonic() + seconds(20)
    while "sshd: astro" in node_root("ps -eo args") or takes_calls(9876):
        assert time.monotonic() < deadline, "the connections do not end"
        time.sleep(0.2)
    # logind takes a person's processes away, where it does, some seconds after the last logout.
    time.sleep(seconds(12))

    assert laptop.server() == before
    assert laptop.control("forward", "jupyter-hydra") == 0
    assert browser.run(kernel, "print(answer)") == "42\n"


def test_screen_shows_the_session(laptop: Laptop) -> None:
    assert ".jupyter\t" in laptop.ssh("screen -ls jupyter")


def test_looking_at_the_session_does_no_harm(laptop: Laptop, browser: Browser, kernel: str) -> None:
    before = laptop.server()
    command = f"ssh -F {shlex.quote(str(laptop.ssh_config))} -tt {NODE} screen -r jupyter"
    terminal = pexpect.spawn(
        command, encoding="utf-8", timeout=seconds(20), dimensions=(40, 200), env={"TERM": "xterm"}
    )
    terminal.expect("Jupyter Server .* is running at")
    terminal.send("\x01c")
    terminal.expect(r"\$ ")
    terminal.sendline("echo window-$((1 + 1))")
    terminal.expect("window-2")
    terminal.sendline("exit")
    terminal.expect("is running at")
    terminal.send("\x01d")
    terminal.expect("detached")
    terminal.expect(pexpect.EOF)
    assert laptop.server() == before
    assert browser.run(kernel, "print(answer)") == "42\n"


def test_ctrl_c_in_the_session_asks_first(laptop: Laptop, browser: Browser, kernel: str) -> None:
    before = laptop.server()
    command = f"ssh -F {shlex.quote(str(laptop.ssh_config))} -tt {NODE} screen -r jupyter"
    terminal = pexpect.spawn(
        command, encoding="utf-8", timeout=seconds(20), dimensions=(40, 200), env={"TERM": "xterm"}
    )
    terminal.expect("is running at")
    terminal.send("\x03")
    terminal.expect(r"Shut down this Jupyter server \(y/\[n\]\)\?")
    terminal.expect("resuming operation", timeout=seconds(15))
    terminal.send("\x01d")
    terminal.expect("detached")
    assert laptop.server() == before
    assert browser.run(kernel, "print(answer)") == "42\n"
