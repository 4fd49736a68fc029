#!/usr/bin/env python3
"""Draws the loss of one or more runs of `train`, and their tokens per concept, as an SVG.

    python3 docs/plot_runs.py --output loss.svg DLCM=runs/corpus-dlcm transformer=runs/corpus-transformer

Loss: held-out (thick) and training, mean of 20 steps (thin), in nats per token. Tokens per concept: of held-out text,
thresholded, with the range of 10 % around R. Needs nothing but Python.
"""

import argparse
import json
import pathlib
import re
import sys

from panels import COLOURS, Panel, write_svg


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


def loss_panel(runs, steps):
    values = [value for run in runs for _, value in run["heldout"]]
    # The first steps fall from ln V and would flatten all that matters.
    late = [value for run in runs for step, value in run["heldout"] if step >= 0.1 * steps] or values
    low, high = min(late), max(late)
    y_range = (low - 0.05 * (high - low + 0.1), high)
    panel = Panel(0, "Loss, nats per token", "optimizer step", (0, steps), y_range)
    for run, colour in zip(runs, COLOURS):
        panel.draw_line([p for p in run["loss"] if p[1] <= high], colour, 1, 0.45)
        panel.draw_line([p for p in run["heldout"] if p[1] <= high], colour, 2.2)
    panel.draw_legend([(run["name"], colour) for run, colour in zip(runs, COLOURS)])
    return panel


def concept_panel(runs, steps):
    targets = {run["target"] for run in runs if run["concepts"]}
    high = 3 * max(targets)
    panel = Panel(1, "Tokens per concept, held-out text", "optimizer step", (0, steps), (0, high))
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
    write_svg(arguments.output, panels)


if __name__ == "__main__":
    main()
