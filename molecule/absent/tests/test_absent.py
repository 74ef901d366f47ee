"""Check mode predicts and changes nothing; `absent` leaves no trace; what was there before is byte-identical."""

from __future__ import annotations

import re
import shutil
import subprocess

from cluster import NODE, Laptop, node_home, node_root, takes_calls
from counts import count


def laptop_home(laptop: Laptop) -> dict[str, tuple[int, bytes]]:
    """Every file on the laptop's side, with its mode and content."""
    folder = laptop.ssh_config.parent
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in folder.rglob("*")
    }


def foreign(laptop: Laptop) -> str:
    """What ssh makes of a host that is not ours."""
    command = ["ssh", "-G", "-F", str(laptop.ssh_config), "foreign.example.org"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def changes(output: str) -> int:
    """How many tasks changed something, by Ansible's own count."""
    return int(re.findall(r"changed=(\d+)", output)[-1])


def test_check_mode_on_a_fresh_node_and_laptop_predicts_and_changes_nothing(laptop: Laptop) -> None:
    node, here = node_home("leaver"), laptop_home(laptop)
    predicted = laptop.playbook("site.yml", "--check", "--diff")
    assert predicted.returncode == 0, predicted.stdout
    assert changes(predicted.stdout) > 0
    assert (
        "+    LocalForward 127.0.0.1:9879 /home/leaver/.jupyter-cluster/hydra08i/run/jupyter.sock" in predicted.stdout
    )
    assert "+  --ServerApp.port_retries=0 " in predicted.stdout
    assert laptop.password not in predicted.stdout
    assert "$argon2id$" not in predicted.stdout
    assert (node_home("leaver"), laptop_home(laptop)) == (node, here)


def test_check_mode_on_a_laptop_that_knows_another_cluster(laptop: Laptop) -> None:
    laptop.folder.mkdir(mode=0o700)
    (laptop.folder / "ssh_config").write_text("Host viper-i.mpcdf.mpg.de\n    ProxyJump gate1.mpcdf.mpg.de\n")
    here = laptop_home(laptop)
    try:
        predicted = laptop.playbook("site.yml", "--check")
        assert predicted.returncode == 0, predicted.stdout
        assert laptop_home(laptop) == here
    finally:
        shutil.rmtree(laptop.folder)


def test_a_first_run_does_little_and_absent_leaves_no_trace(laptop: Laptop) -> None:
    # A file of the person's own with a name such as a probe might take.
    node_root("su leaver -c 'echo mine >~/.probe.notes'")
    node, here, alias = node_home("leaver"), laptop_home(laptop), foreign(laptop)
    first_run = count(laptop, "site.yml")
    assert first_run.tasks <= 40
    assert len(first_run.commands) <= 5, first_run.commands
    assert laptop.browser().login(laptop.password)
    assert foreign(laptop) == alias

    removed = laptop.playbook("playbooks/remove.yml", tls_cert_ca_keep=False)
    assert removed.returncode == 0, removed.stdout
    assert not takes_calls(9879)
    assert laptop_home(laptop) == here
    after = node_home("leaver")
    assert set(node.splitlines()) <= set(after.splitlines())
    # Jupyter keeps files of its own, such as a workspace, where it always does.
    new = {line.split(" ", 3)[-1].strip() for line in set(after.splitlines()) - set(node.splitlines())}
    assert {
        name for name in new if not re.match(r"\./\.(local/share/jupyter|jupyter|ipython|cache)(/|$)", name)
    } == set()


def test_absent_again_changes_nothing(laptop: Laptop) -> None:
    node, here = node_home("leaver"), laptop_home(laptop)
    again = laptop.playbook("playbooks/remove.yml", tls_cert_ca_keep=False)
    assert again.returncode == 0, again.stdout
    assert changes(again.stdout) == 0
    assert f"There is nothing of hydra on {NODE}, nor on this machine." in again.stdout
    assert (node_home("leaver"), laptop_home(laptop)) == (node, here)
