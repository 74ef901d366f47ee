"""The person's own Jupyter, settings, kernels and umask stay as they are."""

from __future__ import annotations

import json

from browser import Browser
from cluster import PROJECT, Laptop

PAST = PROJECT / "molecule" / "default" / "files" / "home"


def test_what_was_in_the_home_is_untouched(laptop: Laptop) -> None:
    files = [path.relative_to(PAST) for path in PAST.rglob("*") if path.is_file()]
    assert len(files) == 8
    for file in files:
        assert laptop.ssh(f"cat '{file}'") == (PAST / file).read_text(), file


def test_the_rest_of_the_ssh_config_is_untouched(laptop: Laptop) -> None:
    first, rest = laptop.ssh_config.read_text().split("\n", 1)
    assert first == f'Include "{laptop.folder}/ssh_config"'
    assert rest.startswith("# BEGIN of the test cluster")
    assert rest.endswith("# END of the test cluster\n")


def test_their_lab_settings_count(browser: Browser) -> None:
    _, text, _ = browser.request("/lab/api/settings/@jupyterlab/apputils-extension:themes")
    assert json.loads(json.loads(text)["raw"])["theme"] == "JupyterLab Dark"


def test_their_kernels_are_there(browser: Browser) -> None:
    assert set(browser.api("kernelspecs")["kernelspecs"]) == {"mine", "python3"}


def test_kernels_have_the_umask_of_the_person(browser: Browser, kernel: str) -> None:
    assert browser.run(kernel, "import os; umask = os.umask(0); os.umask(umask); print(oct(umask))") == "0o27\n"


def test_kernels_begin_in_the_home_directory(browser: Browser, kernel: str) -> None:
    assert browser.run(kernel, "import os; print(os.getcwd())") == "/home/astro\n"


def test_kernels_have_the_module_s_environment(browser: Browser, kernel: str) -> None:
    assert "/opt/anaconda3/bin" in browser.run(kernel, "import os; print(os.environ['PATH'])")


def test_no_kernel_is_ever_culled(laptop: Laptop) -> None:
    configuration = laptop.ssh(f"cat {laptop.node_folder}/jupyter_server_config.py")
    assert "c.MappingKernelManager.cull_idle_timeout = 0" in configuration
    assert "c.ServerApp.shutdown_no_activity_timeout = 86400" in configuration
    assert "Will shut down after 86400 seconds with no kernels." in laptop.ssh(f"cat {laptop.node_folder}/jupyter.log")
