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
PIPELINE_CHART = REPOSITORY / "docs" / "pipeline.svg"
COST_CHART = REPOSITORY / "docs" / "cost.svg"

# In the order of the chart, with what a reader has to know of each.
NAMES = {
    "cdrlog": "cdrlog (validates and rewrites)",
    "cdrlog-bytes": "cdrlog, without a copy",
    "tracing-appender-serde": "tracing-appender + serde_json (the same job)",
    "tracing-appender-raw": "tracing-appender, finished lines",
    "spdlog-rs": "spdlog-rs, finished lines",
    "mutex-rewriter": "Mutex<(Rewriter, BufWriter)>, by hand (the same job)",
    "mutex-bufwriter": "Mutex<BufWriter>, finished lines",
    "floor-write": "write(2) alone, one thread",
    "floor-memcpy": "memcpy alone, no file",
}
CHARTED = [
    "cdrlog",
    "cdrlog-bytes",
    "mutex-rewriter",
    "mutex-bufwriter",
    "tracing-appender-raw",
    "spdlog-rs",
    "tracing-appender-serde",
]
COLOURS = ["#9ecae1", "#4292c6", "#08519c"]
PRODUCERS = ["1", "2", "4"]

LOGGERS = {
    "cdrlog": "cdrlog (survives a crash, a sync each second)",
    "mutex": "Mutex<(Rewriter, BufWriter)>, by hand",
    "mutex_lines": "Mutex<BufWriter>, finished lines",
    "tracing": "tracing-appender, finished lines",
}
RATES = {"1000": "1 000", "10000": "10 000", "100000": "100 000"}

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
        text = text.replace("Mutex<BufWriter>", "`Mutex<BufWriter>`")  # Not a tag.
        lines.append(f"| {text} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def text(x, y, content, extra=""):
    content = content.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f'<text x="{x:.0f}" y="{y:.0f}" {extra}>{content}</text>'


def chart(title, legend, rows, form):
    """The SVG: for each row, (name, values), a bar for each value; `legend` names the values."""
    most = max(value for _, values in rows for value in values)
    height = TOP + len(rows) * (len(legend) * BAR + GAP) + 8
    total = LEFT + WIDTH + RIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {height}" '
        f'width="{total}" height="{height}" font-family="sans-serif" font-size="13" fill="#333">',
        f'<rect width="{total}" height="{height}" fill="#fff"/>',
        text(12, 22, title, 'font-size="15" font-weight="bold"'),
    ]
    for index, (colour, name) in enumerate(zip(COLOURS, legend)):
        x = LEFT + index * 130
        parts.append(f'<rect x="{x}" y="33" width="12" height="12" fill="{colour}"/>')
        parts.append(text(x + 18, 44, name))
    y = TOP
    for name, values in rows:
        middle = y + len(legend) * BAR / 2 + 5
        parts.append(text(LEFT - 8, middle, name, 'text-anchor="end"'))
        for colour, value in zip(COLOURS, values):
            bar = value / most * WIDTH
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{bar:.1f}" height="{BAR - 2}" '
                         f'fill="{colour}"/>')
            parts.append(text(LEFT + bar + 5, y + 11, form.format(value), 'font-size="11"'))
            y += BAR
        y += GAP
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def pipeline_chart(rates):
    legend = [f"{count} producer{'s' if count != '1' else ''}" for count in PRODUCERS]
    rows = [(NAMES[name], [rates[name].get(count, (0,))[0] for count in PRODUCERS])
            for name in CHARTED if name in rates]
    title = "Million events per second into a file, every line delivered (more is better)"
    return chart(title, legend, rows, "{:.2f}")


def read_cost(file):
    """{id: value}: one JSON object a line."""
    lines = [line for line in file.read_text().splitlines() if line.startswith("{")]
    return {figure["id"]: figure["value"] for figure in map(json.loads, lines)}


def cost_table(figures):
    """The Markdown table: % of a core, and wake-ups a second of the logger's threads."""
    lines = ["| events per second | " + " | ".join(LOGGERS) + " |", "|---|" + "---|" * len(LOGGERS)]
    for rate, name in {"idle": "none", "100": "100", **RATES, "1000000": "1 000 000"}.items():
        cells = []
        for logger in LOGGERS:
            key = f"{logger}.{rate}.p1"
            percent, wakeups = (figures.get(f"{key}.{what}") for what in ("cpu_percent", "wakeups_per_s"))
            cells.append("" if percent is None else f"{percent:.1f} %, {wakeups:.0f}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    for producers in PRODUCERS:
        cells = []
        for logger in LOGGERS:
            nanoseconds = figures.get(f"{logger}.flat_out.p{producers}.cpu_ns")
            cells.append("" if nanoseconds is None else f"{nanoseconds:.0f} ns an event")
        lines.append(f"| flat out, producers: {producers} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cost_chart(figures):
    rows = []
    for logger, name in LOGGERS.items():
        values = [figures.get(f"{logger}.{rate}.p1.cpu_percent") for rate in RATES]
        if None not in values:
            rows.append((name, values))
    title = "Processor time at the rates of servers, % of a core (less is better)"
    return chart(title, [f"{name} events/s" for name in RATES.values()], rows, "{:.1f}")


def main():
    folder = REPOSITORY / "target" / "criterion" / "pipeline"
    cost = REPOSITORY / "target" / "cost.json"
    rates = read(folder)
    if rates:
        print(table(rates))
        PIPELINE_CHART.write_text(pipeline_chart(rates))
    else:
        print(f"{folder} holds no results: run `cargo bench --bench pipeline` first", file=sys.stderr)
    if cost.exists():
        figures = read_cost(cost)
        print(cost_table(figures))
        COST_CHART.write_text(cost_chart(figures))
    else:
        print(f"{cost} is not there: run `cargo bench --bench cost -- --json` first", file=sys.stderr)
    if not rates and not cost.exists():
        sys.exit(1)


main()
