"""A training step of the DLCM in PyTorch on the CPU: forward, backward, clipping by the global norm, AdamW.

    python pytorch_dlcm.py --dtype f32 --mode compiled --cross-attention dense

One setting a process, so that the peak of memory is the setting's own. The last line is JSON.

It is the whole model of docs/model.md with its default settings (`check_pytorch_dlcm.py` compares losses and gradients
with the reference of tests/goldens), written for speed and not for reading line by line against the equations:

- documents of one length are a batch [B, L], so that self-attention takes PyTorch's fused causal kernel with grouped
  heads, and nothing is computed across documents;
- boundaries are given, and every document gets the same number of concepts at random places: no concept is padding,
  shapes never change, nothing is compiled twice, and masks and indices are made before the clock starts;
- logits, loss and AdamW are PyTorch's own. `--loss chunked` takes its `linear_cross_entropy`, which never holds all
  logits, for less memory; compiled, it stays an eager call in the middle of the graph.

`--cross-attention dense` masks T x M scores of each document (visibility `completed`, weighting `uniform`).
`replicated` repeats the concepts' keys and values to their tokens and takes the causal kernel: equation 17 of the paper
as printed, which is visibility `containing` with weighting `length`; it shows the future, at the same cost as a variant
that does not. bf16 is torch.autocast with float32 weights; boundary probabilities and the loss stay in float32.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

import measure

NORM_EPSILON = 1e-6
ROPE_BASE = 10000.0
TOKEN_BASE, CONCEPT_BASE = 128, 256  # widths at which the base rates hold (muP)
RATE, RATE_BOUNDARY, WEIGHT_DECAY = 3e-3, 1e-3, 0.1
AUXILIARY_WEIGHT = 0.03


@dataclass(frozen=True)
class Stack:
    """The sizes of a run of blocks."""

    width: int
    heads: int
    kv_heads: int
    ff: int

    @property
    def head_dim(self):
        return self.width // self.heads


@dataclass(frozen=True)
class Settings:
    token: Stack
    concept: Stack
    encoder_layers: int
    backbone_layers: int
    decoder_layers: int
    vocabulary: int
    tokens_per_concept: float
    cross_attention: str
    loss: str


@dataclass(frozen=True)
class Segments:
    """How boundaries cut B documents of L tokens into at most M concepts each."""

    b: torch.Tensor  # [B, L], float: 1 where a concept begins
    concept_of_token: torch.Tensor  # [B, L], counted in the document
    row_of_token: torch.Tensor  # [B * L], counted over the batch, M rows a document
    length: torch.Tensor  # [B * M, 1], in tokens; 1 where a document has fewer concepts
    visible: torch.Tensor  # [B, 1, L, M]: the concept is complete; in the first segment, where none is, concept 0
    sees_any: torch.Tensor  # [B, L, 1], 0 in the first segment


def segments_of(b):
    concept = b.long().cumsum(1) - 1
    concepts = int(concept.max()) + 1
    rows = (concept + concepts * torch.arange(len(b))[:, None]).flatten()
    length = torch.bincount(rows, minlength=len(b) * concepts).clamp_min(1)
    visible = torch.arange(concepts) < concept.clamp_min(1)[:, :, None]
    return Segments(b.float(), concept, rows, length[:, None], visible[:, None], (concept > 0)[:, :, None])


def random_boundaries(documents, length, tokens_per_concept):
    """A concept begins at each document's first token and at random others: length / R in all."""
    b = torch.zeros(documents, length, dtype=torch.bool)
    b[:, 0] = True
    others = round(length / tokens_per_concept) - 1
    for document in b:
        document[1 + torch.randperm(length - 1)[:others]] = True
    return b


# --------------------------------------------------------------------------------------------------- layers


def matrix(rows, columns):
    return nn.Linear(columns, rows, bias=False)


class RMSNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        """By hand: on the CPU F.rms_norm takes up to twice the time and more memory. Sums in float32 at least."""
        square = x.square().mean(-1, keepdim=True, dtype=torch.promote_types(x.dtype, torch.float32))
        return x * torch.rsqrt(square + NORM_EPSILON).to(x.dtype) * self.weight.to(x.dtype)


