"""Recomputes an evaluation of the program with the reference, from a checkpoint and a dump.

    evaluate --checkpoint RUN --data SHARD.h5 --max-tokens 2000 --dump dump.h5 --logits
    python check_against_program.py RUN/checkpoints/step-00001000.h5 dump.h5

Prints the largest differences of p, boundaries, per-token loss and logits; exits with 1 if one is above its
tolerance.
A boundary may differ only where p is within the tolerance of its threshold. Both sides then go on from the
boundaries of the dump, so that one such token does not spoil the comparison of the rest.
"""

import argparse
import sys
from dataclasses import dataclass

import h5py
import numpy as np
import torch

import reference


@dataclass
class Dump:
    tokens: np.ndarray
    cu_seqlens: np.ndarray
    loss: np.ndarray  # NaN where nothing is predicted
    p: np.ndarray | None
    b: np.ndarray | None
    logits: np.ndarray | None


def read_checkpoint(path):
    """(config, parameters in float64)."""
    with h5py.File(path, "r") as file:
        text = file.attrs["config"]
        config = reference.load_config(text.decode() if isinstance(text, bytes) else text)
        parameters = {}

        def take(name, node):
            if isinstance(node, h5py.Dataset):
                parameters[name] = torch.from_numpy(node[()].astype(np.float64))

        file["model"].visititems(take)
    return config, parameters


def check_shapes(config, parameters):
    """A checkpoint must hold exactly the parameters that its configuration implies."""
    expected = reference.parameter_shapes(config, len(parameters["embedding"]))
    found = {name: tuple(value.shape) for name, value in parameters.items()}
    names = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    for name in names:
        print(f"parameter {name}: expected {expected.get(name)}, found {found.get(name)}")
    return not names


def read_dump(path):
    with h5py.File(path, "r") as file:

        def optional(name):
            return file[name][()] if name in file else None

        return Dump(
            tokens=file["tokens"][()].astype(np.int64).reshape(-1),
            cu_seqlens=file["cu_seqlens"][()].astype(np.int64),
            loss=file["loss"][()].astype(np.float64).reshape(-1),
            p=optional("boundary_probability"),
            b=optional("boundary"),
            logits=optional("logits"),
        )


def targets_of(dump, begin, end):
    """The token after each one of a document; also after its last if the dump has a loss there (the document
    was cut) and holds the next token. Raises where a loss is missing."""
    targets = np.full(end - begin, -1)
    targets[:-1] = dump.tokens[begin + 1 : end]
    if np.isnan(dump.loss[begin : end - 1]).any():
        raise SystemExit(f"the document at token {begin} has tokens without a loss before its last")
    if not np.isnan(dump.loss[end - 1]) and end < len(dump.tokens):
        targets[-1] = dump.tokens[end]
    return torch.from_numpy(targets)


class Worst:
    """The largest difference of each quantity, and where it is."""

    def __init__(self):
        self.found = {}

    def add(self, name, ours, theirs, begin, mask=None):
        difference = np.abs(ours - theirs)
        difference = np.where(np.isnan(difference), np.inf, difference)  # a NaN on one side is a failure
        if difference.ndim > 1:
            difference = difference.max(-1)
        if mask is not None:
            difference = np.where(mask, difference, 0)
        where = int(difference.argmax())
        if difference[where] >= self.found.get(name, (-1, 0))[0]:
            self.found[name] = (float(difference[where]), begin + where)

    def report(self, tolerances):
        good = True
        for name, (difference, token) in self.found.items():
            ok = difference <= tolerances[name]
            good &= ok
            verdict = "ok" if ok else "ABOVE TOLERANCE"
            print(f"{name:10s} {difference:.3e} at token {token} (tolerance {tolerances[name]:.0e}) {verdict}")
        return good


def compare_document(config, parameters, dump, begin, end, worst, p_tolerance):
    """Adds one document's differences; returns (boundaries that differ, those of them that may not)."""
    cu_seqlens = torch.tensor([0, end - begin])
    tokens = torch.from_numpy(dump.tokens[begin:end])
    dumped_b = None if dump.b is None else torch.from_numpy(dump.b[begin:end].astype(bool))
    with torch.no_grad():
        output = reference.forward(config, parameters, tokens, cu_seqlens, dumped_b)
    targets = targets_of(dump, begin, end)
    loss = reference.token_losses(output.logits, targets).numpy()
    worst.add("loss", loss, dump.loss[begin:end], begin, targets.numpy() >= 0)
    if dump.logits is not None:
        worst.add("logits", output.logits.numpy(), dump.logits[begin:end].astype(np.float64), begin)
    if not reference.is_dlcm(config):
        return 0, 0
    p = output.p.numpy()
    worst.add("p", p, dump.p[begin:end].astype(np.float64), begin)
    differs = (reference.thresholded(config, output.p, output.rows) != dumped_b).numpy()
    settings = config["model"]["boundary"]
    threshold = settings["tau"] if settings["predictor"] == "cosine" else 0.5
    return int(differs.sum()), int((differs & (np.abs(p - threshold) >= p_tolerance)).sum())


def compare(config, parameters, dump, tolerances):
    worst, differing, wrong = Worst(), 0, 0
    for begin, end in zip(dump.cu_seqlens[:-1], dump.cu_seqlens[1:]):
        if end > begin:
            counts = compare_document(config, parameters, dump, begin, end, worst, tolerances["p"])
            differing, wrong = differing + counts[0], wrong + counts[1]
    good = worst.report(tolerances)
    if reference.is_dlcm(config):
        print(f"boundaries {differing} differ, {wrong} of them away from the threshold")
    return good and wrong == 0


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("dump")
    parser.add_argument("--tolerance", type=float, default=1e-4, help="of losses and logits")
    parser.add_argument("--p-tolerance", type=float, default=1e-5)
    options = parser.parse_args(arguments)
    config, parameters = read_checkpoint(options.checkpoint)
    if not check_shapes(config, parameters):
        return 1
    dump = read_dump(options.dump)
    if len(dump.tokens) == 0 or dump.cu_seqlens[0] != 0 or dump.cu_seqlens[-1] != len(dump.tokens):
        print("the dump holds no tokens, or its cu_seqlens do not span them")
        return 1
    if reference.is_dlcm(config) and (dump.p is None or dump.b is None):
        print("the dump lacks /boundary_probability or /boundary")
        return 1
    print(f"{len(dump.tokens)} tokens in {len(dump.cu_seqlens) - 1} documents")
    tolerances = {"loss": options.tolerance, "logits": options.tolerance, "p": options.p_tolerance}
    return 0 if compare(config, parameters, dump, tolerances) else 1


if __name__ == "__main__":
    sys.exit(main())
