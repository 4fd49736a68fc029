"""Checks of the reference itself: properties that the specification demands, and PyTorch's own operators.

    python check_reference.py

Prints one line a check; the first that fails ends the run with an assertion.
"""

import contextlib
import io
import pathlib
import tempfile

import h5py
import numpy as np
import torch

import cases
import check_against_program
import make_goldens
import reference

EXACT = 1e-11  # float64 results that differ only by the order of summation
VOCABULARY = make_goldens.VOCABULARY
LENGTHS = [9, 1, 7, 12]


def assert_close(a, b, tolerance=EXACT):
    difference = float((torch.as_tensor(a).detach() - torch.as_tensor(b).detach()).abs().max())
    assert difference <= tolerance, f"differs by {difference:.2e}"


def assert_gradients_close(a, b, tolerance=EXACT):
    for name in a:
        assert_close(a[name], b[name], tolerance)


def model_of(config, seed=71):
    parameters = cases.random_parameters(reference.parameter_shapes(config, VOCABULARY), seed)
    return cases.leaves(parameters)


def batch_of(config, parameters, seed=72, lengths=LENGTHS):
    random_numbers = cases.generator(seed)
    cu_seqlens = cases.offsets(lengths)
    tokens = cases.random_tokens(sum(lengths), VOCABULARY, random_numbers)
    b = cases.draw_boundaries(config, parameters, tokens, cu_seqlens, 0.5, random_numbers)
    return reference.Batch(tokens, cases.next_tokens(tokens, cu_seqlens), cu_seqlens, b)


def golden_configs():
    for name, settings in make_goldens.DLCM_CASES.items():
        boundary = make_goldens.DLCM_BOUNDARY.get(name, {})
        yield name, cases.configured(make_goldens.dlcm_settings(*settings, **boundary))


# ---------------------------------------------------------------------------------------------- properties


def check_layers_against_pytorch():
    """RMSNorm, grouped causal attention and SwiGLU's activation against PyTorch's implementations."""
    random_numbers = cases.generator(1)
    x, gain = cases.random((6, 16), 1.0, random_numbers), cases.random((16,), 1.0, random_numbers)
    assert_close(reference.rms_norm(x, gain), torch.nn.functional.rms_norm(x, (16,), gain, 1e-6))
    query, key, value = (cases.random((6, n, 8), 1.0, random_numbers) for n in (4, 2, 2))
    visible = torch.ones(6, 6).tril().bool()
    ours = reference.attention(query, key, value, reference.bias_of(visible, x.dtype))
    theirs = torch.nn.functional.scaled_dot_product_attention(
        *(part.transpose(0, 1)[None] for part in (query, key, value)), is_causal=True, enable_gqa=True
    )
    assert_close(ours, theirs[0].transpose(0, 1).flatten(1))


def check_rope_as_complex_rotation():
    """Elements i and i + head_dim/2 are a complex number turned by position * base^(-2i/head_dim)."""
    x = cases.random((5, 2, 6), 1.0, cases.generator(2))
    position = torch.tensor([0, 1, 2, 7, 40])
    angle = position[:, None, None].double() * 10000.0 ** (-2 * torch.arange(3, dtype=torch.float64) / 6)
    turned = torch.complex(x[..., :3], x[..., 3:]) * torch.polar(torch.ones_like(angle), angle)
    assert_close(reference.rope(x, position), torch.cat([turned.real, turned.imag], -1))


def check_causality():
    """Under `completed`, with fixed boundaries, tokens after t do not move the logits up to t; `containing` leaks."""
    for name, config in golden_configs():
        parameters = model_of(config)
        batch = batch_of(config, parameters)
        with torch.no_grad():
            logits = reference.forward(config, parameters, batch.tokens, batch.cu_seqlens, batch.b).logits
            moved = 0.0
            for t in range(len(batch.tokens) - 1):
                tokens = batch.tokens.clone()
                tokens[t + 1 :] = (tokens[t + 1 :] + 1) % VOCABULARY
                changed = reference.forward(config, parameters, tokens, batch.cu_seqlens, batch.b).logits
                moved = max(moved, float((changed - logits)[: t + 1].abs().max()))
        completed = config["model"]["cross_attention"]["visibility"] == "completed"
        assert (moved <= EXACT) == completed, f"{name}: logits of the past moved by {moved:.2e}"


