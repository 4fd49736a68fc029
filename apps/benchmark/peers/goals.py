"""The speed goals of docs/results.md as one Markdown table: this project's benchmark against its peers, in one run.

    python3 apps/benchmark/peers/goals.py --torch-python VENV/bin/python --llama-python VENV/bin/python

Needs the built programs and, for the peers, requirements.txt in one or two virtual environments, and a checkout of
llm.c; a peer that is not given is left out. Each row is measured `--repeats` times (decoding, which is quick, three times as often), ours and
the peer's in turn, and of each the fastest counts (the fastest step, prefill, run of decoding): other work on the
machine must not decide. Takes about an hour.
"""

import argparse
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
CONFIGS = os.path.join(ROOT, "apps", "configs")


def last_json(command):
    """What a command's last line of output says, or None where it fails: the table then has a gap."""
    print("goals:", " ".join(command), file=sys.stderr)
    try:
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if run.returncode == 0:
            return json.loads(run.stdout.strip().splitlines()[-1])
        print(f"goals: ended with {run.returncode}", file=sys.stderr)
    except (OSError, IndexError, json.JSONDecodeError) as error:
        print(f"goals: {error}", file=sys.stderr)
    return None


class Peers:
    def __init__(self, arguments):
        self.arguments = arguments

    def ours(self, what, config, dtype, seconds):
        program = os.path.join(self.arguments.build, "apps", "benchmark")
        path = os.path.join(CONFIGS, config)
        return last_json([program, what, "--config", path, "--dtype", dtype, "--seconds", str(seconds), "--json"])

    def torch(self, script, *options):
        return self.script(self.arguments.torch_python, script, options)

    def llama(self, *options):
        return self.script(self.arguments.llama_python, "llamacpp_transformer.py", options)

    def llm_c(self):
        source = self.arguments.llm_c_source
        return self.script(self.arguments.torch_python, "llm_c.py", ["--source", source]) if source else None

    @staticmethod
    def script(python, name, options):
        threads = str(len(os.sched_getaffinity(0)))  # as many as ours takes
        return last_json([python, os.path.join(HERE, name), "--threads", threads, *options]) if python else None


def best(results, value, highest=True):
    """The best of what `value` reads from the results that there are."""
    found = [value(result) for result in results if result is not None]
    return (max(found) if highest else min(found)) if found else None


def text(number):
    if number is None:
        return "-"
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


class Table:
    """Printed row by row, as it takes long to fill."""

    def __init__(self):
        print("| work | ours | compared with | ratio | goal |\n| --- | --- | --- | --- | --- |", flush=True)

    def add(self, work, goal, ours, peer, unit, peer_name):
        ratio = None if ours is None or not peer else ours / peer
        row = [work, f"{text(ours)} {unit}", f"{peer_name}: {text(peer)} {unit}" if peer else peer_name,
               "-" if ratio is None else f"{ratio:.2f} x", goal]
        print("| " + " | ".join(row) + " |", flush=True)


def training(peers, table, repeats):
    rate = lambda result: 1e3 * result["step"]["tokens"] / result["step"]["min_ms"]
    memory = lambda result: result["step"]["resident_bytes"] / 1e6
    begin = lambda result: result["step"]["seconds_to_begin"]
    first = lambda result: result["step"]["seconds_to_first_step"]
    share = lambda result: 100 * (1 - next(row["share"] for row in result["operators"] if row["name"] == "matmul"))
    peer_rate = lambda result: result["tokens_per_second_highest"]
    peer_memory = lambda result: result["peak_rss_bytes"] / 1e6
    for dtype in ["f32", "bf16"]:
        ours, whole, parts, eager = [], [], [], []
        for _ in range(repeats):
            ours.append(peers.ours("step", "benchmark-dlcm.toml", dtype, 10))
            for kind in ["dense", "replicated"]:
                whole.append(peers.torch("pytorch_dlcm.py", "--dtype", dtype, "--mode", "compiled",
                                         "--cross-attention", kind))
            parts.append(peers.torch("pytorch_dlcm.py", "--dtype", dtype, "--mode", "compiled",
                                     "--micro-documents", "2"))
            eager.append(peers.torch("pytorch_dlcm.py", "--dtype", dtype, "--mode", "eager"))
        compiled = whole + parts
        step, process = f"training step, DLCM of 21 M, {dtype}", f"peak memory of that process, {dtype}"
        table.add(step, "1.5 x", best(ours, rate), best(compiled, peer_rate), "tokens/s", "PyTorch compiled")
        table.add(step, "-", best(ours, rate), best(eager, peer_rate), "tokens/s", "PyTorch eager")
        table.add(process, "0.4 x", best(ours, memory, False), best(whole, peer_memory, False), "MB", "PyTorch compiled")
        table.add(process, "-", best(ours, memory, False), best(parts, peer_memory, False), "MB",
                  "PyTorch compiled, in micro-batches too")
        if dtype == "f32":
            table.add("share of that step not in matrix products", "under 25", best(ours, share, False), None, "%", "-")
            table.add("start to first step's begin", "under 1", best(ours, begin, False), None, "s", "-")
            table.add("start to first step's end", "-", best(ours, first, False), None, "s", "-")


