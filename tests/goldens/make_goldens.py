"""Writes the golden files beside this script. README.md describes every dataset.

    python make_goldens.py [--output DIR]

Everything is computed in float64 from parameters and inputs that float32 holds exactly. The script also runs each
case in float32 and prints how far that is from float64: the accuracy a float32 program can be asked for.
"""

import argparse
import pathlib

import h5py
import numpy as np
import torch

import cases
import reference

VOCABULARY = 31
ALPHA = 0.5  # sharpening of the boundaries that are drawn for the goldens
MARGIN = 1e-3  # no p of a golden lies closer to its threshold: rounding cannot move a boundary

TOKEN = cases.BASE["model"]["token"]
CONCEPT = cases.BASE["model"]["concept"]


# ------------------------------------------------------------------------------------------------- writing


def as_array(value, dtype):
    """Whole numbers as int32, boundaries as uint8, the rest in `dtype`."""
    value = torch.as_tensor(value).detach()
    if value.dtype == torch.bool:
        return value.to(torch.uint8).numpy()
    return value.to(dtype if value.is_floating_point() else torch.int32).numpy()


def expected_dtype(path):
    """Results by row of a matrix are the bulk of the files; their rounding is far below what a test asks."""
    return torch.float32 if path in ("output", "logits") else torch.float64


def create_file(path):
    """In the compact file format of HDF5 1.8: with h5py's oldest-first default, the groups of the many small
    parameter trees would take more room than the numbers."""
    return h5py.File(path, "w", libver=("v108", "v108"))


def as_tree(arrays):
    """{"attention/q_proj": x} as nested dictionaries."""
    tree = {}
    for path, array in arrays.items():
        *groups, name = path.split("/")
        node = tree
        for group in groups:
            node = node.setdefault(group, {})
        node[name] = array
    return tree


def holds(stored, node):
    """Whether a stored group or dataset is what `node` would be written as."""
    if isinstance(node, dict):
        return (
            isinstance(stored, h5py.Group)
            and set(stored) == set(node)
            and all(holds(stored[name], child) for name, child in node.items())
        )
    return isinstance(stored, h5py.Dataset) and stored.dtype == node.dtype and np.array_equal(stored[()], node)


def write_node(group, name, node):
    """A group or dataset. What an earlier case already holds under the same path is not stored again but
    hard-linked: a reader sees no difference."""
    path_in_case = f"{group.name}/{name}".split("/", 2)[2]
    for case in group.file.values():
        earlier = case.get(path_in_case)
        if earlier is not None and holds(earlier, node):
            group[name] = earlier
            return
    if isinstance(node, dict):
        child_group = group.create_group(name)
        for child_name, child in node.items():
            write_node(child_group, child_name, child)
    else:
        group.create_dataset(name, data=node)


def write_all(group, values, dtype_of=lambda path: torch.float32):
    for name, node in as_tree({path: as_array(value, dtype_of(path)) for path, value in values.items()}).items():
        write_node(group, name, node)


def write_case(file, name, config, parameters, inputs, expected, gradients=None):
    case = file.create_group(name)
    case.attrs["config"] = cases.to_toml(config)
    write_all(case.create_group("parameters"), parameters)
    write_all(case.create_group("inputs"), inputs)
    write_all(case.create_group("expected"), expected, expected_dtype)
    if gradients is not None:
        write_all(case.create_group("gradients"), gradients)
    return case


# ------------------------------------------------------------------------------------ float64 against float32


def to_dtype(values, dtype):
    return {
        name: value.detach().to(dtype) if torch.is_tensor(value) and value.is_floating_point() else value
        for name, value in values.items()
    }


def worst_difference(exact, other):
    """The largest difference over all tensors, relative to the largest element of its tensor (or to a thousandth
    of the largest of all: a tensor of nothing but rounding errors has no accuracy to lose)."""
    exact, other = ({k: torch.as_tensor(v).detach().double() for k, v in x.items()} for x in (exact, other))
    largest = {name: float(value.nan_to_num().abs().max()) for name, value in exact.items()}
    floor = 1e-3 * max(largest.values())
    worst = 0.0
    for name, value in exact.items():
        difference = float((value.nan_to_num() - other[name].nan_to_num()).abs().max())
        if difference > 0:
            worst = max(worst, difference / max(largest[name], floor))
    return worst