def check_documents_are_apart():
    """Each document alone gives its part of the packed batch."""
    for _, config in golden_configs():
        parameters = model_of(config)
        batch = batch_of(config, parameters)
        with torch.no_grad():
            packed = reference.forward(config, parameters, batch.tokens, batch.cu_seqlens, batch.b)
            for begin, end in zip(batch.cu_seqlens[:-1], batch.cu_seqlens[1:]):
                alone = reference.forward(
                    config, parameters, batch.tokens[begin:end], [0, int(end - begin)], batch.b[begin:end]
                )
                assert_close(alone.logits, packed.logits[begin:end])
                assert_close(alone.p, packed.p[begin:end])


def replicated_cross_attention(settings, parameters, h, z, segments):
    """Eq. 17: every concept's key and value once per token of its segment, then a T x T mask without any bias."""
    query, key, value = reference.cross_heads(settings, parameters, h, z, segments)
    key, value = (x.repeat_interleave(segments.length, dim=0) for x in (key, value))
    token = segments.tokens
    visible = reference.same_document(token, token) & (token.position[:, None] >= token.position[None, :])
    if settings["visibility"] == "completed":
        visible &= segments.concept_of_token[:, None] != segments.concept_of_token[None, :]
    mixed = reference.attention(query, key, value, reference.bias_of(visible, h.dtype))
    return h + reference.linear(mixed, parameters["o_proj"])


def check_replication():
    """Weighting `length` equals replication, values and gradients."""
    for visibility in ("completed", "containing"):
        for rope in ("none", "concept"):
            config = cases.configured(
                {
                    "model.cross_attention.visibility": visibility,
                    "model.cross_attention.weighting": "length",
                    "model.cross_attention.rope": rope,
                }
            )
            settings = config["model"]["cross_attention"]
            parameters = cases.leaves(cases.random_parameters(reference.cross_attention_shapes(config), 3))
            random_numbers = cases.generator(4)
            rows = reference.rows_of(cases.offsets(LENGTHS))
            b = (torch.rand(len(rows.position), generator=random_numbers) < 0.4) | (rows.position == 0)
            segments = reference.segments_of(rows, b)
            h = cases.random((len(b), 16), 1.0, random_numbers).requires_grad_()
            z = cases.random((int(b.sum()), 24), 1.0, random_numbers).requires_grad_()
            cotangent = cases.random((len(b), 16), 1.0, random_numbers)
            variables = {"h": h, "z": z, **parameters}
            dense = reference.cross_attention(settings, parameters, h, z, segments)
            replicated = replicated_cross_attention(settings, parameters, h, z, segments)
            assert_close(dense, replicated)
            assert_gradients_close(
                reference.gradients_of((dense * cotangent).sum(), variables),
                reference.gradients_of((replicated * cotangent).sum(), variables),
            )


def split_by_document(batch):
    """The same documents as one micro-batch each."""
    parts = []
    for begin, end in zip(batch.cu_seqlens[:-1].tolist(), batch.cu_seqlens[1:].tolist()):
        cut = slice(begin, end)
        offsets = torch.tensor([0, end - begin], dtype=torch.int32)
        parts.append(reference.Batch(batch.tokens[cut], batch.targets[cut], offsets, batch.b[cut]))
    return parts


def check_micro_batches():
    """Micro-batches give the loss and every gradient of one batch (all scopes but `batch`, which is about them)."""
    for _, config in golden_configs():
        if config["model"]["boundary"]["scope"] == "batch":
            continue
        parameters = model_of(config)
        batch = batch_of(config, parameters)
        whole = reference.step_losses(config, parameters, [batch])
        split = reference.step_losses(config, parameters, split_by_document(batch))
        assert_close(whole.total, split.total)
        assert_gradients_close(
            reference.gradients_of(whole.total, parameters), reference.gradients_of(split.total, parameters)
        )


def check_boundary_scalar():
    """Global scope as a program can do it: gradients of CE sums and of sum p are accumulated apart over the
    micro-batches, and the second is multiplied by one scalar when the step's F is known."""
    config = cases.configured({})
    parameters = model_of(config)
    batch = batch_of(config, parameters)
    expected = reference.gradients_of(reference.step_losses(config, parameters, [batch]).total, parameters)
    ce = {name: torch.zeros_like(value) for name, value in parameters.items()}
    of_p, drawn, counted, predicted = dict(ce), 0, 0, 0
    for part in split_by_document(batch):
        output = reference.forward(config, parameters, part.tokens, part.cu_seqlens, part.b)
        loss = reference.token_losses(output.logits, part.targets).sum()
        inner = output.rows.position > 0
        for total, value in ((ce, loss), (of_p, output.p[inner].sum())):
            if value.requires_grad:
                gradients = reference.gradients_of(value, parameters)
                total.update({name: total[name] + gradients[name] for name in total})
        drawn, counted = drawn + int(output.b[inner].sum()), counted + int(inner.sum())
        predicted += int((part.targets >= 0).sum())
    r, weight = (config["model"]["boundary"][key] for key in ("tokens_per_concept", "weight"))
    scalar = weight * r / (r - 1) * (r * drawn / counted - 1) / counted
    assert_gradients_close(expected, {name: ce[name] / predicted + scalar * of_p[name] for name in ce})
    reached = {name for name, gradient in of_p.items() if gradient.abs().max() > 0}
    assert reached == {"boundary/q_proj", "boundary/k_proj"}, reached


