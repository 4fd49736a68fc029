#!/usr/bin/env python3
"""What `tokenize train` wrote, in Hugging Face's libraries (pip install tokenizers transformers h5py): the same merges as
their trainer's, the same ids as `tokenize` gives, and every text back.

    python3 check_trained_tokenizer.py TOKENIZE TEXT.jsonl FOLDER

TOKENIZE is the program; tokenizer and shards go to FOLDER, which is made.
"""
import json
import os
import random
import subprocess
import sys

import h5py
import transformers
from tokenizers import Tokenizer

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "goldens"))
import make_trainer_goldens

VOCAB_SIZE = 4096
SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>", "<|pad|>", "<|user|>"]
HARD = ["🙂👍🏽 e\u0301 中文分词，カタカナ。 가각", " " * 300, "a" + " " * 77 + "b\n\n \r\n\t x", "1234567890 ½ ٣١ 3.14159", "=" * 100,
        "don't DON'T l'été", "<|user|> hello<|pad|> <|end_of_text|", "\u0000\u0001\u007f\ufeff\u200b\u2028\u00a0", "x" * 5000,
        "The quick brown fox; (it) jumps -- \"over\" the_lazy dog's #tag @at http://a.b/c?d=e&f"]


def hard_documents():
    source = random.Random(1)
    for _ in range(200):
        yield "".join(source.choice(HARD)[:40] + source.choice(HARD)[-7:] for _ in range(4))
    yield from HARD


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"check_trained_tokenizer.py: {command[0]} ended with {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def documents_of(shard):
    with h5py.File(shard, "r") as file:
        tokens, ends = file["tokens"][()].tolist(), file["doc_offsets"][()].tolist()
    return [tokens[begin:end] for begin, end in zip(ends[:-1], ends[1:])]


def expect(right, what):
    if not right:
        sys.exit(f"check_trained_tokenizer.py: {what}")


def main():
    program, text, folder = sys.argv[1:]
    with open(text, encoding="utf-8") as file:
        book = [json.loads(line)["text"] for line in file]
    trained = run(program, "train", "--vocab-size", str(VOCAB_SIZE), "--special", SPECIAL[3], "--output", folder, text)
    path = os.path.join(folder, "tokenizer.json")
    with open(path, encoding="utf-8") as file:
        model = json.load(file)["model"]
    tokens, merges = make_trainer_goldens.train(book, VOCAB_SIZE, 0, SPECIAL)
    expect(sorted(model["vocab"], key=model["vocab"].get) == tokens, "the vocabulary is not that of BpeTrainer")
    expect(model["merges"] == merges, "the merges are not those of BpeTrainer")

    documents = book + list(hard_documents())
    lines = os.path.join(folder, "documents.jsonl")
    with open(lines, "w", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": document}) + "\n" for document in documents)
    run(program, "--tokenizer", path, "--output", os.path.join(folder, "shards"), lines)
    ours = documents_of(os.path.join(folder, "shards", "train-00000.h5"))
    expect(len(ours) == len(documents), "tokenize lost documents")
    expect(trained["tokens"] == sum(len(ids) - 2 for ids in ours[:len(book)]), "tokens of training are others")

    library, loader = Tokenizer.from_file(path), transformers.AutoTokenizer.from_pretrained(folder)
    names = (loader.bos_token_id, loader.eos_token_id, loader.pad_token_id, len(loader))
    expect(names == (0, 1, 2, VOCAB_SIZE), f"AutoTokenizer has begin, end, pad and size {names}")
    for document, (begin, *ids, end) in zip(documents, ours):
        expect((begin, end) == (0, 1), "a document is not between begin and end")
        expect(library.encode(document, add_special_tokens=False).ids == ids, f"other ids for {document[:80]!r}")
        expect(loader.encode(document, add_special_tokens=False) == ids, f"AutoTokenizer: other ids for {document[:80]!r}")
        expect(library.decode(ids, skip_special_tokens=False) == document, f"another text for {document[:80]!r}")
    print(f"{len(documents)} documents, {sum(map(len, ours))} tokens: the ids of tokenizers and AutoTokenizer; "
          f"{len(merges)} merges of BpeTrainer")


if __name__ == "__main__":
    main()
