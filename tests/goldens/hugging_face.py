"""Random Qwen3 models as `transformers` makes them, in folders as it saves them, and what it computes with them.

  python hugging_face.py make DIR          the committed hugging_face/ (see README.md)
  python hugging_face.py check BUILD RUN   our programs in BUILD against transformers, both directions, with random
                                           models and with RUN, the folder of apps/quickstart.sh
"""

import json
import os
import subprocess
import sys
import tempfile

import h5py
import numpy as np
import torch
from safetensors.numpy import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

TEXTS = [
    "Alice was beginning to get very tired of sitting by her sister on the bank, and of having nothing to do.",
    "The quick brown fox: 12 + 34 = 46; naïve café, 世界 \U0001f642.\n\nAnother line.",
    "x",
]
PROMPTS = ["Alice was ", "The quick", "x"]
LOGIT_TOLERANCE = 1e-4

# Every key that a dense Qwen3 may vary; vocabularies larger than the tokenizer's, as the published ones are.
CONFIGS = {
    "plain": {},
    "tied": {"tie_word_embeddings": True, "rope_theta": 1e6},
    "wide_heads": {"head_dim": 24, "num_key_value_heads": 1, "rope_theta": 5e6, "rms_norm_eps": 1e-5},
    "narrow_heads": {"head_dim": 6, "num_attention_heads": 6, "num_key_value_heads": 3, "tie_word_embeddings": True},
    "no_groups": {"num_key_value_heads": 4, "num_hidden_layers": 3, "hidden_size": 40, "intermediate_size": 56},
}


