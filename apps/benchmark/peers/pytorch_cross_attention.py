"""The DLCM's cross-attention alone in PyTorch on the CPU, float32, forward and backward: one document, no projections.

    python pytorch_cross_attention.py --kind replicated
    python pytorch_cross_attention.py --kind dense

One kind a process, so that the peak of memory is its own. The last line is JSON.

`dense` gives PyTorch's fused kernel T x M scores and a mask (visibility `completed`, weighting `uniform`), made before
the clock starts. `replicated` is equation 17 of the paper: keys and values of concepts repeated to their tokens, then
the fused causal kernel over T x T (visibility `containing`, weighting `length`), which skips the half above the
diagonal. Repeating, and summing the gradients of the copies, is part of the time. Both are PyTorch's fastest kernels
for the task that have a backward pass on the CPU. `--check` compares both with plain softmax in float64 first.
"""

import math

import torch
import torch.nn.functional as F

import measure
from pytorch_dlcm import random_boundaries, segments_of

CHECKED_TOKENS, TOLERANCE = 96, 1e-5


def dense(query, key, value, segments):
    mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=segments.mask, enable_gqa=True)
    return mixed * segments.sees_any


def replicated(query, key, value, segments):
    key, value = (x.index_select(2, segments.row_of_token) for x in (key, value))
    return F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)


KINDS = {"dense": dense, "replicated": replicated}


class Cut:
    """How one document is cut, and what `kind` needs of it: made once."""

    def __init__(self, tokens, tokens_per_concept, kind):
        segments = segments_of(random_boundaries(1, tokens, tokens_per_concept))
        self.row_of_token = segments.row_of_token
        self.sees_any = segments.sees_any
        self.concepts = len(segments.length)
        if kind == "dense":
            self.mask = torch.zeros(segments.visible.shape).masked_fill_(~segments.visible, -math.inf)


def inputs_of(options, cut, tokens):
    """Queries, keys, values and a cotangent, [1, heads, rows, head_dim]."""
    query = torch.randn(1, options.heads, tokens, options.head_dim, requires_grad=True)
    key, value = (
        torch.randn(1, options.kv_heads, cut.concepts, options.head_dim, requires_grad=True) for _ in range(2)
    )
    return [query, key, value], torch.randn_like(query)


def explicit(kind, query, key, value, cut):
    """The same by plain softmax."""
    group = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(group, 1), value.repeat_interleave(group, 1)
    own, concept = cut.row_of_token[:, None], torch.arange(cut.concepts)
    if kind == "replicated":
        count = (own == concept).double().cumsum(0)  # of each concept's tokens up to the row's
    else:
        count = (concept < own.clamp_min(1)).double()
    scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1]) + count.log()
    mixed = scores.softmax(-1) @ value
    return mixed * cut.sees_any if kind == "dense" else mixed


def check(options):
    for kind, attend in KINDS.items():
        cut = Cut(CHECKED_TOKENS, options.tokens_per_concept, kind)
        inputs, cotangent = inputs_of(options, cut, CHECKED_TOKENS)
        exact = [x.detach().double().requires_grad_() for x in inputs]
        output = attend(*inputs, cut)
        expected = explicit(kind, *exact, cut)
        found = [output, *torch.autograd.grad(output, inputs, cotangent)]
        wanted = [expected, *torch.autograd.grad(expected, exact, cotangent.double())]
        worst = max(float((a - b).detach().abs().max()) for a, b in zip(found, wanted))
        assert worst <= TOLERANCE, f"{kind}: differs by {worst:.1e}"
        print(f"{kind}: output and gradients differ from plain softmax by at most {worst:.1e}")


def parse():
    parser = measure.parser_of(__doc__, seconds=30)
    parser.add_argument("--kind", choices=list(KINDS), default="dense")
    parser.add_argument("--check", action="store_true", help="compare with plain softmax before measuring")
    parser.add_argument("--tokens", type=int, default=16384)
    parser.add_argument("--tokens-per-concept", type=float, default=4.0)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--kv-heads", type=int, default=4)
    parser.add_argument("--head-dim", type=int, default=64)
    return parser.parse_args()


def measure_kind(options, cut):
    inputs, cotangent = inputs_of(options, cut, options.tokens)
    attend = KINDS[options.kind]
    run = measure.clocked(lambda: torch.autograd.grad(attend(*inputs, cut), inputs, cotangent))
    return measure.measured(run, options.seconds, warm_up=1)


def main():
    options = parse()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    if options.check:
        check(options)
    rss_at_start = measure.peak_rss_bytes()
    cut = Cut(options.tokens, options.tokens_per_concept, options.kind)
    times = measure_kind(options, cut)
    measure.report(
        {
            "peer": "pytorch",
            "version": torch.__version__,
            "workload": "cross-attention, forward and backward",
            "dtype": "f32",
            "kind": options.kind,
            "threads": options.threads,
            "tokens": options.tokens,
            "concepts": cut.concepts,
            "heads": options.heads,
            "kv_heads": options.kv_heads,
            "head_dim": options.head_dim,
            **measure.summary(times, "seconds"),
            "peak_rss_bytes": measure.peak_rss_bytes(),
            "rss_at_start_bytes": rss_at_start,
        }
    )


if __name__ == "__main__":
    main()
