"""Writes docs/performance.md and docs/performance.svg from docs/performance.json."""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

#: The page, but for what is measured.
PAGE = Path(__file__).resolve().with_name("page.md")
#: What is compared with what, and how many times as long it may take.
GOALS = [
    ("unchanged", "floor", 2.0),
    ("connect", "floor", 2.0),
    ("status", "floor", 1.7),
    ("first run", "jupyter-forward", 1.0),
    ("first run", "script", 2.0),
]
#: A bar in a cell of a table, in Markdown.
PIPE = "\\|"
COLOURS = {"0": "#3465a4", "20": "#f57900"}


def medians(seconds: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return the median of each list."""
    return {
        group: {name: statistics.median(times) for name, times in measured.items()}
        for group, measured in seconds.items()
    }


def tables(found: dict[str, Any]) -> str:
    """Return the tables, in Markdown."""
    middle = medians(found["seconds"])
    delays = [group for group in middle if group != "many"]
    lines = [
        f"Medians of {found['rounds']} rounds, in seconds; the delay is each way, between laptop and gateway.",
        "",
        f"| | {' | '.join(f'{delay} ms' for delay in delays)} |",
        f"| --- | {' | '.join('---:' for _ in delays)} |",
    ]
    lines += [
        f"| {name} | {' | '.join(f'{middle[delay][name]:.2f}' for delay in delays)} |" for name in middle[delays[0]]
    ]
    lines += ["", "| | to reach | " + " | ".join(f"{delay} ms" for delay in delays) + " |"]
    lines += [f"| --- | ---: | {' | '.join('---:' for _ in delays)} |"]
    for name, other, goal in GOALS:
        ratios = [middle[delay][name] / middle[delay][other] for delay in delays]
        lines.append(f"| {name} / {other} | ≤ {goal} | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} |")
    many = middle["many"]
    lines += ["", f"`status` of several clusters, {found['forks']} at a time, without a delay:", ""]
    lines += ["| clusters | seconds | times that of one |", "| ---: | ---: | ---: |"]
    first = next(iter(many.values()))
    lines += [f"| {name.rpartition(' ')[2]} | {took:.2f} | {took / first:.2f} |" for name, took in many.items()]
    lines += ["", "The tasks of a run that changes nothing, without a delay:", ""]
    lines += ["| task | seconds |", "| --- | ---: |"]
    lines += [f"| {name.replace('|', PIPE)} | {took:.2f} |" for name, took in found["tasks"].items()]
    return "\n".join(lines) + "\n"


def chart(found: dict[str, Any]) -> str:
    """Return a bar for each median, as SVG."""
    middle = {group: times for group, times in medians(found["seconds"]).items() if group != "many"}
    names = list(next(iter(middle.values())))
    most = max(took for times in middle.values() for took in times.values())
    height = 20 * len(middle) + 16
    bars = []
    for row, name in enumerate(names):
        top = 30 + row * height
        bars.append(f'<text x="140" y="{top + 10 * len(middle) + 5}" text-anchor="end">{name}</text>')
        for number, (delay, times) in enumerate(middle.items()):
            wide, y = times[name] / most * 420, top + 20 * number
            bars.append(f'<rect x="150" y="{y}" width="{wide:.0f}" height="18" fill="{COLOURS[delay]}"/>')
            bars.append(f'<text x="{155 + wide:.0f}" y="{y + 14}">{times[name]:.1f} s</text>')
    legend = [
        f'<text x="{150 + 130 * number}" y="18" fill="{COLOURS[delay]}">{delay} ms each way</text>'
        for number, delay in enumerate(middle)
    ]
    total = 40 + height * len(names)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="660" height="{total}" font-family="sans-serif" '
        'font-size="13">\n'
        f'<rect width="660" height="{total}" fill="#fff"/>\n' + "\n".join(legend + bars) + "\n</svg>\n"
    )


def write(docs: Path) -> None:
    """Write both from what was measured."""
    found = json.loads((docs / "performance.json").read_text())
    (docs / "performance.md").write_text(PAGE.read_text().replace("TABLES\n", tables(found)))
    (docs / "performance.svg").write_text(chart(found))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