def make_tokenizer(vocab_size):
    """Byte-level BPE without a begin token, as Qwen's."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=["<|endoftext|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS * 4, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")


def make_model(changes, seed, vocab_size):
    torch.manual_seed(seed)
    sizes = {
        "vocab_size": vocab_size,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 256,
        "tie_word_embeddings": False,
    }
    sizes.update(changes)
    config = Qwen3Config(eos_token_id=1, **sizes)
    model = Qwen3ForCausalLM(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.normal_(1.0, 0.2)
            elif "embed" in name or "lm_head" in name:
                parameter.normal_(0.0, 0.3)
            else:
                parameter.normal_(0.0, 1.5 / parameter.shape[1] ** 0.5)
    return model


def save(folder, changes, seed, tokenizer, extra_ids=23, **options):
    model = make_model(changes, seed, len(tokenizer) + extra_ids)
    model.save_pretrained(folder, **options)
    tokenizer.save_pretrained(folder)
    return model


def logits_of(model, tokens):
    with torch.no_grad():
        return model(torch.tensor([tokens])).logits[0].float().numpy()


def greedy(model, tokenizer, prompt, new_tokens):
    """The ids made; the end token among them."""
    ids = tokenizer(prompt, return_tensors="pt").input_ids
    made = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=new_tokens, do_sample=False)
    return made[0, ids.shape[1] :].tolist()


def make(folder):
    """A tied model in several shards and one in bf16, each with the logits and texts that transformers finds."""
    tokenizer = make_tokenizer(270)
    cases = {
        "tied_shards": {"tie_word_embeddings": True, "head_dim": 12, "rope_theta": 5e5, "rms_norm_eps": 1e-5},
        "bf16": {"num_key_value_heads": 1, "hidden_size": 24, "intermediate_size": 20, "num_hidden_layers": 1},
    }
    for seed, (name, changes) in enumerate(cases.items()):
        place = os.path.join(folder, name)
        model = make_model(changes, 70 + seed, len(tokenizer) + 3)
        if name == "bf16":
            model = model.to(torch.bfloat16)
        model.save_pretrained(place, max_shard_size="40KB" if name == "tied_shards" else "1GB")
        tokenizer.save_pretrained(place)
        model = AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32).eval()
        reader = AutoTokenizer.from_pretrained(place)
        expected = [
            {
                "text": text,
                "ids": reader(text).input_ids,
                "logits": [[float(f"{x:.6g}") for x in row] for row in logits_of(model, reader(text).input_ids)[-2:]],
                "greedy": greedy(model, reader, text, 12),
            }
            for text in PROMPTS
        ]
        with open(os.path.join(place, "expected.json"), "w") as file:
            json.dump(expected, file, ensure_ascii=False)


class Programs:
    def __init__(self, build):
        self.build = build

    def run(self, name, *arguments):
        command = [os.path.join(self.build, "apps", name), *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"hugging_face.py: {' '.join(command)}: {done.stderr}")
        return done.stdout

    def greedy(self, source, prompt, new_tokens):
        line = self.run(
            "generate", "--checkpoint", source, "--prompt", prompt, "--max-tokens", str(new_tokens),
            "--temperature", "0", "--json",
        )
        return json.loads(line)["tokens"]

    def dump(self, source, data, path):
        self.run("evaluate", "--checkpoint", source, "--data", data, "--max-tokens", "600", "--dump", path, "--logits")
        with h5py.File(path, "r") as file:
            return file["tokens"][:], file["cu_seqlens"][:], file["logits"][:]


def compare(name, programs, ours, theirs, data, work, tokenizer, new_tokens=40):
    """Logits and greedy text of `ours`, a checkpoint or folder, against the folder `theirs`."""
    model = AutoModelForCausalLM.from_pretrained(theirs, dtype=torch.float32).eval()
    tokens, offsets, found = programs.dump(ours, data, os.path.join(work, "dump.h5"))
    worst = 0.0
    for begin, end in zip(offsets[:-1], offsets[1:]):
        expected = logits_of(model, tokens[begin:end].tolist())
        if expected.shape != found[begin:end].shape:
            sys.exit(f"hugging_face.py: {name}: logits {found[begin:end].shape}, expected {expected.shape}")
        worst = max(worst, float(np.abs(expected - found[begin:end]).max()))
    same = [programs.greedy(ours, prompt, new_tokens) == greedy(model, tokenizer, prompt, new_tokens) for prompt in PROMPTS]
    print(f"{name}: logits differ by {worst:.2e} at most over {len(tokens)} tokens, greedy text equal: {all(same)}")
    if not (worst < LOGIT_TOLERANCE and all(same)):
        sys.exit(f"hugging_face.py: {name}: differs")


def check_theirs(programs, work):
    """Random models of transformers in our programs."""
    text = os.path.join(work, "text.jsonl")
    with open(text, "w") as file:
        for line in TEXTS:
            file.write(json.dumps({"text": line}) + "\n")
    tokenizer = make_tokenizer(300)
    for seed, (name, changes) in enumerate(CONFIGS.items()):
        folder = os.path.join(work, name)
        save(folder, changes, seed, tokenizer, max_shard_size="60KB" if seed % 2 else "1GB")
        data = os.path.join(work, name + "-data")
        programs.run("tokenize", "--tokenizer", os.path.join(folder, "tokenizer.json"), "--output", data, text)
        shard = os.path.join(data, "train-00000.h5")
        compare(name, programs, folder, folder, shard, work, AutoTokenizer.from_pretrained(folder))


def train(programs, run, output, *settings):
    """A small transformer of a few steps, on the shards of the quickstart."""
    overrides = [
        "model.kind=transformer", "model.token.width=64", "model.token.heads=4", "model.token.kv_heads=2",
        "model.token.ff=96", "model.token.layers=2", "schedule.steps=30", "schedule.warmup=5", "train.context=256",
        "train.batch_tokens=1024", "train.micro_tokens=1024", "train.evaluate_every=30", "train.evaluate_tokens=2000",
        *settings,
    ]
    arguments = [argument for override in overrides for argument in ("--set", override)]
    programs.run("train", "--config", "apps/configs/quickstart.toml", "--data", os.path.join(run, "data"),
                 "--output", output, *arguments)


def check_ours(programs, run, work):
    """Transformers that we have trained, in transformers; and what it writes of them, again in ours."""
    cases = {
        "trained": [],  # muP: the logits are multiplied by 2
        "trained_tied": ["model.tied_embeddings=true", "model.token.head_dim=24", "model.rope_base=5e4"],
        "trained_plainly": ["mup.enabled=false", "model.tied_embeddings=true", "model.norm_epsilon=1e-5"],
    }
    shard = os.path.join(run, "data", "heldout-00000.h5")
    for name, settings in cases.items():
        model, folder = os.path.join(work, name), os.path.join(work, name + "-folder")
        train(programs, run, model, *settings)
        programs.run("export", "--checkpoint", model, "--output", folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        compare(name + ", exported", programs, model, folder, shard, work, tokenizer)
        compare(name + ", read back", programs, folder, folder, shard, work, tokenizer)
        saved = os.path.join(work, name + "-saved")
        AutoModelForCausalLM.from_pretrained(folder).save_pretrained(saved)
        tokenizer.save_pretrained(saved)
        again = os.path.join(work, name + "-again")
        programs.run("export", "--checkpoint", saved, "--output", again)
        for text in PROMPTS:
            if programs.greedy(model, text, 40) != programs.greedy(again, text, 40):
                sys.exit(f"hugging_face.py: {name}: another text after transformers has written it")


def check_dlcm(programs, run, work):
    """A DLCM's folder read by safetensors and tokenizers, and by our programs again."""
    folder = os.path.join(work, "dlcm")
    source = os.path.join(run, "model")
    programs.run("export", "--checkpoint", source, "--output", folder)
    tensors = load_file(os.path.join(folder, "model.safetensors"))
    with h5py.File(os.path.join(source, "checkpoints", "latest.h5"), "r") as file:
        stored = {}
        file["model"].visititems(lambda name, item: stored.update({name: item[:]} if hasattr(item, "shape") else {}))
    if sorted(stored) != sorted(tensors) or any(not np.array_equal(stored[name], tensors[name]) for name in stored):
        sys.exit("hugging_face.py: dlcm: the tensors are not those of the checkpoint")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    text = TEXTS[1]
    if tokenizer(text).input_ids != [256, *text.encode()] or tokenizer.decode(list(text.encode())) != text:
        sys.exit("hugging_face.py: dlcm: the tokenizer is not that of bytes")
    shard = os.path.join(run, "data", "heldout-00000.h5")
    evaluate = ["--data", shard, "--max-tokens", "2000"]
    same = all(programs.greedy(source, prompt, 40) == programs.greedy(folder, prompt, 40) for prompt in PROMPTS)
    same &= programs.run("evaluate", "--checkpoint", source, *evaluate) == programs.run(
        "evaluate", "--checkpoint", folder, *evaluate)
    if not same:
        sys.exit("hugging_face.py: dlcm: another text or loss after export")
    print(f"dlcm, exported: {len(tensors)} tensors, text and loss equal")


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "make":
        return make(sys.argv[2])
    if len(sys.argv) != 4 or sys.argv[1] != "check":
        sys.exit(__doc__)
    programs = Programs(sys.argv[2])
    with tempfile.TemporaryDirectory() as work:
        check_theirs(programs, work)
        check_ours(programs, sys.argv[3], work)
        check_dlcm(programs, sys.argv[3], work)


main()