def evaluate_both(compute, parameters, inputs):
    """`compute(parameters, inputs)` -> (expected, gradients), in float64; also the deviation of float32."""
    exact = compute(cases.leaves(parameters), inputs)
    single = compute(cases.leaves(to_dtype(parameters, torch.float32)), to_dtype(inputs, torch.float32))
    deviation = [worst_difference(a, b) for a, b in zip(exact, single)]
    return exact, deviation


def report(file, case, deviation):
    print(f"{file:22s} {case:28s} float32 deviates by {deviation[0]:.1e} (values), {deviation[1]:.1e} (gradients)")


# --------------------------------------------------------------------------------------------------- block


def block_case(file, name, stack, lengths, seed):
    """One transformer block with a random cotangent: gradients are those of sum(cotangent * output)."""
    config = {"model": {"token": stack}}
    parameters = cases.random_parameters(reference.block_shapes(stack), seed)
    random_numbers = cases.generator(seed)
    shape = (sum(lengths), stack["width"])
    inputs = {
        "x": cases.random(shape, 1.0, random_numbers),
        "cotangent": cases.random(shape, 1.0, random_numbers),
        "cu_seqlens": cases.offsets(lengths),
    }

    def compute(parameters, inputs):
        x = inputs["x"].clone().requires_grad_()
        output = reference.transformer_block(parameters, x, reference.rows_of(inputs["cu_seqlens"]))
        loss = (output * inputs["cotangent"]).sum()
        return {"output": output}, reference.gradients_of(loss, {"x": x, **parameters})

    (expected, gradients), deviation = evaluate_both(compute, parameters, inputs)
    write_case(file, name, config, parameters, inputs, expected, gradients)
    report("block.h5", name, deviation)


def write_block(folder):
    with create_file(folder / "block.h5") as file:
        gqa = {"width": 16, "heads": 4, "kv_heads": 2, "ff": 12}
        odd = {"width": 12, "heads": 2, "kv_heads": 2, "ff": 7}
        block_case(file, "gqa", gqa, [7, 1, 9], seed=11)
        block_case(file, "one_kv_head_each", odd, [5, 8, 2], seed=12)


# ------------------------------------------------------------------------------------------------ boundary


def boundary_states(tokens, width, seed):
    """Random states, some close to their predecessors as neighbouring states are; one pair equal, one opposite."""
    random_numbers = cases.generator(seed)
    h = cases.random((tokens, width), 1.0, random_numbers)
    h[4:9] = cases.rounded(h[3:4] + 0.5 * h[4:9])
    h[11] = h[10]
    h[13] = -h[12]
    return h


def boundary_case(file, name, settings, lengths, seed):
    """p, and the gradients of sum(weight * p)."""
    config = cases.configured(settings)
    width = config["model"]["token"]["width"]
    shapes = reference.concept_shapes(config)
    shapes = {path: shape for path, shape in shapes.items() if path.startswith("boundary/")}
    parameters = cases.random_parameters(shapes, seed)
    inputs = {
        "h": boundary_states(sum(lengths), width, seed),
        "weight": cases.random((sum(lengths),), 1.0, cases.generator(seed + 1)),
        "cu_seqlens": cases.offsets(lengths),
        "alpha": cases.rounded(torch.tensor([0.5, 0.1], dtype=torch.float64)),
    }

    def compute(parameters, inputs):
        h = inputs["h"].clone().requires_grad_()
        rows = reference.rows_of(inputs["cu_seqlens"])
        p = reference.boundary_probability(config, parameters, h, rows)
        sharpened = torch.stack([reference.sharpened(p, alpha) for alpha in inputs["alpha"]])
        expected = {
            "p": p,
            "sharpened": sharpened,
            "evaluation_boundary": reference.thresholded(config, p, rows),
        }
        loss = (p * inputs["weight"]).sum() + 0 * h.sum()  # the second term only ties h to the graph
        return expected, reference.gradients_of(loss, {"h": h, **parameters})

    (expected, gradients), deviation = evaluate_both(compute, parameters, inputs)
    check_margin(config, expected["p"])
    write_case(file, name, config, parameters, inputs, expected, gradients)
    report("boundary.h5", name, deviation)


