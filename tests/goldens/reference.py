"""A plain PyTorch reference of the model, for golden data and for checking the program from outside.

Written from the specification alone, for reading and not for speed: every attention is dense, every ragged
structure is an index tensor, and autograd supplies all gradients. Runs in the dtype of the parameters it is given
(float64 for goldens, float32 to see what single precision costs).

Shape letters: T tokens of a packed batch, M concepts, d and D the token and concept widths, H heads, V vocabulary.
Parameters are one flat dictionary from the checkpoint's path ("encoder/layers/0/attention/q_proj") to a tensor;
matrices are [out, in]. `part(parameters, "encoder")` is the same dictionary seen from below a path.
"""

import math
from dataclasses import dataclass

import torch

try:
    import tomllib
except ModuleNotFoundError:  # Python before 3.11
    import tomli as tomllib

NORM_EPSILON = 1e-6
ROPE_BASE = 10000.0
TINY_NORM = 1e-12  # keeps the cosine of an all-zero state finite; never reached by real states


# ------------------------------------------------------------------------------------------- configuration


def load_config(text):
    """The complete TOML text of a checkpoint or of a golden case. There are no defaults here: a missing key is
    an error, because the defaults are the program's."""
    return tomllib.loads(text)


def is_dlcm(config):
    return config["model"]["kind"] == "dlcm"


def has_projections(predictor):
    return predictor in ("decoupled", "learned")


def width_multipliers(config):
    """(s_token, s_concept) of section 10; 1 without muP. A transformer has no concept width."""
    mup, model = config["mup"], config["model"]
    if not mup["enabled"]:
        return 1.0, 1.0
    s_token = model["token"]["width"] / mup["token_base"]
    s_concept = model["concept"]["width"] / mup["concept_base"] if is_dlcm(config) else 1.0
    return s_token, s_concept


def token_layers(config):
    """(encoder layers, decoder layers); the baseline is a decoder alone."""
    token = config["model"]["token"]
    return (token["encoder_layers"], token["decoder_layers"]) if is_dlcm(config) else (0, token["layers"])


# ---------------------------------------------------------------------------------------------- parameters


def attention_shapes(width, heads, kv_heads, key_width=None):
    """Of self-attention, or, with `key_width`, of a cross-attention whose keys and values have another width."""
    head_dim = width // heads
    key_width = key_width or width
    return {
        "q_proj": (width, width),
        "k_proj": (kv_heads * head_dim, key_width),
        "v_proj": (kv_heads * head_dim, key_width),
        "o_proj": (width, width),
        "q_norm": (head_dim,),
        "k_norm": (head_dim,),
    }


def mlp_shapes(width, ff):
    return {"gate_proj": (ff, width), "up_proj": (ff, width), "down_proj": (width, ff)}


def below(prefix, shapes):
    return {f"{prefix}/{name}": shape for name, shape in shapes.items()}


def block_shapes(stack):
    width = stack["width"]
    return {
        "attention_norm": (width,),
        **below("attention", attention_shapes(width, stack["heads"], stack["kv_heads"])),
        "mlp_norm": (width,),
        **below("mlp", mlp_shapes(width, stack["ff"])),
    }


def cross_attention_shapes(config):
    token, width = config["model"]["token"], config["model"]["token"]["width"]
    shapes = {
        "norm": (width,),
        **attention_shapes(width, token["heads"], token["kv_heads"], config["model"]["concept"]["width"]),
    }
    ff = config["model"]["cross_attention"]["ff"]
    if ff > 0:
        shapes |= {"mlp_norm": (width,), **below("mlp", mlp_shapes(width, ff))}
    return shapes


def concept_shapes(config):
    """Everything that the baseline lacks, except the encoder."""
    model = config["model"]
    d, concept = model["token"]["width"], model["concept"]
    shapes = {}
    if has_projections(model["boundary"]["predictor"]):
        shapes |= {"boundary/q_proj": (d, d), "boundary/k_proj": (d, d)}
    shapes["concept_proj"] = (concept["width"], d)
    for layer in range(concept["layers"]):
        shapes |= below(f"backbone/layers/{layer}", block_shapes(concept))
    shapes["backbone/norm"] = (concept["width"],)
    if model["smoothing"]["kind"] == "blend":
        shapes["smoothing/gate"] = (concept["width"],)
    return shapes | below("cross_attention", cross_attention_shapes(config))


