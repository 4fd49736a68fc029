"""Speed of `tokenize` beside fastokens, gigatoken, tiktoken and Hugging Face's tokenizers, as one Markdown table.

    python3 -m venv peers && peers/bin/pip install -r apps/benchmark/peers/requirements-tokenizers.txt
    peers/bin/python apps/benchmark/peers/tokenize_corpus.py --tokenizer DIR/tokenizer.json CORPUS...

CORPUS: JSON Lines (.jsonl, .jsonl.gz) or folders of them. They are unpacked first, so that nobody's gzip is measured,
and read once, so that they lie in memory. Then each is run in turn, in a new process, `--repeats` times; the fastest
run counts. MB are 10^6 bytes of text.

What is timed, "from start": the whole process from its start to its end, the tokenizer loaded, on a first pass. "After
loading" leaves out what comes before the first byte of the corpus is read: the interpreter, imports, the tokenizer.
Ours ends with shards written, checksummed and synchronised to the disk; a peer with its ids in memory:
  fastokens    json.loads in Python, encode_batch_flat: ids in one buffer of bytes
  gigatoken    encode_files: reads and parses in Rust, ids in one array
  tiktoken     json.loads in Python, encode_ordinary, a list of ints a document; one expression in place of three, so
               that ids may differ (the column "tokens")
  tokenizers   json.loads in Python, encode_batch_fast, the ids left in its objects
A run on one core is bound to it (taskset); ours is run on two as well.
"""

import argparse
import glob
import gzip
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
GROUP = 256  # documents that a peer is given at once


def texts(paths):
    for path in paths:
        with open(path, encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)["text"]


def groups(paths):
    group = []
    for text in texts(paths):
        group.append(text)
        if len(group) == GROUP:
            yield group
            group = []
    if group:
        yield group


# Each peer: a function that loads the tokenizer and returns one that reads the files and returns the number of ids.
def fastokens(tokenizer):
    import fastokens as library

    encoder = library.Tokenizer.from_file(tokenizer)
    return lambda paths: sum(len(encoder.encode_batch_flat(group)[0]) // 4 for group in groups(paths))


def gigatoken(tokenizer):
    import gigatoken as library

    encoder = library.Tokenizer(tokenizer)

    def run(paths):
        import awkward

        return int(awkward.count(encoder.encode_files(library.JsonlFileSource(paths))))

    return run


def byte_of_character():
    """What byte a character of a byte-level vocabulary stands for (GPT-2's bytes_to_unicode, the other way round)."""
    printing = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printing]
    return {**{chr(byte): byte for byte in printing}, **{chr(256 + i): byte for i, byte in enumerate(others)}}


def tiktoken(tokenizer):
    import tiktoken as library

    with open(tokenizer, encoding="utf-8") as file:
        content = json.load(file)
    byte = byte_of_character()
    # Tokens of other characters (begin, end) are no bytes and no result of a merge.
    ranks = {bytes(byte[c] for c in token): id for token, id in content["model"]["vocab"].items()
             if all(c in byte for c in token)}
    steps = content["pre_tokenizer"].get("pretokenizers", [content["pre_tokenizer"]])
    expressions = [step["pattern"]["Regex"] for step in steps if step["type"] == "Split"]
    encoder = library.Encoding("compared", pat_str="|".join(expressions), mergeable_ranks=ranks, special_tokens={})
    return lambda paths: sum(len(encoder.encode_ordinary(text)) for text in texts(paths))


def tokenizers(tokenizer):
    from tokenizers import Tokenizer

    encoder = Tokenizer.from_file(tokenizer)
    return lambda paths: sum(
        len(encoding.ids) for group in groups(paths) for encoding in encoder.encode_batch_fast(group, add_special_tokens=False)
    )


PEERS = {"fastokens": fastokens, "gigatoken": gigatoken, "tiktoken": tiktoken, "tokenizers": tokenizers}
SHOWN = {"tokenizers": "Hugging Face tokenizers"}


def run_peer(name, tokenizer, paths):
    """In a process of its own: the last line is JSON."""
    run = PEERS[name](tokenizer)
    begin = time.perf_counter()
    tokens = run(paths)
    print(json.dumps({"tokens": tokens, "seconds": time.perf_counter() - begin}))


def version(name):
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def timed(command, cores):
    """The last line's object, with the seconds of the whole process in `from_start`; None where it failed."""
    environment = {**os.environ, "TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": str(cores)}
    begin = time.perf_counter()
    try:
        run = subprocess.run(["taskset", "-c", f"0-{cores - 1}", *command], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, env=environment)
        from_start = time.perf_counter() - begin
        if run.returncode == 0:
            return {**json.loads(run.stdout.strip().splitlines()[-1]), "from_start": from_start}
        print(f"tokenize_corpus.py: {' '.join(command[:3])} ended with {run.returncode}: {run.stderr.strip()[-300:]}", file=sys.stderr)
    except (OSError, IndexError, json.JSONDecodeError) as error:
        print(f"tokenize_corpus.py: {error}", file=sys.stderr)
    return None


def ours(arguments, work, inputs, cores, *options):
    output = os.path.join(work, "shards")
    shutil.rmtree(output, ignore_errors=True)
    program = os.path.join(arguments.build, "apps", "tokenize")
    return timed([program, "--tokenizer", arguments.tokenizer, "--threads", str(cores), "--output", output, *options,
                  *inputs], cores)


def fastest(results, key):
    found = [result[key] for result in results if result is not None]
    return min(found) if found else None


