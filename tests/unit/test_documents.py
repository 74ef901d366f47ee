"""What docs/security.md calls a proof is there."""

from __future__ import annotations

import re

import pytest
from variables import PROJECT

FILES = {path.name: path.read_text() for path in [*PROJECT.glob("tests/**/*.py"), *PROJECT.glob("molecule/**/*.py")]}
PROMISES = (PROJECT / "docs" / "security.md").read_text().split("## What is not promised")[0]
ROWS = [
    row for row in PROMISES.splitlines() if row.startswith("| ") and not row.startswith(("| promise", "| ---", "| | "))
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:40])
def test_every_promise_has_a_test_that_is_there(row: str) -> None:
    proofs = re.findall(r"`(?:tests/unit/)?(test_\w+(?:\.py)?)`", row.split(" | ")[-1])
    assert proofs, "no test proves it"
    for proof in proofs:
        found = proof in FILES if proof.endswith(".py") else any(f"def {proof}(" in text for text in FILES.values())
        assert found, proof