class Rope(nn.Module):
    """Rotates element i of a head with element i + head_dim / 2, by the row's position in its document."""

    def __init__(self, length, head_dim, dtype=torch.float32):
        super().__init__()
        frequency = ROPE_BASE ** (-torch.arange(head_dim // 2, dtype=torch.float64) / (head_dim // 2))
        angle = torch.arange(length)[:, None] * frequency
        self.register_buffer("cos", angle.cos()[:, None].to(dtype))
        self.register_buffer("sin", angle.sin()[:, None].to(dtype))

    def forward(self, x):
        cos, sin = self.cos[: x.shape[1]].to(x.dtype), self.sin[: x.shape[1]].to(x.dtype)
        first, second = x.chunk(2, -1)
        return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)


class Heads(nn.Module):
    """The parameters of an attention: projections and the norms of queries and keys."""

    def __init__(self, stack, key_width):
        super().__init__()
        self.head_dim, kv_width = stack.head_dim, stack.kv_heads * stack.head_dim
        self.q_proj = matrix(stack.width, stack.width)
        self.k_proj = matrix(kv_width, key_width)
        self.v_proj = matrix(kv_width, key_width)
        self.o_proj = matrix(stack.width, stack.width)
        self.q_norm, self.k_norm = RMSNorm(stack.head_dim), RMSNorm(stack.head_dim)

    def split(self, x):
        return x.unflatten(-1, (-1, self.head_dim))

    def project(self, x, keys):
        """Queries, keys and values [B, rows, heads, head_dim]."""
        query = self.q_norm(self.split(self.q_proj(x)))
        return query, self.k_norm(self.split(self.k_proj(keys))), self.split(self.v_proj(keys))

    def attend(self, query, key, value, **mask):
        query, key, value = (x.transpose(1, 2) for x in (query, key, value))
        mixed = F.scaled_dot_product_attention(query, key, value, enable_gqa=True, **mask)
        return mixed.transpose(1, 2).flatten(2)


class SelfAttention(Heads):
    def __init__(self, stack):
        super().__init__(stack, stack.width)

    def forward(self, x, rope):
        query, key, value = self.project(x, x)
        return self.o_proj(self.attend(rope(query), rope(key), value, is_causal=True))


class SwiGLU(nn.Module):
    def __init__(self, stack):
        super().__init__()
        self.gate_proj, self.up_proj = matrix(stack.ff, stack.width), matrix(stack.ff, stack.width)
        self.down_proj = matrix(stack.width, stack.ff)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, stack):
        super().__init__()
        self.attention_norm, self.attention = RMSNorm(stack.width), SelfAttention(stack)
        self.mlp_norm, self.mlp = RMSNorm(stack.width), SwiGLU(stack)

    def forward(self, x, rope):
        x = x + self.attention(self.attention_norm(x), rope)
        return x + self.mlp(self.mlp_norm(x))


class Blocks(nn.Module):
    def __init__(self, stack, layers, final_norm):
        super().__init__()
        self.layers = nn.ModuleList(Block(stack) for _ in range(layers))
        if final_norm:
            self.norm = RMSNorm(stack.width)

    def forward(self, x, rope):
        for block in self.layers:
            x = block(x, rope)
        return self.norm(x) if hasattr(self, "norm") else x


# ---------------------------------------------------------------------------------------------------- model


class BoundaryRouter(nn.Module):
    """p of every token but each document's first, where it is 1 and counts nowhere. h arrives detached: the
    projections learn from the auxiliary loss alone (predictor `decoupled`)."""

    def __init__(self, width):
        super().__init__()
        self.q_proj, self.k_proj = matrix(width, width), matrix(width, width)

    def forward(self, h):
        with torch.autocast("cpu", enabled=False):
            h = h.to(self.q_proj.weight.dtype)
            cosine = F.cosine_similarity(self.q_proj(h[:, :-1]), self.k_proj(h[:, 1:]), dim=-1)
        return (1 - cosine) / 2


class Smoothing(nn.Module):
    """Each concept but a document's first is blended with the one before it."""

    def __init__(self, width):
        super().__init__()
        self.gate = nn.Parameter(torch.full((width,), math.log(0.1 / 0.9)))

    def forward(self, z):
        return torch.cat([z[:, :1], torch.lerp(z[:, 1:], z[:, :-1], torch.sigmoid(self.gate).to(z.dtype))], 1)