def parameter_shapes(config, vocabulary):
    token = config["model"]["token"]
    encoder_layers, decoder_layers = token_layers(config)
    shapes = {"embedding": (vocabulary, token["width"])}
    for layer in range(encoder_layers):
        shapes |= below(f"encoder/layers/{layer}", block_shapes(token))
    if is_dlcm(config):
        shapes |= concept_shapes(config)
    for layer in range(decoder_layers):
        shapes |= below(f"decoder/layers/{layer}", block_shapes(token))
    shapes["decoder/norm"] = (token["width"],)
    shapes["unembedding"] = (vocabulary, token["width"])
    return shapes


def part(parameters, prefix):
    """The parameters below a path, named from there."""
    prefix += "/"
    return {name[len(prefix) :]: value for name, value in parameters.items() if name.startswith(prefix)}


# -------------------------------------------------------------------------------------------- ragged batches


@dataclass(frozen=True)
class Rows:
    """Where each row of a ragged batch lies: its document and its position there."""

    document: torch.Tensor
    position: torch.Tensor


def rows_of(cu_seqlens):
    offsets = torch.as_tensor(cu_seqlens, dtype=torch.int64)
    lengths = torch.diff(offsets)
    document = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    position = torch.arange(len(document)) - offsets[document]
    return Rows(document, position)


@dataclass(frozen=True)
class Segments:
    """How boundaries cut the tokens into concepts (section 4)."""

    tokens: Rows
    concepts: Rows  # position = index of the concept in its document
    concept_of_token: torch.Tensor  # [T], index into the M concepts of the batch
    concept_position: torch.Tensor  # [T], j(t): the same, counted from the document's first concept
    first_token: torch.Tensor  # [M]
    length: torch.Tensor  # [M], in tokens
    seen: torch.Tensor  # [T], tokens of the own segment up to and including t


def segments_of(tokens, b):
    """`b` is 1 where a concept begins; the first token of a document always begins one."""
    b = torch.as_tensor(b).bool()
    if not b[tokens.position == 0].all():
        raise ValueError("the first token of every document must be a boundary")
    first_token = torch.nonzero(b)[:, 0]
    concept_of_token = torch.cumsum(b, 0) - 1
    document = tokens.document[first_token]
    concepts_before = torch.searchsorted(document, document)  # of earlier documents, as `document` is sorted
    position = torch.arange(len(first_token)) - concepts_before
    return Segments(
        tokens=tokens,
        concepts=Rows(document, position),
        concept_of_token=concept_of_token,
        concept_position=position[concept_of_token],
        first_token=first_token,
        length=torch.bincount(concept_of_token),
        seen=torch.arange(len(b)) - first_token[concept_of_token] + 1,
    )


# -------------------------------------------------------------------------------------------------- layers


def linear(x, matrix):
    return x @ matrix.T


def rms_norm(x, gain):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + NORM_EPSILON) * gain


def rope(x, position):
    """Rotary embedding of x [N, heads, head_dim]: element i is rotated with element i + head_dim/2."""
    half = x.shape[-1] // 2
    frequency = ROPE_BASE ** (-torch.arange(half, dtype=x.dtype) / half)
    angle = (position.to(x.dtype)[:, None] * frequency)[:, None, :]
    first, second = x[..., :half], x[..., half:]
    return torch.cat(
        [first * angle.cos() - second * angle.sin(), second * angle.cos() + first * angle.sin()], dim=-1
    )


def swiglu(parameters, x):
    gate = torch.nn.functional.silu(linear(x, parameters["gate_proj"]))
    return linear(gate * linear(x, parameters["up_proj"]), parameters["down_proj"])


def split_heads(x, head_dim):
    return x.reshape(x.shape[0], -1, head_dim)


def softmax_or_zero(scores):
    """Softmax over the last dimension; a row of nothing but -inf gives zeros."""
    highest = scores.detach().amax(-1, keepdim=True)
    highest = torch.where(torch.isinf(highest), torch.zeros_like(highest), highest)
    weight = torch.exp(scores - highest)
    total = weight.sum(-1, keepdim=True)
    return weight / torch.where(total > 0, total, torch.ones_like(total))