def check_margin(config, p):
    settings = config["model"]["boundary"]
    threshold = settings["tau"] if settings["predictor"] == "cosine" else 0.5
    if float((p.detach() - threshold).abs().min()) < MARGIN:
        raise SystemExit("a p lies too close to its threshold for a golden: take another seed")


def write_boundary(folder):
    lengths = [10, 1, 8, 5]
    with create_file(folder / "boundary.h5") as file:
        for predictor in ("decoupled", "learned", "cosine"):
            boundary_case(file, predictor, {"model.boundary.predictor": predictor}, lengths, seed=22)
        boundary_case(
            file,
            "fixed",
            {"model.boundary.predictor": "fixed", "model.boundary.tokens_per_concept": 2.5},
            lengths,
            seed=22,
        )


# ----------------------------------------------------------------------------------------- cross-attention

CROSS_CASES = {
    "completed_uniform": {},
    "completed_length_rope_ff": {"weighting": "length", "rope": "concept", "ff": 10},
    "containing_uniform_rope": {"visibility": "containing", "rope": "concept"},
    "containing_length": {"visibility": "containing", "weighting": "length"},
}


def cross_case(file, name, settings, seed):
    config = cases.configured({f"model.cross_attention.{key}": value for key, value in settings.items()})
    parameters = cases.random_parameters(reference.cross_attention_shapes(config), seed)
    random_numbers = cases.generator(seed)
    lengths = [9, 1, 6, 5]
    b = torch.rand(sum(lengths), generator=random_numbers) < 0.4
    cu_seqlens = cases.offsets(lengths)
    b[cu_seqlens[:-1].long()] = True
    b[16:] = torch.arange(5) == 0  # the last document is one segment: nothing is ever completed in it
    inputs = {
        "h": cases.random((sum(lengths), TOKEN["width"]), 1.0, random_numbers),
        "z": cases.random((int(b.sum()), CONCEPT["width"]), 1.0, random_numbers),
        "cotangent": cases.random((sum(lengths), TOKEN["width"]), 1.0, random_numbers),
        "cu_seqlens": cu_seqlens,
        "b": b,
    }

    def compute(parameters, inputs):
        h, z = inputs["h"].clone().requires_grad_(), inputs["z"].clone().requires_grad_()
        segments = reference.segments_of(reference.rows_of(inputs["cu_seqlens"]), inputs["b"])
        output = reference.cross_attention(config["model"]["cross_attention"], parameters, h, z, segments)
        loss = (output * inputs["cotangent"]).sum()
        return {"output": output}, reference.gradients_of(loss, {"h": h, "z": z, **parameters})

    (expected, gradients), deviation = evaluate_both(compute, parameters, inputs)
    write_case(file, name, config, parameters, inputs, expected, gradients)
    report("cross_attention.h5", name, deviation)


def write_cross_attention(folder):
    with create_file(folder / "cross_attention.h5") as file:
        for name, settings in CROSS_CASES.items():
            cross_case(file, name, settings, seed=31)


# ---------------------------------------------------------------------------------------------- whole model


def dlcm_settings(predictor, smoothing, visibility, weighting, rope, ff, mup, scope, **boundary):
    return {
        "model.boundary.predictor": predictor,
        "model.smoothing.kind": smoothing,
        "model.cross_attention.visibility": visibility,
        "model.cross_attention.weighting": weighting,
        "model.cross_attention.rope": rope,
        "model.cross_attention.ff": ff,
        "mup.enabled": mup,
        "model.boundary.scope": scope,
        **{f"model.boundary.{key}": value for key, value in boundary.items()},
    }


DLCM_CASES = {
    "default": ("decoupled", "blend", "completed", "uniform", "none", 0, False, "global"),
    "decoupled_ema": ("decoupled", "ema", "completed", "length", "concept", 10, True, "sequence"),
    "decoupled_containing": ("decoupled", "none", "containing", "length", "none", 0, False, "batch"),
    "learned_blend": ("learned", "blend", "completed", "length", "none", 0, False, "global"),
    "learned_ema": ("learned", "ema", "containing", "uniform", "concept", 10, True, "sequence"),
    "cosine": ("cosine", "blend", "containing", "length", "concept", 0, True, "global"),
    "fixed": ("fixed", "none", "completed", "uniform", "none", 10, False, "batch"),
    "each_token": ("none", "blend", "completed", "length", "concept", 0, False, "global"),
}
DLCM_BOUNDARY = {"cosine": {"tau": 0.46}, "fixed": {"tokens_per_concept": 2.5}}
DLCM_LENGTHS = [11, 1, 6, 14]


