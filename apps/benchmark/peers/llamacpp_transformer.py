"""Prefill and decoding of a transformer of 63 M parameters (without embeddings) by llama.cpp on the CPU.

    CMAKE_ARGS="-DGGML_NATIVE=ON -DGGML_OPENMP=ON" pip install --no-binary llama-cpp-python llama-cpp-python gguf numpy
    python llamacpp_transformer.py --dtype bf16

llama-cpp-python must be built on the machine, as above, so that it uses all of the CPU's instructions. The last line
is JSON.

The model has random weights and is written as a temporary GGUF file: architecture qwen3, which is the transformer of
this project (RMSNorm, RoPE, QK-norm, grouped heads, SwiGLU), d 512, 16 layers, 8 heads and 4 key-value heads of 64,
feed-forward 2048, and a vocabulary of 512, so that the projection to logits costs next to nothing. Matrices are f32 or
bf16, norms f32; the key-value cache is llama.cpp's default, f16. Batches go to llama_decode directly, tokens are drawn
beforehand and nothing is sampled: Python's share is microseconds a call. Logits are computed for the last token of a
prompt and for each decoded one. The fastest prompt and the fastest run of decoded tokens count, of prefill that with
micro-batches of 512 or 1,024 tokens.
"""

import ctypes
import importlib.metadata
import pathlib
import tempfile
import time

import gguf
import llama_cpp
import numpy as np

import measure

TYPES = {"f32": gguf.GGMLQuantizationType.F32, "bf16": gguf.GGMLQuantizationType.BF16}
FLASH_ATTENTION = {"auto": -1, "off": 0, "on": 1}
MICRO_BATCHES = (512, 1024)
NORM_EPSILON = 1e-6

# --------------------------------------------------------------------------------------------- the GGUF file


def matrix_shapes(options):
    """[out, in] of every matrix, by its name in GGUF."""
    d, ff = options.width, options.ff
    q_width, kv_width = options.heads * options.head_dim, options.kv_heads * options.head_dim
    shapes = {"token_embd": (options.vocabulary, d), "output": (options.vocabulary, d)}
    for layer in range(options.layers):
        block = {
            "attn_q": (q_width, d),
            "attn_k": (kv_width, d),
            "attn_v": (kv_width, d),
            "attn_output": (d, q_width),
            "ffn_gate": (ff, d),
            "ffn_up": (ff, d),
            "ffn_down": (d, ff),
        }
        shapes |= {f"blk.{layer}.{name}": shape for name, shape in block.items()}
    return shapes


def gain_sizes(options):
    sizes = {"output_norm": options.width}
    for layer in range(options.layers):
        sizes |= {f"blk.{layer}.{name}": options.width for name in ("attn_norm", "ffn_norm")}
        sizes |= {f"blk.{layer}.{name}": options.head_dim for name in ("attn_q_norm", "attn_k_norm")}
    return sizes


def add_settings(writer, options):
    writer.add_context_length(4096)
    writer.add_embedding_length(options.width)
    writer.add_block_count(options.layers)
    writer.add_feed_forward_length(options.ff)
    writer.add_head_count(options.heads)
    writer.add_head_count_kv(options.kv_heads)
    writer.add_key_length(options.head_dim)
    writer.add_value_length(options.head_dim)
    writer.add_layer_norm_rms_eps(NORM_EPSILON)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(options.vocabulary)
    writer.add_tokenizer_model("no_vocab")


def write_model(path, options):
    """Returns the number of parameters without embedding and unembedding."""
    random = np.random.default_rng(1)
    writer = gguf.GGUFWriter(path, "qwen3")
    add_settings(writer, options)
    parameters = 0
    for name, (rows, columns) in matrix_shapes(options).items():
        values = random.standard_normal((rows, columns), dtype=np.float32) / np.float32(np.sqrt(columns))
        kind = TYPES[options.dtype]
        writer.add_tensor(f"{name}.weight", gguf.quantize(values, kind), raw_dtype=kind)
        parameters += rows * columns if name.startswith("blk") else 0
    for name, size in gain_sizes(options).items():
        writer.add_tensor(f"{name}.weight", np.ones(size, np.float32))
        parameters += size
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return parameters


# ------------------------------------------------------------------------------------------------- llama.cpp