def attention(query, key, value, bias):
    """query [N, H, head_dim], key and value [S, kv_heads, head_dim], bias [N, S] with -inf where nothing is seen.
    Query heads are grouped: consecutive heads share a key head."""
    group = query.shape[1] // key.shape[1]
    key = key.repeat_interleave(group, dim=1)
    value = value.repeat_interleave(group, dim=1)
    scores = torch.einsum("nhe,she->hns", query, key) / math.sqrt(query.shape[-1]) + bias
    return torch.einsum("hns,she->nhe", softmax_or_zero(scores), value).flatten(1)


def bias_of(visible, dtype):
    """0 where visible, -inf elsewhere."""
    return torch.zeros(visible.shape, dtype=dtype).masked_fill(~visible, -math.inf)


def same_document(rows, others):
    return rows.document[:, None] == others.document[None, :]


def self_attention(parameters, x, rows):
    head_dim = parameters["q_norm"].numel()
    query = split_heads(linear(x, parameters["q_proj"]), head_dim)
    key = split_heads(linear(x, parameters["k_proj"]), head_dim)
    value = split_heads(linear(x, parameters["v_proj"]), head_dim)
    query = rope(rms_norm(query, parameters["q_norm"]), rows.position)
    key = rope(rms_norm(key, parameters["k_norm"]), rows.position)
    visible = same_document(rows, rows) & (rows.position[:, None] >= rows.position[None, :])
    return linear(attention(query, key, value, bias_of(visible, x.dtype)), parameters["o_proj"])


def transformer_block(parameters, x, rows):
    x = x + self_attention(part(parameters, "attention"), rms_norm(x, parameters["attention_norm"]), rows)
    return x + swiglu(part(parameters, "mlp"), rms_norm(x, parameters["mlp_norm"]))


def transformer_stack(parameters, layers, x, rows):
    for layer in range(layers):
        x = transformer_block(part(parameters, f"layers/{layer}"), x, rows)
    return x


# ---------------------------------------------------------------------------------------------- boundaries


def dissimilarity(before, after):
    """(1 - cos)/2 of each row's predecessor in `before` with the row in `after` (Eq. 6); row 0 gets 1."""
    dot = (before[:-1] * after[1:]).sum(-1)
    norms = before[:-1].norm(dim=-1) * after[1:].norm(dim=-1)
    p = (1 - dot / norms.clamp_min(TINY_NORM)) / 2
    return torch.cat([before.new_ones(1), p])


def force_first(p, rows):
    """p = 1, without gradient, at each document's first token."""
    return torch.where(rows.position == 0, torch.ones_like(p), p)


def fixed_boundaries(position, tokens_per_concept):
    """A boundary where another multiple of R is reached; R need not be whole."""
    index = position.to(torch.float64)
    return torch.floor(index / tokens_per_concept) != torch.floor((index - 1) / tokens_per_concept)


def boundary_probability(config, parameters, h, rows):
    """p [T]. Which gradients it carries is the predictor's choice: `decoupled` none to h, `learned` all,
    the others none at all."""
    settings = config["model"]["boundary"]
    predictor = settings["predictor"]
    if predictor == "none":
        return torch.ones(len(h), dtype=h.dtype)
    if predictor == "fixed":
        b = fixed_boundaries(rows.position, settings["tokens_per_concept"]) | (rows.position == 0)
        return b.to(h.dtype)
    if predictor == "cosine":
        return force_first(dissimilarity(h.detach(), h.detach()), rows)
    state = h if predictor == "learned" else h.detach()
    query = linear(state, parameters["boundary/q_proj"])
    key = linear(state, parameters["boundary/k_proj"])
    return force_first(dissimilarity(query, key), rows)


def sharpened(p, alpha):
    """The probability that training draws b from. Not differentiated."""
    return torch.sigmoid(torch.logit(p.detach().clamp(0, 1)) / alpha)


def thresholded(config, p, rows):
    """The boundaries of evaluation and generation, and of training for the predictors that draw nothing."""
    settings = config["model"]["boundary"]
    p = p.detach()
    b = p > settings["tau"] if settings["predictor"] == "cosine" else p >= 0.5
    return b | (rows.position == 0)


