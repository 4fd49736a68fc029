"""Reads a run's TensorBoard files with TensorBoard itself and compares every scalar with metrics.jsonl.

    python check_event_files.py RUN_DIR      (pip install tensorboard)

Exits with 1 where one is missing, superfluous or different beyond float32.
"""

import argparse
import json
import pathlib
import sys

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator


def of_metrics(path):
    """(tag, step): number, as the lines have it."""
    found = {}
    for line in path.read_text().splitlines():
        fields = json.loads(line)
        step = fields.pop("step")
        for name, value in fields.items():
            if isinstance(value, str):
                continue
            tag = "heldout/" + name.removeprefix("heldout_") if name.startswith("heldout_") else "train/" + name
            found[tag, step] = np.float32("nan" if value is None else value)
    return found


def of_events(folder):
    events = EventAccumulator(str(folder), size_guidance={SCALARS: 0}, purge_orphaned_data=True)
    events.Reload()
    return {(tag, event.step): np.float32(event.value) for tag in events.Tags()[SCALARS] for event in events.Scalars(tag)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=pathlib.Path)
    run = parser.parse_args().run
    expected, found = of_metrics(run / "metrics.jsonl"), of_events(run)
    wrong = [key for key in expected.keys() | found.keys()
             if not np.array_equal(expected.get(key), found.get(key), equal_nan=True)]
    for tag, step in sorted(wrong)[:10]:
        print(f"{tag} of step {step}: {found.get((tag, step))} in the event files, {expected.get((tag, step))} in metrics.jsonl")
    print(f"{run}: {len(expected)} numbers, {len(wrong)} differences")
    sys.exit(1 if wrong or not expected else 0)


if __name__ == "__main__":
    main()
