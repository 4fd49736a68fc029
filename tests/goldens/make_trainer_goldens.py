#!/usr/bin/env python3
"""Writes trained.jsonl.gz: what Hugging Face's BpeTrainer (pip install tokenizers==0.23.*) makes of small texts and of
data/text/gutenberg.jsonl. Each line is {"name", "documents", "vocab_size", "min_frequency", "special_tokens", "tokens",
"merges"}; "documents" is null for that file. Tokens are those behind the bytes, in the order of their ids.

    python3 make_trainer_goldens.py
"""
import gzip
import json
import os
import random

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from make_tokenizer_goldens import DEEPSEEK

FOLDER = os.path.dirname(os.path.abspath(__file__))
TEXT = os.path.join(FOLDER, "..", "..", "data", "text", "gutenberg.jsonl")
NAMES = ["<s>", "</s>"]


def train(documents, vocab_size, min_frequency, special_tokens):
    """The tokens by id and the merges, as tokenizer.json has them."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in DEEPSEEK]
        + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, min_frequency=min_frequency, special_tokens=special_tokens,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(documents, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return sorted(model["vocab"], key=model["vocab"].get), [" ".join(merge) for merge in model["merges"]]


def random_documents(source, alphabet, runs):
    """Words of random letters or, with `runs`, of repeated ones, in which pairs overlap themselves."""
    def word():
        if runs:
            return "".join(source.choice(alphabet) * source.randrange(1, 12) for _ in range(source.randrange(1, 6)))
        return "".join(source.choice(alphabet) for _ in range(source.randrange(1, 30)))
    return [" ".join(word() for _ in range(source.randrange(1, 30))) for _ in range(source.randrange(1, 12))]


def cases():
    """(name, documents, vocab_size, min_frequency, special tokens)"""
    yield "gutenberg", None, 1500, 0, NAMES
    yield "gutenberg, frequent pairs", None, 32768, 200, NAMES
    source = random.Random(5)
    for alphabet in ["ab", "abc ", " =-", "a\n ", "ab中文é🙂1 ", "a"]:
        for runs in [False, True]:
            for vocab_size, min_frequency in [(290, 0), (420, 2), (2000, 0)]:
                name = f"{alphabet!r}{', runs' if runs else ''}, {vocab_size}, {min_frequency}"
                special = NAMES + (["ab", "aa"] if min_frequency else [])
                yield name, random_documents(source, list(alphabet), runs), vocab_size, min_frequency, special


def main():
    lines = []
    for name, documents, vocab_size, min_frequency, special_tokens in cases():
        texts = documents if documents is not None else [json.loads(line)["text"] for line in open(TEXT, encoding="utf-8")]
        tokens, merges = train(texts, vocab_size, min_frequency, special_tokens)
        lines.append(json.dumps(
            {"name": name, "documents": documents, "vocab_size": vocab_size, "min_frequency": min_frequency,
             "special_tokens": special_tokens, "tokens": tokens[len(special_tokens) + 256:], "merges": merges},
            ensure_ascii=False, separators=(",", ":")))
        print(f"{name}: {len(tokens)} tokens, {len(merges)} merges")
    with open(os.path.join(FOLDER, "trained.jsonl.gz"), "wb") as out:
        out.write(gzip.compress(("\n".join(lines) + "\n").encode(), 9, mtime=0))


if __name__ == "__main__":
    main()