def cross_attention(peers, table, repeats):
    def seconds(name):
        def of(result):
            rows = [row for row in result["operators"] if row["name"].startswith(name)]
            return sum(row["min_ms"] for row in rows) / 1e3
        return of

    ours, dense, replicated = [], [], []
    for _ in range(repeats):
        ours.append(peers.ours("ops", "benchmark-cross-attention.toml", "f32", 0.2))
        dense.append(peers.torch("pytorch_cross_attention.py", "--kind", "dense"))
        replicated.append(peers.torch("pytorch_cross_attention.py", "--kind", "replicated"))
    segment = best(ours, seconds("cross-attention, segment"), False)
    rate = lambda value: 1 / value if value else None
    name = "cross-attention, T 16,384, R 4, forward and backward"
    table.add(name, "3.2 x", rate(segment), rate(best(ours, seconds("cross-attention, replicated"), False)), "/s", "own replicated")
    peer_seconds = lambda result: result["seconds_shortest"]
    table.add(name, "2.5 x", rate(segment), rate(best(dense, peer_seconds, False)), "/s", "PyTorch dense")
    table.add(name, "-", rate(segment), rate(best(replicated, peer_seconds, False)), "/s", "PyTorch replicated")


def decoding(peers, table, repeats):
    for dtype, prefill_goal in [("f32", "1.8 x"), ("bf16", "3 x")]:
        ours, dlcm, llama = [], [], []
        for _ in range(3 * repeats):
            ours.append(peers.ours("generate", "benchmark-decode.toml", dtype, 1))
            dlcm.append(peers.ours("generate", "benchmark-decode-dlcm.toml", dtype, 1))
            llama.append(peers.llama("--dtype", dtype))
        streams = lambda count: lambda result: next(
            row["tokens_per_second_highest"] for row in result["decode"] if row["streams"] == count)
        peer = lambda key: lambda result: result[key]
        one, sixteen = best(ours, streams(1)), best(ours, streams(16))
        name = f"transformer of 63 M, {dtype}"
        table.add(f"decoding one stream, {name}", "1.1 x", one, best(llama, peer("decode_tokens_per_second")), "tokens/s",
                  "llama.cpp")
        alone = lambda key: lambda result: next(row[key] for row in result["decode"] if row["streams"] == 1)
        limit, weights = best(ours, alone("read_gb_per_s")), best(ours, alone("weight_bytes"))
        table.add("its weights per second, of the memory bandwidth", "90 %", None if one is None else one * weights / 1e9,
                  limit, "GB/s", "read at most")
        table.add(f"decoding 16 ragged streams, {name}", "8 x", sixteen, one, "tokens/s", "one stream")
        table.add(f"decoding 16 ragged streams, DLCM of equal FLOPs per token, {dtype}", "8 x", best(dlcm, streams(16)),
                  best(dlcm, streams(1)), "tokens/s", "one stream")
        prefill = lambda result: next(1024e3 / row["min_ms"] for row in result["prefill"] if row["tokens"] == 1024)
        table.add(f"prefill of 1,024 tokens, {name}", prefill_goal, best(ours, prefill),
                  best(llama, peer("prefill_tokens_per_second")), "tokens/s", "llama.cpp")


def gpt2(peers, table, repeats):
    ours, torch, llm_c = [], [], []
    for _ in range(repeats):
        ours.append(peers.ours("step", "benchmark-gpt2.toml", "f32", 10))
        for mode in ["eager", "compiled"]:
            torch.append(peers.torch("pytorch_gpt2.py", "--mode", mode))
        llm_c.append(peers.llm_c())
    rate = best(ours, lambda result: 1e3 * result["step"]["tokens"] / result["step"]["min_ms"])
    for name, results, goal in [("PyTorch", torch, "1.5 x"), ("llm.c", llm_c, "4 x")]:
        table.add("training step, size of GPT-2 124M, 4 x 64 tokens, f32", goal, rate,
                  best(results, lambda result: result["tokens_per_second_highest"]), "tokens/s", name)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build"), help="folder of the built programs")
    parser.add_argument("--torch-python", help="a Python that has torch and numpy")
    parser.add_argument("--llama-python", help="a Python that has llama-cpp-python and gguf")
    parser.add_argument("--llm-c-source", help="a checkout of llm.c; llm_c.py runs in the Python of --torch-python")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--only", choices=["training", "cross-attention", "decoding", "gpt2"], action="append")
    arguments = parser.parse_args()
    peers, table = Peers(arguments), Table()
    parts = {"training": training, "cross-attention": cross_attention, "decoding": decoding, "gpt2": gpt2}
    for name, part in parts.items():
        if not arguments.only or name in arguments.only:
            part(peers, table, arguments.repeats)


if __name__ == "__main__":
    main()