class Context:
    """A llama.cpp context for `sequences` sequences of at most `length` tokens each; a llama_decode takes up to
    `batch` tokens and computes `micro_batch` of them at a time."""

    def __init__(self, model, options, sequences, length, batch, micro_batch):
        settings = llama_cpp.llama_context_default_params()
        settings.n_ctx = sequences * length
        settings.n_batch, settings.n_ubatch = batch, micro_batch
        settings.n_seq_max = sequences
        settings.n_threads = settings.n_threads_batch = options.threads
        settings.flash_attn_type = FLASH_ATTENTION[options.flash_attention]
        self.context = llama_cpp.llama_init_from_model(model, settings)
        assert self.context, "llama.cpp made no context"
        self.sequences, self.vocabulary = sequences, options.vocabulary
        self.random = np.random.default_rng(2)
        self.batch = llama_cpp.llama_batch_init(settings.n_batch, 0, 1)

    def close(self):
        llama_cpp.llama_batch_free(self.batch)
        llama_cpp.llama_free(self.context)

    def forget(self):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)

    def fill(self, rows):
        """`rows`: (sequence, position, whether logits are wanted) of each token; the tokens are random."""
        self.batch.n_tokens = len(rows)
        for i, (sequence, position, wanted) in enumerate(rows):
            self.batch.token[i] = int(self.random.integers(self.vocabulary))
            self.batch.pos[i] = position
            self.batch.n_seq_id[i], self.batch.seq_id[i][0] = 1, sequence
            self.batch.logits[i] = wanted

    def decode(self):
        """Seconds of one llama_decode of what was filled in last."""
        begin = time.perf_counter()
        status = llama_cpp.llama_decode(self.context, self.batch)
        llama_cpp.llama_synchronize(self.context)
        seconds = time.perf_counter() - begin
        assert status == 0, f"llama_decode returned {status}"
        return seconds

    def prefill(self, sequence, tokens):
        self.fill([(sequence, t, t == tokens - 1) for t in range(tokens)])
        return self.decode()

    def generate(self, prompt, tokens):
        """Seconds for `tokens` tokens of every sequence after a prompt, all sequences in one batch."""
        self.forget()
        for sequence in range(self.sequences):
            self.prefill(sequence, prompt)
        seconds = 0.0
        for position in range(prompt, prompt + tokens):
            self.fill([(sequence, position, True) for sequence in range(self.sequences)])
            seconds += self.decode()
        self.check_logits()
        return seconds

    def check_logits(self):
        logits = llama_cpp.llama_get_logits_ith(self.context, -1)
        values = np.ctypeslib.as_array(ctypes.cast(logits, ctypes.POINTER(ctypes.c_float)), (self.vocabulary,))
        assert np.isfinite(values).all() and values.std() > 0, "logits are not those of a working model"


def prefill_rate(model, options, micro_batch):
    """Tokens/s of one prompt."""
    context = Context(model, options, 1, options.prefill, options.prefill, micro_batch)

    def run():
        context.forget()
        return context.prefill(0, options.prefill)

    times = measure.measured(run, options.seconds / 4)
    context.close()
    return options.prefill / min(times)


def decode_rate(model, options, sequences):
    """Tokens/s of all sequences together."""
    batch = max(options.prompt, sequences)
    context = Context(model, options, sequences, options.prompt + options.decoded, batch, batch)
    times = measure.measured(
        lambda: context.generate(options.prompt, options.decoded), options.seconds / 4, warm_up=1
    )
    context.close()
    return sequences * options.decoded / min(times)


def load(path):
    settings = llama_cpp.llama_model_default_params()
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), settings)
    assert model, "llama.cpp did not load the model"
    return model


@llama_cpp.llama_log_callback
def errors_only(level, text, _):
    if level == 4:
        print(text.decode(), end="")


def parse():
    parser = measure.parser_of(__doc__, seconds=40)
    parser.add_argument("--dtype", choices=list(TYPES), default="f32")
    parser.add_argument("--flash-attention", choices=list(FLASH_ATTENTION), default="auto")
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--layers", type=int, default=16)
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--kv-heads", type=int, default=4)
    parser.add_argument("--head-dim", type=int, default=64)
    parser.add_argument("--ff", type=int, default=2048)
    parser.add_argument("--vocabulary", type=int, default=512)
    parser.add_argument("--prompt", type=int, default=64, help="tokens before those decoded")
    parser.add_argument("--decoded", type=int, default=128, help="tokens decoded of each stream")
    parser.add_argument("--streams", type=int, default=16, help="streams decoded in one batch, after one alone")
    parser.add_argument("--prefill", type=int, default=1024, help="tokens of the prompt whose prefill is measured")
    return parser.parse_args()


def main():
    options = parse()
    llama_cpp.llama_log_set(errors_only, None)
    llama_cpp.llama_backend_init()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.gguf"
        parameters = write_model(path, options)
        model = load(path)
        prefill = {size: prefill_rate(model, options, size) for size in MICRO_BATCHES}
        decode = {streams: decode_rate(model, options, streams) for streams in (1, options.streams)}
        llama_cpp.llama_model_free(model)
    measure.report(
        {
            "peer": "llama.cpp",
            "version": importlib.metadata.version("llama-cpp-python"),
            "workload": "transformer, prefill and decoding",
            "dtype": options.dtype,
            "flash_attention": options.flash_attention,
            "threads": options.threads,
            "parameters_without_embeddings": parameters,
            "vocabulary": options.vocabulary,
            "prefill_tokens": options.prefill,
            "prefill_tokens_per_second": max(prefill.values()),
            **{f"prefill_tokens_per_second_{size}": rate for size, rate in prefill.items()},
            "prompt_tokens": options.prompt,
            "decoded_tokens": options.decoded,
            "decode_tokens_per_second": decode[1],
            "streams": options.streams,
            "decode_tokens_per_second_streams": decode[options.streams],
            "peak_rss_bytes": measure.peak_rss_bytes(),
            "system": llama_cpp.llama_print_system_info().decode().strip(),
        }
    )


if __name__ == "__main__":
    main()
