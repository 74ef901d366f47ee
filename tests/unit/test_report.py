"""What `make bench` writes into docs/performance.md and docs/performance.svg."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import report

NAMES = ("first run", "floor", "unchanged", "connect", "status", "jupyter-forward", "script")
FOUND = {
    "rounds": 3,
    "forks": 5,
    "seconds": {
        "0": {name: [number + 1.0, number + 9.0, number + 2.0] for number, name in enumerate(NAMES)},
        "20": {name: [2 * (number + 1.0)] for number, name in enumerate(NAMES)},
        "many": {"status of 1": [2.0], "status of 20": [5.0]},
    },
    "tasks": {"Log in, and ask what there is": 0.62, "look | Ask ssh": 0.1},
}


def test_the_page_has_medians_and_ratios(tmp_path: Path) -> None:
    (tmp_path / "performance.json").write_text(json.dumps(FOUND))
    report.write(tmp_path)
    text = (tmp_path / "performance.md").read_text()
    assert text.startswith("# Performance\n")
    assert "TABLES" not in text
    # The median of 2, 10 and 3; and that of 3, 11 and 4 beside it.
    assert "| floor | 3.00 | 4.00 |" in text
    assert "| unchanged / floor | ≤ 2.0 | 1.33 | 1.50 |" in text
    assert "| 20 | 5.00 | 2.50 |" in text
    assert "| Log in, and ask what there is | 0.62 |" in text
    assert "| look \\| Ask ssh | 0.10 |" in text


def test_the_page_that_is_there_is_what_was_measured(tmp_path: Path) -> None:
    docs = Path(__file__).parents[2] / "docs"
    (tmp_path / "performance.json").write_bytes((docs / "performance.json").read_bytes())
    report.write(tmp_path)
    for name in ("performance.md", "performance.svg"):
        assert (docs / name).read_text() == (tmp_path / name).read_text()


def test_the_chart_has_a_bar_for_each_median(tmp_path: Path) -> None:
    drawn = ElementTree.fromstring(report.chart(FOUND))
    bars = [rect for rect in drawn.iter("{http://www.w3.org/2000/svg}rect") if rect.get("fill") != "#fff"]
    assert len(bars) == 2 * len(NAMES)
    assert max(int(bar.get("width", "0")) for bar in bars) == 420
