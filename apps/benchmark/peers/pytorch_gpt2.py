"""A training step of GPT-2 (124 M parameters) in PyTorch on the CPU, float32: forward, backward, AdamW.

    python pytorch_gpt2.py --mode compiled

The model and batch that llm.c's train_gpt2 trains on the CPU: 12 layers of width 768 and 12 heads, learned positions,
LayerNorm with bias, GELU (tanh), embedding and unembedding tied, vocabulary of 50,257 padded to 50,304; 4 sequences of
64 tokens, AdamW without weight decay, no clipping. Attention takes PyTorch's fused causal kernel. The last line is
JSON.
"""

import torch
import torch.nn.functional as F
from torch import nn

import measure


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.projection = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def attention(self, x):
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1)
        )
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.projection(mixed.transpose(1, 2).flatten(2))

    def forward(self, x):
        x = x + self.attention(self.norm_1(x))
        return x + self.down(F.gelu(self.up(self.norm_2(x)), approximate="tanh"))


class Gpt2(nn.Module):
    def __init__(self, layers, width, heads, vocabulary, context):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, tokens, targets):
        x = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.norm(x), self.tokens.weight)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def training_step(model, tokens, compiled, optimizer):
    """A function that makes one step and returns the loss before it."""
    kernels = {"fused": optimizer == "fused", "foreach": optimizer == "foreach"}
    adamw = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.0, **kernels)
    loss_of = torch.compile(model, fullgraph=True) if compiled else model

    def step():
        loss = loss_of(tokens[:, :-1], tokens[:, 1:])
        loss.backward()
        adamw.step()
        adamw.zero_grad()
        return loss.item()

    return step


def parse():
    parser = measure.parser_of(__doc__, seconds=30)
    parser.add_argument("--mode", choices=["eager", "compiled"], default="eager")
    parser.add_argument("--optimizer", choices=["fused", "foreach"], default="fused")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--vocabulary", type=int, default=50304)
    parser.add_argument("--context", type=int, default=1024, help="rows of the table of positions")
    parser.add_argument("--sequences", type=int, default=4)
    parser.add_argument("--length", type=int, default=64, help="tokens of each sequence")
    return parser.parse_args()


def main():
    options = parse()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    model = Gpt2(options.layers, options.width, options.heads, options.vocabulary, options.context)
    tokens = torch.randint(options.vocabulary, (options.sequences, options.length + 1))
    step = training_step(model, tokens, options.mode == "compiled", options.optimizer)
    measure.report_steps(
        step,
        options.sequences * options.length,
        options,
        {
            "version": torch.__version__,
            "workload": "gpt-2 training step",
            "dtype": "f32",
            "optimizer": options.optimizer,
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
        },
    )


if __name__ == "__main__":
    main()
