"""The probe and the server agree on what it means that a password is set."""

from __future__ import annotations

import subprocess
from pathlib import Path

import jupyter_cluster_identity
import pytest
from jupyter_password import jupyter_password_hash
from patience import seconds
from variables import PROJECT

WHOLE = jupyter_password_hash("correct horse battery staple")
PROBE = (PROJECT / "roles" / "login_node" / "templates" / "password_set.sh.j2").read_text()


@pytest.mark.parametrize(
    ("content", "counts"),
    [
        (WHOLE, True),
        (f"{WHOLE}\n", True),
        (WHOLE.replace("m=10240", "m=131072"), True),
        ("", False),
        ("\n", False),
        (f"{WHOLE}\n\n", False),
        (f"\n{WHOLE}", False),
        (f"{WHOLE} ", False),
        (f" {WHOLE}", False),
        (f"{WHOLE}\n{WHOLE}\n", False),
        (f"{WHOLE}\0", False),
        (WHOLE[:-1], False),
        (f"{WHOLE}A", False),
        (WHOLE[:60], False),
        (WHOLE.replace("argon2id", "argon2i"), False),
        (WHOLE.replace("argon2:", ""), False),
        (WHOLE.replace("m=10240", "m=131073"), False),
        (WHOLE.replace("t=10", "t=1000"), False),
        (WHOLE.replace("p=8", "p=65"), False),
        (WHOLE.replace("m=10240", "m=0000010240"), False),
        (WHOLE.replace("m=10240", "m=9999999999"), False),
        (WHOLE.replace("p=8", "p=0"), False),
        (WHOLE.replace("t=10", "t=0"), False),
        (WHOLE.replace("m=10240", "m=8"), False),
        (f"{WHOLE}%", False),
        ("sha1:abc:def", False),
        (WHOLE.replace("$v", "A" * 600 + "$v"), False),
    ],
)
def test_a_hash_counts_for_both_or_for_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, counts: bool
) -> None:
    (tmp_path / "password_hash").write_text(content)
    asked = ["bash", "-c", f"{PROBE}\npassword_set"]
    probe = subprocess.run(asked, cwd=tmp_path, stderr=subprocess.DEVNULL, timeout=seconds(10), check=False)
    assert (probe.returncode == 0) == counts
    monkeypatch.setattr(jupyter_cluster_identity, "HERE", tmp_path)
    if counts:
        assert jupyter_cluster_identity.password_hash() == content.strip()
    else:
        with pytest.raises(ValueError, match="it"):
            jupyter_cluster_identity.password_hash()