class CrossAttention(Heads):
    def __init__(self, settings):
        super().__init__(settings.token, settings.concept.width)
        self.norm, self.kind = RMSNorm(settings.token.width), settings.cross_attention

    def forward(self, h, z, segments):
        query, key, value = self.project(self.norm(h), z)
        attend = self.replicated if self.kind == "replicated" else self.dense
        return h + self.o_proj(attend(query, key, value, segments))

    def dense(self, query, key, value, segments):
        return self.attend(query, key, value, attn_mask=segments.visible) * segments.sees_any

    def replicated(self, query, key, value, segments):
        def repeat(x):
            return x.flatten(0, 1).index_select(0, segments.row_of_token).unflatten(0, query.shape[:2])

        return self.attend(query, repeat(key), repeat(value), is_causal=True)


class Dlcm(nn.Module):
    def __init__(self, settings, context):
        super().__init__()
        token, concept = settings.token, settings.concept
        self.settings = settings
        self.rope_token, self.rope_concept = Rope(context, token.head_dim), Rope(context, concept.head_dim)
        self.embedding = nn.Embedding(settings.vocabulary, token.width)
        self.encoder = Blocks(token, settings.encoder_layers, final_norm=False)
        self.boundary = BoundaryRouter(token.width)
        self.concept_proj = matrix(concept.width, token.width)
        self.backbone = Blocks(concept, settings.backbone_layers, final_norm=True)
        self.smoothing = Smoothing(concept.width)
        self.cross_attention = CrossAttention(settings)
        self.decoder = Blocks(token, settings.decoder_layers, final_norm=True)
        self.unembedding = matrix(settings.vocabulary, token.width)

    def pool(self, h, segments):
        """The mean of each segment's states, [B, M, d]."""
        total = h.new_zeros(len(segments.length), h.shape[-1])
        total = total.index_add(0, segments.row_of_token, h.flatten(0, 1))
        return (total / segments.length).unflatten(0, (len(h), -1))

    def auxiliary(self, p, b):
        """Equation 10: of the mean of p and the share of boundaries, a document's first token left out."""
        r, f, g = self.settings.tokens_per_concept, b[:, 1:].mean(), p.mean()
        return r / (r - 1) * ((r - 1) * f * g + (1 - f) * (1 - g)) - 1

    def cross_entropy(self, h, targets):
        h = h.flatten(0, 1) * (TOKEN_BASE / h.shape[-1])
        if self.settings.loss == "chunked":
            options = nn.LinearCrossEntropyOptions()
            return F.linear_cross_entropy(h, self.unembedding.weight, targets.flatten(), options=options)
        return F.cross_entropy(self.unembedding(h), targets.flatten())

    def forward(self, tokens, targets, segments):
        h = self.encoder(self.embedding(tokens), self.rope_token)
        p = self.boundary(h.detach())
        z = self.concept_proj(self.pool(h, segments))
        z = self.smoothing(self.backbone(z, self.rope_concept))
        h = self.decoder(self.cross_attention(h, z, segments), self.rope_token)
        return self.cross_entropy(h, targets) + AUXILIARY_WEIGHT * self.auxiliary(p, segments.b)


# ------------------------------------------------------------------------------------------------- training


def width_scale(name, parameter):
    """s of a hidden matrix: the width that feeds it over its base width. 1 for everything else."""
    if parameter.dim() == 1 or name.startswith(("embedding", "unembedding")):
        return 1.0
    of_concepts = name.startswith(("backbone", "cross_attention.k_proj", "cross_attention.v_proj"))
    width = parameter.shape[1] if "down_proj" not in name else parameter.shape[0]
    return width / (CONCEPT_BASE if of_concepts else TOKEN_BASE)


@torch.no_grad()
def initialize(model):
    blocks = {"encoder": len(model.encoder.layers), "backbone": len(model.backbone.layers)}
    blocks |= {"decoder": len(model.decoder.layers), "cross_attention": 0.5}
    for name, parameter in model.named_parameters():
        if name.startswith("boundary"):
            nn.init.eye_(parameter)
        elif name.startswith("unembedding"):
            nn.init.zeros_(parameter)
        elif name.startswith("embedding"):
            nn.init.normal_(parameter, std=0.02)
        elif parameter.dim() == 2:
            is_output = name.endswith(("o_proj.weight", "down_proj.weight"))
            share = 2 * blocks[name.split(".")[0]] if is_output else 1
            nn.init.normal_(parameter, std=1 / math.sqrt(parameter.shape[1] * share))