def check_auxiliary_loss():
    """Eq. 10: zero for any G at F = 1/R and for any F at G = 1/R, and one value by hand."""
    settings = {"tokens_per_concept": 4.0}
    for g in (0.1, 0.4, 0.9):
        assert_close(reference.auxiliary_of(settings, 0.25, g), 0.0)
        assert_close(reference.auxiliary_of(settings, g, 0.25), 0.0)
    assert_close(reference.auxiliary_of(settings, 0.5, 0.5), 4 / 3 * (3 / 4 + 1 / 4) - 1)


def check_straight_through():
    """`learned` has the forward values of `decoupled`; its CE reaches W_q, W_k and, by p, the encoder."""
    learned = cases.configured({"model.boundary.predictor": "learned", "model.boundary.weight": 0.0})
    decoupled = cases.configured({"model.boundary.weight": 0.0})
    parameters = model_of(learned)
    batch = batch_of(learned, parameters)
    a = reference.step_losses(learned, parameters, [batch])
    b = reference.step_losses(decoupled, parameters, [batch])
    assert_close(a.total, b.total)
    with_path = reference.gradients_of(a.total, parameters)
    without = reference.gradients_of(b.total, parameters)
    for name, reached in (("boundary/q_proj", False), ("boundary/k_proj", False), ("embedding", True)):
        assert (without[name].abs().max() > 0) == reached
        assert not torch.equal(with_path[name], without[name])
    assert_close(with_path["unembedding"], without["unembedding"])


def check_ema_by_formula():
    """`ema` against its unrolled sum, within one document."""
    random_numbers = cases.generator(5)
    z, weight = cases.random((5, 3), 1.0, random_numbers), torch.rand(5, generator=random_numbers).double()
    weight[0] = 1
    first = torch.arange(5) == 0
    unrolled = [
        sum(weight[i] * torch.prod(1 - weight[i + 1 : k + 1]) * z[i] for i in range(k + 1)) for k in range(5)
    ]
    assert_close(reference.smooth_ema(z, weight, first), torch.stack(unrolled))


def check_optimizer_against_pytorch():
    """Without muP and with one rate: torch.optim.AdamW (decay on matrices only) and clip_grad_norm_."""
    settings = {f"optimizer.rate_{name}": 3e-3 for name in ("token", "concept", "other", "boundary")}
    config = cases.configured(settings | {"optimizer.clip": 0.5})
    parameters = model_of(config)
    theirs = cases.leaves(parameters)
    matrices = [value for value in theirs.values() if value.dim() > 1]
    vectors = [value for value in theirs.values() if value.dim() == 1]
    options = {"lr": 3e-3, "betas": (0.9, 0.95), "eps": 1e-8}
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}], **options
    )
    ours, moments = parameters, reference.no_moments(parameters)
    for step in range(4):
        batch = batch_of(config, parameters, seed=80 + step)
        factor = reference.schedule_factor(config["schedule"], step)
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * factor
        optimizer.zero_grad()
        reference.step_losses(config, theirs, [batch]).total.backward()
        torch.nn.utils.clip_grad_norm_(theirs.values(), 0.5)
        optimizer.step()
        ours, _, norm = reference.train_step(config, ours, moments, [batch], step)
        assert norm > 0.5, "the check is to clip"
    assert_gradients_close(ours, theirs, 1e-7)  # PyTorch adds 1e-6 to the norm it divides by


