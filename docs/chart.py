#!/usr/bin/env python3
"""Makes the tables and the chart of the pipeline from the output of its bench.

    cargo bench --bench pipeline
    python3 docs/chart.py                 # prints the table, writes docs/pipeline.svg

Reads target/criterion/pipeline/<name>/<producers>/new/{estimates,benchmark}.json; another directory
may be given as the first argument. Needs nothing but Python 3.
"""

import json
import pathlib
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
CHART = REPOSITORY / "docs" / "pipeline.svg"

# In the order of the chart, with what a reader has to know of each.
NAMES = {
    "cdrlog": "cdrlog (validates and rewrites)",
    "cdrlog-bytes": "cdrlog, without a copy",
    "tracing-appender-serde": "tracing-appender + serde_json (the same job)",
    "tracing-appender-raw": "tracing-appender, finished lines",
    "spdlog-rs": "spdlog-rs, finished lines",
    "mutex-bufwriter": "Mutex<BufWriter>, finished lines",
    "floor-write": "write(2) alone, one thread",
    "floor-memcpy": "memcpy alone, no file",
}
CHARTED = [
    "cdrlog",
    "cdrlog-bytes",
    "tracing-appender-raw",
    "spdlog-rs",
    "tracing-appender-serde",
]
COLOURS = {"1": "#9ecae1", "2": "#4292c6", "4": "#08519c"}
PRODUCERS = list(COLOURS)

BAR, GAP, LEFT, WIDTH, RIGHT, TOP = 14, 16, 340, 400, 60, 56


def read(folder):
    """{name: {producers: (median, low, high)}}, in million events per second."""
    rates = {}
    for estimates in sorted(folder.glob("*/*/new/estimates.json")):
        run = json.loads((estimates.parent / "benchmark.json").read_text())
        events = run["throughput"]["Elements"]
        median = json.loads(estimates.read_text())["median"]
        interval = median["confidence_interval"]
        nanoseconds = (
            median["point_estimate"],
            interval["upper_bound"],
            interval["lower_bound"],
        )
        rate = tuple(events * 1000 / time for time in nanoseconds)
        rates.setdefault(run["function_id"], {})[run["value_str"]] = rate
    return rates


def table(rates):
    """The Markdown table: median and its 95 % confidence interval."""
    lines = ["| M events/s | 1 producer | 2 producers | 4 producers |", "|---|---|---|---|"]
    for name, text in NAMES.items():
        cells = []
        for producers in PRODUCERS:
            rate = rates.get(name, {}).get(producers)
            cells.append("{:.2f} ({:.2f}-{:.2f})".format(*rate) if rate else "")
        lines.append(f"| {text} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def text(x, y, content, extra=""):
    content = content.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f'<text x="{x:.0f}" y="{y:.0f}" {extra}>{content}</text>'


def chart(rates):
    """The SVG: a bar for each number of producers."""
    names = [name for name in CHARTED if name in rates]
    most = max(rate[0] for name in names for rate in rates[name].values())
    height = TOP + len(names) * (len(PRODUCERS) * BAR + GAP) + 8
    total = LEFT + WIDTH + RIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {height}" '
        f'width="{total}" height="{height}" font-family="sans-serif" font-size="13" fill="#333">',
        f'<rect width="{total}" height="{height}" fill="#fff"/>',
        text(12, 22, "Million events per second into a file, every line delivered",
             'font-size="15" font-weight="bold"'),
    ]
    for index, producers in enumerate(PRODUCERS):
        x = LEFT + index * 110
        parts.append(f'<rect x="{x}" y="33" width="12" height="12" fill="{COLOURS[producers]}"/>')
        parts.append(text(x + 18, 44, f"{producers} producer{'s' if producers != '1' else ''}"))
    y = TOP
    for name in names:
        middle = y + len(PRODUCERS) * BAR / 2 + 5
        parts.append(text(LEFT - 8, middle, NAMES[name], 'text-anchor="end"'))
        for producers in PRODUCERS:
            rate = rates[name].get(producers, (0,))[0]
            bar = rate / most * WIDTH
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{bar:.1f}" height="{BAR - 2}" '
                         f'fill="{COLOURS[producers]}"/>')
            parts.append(text(LEFT + bar + 5, y + 11, f"{rate:.2f}", 'font-size="11"'))
            y += BAR
        y += GAP
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def main():
    folder = REPOSITORY / "target" / "criterion" / "pipeline"
    if len(sys.argv) > 1:
        folder = pathlib.Path(sys.argv[1])
    rates = read(folder)
    if not rates:
        sys.exit(f"{folder} holds no results: run `cargo bench --bench pipeline` first")
    print(table(rates))
    CHART.write_text(chart(rates))


main()