def optimizer_of(model):
    """AdamW with the groups of decoupled muP, one for each rate; decay is independent of the width."""
    groups = {}
    for name, parameter in model.named_parameters():
        scale = width_scale(name, parameter)
        rate = (RATE_BOUNDARY if name.startswith("boundary") else RATE) / scale
        decay = WEIGHT_DECAY * scale if parameter.dim() > 1 else 0.0
        groups.setdefault((rate, 1e-8 / scale, decay), []).append(parameter)
    settings = [
        {"params": parameters, "lr": rate, "eps": epsilon, "weight_decay": decay}
        for (rate, epsilon, decay), parameters in groups.items()
    ]
    return torch.optim.AdamW(settings, betas=(0.9, 0.95), fused=True)


def training_step(model, batches, dtype, compiled):
    """A function that makes one step, of the gradients of all micro-batches, and returns the loss before it."""
    optimizer = optimizer_of(model)
    parameters = list(model.parameters())
    loss_of = torch.compile(model, fullgraph=model.settings.loss == "whole") if compiled else model

    def step():
        total = 0.0
        for batch in batches:
            with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bf16"):
                loss = loss_of(*batch) / len(batches)
            loss.backward()
            total += loss.item()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return total

    return step


def parse():
    parser = measure.parser_of(__doc__, seconds=30)
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--mode", choices=["eager", "compiled"], default="eager")
    parser.add_argument("--cross-attention", choices=["dense", "replicated"], default="dense")
    parser.add_argument("--loss", choices=["whole", "chunked"], default="whole", help="logits at once or by chunks")
    parser.add_argument("--token", type=int, nargs=4, default=[256, 4, 2, 1024], metavar=("D", "H", "KV", "FF"))
    parser.add_argument("--concept", type=int, nargs=4, default=[512, 8, 4, 1024], metavar=("D", "H", "KV", "FF"))
    parser.add_argument("--layers", type=int, nargs=3, default=[3, 5, 2], metavar=("ENCODER", "BACKBONE", "DECODER"))
    parser.add_argument("--vocabulary", type=int, default=8192)
    parser.add_argument("--tokens-per-concept", type=float, default=4.0)
    parser.add_argument("--documents", type=int, default=8)
    parser.add_argument("--length", type=int, default=1024, help="tokens of each document")
    parser.add_argument("--micro-documents", type=int, help="documents at a time, a divisor of all; default: all at once")
    options = parser.parse_args()
    if options.micro_documents and (options.micro_documents < 1 or options.documents % options.micro_documents):
        parser.error(f"--micro-documents {options.micro_documents}: {options.documents} documents are no multiple of it")
    return options


def settings_of(options):
    return Settings(
        Stack(*options.token),
        Stack(*options.concept),
        *options.layers,
        options.vocabulary,
        options.tokens_per_concept,
        options.cross_attention,
        options.loss,
    )


def random_batches(options):
    """Micro-batches of tokens, targets and segments; every token predicts."""
    micro = options.micro_documents or options.documents
    batches = []
    for _ in range(options.documents // micro):
        tokens = torch.randint(options.vocabulary, (micro, options.length + 1))
        b = random_boundaries(micro, options.length, options.tokens_per_concept)
        batches.append((tokens[:, :-1], tokens[:, 1:], segments_of(b)))
    return batches


def main():
    options = parse()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    rss_at_start = measure.peak_rss_bytes()
    model = Dlcm(settings_of(options), options.length)
    initialize(model)
    batches = random_batches(options)
    tokens = options.documents * options.length
    measure.report_steps(
        training_step(model, batches, options.dtype, options.mode == "compiled"),
        tokens,
        options,
        {
            "version": torch.__version__,
            "workload": "dlcm training step",
            "dtype": options.dtype,
            "cross_attention": options.cross_attention,
            "loss": options.loss,
            "micro_tokens": tokens // len(batches),
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "tokens_per_concept": tokens / sum(float(segments.b.sum()) for _, _, segments in batches),
            "rss_at_start_bytes": rss_at_start,
        },
    )


if __name__ == "__main__":
    main()
