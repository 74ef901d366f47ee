"""Password and hash are in no output, no diff, no argument list and no environment."""

from __future__ import annotations

import base64
import subprocess

from browser import Browser
from cluster import Laptop, node_root
from patience import seconds

# Looks at every process of the node, as fast as it can, and keeps each argument list and environment once.
WATCH = r"""
while [ ! -e /tmp/watch.stop ]; do
  cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null
done | tr '\0' '\n' | awk '!seen[$0]++' >/tmp/watch.out
"""


def test_a_run_that_changes_the_password_shows_it_nowhere(laptop: Laptop, browser: Browser) -> None:
    new = "canary-password-4711"
    old_hash = laptop.ssh(f"cat {laptop.node_folder}/password_hash").strip()
    node_root("rm -f /tmp/watch.stop")
    with subprocess.Popen(["podman", "exec", "jupyter-test-hydra08i", "sh", "-c", WATCH]) as watch:
        try:
            changed = laptop.playbook("site.yml", "-vvv", "--diff", my_password=new)
            new_hash = laptop.ssh(f"cat {laptop.node_folder}/password_hash").strip()
            restored = laptop.playbook("site.yml", "-vvv", "--diff")
        finally:
            node_root("touch /tmp/watch.stop")
            watch.wait(timeout=seconds(20))
    seen = node_root("cat /tmp/watch.out")

    assert changed.returncode == restored.returncode == 0, changed.stdout + restored.stdout
    assert new_hash.startswith("argon2:$argon2id$v=19$m=10240,t=10,p=8$")
    assert new_hash != old_hash
    # The watch does see what goes on there.
    assert "jupyter_server_config.py" in seen
    assert "exec(compile(base64.b64decode(" in seen
    digests = [hashed.rsplit("$", 1)[-1] for hashed in (old_hash, new_hash)]
    owner_key = laptop.ssh(f"cat {laptop.node_folder}/run/owner")
    coded = [base64.b64encode(f"{hashed}\n".encode()).decode() for hashed in (old_hash, new_hash)]
    for secret in (new, laptop.password, owner_key, *digests, *coded):
        for name, text in (("changed", changed.stdout), ("restored", restored.stdout), ("processes", seen)):
            assert secret not in text, name
    # For the tests to come: the other password has ended this login.
    assert browser.request("/api/status")[0] == 403
    assert browser.login(laptop.password)


def test_a_password_that_still_fits_keeps_its_hash(laptop: Laptop) -> None:
    before = laptop.ssh(f"cat {laptop.node_folder}/password_hash")
    again = laptop.playbook("site.yml")
    assert "changed=0" in again.stdout, again.stdout
    assert laptop.ssh(f"cat {laptop.node_folder}/password_hash") == before


def test_a_later_run_needs_no_password(laptop: Laptop) -> None:
    again = laptop.playbook("site.yml", my_password="")
    assert "changed=0" in again.stdout, again.stdout