def unpack(inputs, folder):
    """Plain JSON Lines of all inputs; their paths, and the bytes of text."""
    found = []
    for name in inputs:
        patterns = ["**/*.jsonl", "**/*.jsonl.gz"] if os.path.isdir(name) else []
        found += sorted(path for p in patterns for path in glob.glob(os.path.join(name, p), recursive=True)) or [name]
    paths = []
    for i, name in enumerate(found):
        paths.append(os.path.join(folder, f"{i:03d}.jsonl"))
        with (gzip.open if name.endswith(".gz") else open)(name, "rb") as source, open(paths[-1], "wb") as target:
            shutil.copyfileobj(source, target)
    return paths, sum(len(text.encode()) for text in texts(paths))


def row(*cells):
    print("| " + " | ".join(cells) + " |", flush=True)


def speeds(arguments, work):
    paths, text_bytes = unpack(arguments.corpus, work)
    runs = {("tokenize", 1): [], ("tokenize", 2): []}
    runs.update({(name, 1): [] for name in arguments.compare or PEERS if version(name)})
    for _ in range(arguments.repeats):
        for (name, cores), results in runs.items():
            if name == "tokenize":
                results.append(ours(arguments, work, paths, cores))
                continue
            script = os.path.abspath(__file__)
            results.append(timed([sys.executable, script, "--peer", name, "--tokenizer", arguments.tokenizer, *paths], cores))
    print(f"{text_bytes / 1e6:.2f} MB of text, the fastest of {arguments.repeats} runs each, in turn\n")
    row("", "cores", "s from start", "MB/s from start", "s after loading", "MB/s after loading", "ours on one core is", "tokens")
    row(*["---"] * 8)
    own = {key: fastest(runs["tokenize", 1], key) for key in ["from_start", "seconds"]}
    for (name, cores), results in runs.items():
        whole, after = fastest(results, "from_start"), fastest(results, "seconds")
        if whole is None:
            continue
        title = name if name == "tokenize" else f"{SHOWN.get(name, name)} {version(name)}"
        row(title, str(cores), f"{whole:.3f}", f"{text_bytes / whole / 1e6:.1f}", f"{after:.3f}", f"{text_bytes / after / 1e6:.1f}",
            f"{whole / own['from_start']:.2f} x, {after / own['seconds']:.2f} x", f"{next(r['tokens'] for r in results if r):,}")


def linear_texts(prose):
    """Megabytes that a tokenizer may be slow at: name, and the text of each of eight documents."""
    generator = random.Random(1)
    megabyte = 1_000_000
    ideographs = lambda: "".join(chr(generator.randrange(0x4E00, 0x9FA6)) for _ in range(megabyte // 3))
    letters = "".join(c for c in prose.decode("utf-8", "ignore") if c.isascii() and c.isalpha())
    unbroken = b"".join(prose.split())
    part = lambda text, i: (text * (8 * megabyte // len(text) + 1))[i * megabyte:(i + 1) * megabyte]
    latin = lambda: "".join(chr(generator.randrange(256)) for _ in range(megabyte * 2 // 3))
    return {
        "prose (the first files)": lambda i: prose[i * megabyte:(i + 1) * megabyte].decode("utf-8", "ignore"),
        "one letter": lambda i: "a" * megabyte,
        "spaces": lambda i: " " * megabyte,
        "one ideograph": lambda i: "\u7684" * (megabyte // 3),
        "random ideographs without a break": lambda i: ideographs(),
        "random bytes, each a character up to U+00FF": lambda i: latin(),
        "digits": lambda i: "".join(generator.choices("0123456789", k=megabyte)),
        "one digit": lambda i: "7" * megabyte,
        "random letters without a break": lambda i: "".join(generator.choices("abcdefghijklmnopqrstuvwxyz", k=megabyte)),
        "prose without anything but letters": lambda i: part(letters, i),
        "prose without spaces": lambda i: part(unbroken, i).decode("utf-8", "ignore"),
        "random spaces and line ends": lambda i: "".join(generator.choices(" \n", k=megabyte)),
        "line ends": lambda i: "\n" * megabyte,
        "one sign": lambda i: "=" * megabyte,
    }


def linearity(arguments, work):
    paths, _ = unpack(arguments.corpus, work)
    prose = b""
    for text in texts(paths):
        prose += text.encode()
        if len(prose) > 8_000_000:
            break
    print("\n8 documents of one MB each, one core, after loading\n")
    row("", "MB/s", "as long as prose")
    row(*["---"] * 3)
    slowest = None
    for name, make in linear_texts(prose).items():
        path = os.path.join(work, "linear.jsonl")
        size = 0
        with open(path, "w", encoding="utf-8") as file:
            for i in range(8):
                text = make(i)
                size += len(text.encode())
                file.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
        seconds = fastest([ours(arguments, work, [path], 1) for _ in range(arguments.repeats)], "seconds")
        if seconds is None:
            continue
        slowest = seconds / size if slowest is None else slowest  # of prose, which is the first
        row(name, f"{size / seconds / 1e6:.1f}", f"{seconds / size / slowest:.2f} x")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build"), help="folder of the built programs")
    parser.add_argument("--tokenizer", required=True, help="a tokenizer.json")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", choices=["speeds", "linearity"], action="append")
    parser.add_argument("--compare", choices=list(PEERS), action="append", help="with this one; default: all that are installed")
    parser.add_argument("--peer", choices=list(PEERS), help="run this one alone, on the files as they are")
    parser.add_argument("corpus", nargs="+")
    arguments = parser.parse_args()
    if arguments.peer:
        return run_peer(arguments.peer, arguments.tokenizer, arguments.corpus)
    for name, part in {"speeds": speeds, "linearity": linearity}.items():
        if not arguments.only or name in arguments.only:
            with tempfile.TemporaryDirectory(dir=arguments.build) as work:
                part(arguments, work)


if __name__ == "__main__":
    main()