def dlcm_batch(seed):
    """Document 0 is cut: its last token predicts the first of what follows, which starts document 1."""
    cu_seqlens = cases.offsets(DLCM_LENGTHS)
    tokens = cases.random_tokens(sum(DLCM_LENGTHS), VOCABULARY, cases.generator(seed))
    targets = cases.next_tokens(tokens, cu_seqlens)
    targets[10] = tokens[11]
    return {"tokens": tokens, "targets": targets, "cu_seqlens": cu_seqlens}


def or_nan(per_token, targets):
    return torch.where(targets >= 0, per_token, torch.full_like(per_token, torch.nan))


def model_results(config, parameters, inputs):
    """What a case of dlcm.h5 expects of training, and, by its evaluation boundaries, of evaluation."""
    batch = reference.Batch(**inputs)
    losses = reference.step_losses(config, parameters, [batch])
    (output,), (per_token,) = losses.outputs, losses.per_token
    expected = {
        "logits": output.logits,
        "token_loss": or_nan(per_token, batch.targets),
        "cross_entropy": losses.cross_entropy,
        "loss": losses.total,
    }
    if reference.is_dlcm(config):
        f, g = reference.rates_of(losses.outputs)
        evaluation = reference.forward(config, parameters, batch.tokens, batch.cu_seqlens)
        evaluation_loss = reference.token_losses(evaluation.logits, batch.targets)
        expected |= {
            "p": output.p,
            "auxiliary_loss": losses.auxiliary,
            "boundary_rate": f,
            "boundary_mean": g,
            "evaluation_boundary": evaluation.b,
            "evaluation_token_loss": or_nan(evaluation_loss, batch.targets),
        }
    return expected, reference.gradients_of(losses.total, parameters)


def model_case(file, name, config, inputs, seed):
    parameters = cases.random_parameters(reference.parameter_shapes(config, VOCABULARY), seed)
    if reference.is_dlcm(config):
        tokens, cu_seqlens = inputs["tokens"], inputs["cu_seqlens"]
        b = cases.draw_boundaries(config, parameters, tokens, cu_seqlens, ALPHA, cases.generator(seed + 1))
        inputs = {**inputs, "b": b}

    def compute(parameters, inputs):
        return model_results(config, parameters, inputs)

    (expected, gradients), deviation = evaluate_both(compute, parameters, inputs)
    if reference.is_dlcm(config):
        check_margin(config, expected["p"])
    write_case(file, name, config, parameters, inputs, expected, gradients)
    report("dlcm.h5", name, deviation)


def write_dlcm(folder):
    seed = 60
    with create_file(folder / "dlcm.h5") as file:
        for name, settings in DLCM_CASES.items():
            config = cases.configured(dlcm_settings(*settings, **DLCM_BOUNDARY.get(name, {})))
            model_case(file, name, config, dlcm_batch(seed), seed)
        model_case(file, "transformer", cases.transformer_config({"mup.enabled": True}), dlcm_batch(seed), seed)


# ------------------------------------------------------------------------------------------------- training

TRAINING_SETTINGS = {
    "model.token.width": 8,
    "model.token.heads": 2,
    "model.token.kv_heads": 1,
    "model.token.ff": 6,
    "model.token.encoder_layers": 1,
    "model.concept.width": 12,
    "model.concept.heads": 2,
    "model.concept.kv_heads": 2,
    "model.concept.ff": 10,
    "model.concept.layers": 1,
    "mup.enabled": True,
    "mup.token_base": 5,
    "optimizer.epsilon": 1e-6,
    "optimizer.clip": 0.8,
    "train.batch_tokens": 48,
    "train.micro_tokens": 24,
}
MICRO_TOKENS, MICRO_DOCUMENTS, MICRO_BATCHES = 24, 3, 2


