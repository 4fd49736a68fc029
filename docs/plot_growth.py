#!/usr/bin/env python3
"""How the cost of a DLCM grows: tokens/s and memory of training by context, by tokens per concept and by width; time of
a decoded token by the tokens before it. Prints Markdown tables and draws an SVG.

    python3 docs/plot_growth.py --output docs/growth.svg

Runs the built `benchmark` on variants of apps/configs/benchmark-dlcm.toml. Needs nothing but Python; takes about twenty
minutes.
"""

import argparse
import json
import math
import pathlib
import re
import subprocess
import sys

from panels import COLOURS, Panel, write_svg

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONFIGS = ROOT / "apps" / "configs"

CONTEXTS = [1024, 2048, 4096, 8192, 16384]
TOKENS_PER_CONCEPT = [2, 4, 8, 16]
WIDTHS = [128, 256, 512, 1024]
HEAD = 64


def with_keys(text, keys):
    """A configuration with other values: {(table, key): value}."""
    lines, table, tables = [], "", set()
    for line in text.splitlines():
        header = re.match(r"\[(.+)\]", line)
        table = header.group(1) if header else table
        tables.add(table)
        if (table, line.partition("=")[0].strip()) not in keys:
            lines.append(line)
        if header:
            lines += [f"{key} = {value}" for (of, key), value in keys.items() if of == table]
    missing = {of for of, _ in keys} - tables
    if missing:
        raise ValueError(f"the configuration has no table {', '.join(sorted(missing))}")
    return "\n".join(lines) + "\n"


def width_keys(d):
    """Everything as wide as d is to 256."""
    keys = {("model.token", "width"): d, ("model.concept", "width"): 2 * d}
    for table, factor in [("model.token", 1), ("model.concept", 2)]:
        heads = factor * d // HEAD
        keys |= {(table, "heads"): heads, (table, "kv_heads"): heads // 2, (table, "ff"): 4 * d}
    return keys


def batch_keys(context, batch, micro):
    return {("train", "context"): context, ("train", "batch_tokens"): batch, ("train", "micro_tokens"): micro}


class Benchmark:
    def __init__(self, arguments):
        self.program = pathlib.Path(arguments.build) / "apps" / "benchmark"
        self.dtype, self.repeats = arguments.dtype, arguments.repeats

    def run(self, what, config, seconds):
        command = [str(self.program), what, "--config", "-", "--dtype", self.dtype, "--seconds", str(seconds), "--json"]
        run = subprocess.run(command, input=config, stdout=subprocess.PIPE, text=True)
        if run.returncode != 0:
            sys.exit(f"plot_growth.py: {' '.join(command)} ended with {run.returncode}")
        return json.loads(run.stdout)

    def step(self, config):
        """Tokens/s of the fastest step, GB of the process, million parameters."""
        steps = [self.run("step", config, 2)["step"] for _ in range(self.repeats)]
        rate = max(step["tokens"] / step["min_ms"] * 1e3 for step in steps)
        return rate, min(step["resident_bytes"] for step in steps) / 1e9, steps[0]["parameters"] / 1e6

    def positions(self, config):
        """(tokens before, ms) of a decoded token, the mean of a run: a DLCM's tokens that begin a concept take longer."""
        runs = [self.run("generate", config, 0.5)["positions"] for _ in range(self.repeats)]
        return [(rows[0]["position"], min(row["mean_ms"] for row in rows)) for rows in zip(*runs)]


def print_table(header, rows):
    print("| " + " | ".join(header) + " |\n" + "| --- " * len(header) + "|")
    for row in rows:
        print("| " + " | ".join(f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in row) + " |")
    print(flush=True)


def steps_of(benchmark, name, values, keys):
    text = (CONFIGS / "benchmark-dlcm.toml").read_text()
    rows = [(value, *benchmark.step(with_keys(text, keys(value)))) for value in values]
    print_table([name, "tokens/s", "GB of the process", "M parameters"], rows)
    return rows


def doubling_range(values):
    low = 2 ** math.floor(math.log2(min(values)))
    return low, max(2 * low, 2 ** math.ceil(math.log2(max(values))))


def draw(path, series, positions):
    panels = []
    for column, title, rises in [(1, "Training, tokens/s", False), (2, "Training, GB of the process", True)]:
        values = [row[column] for _, rows in series for row in rows]
        panel = Panel(len(panels), title, "times the smallest", (1, 16), doubling_range(values), doubling=True)
        for (_, rows), colour in zip(series, COLOURS):
            panel.draw_line([(row[0] / rows[0][0], row[column]) for row in rows], colour, 2.2)
        names = [(f"{name} from {rows[0][0]:,}", colour) for (name, rows), colour in zip(series, COLOURS)]
        panel.draw_legend(names, left=rises)
        panels.append(panel)
    points = [point for _, rows in positions for point in rows]
    panel = Panel(2, "Decoding, ms per token", "tokens before it", doubling_range([x for x, _ in points]),
                  doubling_range([y for _, y in points]), doubling=True)
    for (_, rows), colour in zip(positions, COLOURS):
        panel.draw_line(rows, colour, 2.2)
    panel.draw_legend([(name, colour) for (name, _), colour in zip(positions, COLOURS)], left=True)
    write_svg(path, [*panels, panel])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=ROOT / "build", help="folder of the built programs")
    parser.add_argument("--output", required=True, help="the SVG to write")
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--repeats", type=int, default=2, help="runs of each, of which the fastest counts")
    arguments = parser.parse_args()
    benchmark = Benchmark(arguments)
    series = [
        ("context", steps_of(benchmark, "context", CONTEXTS, lambda n: batch_keys(n, CONTEXTS[-1], CONTEXTS[-1]))),
        ("R", steps_of(benchmark, "tokens per concept", TOKENS_PER_CONCEPT,
                       lambda r: {("model.boundary", "tokens_per_concept"): float(r)})),
        ("d", steps_of(benchmark, "d, half of D", WIDTHS, lambda d: width_keys(d) | batch_keys(1024, 2048, 2048))),
    ]
    positions = []
    for name, config in [("transformer", "benchmark-decode.toml"), ("DLCM", "benchmark-decode-dlcm.toml")]:
        text = (CONFIGS / config).read_text()
        rows = benchmark.positions(with_keys(text, batch_keys(CONTEXTS[-1], CONTEXTS[-1], CONTEXTS[-1])))
        print_table(["tokens before", f"{name}, ms per token"], rows)
        positions.append((name, rows))
    draw(arguments.output, series, positions)


if __name__ == "__main__":
    main()
