"""A training step of GPT-2 (124 M parameters) by llm.c's train_gpt2 on the CPU, float32.

    git clone https://github.com/karpathy/llm.c && python llm_c.py --source llm.c

Builds train_gpt2.c as llm.c's Makefile does (a C compiler with OpenMP), in a temporary folder; gives it random weights
and tokens in its own formats, and reads what it says of each step: 4 sequences of 64 tokens, forward, backward, AdamW.
The last line is JSON.
"""

import os
import subprocess
import sys
import tempfile

import numpy

import measure

LAYERS, WIDTH, HEADS, VOCABULARY, PADDED, POSITIONS = 12, 768, 12, 50257, 50304, 1024
TOKENS = 4 * 64  # of a step: train_gpt2.c has both numbers in its text
STEPS_BEFORE_TEXT = 20  # then it generates for minutes


def write_weights(path):
    header = numpy.zeros(256, numpy.int32)
    header[:8] = [20240326, 3, POSITIONS, VOCABULARY, LAYERS, HEADS, WIDTH, PADDED]
    random = numpy.random.default_rng(0)
    matrix = lambda *shape: random.standard_normal(shape, numpy.float32) * numpy.float32(0.02)
    ones, zeros = lambda *shape: numpy.ones(shape, numpy.float32), lambda *shape: numpy.zeros(shape, numpy.float32)
    norm = lambda: [ones(LAYERS, WIDTH), zeros(LAYERS, WIDTH)]
    linear = lambda rows, columns: [matrix(LAYERS, rows, columns), zeros(LAYERS, rows)]
    with open(path, "wb") as file:
        header.tofile(file)
        for part in [
            matrix(PADDED, WIDTH), matrix(POSITIONS, WIDTH),
            *norm(), *linear(3 * WIDTH, WIDTH), *linear(WIDTH, WIDTH),
            *norm(), *linear(4 * WIDTH, WIDTH), *linear(WIDTH, 4 * WIDTH), ones(WIDTH), zeros(WIDTH),
        ]:
            part.tofile(file)


def write_tokens(path, count):
    header = numpy.zeros(256, numpy.int32)
    header[:3] = [20240520, 1, count]
    with open(path, "wb") as file:
        header.tofile(file)
        numpy.random.default_rng(1).integers(0, VOCABULARY, count).astype(numpy.uint16).tofile(file)


def prepare(source, folder):
    """The program, and what it reads by names of its own in the folder where it runs."""
    subprocess.run(
        [os.environ.get("CC", "cc"), "-Ofast", "-march=native", "-Wno-unused-result", "-fopenmp", "-DOMP",
         os.path.join(source, "train_gpt2.c"), "-o", os.path.join(folder, "train_gpt2"), "-lm"], check=True)
    write_weights(os.path.join(folder, "gpt2_124M.bin"))
    data = os.path.join(folder, "dev", "data", "tinyshakespeare")
    os.makedirs(data)
    for name in ["train", "val"]:
        write_tokens(os.path.join(data, f"tiny_shakespeare_{name}.bin"), 32 * TOKENS)


def step_times(folder, seconds, threads):
    """Seconds of each step but the first, which also allocates, and the losses."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    times, losses = [], []
    with subprocess.Popen(["stdbuf", "-oL", "./train_gpt2"], cwd=folder, env=environment, stdout=subprocess.PIPE,
                          text=True) as program:
        for line in program.stdout:  # "step 3: train loss 10.9 (took 5123.4 ms)"
            if line.startswith("step "):
                words = line.split()
                losses.append(float(words[4]))
                times.append(float(words[6]) / 1e3)
                if len(times) > 3 and sum(times[1:]) > seconds or len(times) == STEPS_BEFORE_TEXT:
                    break
        program.kill()
    if len(times) < 2:
        sys.exit("llm_c.py: train_gpt2 ended before its second step")
    return times[1:], losses


def main():
    parser = measure.parser_of(__doc__, seconds=20)
    parser.add_argument("--source", required=True, help="a checkout of llm.c")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        prepare(options.source, folder)
        times, losses = step_times(folder, options.seconds, options.threads)
    measure.report({"peer": "llm.c", "threads": options.threads, **measure.step_fields(TOKENS, times, losses)})


if __name__ == "__main__":
    main()
