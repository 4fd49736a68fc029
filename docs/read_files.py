"""What this project's HDF5 files hold, read by h5py: token shards, checkpoints and what `evaluate --dump` writes.

    pip install h5py numpy
    python3 docs/read_files.py runs/quickstart/data/heldout-00000.h5 runs/quickstart/model/checkpoints/latest.h5

Meant to be read and taken from: each function below shows the names and shapes that a script of yours needs. Tokens of
a document d are tokens[doc_offsets[d]:doc_offsets[d + 1]]; a matrix of a checkpoint is [out, in]. Ends with 1 where a
checksum is not that of the numbers.
"""

import argparse
import re
import sys
import zlib

import h5py
import numpy as np


def check_sums(file):
    """Names of a shard's datasets whose CRC-32 is not the one in its attribute `content`: "crc32 NAME=HEX NAME=HEX". That
    of the tokens is of 32-bit ids, in whichever width they are stored."""
    for name, crc in re.findall(r"(\S+)=([0-9a-f]{8})", file.attrs.get("content", "")):
        numbers = file[name][:].astype(np.uint32 if name == "tokens" else file[name].dtype)
        if zlib.crc32(numbers) != int(crc, 16):
            yield name


def describe_shard(file):
    tokens, offsets = file["tokens"], file["doc_offsets"][:].astype(np.int64)
    print(f"  {len(offsets) - 1} documents, {len(tokens)} tokens of {tokens.dtype}, {int(file['doc_bytes'][:].sum())} bytes "
          f"of text; vocabulary of {int(file.attrs['vocab_size'])}, tokenizer {file.attrs['tokenizer'][:40]}")
    if len(offsets) > 1 and file.attrs["tokenizer"].startswith("bytes"):
        ids = tokens[offsets[0]:min(offsets[1], offsets[0] + 80)]
        text = bytes(ids[ids < 256].astype(np.uint8)).decode("utf-8", "replace")
        print(f"  the first one begins: {text!r}")


def matrices(group):
    """Every array of a group of a checkpoint by its path: encoder/layers/0/attention/q_proj, ..."""
    found = {}
    group.visititems(lambda path, item: found.update({path: item[:]}) if isinstance(item, h5py.Dataset) else None)
    return found


def describe_checkpoint(file):
    weights = matrices(file["model"])
    count = sum(weight.size for weight in weights.values())
    print(f"  step {int(file.attrs['step'])}, {int(file.attrs['tokens_seen'])} tokens seen, {count} parameters in {len(weights)} "
          f"arrays; groups: {', '.join(file)}")
    for path, weight in list(weights.items())[:3]:
        print(f"  {path} {list(weight.shape)}, root mean square {np.sqrt(np.mean(np.square(weight.astype(np.float64)))):.4g}")
    print("  configuration: " + " ".join(file.attrs["config"].split())[:100] + " ...")


def describe_dump(file):
    loss = file["loss"][:]
    print(f"  {len(loss)} tokens in {len(file['cu_seqlens']) - 1} pieces, mean loss {np.nanmean(loss):.4f}, "
          f"{len(loss) / max(1, int(np.sum(file['boundary'][:]))):.2f} tokens per concept")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="FILE.h5")
    wrong = False
    for name in parser.parse_args().files:
        print(name)
        with h5py.File(name) as file:
            if file.attrs.get("format") == "dlcm-tokens":
                describe_shard(file)
            elif file.attrs.get("format") == "dlcm-checkpoint":
                describe_checkpoint(file)
            else:
                describe_dump(file)
            for dataset in check_sums(file):
                print(f"  {dataset}: the checksum is not that of the numbers")
                wrong = True
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
