"""Training a tokenizer: `tokenize train` against Hugging Face's `tokenizers`, as one Markdown table.

    python3 -m venv peers && peers/bin/pip install tokenizers
    python3 apps/benchmark/peers/train_tokenizer.py --python peers/bin/python english.jsonl code.jsonl

Each INPUT (JSON Lines) is a row, and all of them together one more, for each vocabulary size and number of cores. Whole
programs are timed, from start to end, in turn; of each the fastest of `--repeats` runs counts. Both read the same files
and have the same pre-tokenizer, special tokens and alphabet; where their merges differ, the script ends with 1.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))


def train_with_library(output, vocab_size, model, inputs):
    """What the peer's process does. Batches are the fastest way: an iterator of texts waits for Python at each."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    def batches():
        for path in inputs:
            with open(path, encoding="utf-8") as file:
                while batch := [json.loads(line)["text"] for line in itertools.islice(file, 1000)]:
                    yield batch

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = Tokenizer.from_file(model).pre_tokenizer
    tokenizer.train_from_iterator(batches(), trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=["<|begin_of_text|>", "<|end_of_text|>", "<|pad|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    tokenizer.save(output)


class Run:
    """A process on the first `cores` cores: its seconds, and its peak of memory in MB."""

    def __init__(self, command, cores):
        begin = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL,
            preexec_fn=lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores]))
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.seconds = time.perf_counter() - begin
        self.megabytes = usage.ru_maxrss * 1024 / 1e6
        if process.returncode != 0:
            sys.exit(f"train_tokenizer.py: {command[0]} ended with {process.returncode}")


def merges_of(path):
    with open(path, encoding="utf-8") as file:
        return [merge if isinstance(merge, str) else " ".join(merge) for merge in json.load(file)["model"]["merges"]]


def add_row(options, name, inputs, vocab_size, cores):
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        mine, peers = os.path.join(folder, "tokenizer.json"), os.path.join(folder, "peer.json")
        for _ in range(options.repeats):
            ours.append(Run([os.path.join(options.build, "apps", "tokenize"), "train", "--vocab-size", str(vocab_size),
                             "--overwrite", "--output", folder, *inputs], cores))
            theirs.append(Run([options.python, os.path.abspath(__file__), "--peer", peers, str(vocab_size), mine, *inputs],
                              cores))
        if merges_of(mine) != merges_of(peers):
            sys.exit(f"train_tokenizer.py: other merges for {name}, {vocab_size}")
    seconds = [min(run.seconds for run in runs) for runs in (ours, theirs)]
    memory = [min(run.megabytes for run in runs) for runs in (ours, theirs)]
    size = sum(map(os.path.getsize, inputs)) / 1e6
    print(f"| {name}, {size:.1f} MB | {vocab_size:,} | {cores} | {seconds[0]:.2f} s | {seconds[1]:.2f} s | "
          f"{seconds[1] / seconds[0]:.1f} x | {memory[0]:.0f} MB | {memory[1]:.0f} MB |", flush=True)


def main():
    if sys.argv[1:2] == ["--peer"]:
        output, vocab_size, model, *inputs = sys.argv[2:]
        return train_with_library(output, int(vocab_size), model, inputs)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="+", metavar="INPUT")
    parser.add_argument("--python", required=True, help="one that has tokenizers")
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--vocab-sizes", type=int, nargs="+", default=[8192, 32768])
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    rows = [(os.path.splitext(os.path.basename(path))[0], [path]) for path in options.inputs]
    if len(rows) > 1:
        rows.append(("together", options.inputs))
    print("| text | ids | cores | ours | tokenizers | ratio | memory, ours | tokenizers |\n"
          "| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for name, inputs in rows:
        for vocab_size in options.vocab_sizes:
            for cores in options.cores:
                add_row(options, name, inputs, vocab_size, cores)


if __name__ == "__main__":
    main()