def straight_through_confidence(p, b):
    """Value 1, gradient of p where a boundary was drawn and of 1 - p where not (`learned` only)."""
    c = torch.where(b, p, 1 - p)
    return c + (1 - c).detach()


# ------------------------------------------------------------------------------------------------- concepts


def pool(h, segments):
    """The mean of each segment's states, [M, d]."""
    total = torch.zeros(len(segments.length), h.shape[1], dtype=h.dtype)
    total = total.index_add(0, segments.concept_of_token, h)
    return total / segments.length.to(h.dtype)[:, None]


def smooth(config, parameters, z, p, segments):
    kind = config["model"]["smoothing"]["kind"]
    if kind == "none":
        return z
    first = segments.concepts.position == 0
    if kind == "blend":
        return smooth_blend(z, torch.sigmoid(parameters["smoothing/gate"]), first)
    if config["model"]["boundary"]["predictor"] != "learned":
        p = p.detach()
    return smooth_ema(z, p[segments.first_token], first)


def smooth_blend(z, g, first):
    previous = torch.cat([z[:1], z[:-1]])
    return torch.where(first[:, None], z, (1 - g) * z + g * previous)


def smooth_ema(z, weight, first):
    rows = []
    for k in range(len(z)):
        rows.append(z[k] if first[k] else weight[k] * z[k] + (1 - weight[k]) * rows[-1])
    return torch.stack(rows)


# ------------------------------------------------------------------------------------------ cross-attention


def cross_bias(settings, segments, dtype):
    """[T, M]: -inf where token t does not see concept k, else log of the keys the concept stands for."""
    own = segments.concept_position[:, None]
    index = segments.concepts.position[None, :]
    is_open = same_document(segments.tokens, segments.concepts) & (index == own)
    visible = same_document(segments.tokens, segments.concepts) & (index < own)
    if settings["visibility"] == "containing":
        visible = visible | is_open
    bias = bias_of(visible, dtype)
    if settings["weighting"] == "length":
        count = torch.where(is_open, segments.seen[:, None], segments.length[None, :])
        bias = bias + torch.log(count.to(dtype))
    return bias


def cross_heads(settings, parameters, h, z, segments):
    """Queries [T, H, head_dim], keys and values [M, kv_heads, head_dim], ready to be compared."""
    head_dim = parameters["q_norm"].numel()
    query = split_heads(linear(rms_norm(h, parameters["norm"]), parameters["q_proj"]), head_dim)
    key = split_heads(linear(z, parameters["k_proj"]), head_dim)
    value = split_heads(linear(z, parameters["v_proj"]), head_dim)
    query, key = rms_norm(query, parameters["q_norm"]), rms_norm(key, parameters["k_norm"])
    if settings["rope"] == "concept":
        query = rope(query, segments.concept_position)
        key = rope(key, segments.concepts.position)
    return query, key, value


def cross_attention(settings, parameters, h, z, segments, confidence=None):
    """Psi(H, Z~) of section 8. `confidence` [T] is the straight-through factor of `learned`."""
    query, key, value = cross_heads(settings, parameters, h, z, segments)
    mixed = attention(query, key, value, cross_bias(settings, segments, h.dtype))
    update = linear(mixed, parameters["o_proj"])
    if confidence is not None:
        update = update * confidence[:, None]
    h = h + update
    if settings["ff"] > 0:
        h = h + swiglu(part(parameters, "mlp"), rms_norm(h, parameters["mlp_norm"]))
    return h


# ---------------------------------------------------------------------------------------------------- model


@dataclass(frozen=True)
class Output:
    logits: torch.Tensor  # [T, V]
    rows: Rows
    p: torch.Tensor | None = None  # [T]; None for a transformer
    b: torch.Tensor | None = None  # [T], bool


def forward(config, parameters, tokens, cu_seqlens, b=None):
    """Without `b` the boundaries are those of evaluation."""
    rows = rows_of(cu_seqlens)
    encoder_layers, decoder_layers = token_layers(config)
    h = parameters["embedding"][torch.as_tensor(tokens, dtype=torch.int64)]
    p = None
    if is_dlcm(config):
        h = transformer_stack(part(parameters, "encoder"), encoder_layers, h, rows)
        p = boundary_probability(config, parameters, h, rows)
        b = thresholded(config, p, rows) if b is None else torch.as_tensor(b).bool()
        h = expand_through_concepts(config, parameters, h, p, b, rows)
    h = transformer_stack(part(parameters, "decoder"), decoder_layers, h, rows)
    h = rms_norm(h, parameters["decoder/norm"])
    s_token, _ = width_multipliers(config)
    return Output(linear(h, parameters["unembedding"]) / s_token, rows, p, b)