def training_lengths(random_numbers):
    """MICRO_DOCUMENTS random lengths of together MICRO_TOKENS."""
    cuts = torch.randperm(MICRO_TOKENS - 1, generator=random_numbers)[: MICRO_DOCUMENTS - 1] + 1
    edges = [0, *sorted(cuts.tolist()), MICRO_TOKENS]
    return [after - before for before, after in zip(edges, edges[1:])]


def training_batch(config, parameters, random_numbers):
    """Tokens that count upwards modulo the vocabulary with noise: something a model can learn."""
    cu_seqlens = cases.offsets(training_lengths(random_numbers))
    start = torch.randint(VOCABULARY, (1,), generator=random_numbers)
    noise = torch.randint(3, (MICRO_TOKENS,), generator=random_numbers)
    tokens = ((start + 2 * torch.arange(MICRO_TOKENS) + noise) % VOCABULARY).to(torch.int32)
    b = cases.draw_boundaries(config, parameters, tokens, cu_seqlens, ALPHA, random_numbers)
    return reference.Batch(tokens, cases.next_tokens(tokens, cu_seqlens), cu_seqlens, b)


def step_metrics(config, losses, norm, step):
    f, g = reference.rates_of(losses.outputs)
    s_token, s_concept = reference.width_multipliers(config)
    factor = reference.schedule_factor(config["schedule"], step)
    optimizer = config["optimizer"]
    return {
        "cross_entropy": losses.cross_entropy,
        "auxiliary_loss": losses.auxiliary,
        "loss": losses.total,
        "boundary_rate": f,
        "boundary_mean": g,
        "gradient_norm": norm,
        "schedule": factor,
        "rate_token": factor * optimizer["rate_token"] / s_token,
        "rate_concept": factor * optimizer["rate_concept"] / s_concept,
        "rate_other": factor * optimizer["rate_other"],
        "rate_boundary": factor * optimizer["rate_boundary"] / s_token,
        "p": torch.stack([output.p for output in losses.outputs]),
    }


def train(config, parameters, make_batches):
    """Runs the whole schedule. `make_batches(step, parameters)` gives a step's micro-batches."""
    moments = reference.no_moments(parameters)
    metrics, used = [], []
    for step in range(config["schedule"]["steps"]):
        batches = make_batches(step, parameters)
        parameters, losses, norm = reference.train_step(config, parameters, moments, batches, step)
        metrics.append(step_metrics(config, losses, norm, step))
        used.append(batches)
    columns = {
        name: torch.stack([torch.as_tensor(row[name], dtype=torch.float64).detach() for row in metrics])
        for name in metrics[0]
    }
    return parameters, moments, columns, used


def stacked(used, field):
    """[steps, micro-batches, ...]"""
    return torch.stack([torch.stack([getattr(batch, field) for batch in step]) for step in used])


def write_training(folder):
    seed = 51
    config = cases.configured(TRAINING_SETTINGS)
    parameters = cases.random_parameters(reference.parameter_shapes(config, VOCABULARY), seed)
    random_numbers = cases.generator(seed)
    final, moments, metrics, used = train(
        config,
        parameters,
        lambda step, current: [
            training_batch(config, current, random_numbers) for _ in range(MICRO_BATCHES)
        ],
    )
    single, _, single_metrics, _ = train(
        config, to_dtype(parameters, torch.float32), lambda step, current: used[step]
    )
    report("training.h5", "run", [worst_difference(metrics, single_metrics), worst_difference(final, single)])
    print("  (for training.h5: metrics, and parameters after the last step)")
    inputs = {field: stacked(used, field) for field in ("tokens", "targets", "cu_seqlens", "b")}
    with create_file(folder / "training.h5") as file:
        case = write_case(file, "run", config, parameters, inputs, metrics)
        write_all(case.create_group("final/parameters"), final)
        write_all(case.create_group("final/m"), moments.m)
        write_all(case.create_group("final/v"), moments.v)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    folder = parser.parse_args().output
    torch.set_num_threads(1)  # one order of summation: the files do not depend on the machine's cores
    for write in (write_block, write_boundary, write_cross_attention, write_dlcm, write_training):
        write(folder)


if __name__ == "__main__":
    main()
