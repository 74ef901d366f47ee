"""What it means that a password is set: for the server, and for whoever looks."""

from __future__ import annotations

from pathlib import Path

import jupyter_cluster_logins
import node.look
import pytest
from jupyter_cluster_password import whole_hash
from jupyter_password import jupyter_password_hash

WHOLE = jupyter_password_hash("correct horse battery staple")


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
def test_a_hash_counts_only_whole(tmp_path: Path, content: str, counts: bool) -> None:
    (tmp_path / "password_hash").write_text(content)
    if counts:
        assert whole_hash(str(tmp_path / "password_hash")) == content.strip()
    else:
        with pytest.raises(ValueError, match="it"):
            whole_hash(str(tmp_path / "password_hash"))


def test_server_and_probe_judge_by_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert vars(jupyter_cluster_logins)["whole_hash"] is vars(node.look)["whole_hash"] is whole_hash
    (tmp_path / "password_hash").write_text(WHOLE)
    monkeypatch.setattr(jupyter_cluster_logins, "HERE", tmp_path)
    assert jupyter_cluster_logins.password_hash() == WHOLE