def expand_through_concepts(config, parameters, h, p, b, rows):
    """From the encoder's states to the decoder's: pool, backbone, smoothing, cross-attention."""
    model = config["model"]
    segments = segments_of(rows, b)
    z = linear(pool(h, segments), parameters["concept_proj"])
    z = transformer_stack(part(parameters, "backbone"), model["concept"]["layers"], z, segments.concepts)
    z = smooth(config, parameters, rms_norm(z, parameters["backbone/norm"]), p, segments)
    learned = model["boundary"]["predictor"] == "learned"
    confidence = straight_through_confidence(p, b) if learned else None
    return cross_attention(
        model["cross_attention"], part(parameters, "cross_attention"), h, z, segments, confidence
    )


# --------------------------------------------------------------------------------------------------- losses


def token_losses(logits, targets):
    """[T]; 0 where nothing is predicted (target -1)."""
    targets = torch.as_tensor(targets, dtype=torch.int64)
    log_probability = torch.log_softmax(logits, -1).gather(1, targets.clamp_min(0)[:, None])[:, 0]
    return torch.where(targets >= 0, -log_probability, torch.zeros_like(log_probability))


def auxiliary_of(settings, f, g):
    """Eq. 10, with F a constant."""
    r = settings["tokens_per_concept"]
    return r / (r - 1) * ((r - 1) * f * g + (1 - f) * (1 - g)) - 1


def counted_groups(scope, outputs):
    """The sets of tokens over which one F and one G are taken: lists of (p, b), forced tokens left out."""
    groups = []
    for output in outputs:
        counted = output.rows.position > 0
        if scope == "sequence":
            for document in range(int(output.rows.document[-1]) + 1):
                mask = counted & (output.rows.document == document)
                groups.append((output.p[mask], output.b[mask]))
        else:
            groups.append((output.p[counted], output.b[counted]))
    if scope == "global":
        groups = [(torch.cat([p for p, _ in groups]), torch.cat([b for _, b in groups]))]
    return [(p, b) for p, b in groups if len(p)]


def rates_of(outputs):
    """F and G over all counted tokens of a step."""
    ((p, b),) = counted_groups("global", outputs)
    return b.to(p.dtype).mean(), p.mean()


def auxiliary_loss(settings, outputs):
    """Over all micro-batches of one step: the mean of Eq. 10 over the groups of the scope."""
    losses = [
        auxiliary_of(settings, b.to(p.dtype).mean(), p.mean())
        for p, b in counted_groups(settings["scope"], outputs)
    ]
    return torch.stack(losses).mean()


@dataclass(frozen=True)
class Batch:
    tokens: torch.Tensor
    targets: torch.Tensor
    cu_seqlens: torch.Tensor
    b: torch.Tensor | None = None  # None: as in evaluation


@dataclass(frozen=True)
class Losses:
    cross_entropy: torch.Tensor  # mean over the predicted tokens of the step
    auxiliary: torch.Tensor  # 0 for a transformer
    total: torch.Tensor
    outputs: list
    per_token: list


def step_losses(config, parameters, micro_batches):
    """The losses of one optimizer step, all micro-batches in one graph: nothing is averaged per micro-batch."""
    outputs = [forward(config, parameters, m.tokens, m.cu_seqlens, m.b) for m in micro_batches]
    per_token = [token_losses(o.logits, m.targets) for o, m in zip(outputs, micro_batches)]
    predicted = sum(int((torch.as_tensor(m.targets) >= 0).sum()) for m in micro_batches)
    cross_entropy = sum(losses.sum() for losses in per_token) / predicted
    auxiliary, weight = torch.zeros_like(cross_entropy), 0.0
    if is_dlcm(config):
        auxiliary = auxiliary_loss(config["model"]["boundary"], outputs)
        weight = config["model"]["boundary"]["weight"]
    return Losses(cross_entropy, auxiliary, cross_entropy + weight * auxiliary, outputs, per_token)