def check_width_groups():
    """The muP multipliers land where section 10 puts them."""
    config = cases.configured({"mup.enabled": True, "model.cross_attention.ff": 4})
    s_token, s_concept = 16 / 8, 24 / 10
    expected = {
        "embedding": ("rate_other", 1.0, True),
        "unembedding": ("rate_other", 1.0, True),
        "encoder/layers/0/attention/q_norm": ("rate_other", 1.0, False),
        "smoothing/gate": ("rate_other", 1.0, False),
        "encoder/layers/1/mlp/down_proj": ("rate_token", s_token, True),
        "decoder/layers/0/attention/o_proj": ("rate_token", s_token, True),
        "boundary/q_proj": ("rate_boundary", s_token, True),
        "concept_proj": ("rate_token", s_token, True),
        "backbone/layers/0/mlp/up_proj": ("rate_concept", s_concept, True),
        "cross_attention/q_proj": ("rate_token", s_token, True),
        "cross_attention/k_proj": ("rate_concept", s_concept, True),
        "cross_attention/v_proj": ("rate_concept", s_concept, True),
        "cross_attention/o_proj": ("rate_token", s_token, True),
        "cross_attention/mlp/gate_proj": ("rate_token", s_token, True),
    }
    parameters = model_of(config)
    for path, group in expected.items():
        assert reference.group_of(config, path, parameters[path]) == reference.Group(*group), path


def check_schedule():
    schedule = {"steps": 20, "warmup": 4, "decay_share": 0.25, "decay_shape": "linear"}
    factors = [reference.schedule_factor(schedule, step) for step in range(20)]
    assert_close(factors, [0.25, 0.5, 0.75] + [1.0] * 12 + [0.8, 0.6, 0.4, 0.2, 0.0])


# ------------------------------------------------------------------------------- check_against_program.py


def write_program_files(folder, config, parameters, batch):
    """A checkpoint and a dump as the program writes them, in float32."""
    single = make_goldens.to_dtype(parameters, torch.float32)
    with torch.no_grad():
        output = reference.forward(config, single, batch.tokens, batch.cu_seqlens)
        loss = make_goldens.or_nan(reference.token_losses(output.logits, batch.targets), batch.targets)
    with h5py.File(folder / "checkpoint.h5", "w") as file:
        file.attrs["config"] = cases.to_toml(config)
        for name, value in single.items():
            file[f"model/{name}"] = value.numpy()
    with h5py.File(folder / "dump.h5", "w") as file:
        file["tokens"], file["cu_seqlens"] = batch.tokens.numpy(), batch.cu_seqlens.numpy()
        file["loss"], file["logits"] = loss.numpy(), output.logits.numpy()
        if reference.is_dlcm(config):
            file["boundary_probability"], file["boundary"] = output.p.numpy(), output.b.to(torch.uint8).numpy()


def spoil(path, name, index, change):
    with h5py.File(path, "r+") as file:
        file[name][index] = change(file[name][index])


def verdict(files):
    with contextlib.redirect_stdout(io.StringIO()):
        return check_against_program.main(files)


def check_the_checker():
    """It accepts a float32 run of the reference and rejects each kind of damage to it."""
    damages = {
        "loss": lambda x: x + 1e-3,
        "logits": lambda x: x + 1e-3,
        "boundary_probability": lambda x: x + 1e-4,
        "boundary": lambda x: 1 - x,
    }
    config = cases.configured({"mup.enabled": True})
    transformer = cases.transformer_config({})
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        files = [str(folder / "checkpoint.h5"), str(folder / "dump.h5")]
        for case in (config, transformer):
            parameters = model_of(case)
            batch = batch_of(config, model_of(config))
            batch.targets[8] = batch.tokens[9]  # document 0 was cut
            write_program_files(folder, case, parameters, batch)
            assert verdict(files) == 0
        for dataset, change in damages.items():
            write_program_files(folder, config, model_of(config), batch)
            spoil(folder / "dump.h5", dataset, 4, change)
            assert verdict(files) == 1, dataset
        write_program_files(folder, config, model_of(config), batch)
        spoil(folder / "checkpoint.h5", "model/smoothing/gate", 3, lambda x: np.float32(x + 2))
        assert verdict(files) == 1


CHECKS = (
    check_layers_against_pytorch,
    check_rope_as_complex_rotation,
    check_causality,
    check_documents_are_apart,
    check_replication,
    check_micro_batches,
    check_boundary_scalar,
    check_auxiliary_loss,
    check_straight_through,
    check_ema_by_formula,
    check_optimizer_against_pytorch,
    check_width_groups,
    check_schedule,
    check_the_checker,
)


def main():
    torch.set_num_threads(1)
    for check in CHECKS:
        check()
        print(f"{check.__name__}: passed")


if __name__ == "__main__":
    main()
