#!/usr/bin/env python3
"""Draws the loss of one or more runs of `train`, and their tokens per concept, as an SVG.

    python3 docs/plot_runs.py --output loss.svg DLCM=runs/corpus-dlcm transformer=runs/corpus-transformer

Loss: held-out (thick) and training, mean of 20 steps (thin), in nats per token. Tokens per concept: of held-out text,
thresholded, with the range of 10 % around R. Needs nothing but Python.
"""

import argparse
import json
import math
import pathlib
import re
import sys

COLOURS = ["#0b62a4", "#d1495b", "#3c8d40", "#8a5aa8", "#b07d1a"]
WIDTH, HEIGHT, LEFT, TOP, BOTTOM, GAP = 860, 330, 56, 40, 46, 70
PANEL = (WIDTH - 2 * LEFT - GAP) / 2


def read_run(argument):
    name, separator, folder = argument.partition("=")
    if not separator:
        name, folder = pathlib.Path(argument).name, argument
    path = pathlib.Path(folder)
    try:
        lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
        config = (path / "config.toml").read_text()
    except (OSError, ValueError) as error:
        sys.exit(f"plot_runs.py: {folder}: {error}; expected the --output folder of train")
    target = re.search(r"^tokens_per_concept = ([0-9.e+-]+)", config, re.MULTILINE)
    return {
        "name": name,
        "loss": moving_mean([(line["step"], line["loss"]) for line in lines if "loss" in line], 20),
        "heldout": [(line["step"], line["heldout_loss"]) for line in lines if "heldout_loss" in line],
        "concepts": [
            (line["step"], line["heldout_tokens_per_concept"])
            for line in lines
            if line.get("heldout_tokens_per_concept")
        ],
        "target": float(target.group(1)) if target else None,
    }


def moving_mean(points, count):
    result = []
    for i, (step, _) in enumerate(points):
        window = [value for _, value in points[max(0, i - count + 1) : i + 1]]
        result.append((step, sum(window) / len(window)))
    return result


def ticks(low, high, count=6):
    rough = (high - low) / count
    unit = 10 ** math.floor(math.log10(rough))
    unit *= next(factor for factor in (1, 2, 5, 10) if factor * unit >= rough)
    first = math.ceil(low / unit - 1e-9)
    return [i * unit for i in range(first, math.floor(high / unit + 1e-9) + 1)]


class Panel:
    """One pair of axes; what lies outside the range of y is cut off."""

    def __init__(self, x, title, steps, low, high):
        self.x, self.title, self.steps, self.low, self.high = x, title, steps, low, high
        self.parts = []
        self.draw_axes()

    def at(self, step, value):
        height = HEIGHT - TOP - BOTTOM
        y = TOP + height * (self.high - value) / (self.high - self.low)
        return self.x + PANEL * step / self.steps, min(max(y, TOP), TOP + height)

    def text(self, x, y, content, anchor="middle", extra=""):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{extra}>{content}</text>')

    def draw_axes(self):
        bottom = HEIGHT - BOTTOM
        self.text(self.x, TOP - 14, self.title, "start", ' font-weight="bold"')
        for value in ticks(self.low, self.high):
            y = self.at(0, value)[1]
            self.parts.append(f'<path d="M{self.x:.1f} {y:.1f}h{PANEL:.1f}" stroke="#ddd"/>')
            self.text(self.x - 6, y + 4, f"{value:g}", "end")
        for step in ticks(0, self.steps, 5):
            self.text(self.at(step, self.low)[0], bottom + 18, f"{step:g}")
        self.text(self.x + PANEL / 2, bottom + 36, "optimizer step")
        self.parts.append(f'<path d="M{self.x:.1f} {TOP}V{bottom}h{PANEL:.1f}" fill="none" stroke="#444"/>')

    def draw_line(self, points, colour, width, opacity=1.0):
        path = " ".join("%.1f,%.1f" % self.at(step, value) for step, value in points)
        self.parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}" opacity="{opacity}"/>'
        )

    def draw_band(self, low, high):
        left, top = self.at(0, high)
        bottom = self.at(0, low)[1]
        self.parts.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{PANEL:.1f}" height="{bottom - top:.1f}" fill="#e7efe2"/>'
        )

    def draw_legend(self, names):
        for row, (name, colour) in enumerate(names):
            y = TOP + 16 + 18 * row
            x = self.x + PANEL - 8
            self.text(x, y + 4, name, "end", f' fill="{colour}" font-weight="bold"')


def loss_panel(runs, steps):
    values = [value for run in runs for _, value in run["heldout"]]
    # The first steps fall from ln V and would flatten all that matters.
    late = [value for run in runs for step, value in run["heldout"] if step >= 0.1 * steps] or values
    low, high = min(late), max(late)
    panel = Panel(LEFT, "Loss, nats per token", steps, low - 0.05 * (high - low + 0.1), high)
    for run, colour in zip(runs, COLOURS):
        panel.draw_line([p for p in run["loss"] if p[1] <= high], colour, 1, 0.45)
        panel.draw_line([p for p in run["heldout"] if p[1] <= high], colour, 2.2)
    panel.draw_legend([(run["name"], colour) for run, colour in zip(runs, COLOURS)])
    return panel


def concept_panel(runs, steps):
    targets = {run["target"] for run in runs if run["concepts"]}
    high = 3 * max(targets)
    panel = Panel(LEFT + PANEL + GAP, "Tokens per concept, held-out text", steps, 0, high)
    for target in targets:
        panel.draw_band(0.9 * target, 1.1 * target)
    for run, colour in zip(runs, COLOURS):
        panel.draw_line(run["concepts"], colour, 2.2)
    return panel


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, help="the SVG to write")
    parser.add_argument("run", nargs="+", help="NAME=FOLDER or FOLDER, as given to train --output")
    arguments = parser.parse_args()
    runs = [read_run(argument) for argument in arguments.run]
    if any(not run["heldout"] for run in runs):
        sys.exit("plot_runs.py: a run without evaluations: train with held-out shards and evaluate_every")
    steps = max(run["heldout"][-1][0] for run in runs)
    panels = [loss_panel(runs, steps)]
    if any(run["concepts"] for run in runs):
        panels.append(concept_panel(runs, steps))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12" fill="#222">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    parts += [part for panel in panels for part in panel.parts]
    pathlib.Path(arguments.output).write_text("\n".join(parts) + "\n</svg>\n")


if __name__ == "__main__":
    main()