def gradients_of(loss, parameters):
    """By name; zeros where the loss does not depend on a parameter."""
    gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    return {
        name: torch.zeros_like(value) if gradient is None else gradient
        for (name, value), gradient in zip(parameters.items(), gradients)
    }


# -------------------------------------------------------------------------------------------------- training


@dataclass(frozen=True)
class Group:
    """What the optimizer does with a parameter (section 10)."""

    rate: str  # key in [optimizer] of the base rate
    width: float  # s: divides the rate and epsilon
    decays: bool


def group_of(config, path, parameter):
    s_token, s_concept = width_multipliers(config)
    if parameter.dim() == 1:
        return Group("rate_other", 1.0, False)
    if path in ("embedding", "unembedding"):
        return Group("rate_other", 1.0, True)
    if path.startswith("boundary/"):
        return Group("rate_boundary", s_token, True)
    if path.startswith("backbone/") or path in ("cross_attention/k_proj", "cross_attention/v_proj"):
        return Group("rate_concept", s_concept, True)
    return Group("rate_token", s_token, True)


def schedule_factor(schedule, step):
    """Warm-up, stable, decay: the share of the base rate in step 0, 1, ..."""
    steps, warmup = schedule["steps"], schedule["warmup"]
    factor = 1.0
    if step < warmup:
        factor = (step + 1) / warmup
    decay_steps = math.floor(schedule["decay_share"] * steps + 0.5)
    if step >= steps - decay_steps:
        elapsed = (step - (steps - decay_steps) + 1) / decay_steps
        factor = min(factor, decay_factor(schedule["decay_shape"], elapsed))
    return factor


def decay_factor(shape, elapsed):
    return {
        "sqrt": 1 - math.sqrt(elapsed),
        "linear": 1 - elapsed,
        "cosine": (1 + math.cos(math.pi * elapsed)) / 2,
    }[shape]


def global_norm(gradients):
    return math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients.values()))


def clipped(gradients, norm, clip):
    scale = min(1.0, clip / norm) if norm > 0 else 1.0
    return {name: gradient * scale for name, gradient in gradients.items()}


@dataclass
class Moments:
    """AdamW's state."""

    m: dict
    v: dict
    step: int = 0  # updates made


def no_moments(parameters):
    zeros = {name: torch.zeros_like(value) for name, value in parameters.items()}
    return Moments(dict(zeros), dict(zeros))


def adamw_update(config, parameters, gradients, moments, factor):
    """The parameters after one update; `moments` is changed in place. Decay is decoupled and uses the base rate
    without the width, so that rate x decay is the same at every width."""
    optimizer = config["optimizer"]
    beta1, beta2 = optimizer["beta1"], optimizer["beta2"]
    moments.step += 1
    updated = {}
    for name, parameter in parameters.items():
        group = group_of(config, name, parameter)
        rate = factor * optimizer[group.rate]
        m = beta1 * moments.m[name] + (1 - beta1) * gradients[name]
        v = beta2 * moments.v[name] + (1 - beta2) * gradients[name].square()
        m_hat = m / (1 - beta1**moments.step)
        v_hat = v / (1 - beta2**moments.step)
        update = rate / group.width * m_hat / (v_hat.sqrt() + optimizer["epsilon"] / group.width)
        if group.decays:
            update = update + rate * optimizer["weight_decay"] * parameter
        moments.m[name], moments.v[name] = m, v
        updated[name] = (parameter - update).detach()
    return updated


def train_step(config, parameters, moments, micro_batches, step):
    """(new parameters, losses, gradient norm before clipping). `step` counts from 0."""
    leaves = {name: value.detach().requires_grad_() for name, value in parameters.items()}
    losses = step_losses(config, leaves, micro_batches)
    gradients = gradients_of(losses.total, leaves)
    norm = global_norm(gradients)
    gradients = clipped(gradients, norm, config["optimizer"]["clip"])
    factor = schedule_factor(config["schedule"], step)
    parameters = {name: value.detach() for name, value in parameters.items()}
    return adamw_update(config, parameters, gradients, moments, factor), losses, norm
