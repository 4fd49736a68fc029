"""The settings, random parameters and random batches that goldens and self-checks share."""

import copy
import math

import numpy as np
import torch

import reference

# Head counts, head sizes and widths differ everywhere, so that no two of them can be taken for one another.
BASE = {
    "model": {
        "kind": "dlcm",
        "token": {
            "width": 16,
            "heads": 4,
            "kv_heads": 2,
            "ff": 6,
            "encoder_layers": 2,
            "decoder_layers": 1,
        },
        "concept": {"width": 24, "heads": 3, "kv_heads": 1, "ff": 7, "layers": 2},
        "boundary": {
            "predictor": "decoupled",
            "tokens_per_concept": 4.0,
            "scope": "global",
            "tau": 0.5,
            "alpha": 0.5,
            "alpha_end": 0.02,
            "weight": 0.03,
        },
        "cross_attention": {
            "visibility": "completed",
            "weighting": "uniform",
            "rope": "none",
            "ff": 0,
            "implementation": "dense",
        },
        "smoothing": {"kind": "blend"},
    },
    "mup": {"enabled": False, "token_base": 8, "concept_base": 10},
    "optimizer": {
        "rate_token": 3e-3,
        "rate_concept": 2e-3,
        "rate_other": 4e-3,
        "rate_boundary": 1e-3,
        "beta1": 0.9,
        "beta2": 0.95,
        "epsilon": 1e-8,
        "weight_decay": 0.1,
        "clip": 1.0,
    },
    "schedule": {"steps": 10, "warmup": 2, "decay_share": 0.3, "decay_shape": "sqrt"},
    "train": {
        "context": 64,
        "batch_tokens": 64,
        "micro_tokens": 64,
        "dtype": "f32",
        "recompute": "none",
        "seed": 1,
        "evaluate_every": 1000,
        "checkpoint_every": 1000,
    },
}


def configured(settings):
    """BASE with dotted keys replaced: {"model.smoothing.kind": "ema"}."""
    config = copy.deepcopy(BASE)
    for key, value in settings.items():
        *tables, name = key.split(".")
        table = config
        for step in tables:
            table = table[step]
        if name not in table:
            raise KeyError(key)
        table[name] = value
    return config


def transformer_config(settings):
    config = configured(settings)
    token = config["model"]["token"]
    del token["encoder_layers"], token["decoder_layers"]
    token["layers"] = 2
    config["model"] = {"kind": "transformer", "token": token}
    return config


def to_toml(table, path=""):
    """Enough TOML for a tree of tables of plain values."""
    lines = [f"{key} = {toml_value(value)}" for key, value in table.items() if not isinstance(value, dict)]
    if lines and path:
        lines.insert(0, f"[{path}]")
    for key, value in table.items():
        if isinstance(value, dict):
            lines.append(to_toml(value, f"{path}.{key}" if path else key).rstrip("\n"))
    return "\n".join(lines) + "\n"


def toml_value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def generator(seed):
    return torch.Generator().manual_seed(seed)


def rounded(x):
    """To values that float32 holds exactly, so that every implementation starts from the same numbers."""
    return x.to(torch.float32).to(torch.float64)


def random(shape, scale, random_numbers):
    return rounded(torch.randn(*shape, dtype=torch.float64, generator=random_numbers) * scale)


def random_parameter(path, shape, random_numbers):
    """Like training values in size, with every structured start (gains of 1, identities, zeros) perturbed so that
    no term of the model can be left out unnoticed."""
    if path == "smoothing/gate":
        return rounded(math.log(0.1 / 0.9) + random(shape, 0.5, random_numbers))
    if len(shape) == 1:
        return rounded(1 + random(shape, 0.2, random_numbers))
    if path in ("boundary/q_proj", "boundary/k_proj"):
        return rounded(torch.eye(*shape, dtype=torch.float64) + random(shape, 0.2, random_numbers))
    if path == "embedding":
        return random(shape, 1.0, random_numbers)
    return random(shape, 1 / math.sqrt(shape[1]), random_numbers)


def random_parameters(shapes, seed):
    """Each parameter has a generator of its own: cases that differ in one setting share the others' values."""
    parameters = {}
    for path, shape in shapes.items():
        own_seed = seed * 1_000_003 + sum(ord(letter) * 31**i for i, letter in enumerate(path)) % 1_000_003
        parameters[path] = random_parameter(path, shape, generator(own_seed))
    return parameters


def leaves(parameters):
    return {name: value.detach().clone().requires_grad_() for name, value in parameters.items()}


def offsets(lengths):
    return torch.tensor([0, *np.cumsum(lengths)], dtype=torch.int32)


def next_tokens(tokens, cu_seqlens):
    """Targets: the next token of the document, -1 at its end."""
    targets = torch.full_like(tokens, -1)
    targets[:-1] = tokens[1:]
    targets[cu_seqlens[1:].long() - 1] = -1
    return targets


def random_tokens(count, vocabulary, random_numbers):
    return torch.randint(vocabulary, (count,), generator=random_numbers, dtype=torch.int32)


def draw_boundaries(config, parameters, tokens, cu_seqlens, alpha, random_numbers):
    """As training does: sampled from the sharpened p, or by rule for the predictors that draw nothing."""
    with torch.no_grad():
        output = reference.forward(config, parameters, tokens, cu_seqlens)
    if not reference.has_projections(config["model"]["boundary"]["predictor"]):
        return output.b
    p = reference.sharpened(output.p, alpha)
    b = torch.rand(len(p), generator=random_numbers, dtype=torch.float64) < p
    return b | (output.rows.position == 0)
