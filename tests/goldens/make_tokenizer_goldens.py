#!/usr/bin/env python3
"""Writes tokenizers.jsonl.gz: small tokenizer.json files that exercise each feature, random texts, and their ids by
Hugging Face's `tokenizers` (pip install tokenizers==0.23.*). Each line is {"name", "tokenizer", "cases": [[text, ids], ...]}.

    python3 make_tokenizer_goldens.py
"""
import gzip
import json
import os
import random

from tokenizers import Tokenizer

FOLDER = os.path.dirname(os.path.abspath(__file__))
ALPHABET = (
    list("aabbeestTrRvmMldDLSsxyz") + list("0123459") + list("     ") + list("\n\n\r\t\v") + list("''.,!?-_#(<>|~$") +
    list("中文字一龥丁のカ・ーあ゠ゟ\u3040、。ééÀßıİIſK가각") + list("\u0301\u0327\u0308\u0663½Ⅻ²²³٣१๓") +
    list("\u00a0\u2003\u3000\u180e\u200b\u200c\u200d\u0085\u2028\u001c\ufeff") + list("🙂👍🏽€∑Ωﬁﬃ①㎏") +
    list("\x01\x02\x7f\ue000\U0010ffff\u0378\ufffe") +
    list("\U00031350\U0002ebf0\U0001ccf3\U00010d4a\U0001cc00\u0897\u1b4e\U0001fae9") +
    list("\u0898\u1ac1\u32ff\ua7f2\U00011938\U00011935\U00011930\ua7cb") +
    ["'s", "'S", "'ſ", "'ll", "'LL", "'re", "'Re", " 'd", "can't", "  ", "\r\n", "\n\n", " a", " the", "<tok>", "<Tok>", "[X]",
     "word", "Add", "中文", "don't", "123", "--", "\u1112\u1161\u11ab", "e\u0301", "D\u0307\u0323"])


def byte_characters():
    keep = list(range(0x21, 0x7F)) + list(range(0xA1, 0xAD)) + list(range(0xAE, 0x100))
    characters, extra = {}, 256
    for byte in range(256):
        characters[byte] = chr(byte) if byte in keep else chr(extra)
        extra += byte not in keep
    return characters


BYTES = byte_characters()


def model(pieces, random_source, missing=(), **options):
    """Merges by taking random pairs of neighbours, so that ranks are in no good order."""
    vocabulary = {c: i for i, (b, c) in enumerate(sorted(BYTES.items())) if b not in missing}
    vocabulary = {c: i for i, c in enumerate(vocabulary)}
    words = [[BYTES[b] for b in piece.encode() if b not in missing] for piece in pieces]
    merges = []
    for _ in range(160):
        word = random_source.choice([w for w in words if len(w) > 1])
        at = random_source.randrange(len(word) - 1)
        left, right = word[at], word[at + 1]
        if (left, right) in merges:
            continue
        merges.append((left, right))
        vocabulary.setdefault(left + right, len(vocabulary))
        words = [merge(w, left, right) for w in words]
    if options.pop("shuffled", False):
        random_source.shuffle(merges)
    listed = [f"{a} {b}" for a, b in merges] if options.pop("joined", False) else [list(m) for m in merges]
    return {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
            "vocab": vocabulary, "merges": listed, **options}


def merge(word, left, right):
    out = []
    for symbol in word:
        if out and out[-1] == left and symbol == right:
            out[-1] = left + right
        else:
            out.append(symbol)
    return out


def byte_level(add_prefix_space=False, use_regex=False):
    return {"type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": True, "use_regex": use_regex}


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def digits(individual):
    return {"type": "Digits", "individual_digits": individual}


def token(content, normalized=False, **flags):
    return {"content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": normalized,
            "special": False, **flags}


LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
          r"\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace("{1,3}", "")
DEEPSEEK = [
    r"\p{N}{1,3}", "[一-龥\u3040-ゟ゠-ヿ]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|"
    "\\s*[\r\n]+|\\s+(?!\\S)|\\s+"]
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|"
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|"
         r"\s*[\r\n]+|\s+(?!\S)|\s+")


def configurations():
    """(name, pre_tokenizer, normalizer, added tokens, options of the model)"""
    plain = byte_level()
    yield "deepseek", sequence(*[split(p) for p in DEEPSEEK], plain), None, [], {}
    yield "gpt2", byte_level(use_regex=True), None, [], {"joined": True}
    yield "gpt2 prefix", byte_level(True, True), None, [token("<tok>", special=True)], {}
    yield "prefix alone", byte_level(True, False), None, [], {}
    yield "llama3", sequence(split(LLAMA3), plain), None, [token("<tok>", special=True)], {"ignore_merges": True}
    yield "qwen2", sequence(split(QWEN2), plain), {"type": "NFC"}, [], {}
    yield "o200k", sequence(split(O200K), plain), None, [], {}
    yield "shuffled merges", plain, None, [], {"shuffled": True}
    yield "bytes missing", plain, None, [], {"missing": tuple(range(0x80, 0x100)) + tuple(b"ae ")}
    for behavior in ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]:
        for invert in [False, True]:
            name = f"{behavior}{' inverted' if invert else ''}"
            yield f"{name} regex", sequence(split(r"\s|\d|a+", behavior, invert), plain), None, [], {}
            yield f"{name} string", sequence(split(" ", behavior, invert, "String"), byte_level(True)), None, [], {}
            yield f"{name} empty matches", sequence(split("a*", behavior, invert), plain), None, [], {}
    yield "special string", sequence(split("'s", kind="String"), split(".", kind="String"), plain), None, [], {}
    yield "digits", sequence(digits(False), byte_level(use_regex=True)), None, [], {}
    yield "individual digits", sequence(digits(True), byte_level(True, True)), None, [], {}
    yield "anchors", sequence(split(r"^.|.$|(?<=b)\s+|(?>a+)b|x{2,3}?|[^\s\p{Han}]{2}|\x{4e2d}"), plain), None, [], {}
    yield "scripts", sequence(split(r"\p{Han}+|\p{Hiragana}+|\P{L}|[\d\v\u00e9]+"), plain), None, [], {}
    for form in ["NFC", "NFD", "NFKC", "NFKD", "Lowercase"]:
        yield form, byte_level(use_regex=True), {"type": form}, [token("Add", True)], {}
    for left, right in [(True, True), (True, False), (False, True)]:
        yield f"strip {left} {right}", plain, {"type": "Strip", "strip_left": left, "strip_right": right}, [], {}
    yield "sequence", byte_level(use_regex=True), {"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "_"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        {"type": "Replace", "pattern": {"Regex": "[\\r\\n]+|b+c?"}, "content": "é"}]}, [], {}
    flags = ["single_word", "lstrip", "rstrip"]
    for bits in range(8):
        chosen = {flag: bool(bits >> i & 1) for i, flag in enumerate(flags)}
        added = [token("<tok>", **chosen), token("Add", True, **chosen), token("[X]", True), token("word", **chosen),
                 token("中文"), token("wordAdd"), token(" a", **chosen), token("\n", True, **chosen)]
        yield f"added {bits}", byte_level(use_regex=True), {"type": "Lowercase"} if bits % 3 == 1 else None, added, {}


def texts(random_source, count):
    for _ in range(count):
        pool = ALPHABET if random_source.random() < 0.6 else random_source.sample(ALPHABET, 6)
        yield "".join(random_source.choice(pool) for _ in range(random_source.randrange(1, 24)))


def encode(reference, text):
    """None where the reference itself fails (0.23 panics in NFKC behind some replacements of nothing)."""
    try:
        return reference.encode(text, add_special_tokens=False).ids
    except BaseException as error:  # PanicException is no Exception
        if type(error).__name__ != "PanicException":
            raise
        return None


def main():
    random_source = random.Random(20)
    lines = []
    for name, pre_tokenizer, normalizer, added, options in configurations():
        count = 150 if name in ("deepseek", "gpt2", "llama3", "qwen2", "NFC", "NFKD", "Lowercase") else 36
        file = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": normalizer,
                "pre_tokenizer": pre_tokenizer, "post_processor": None, "decoder": byte_level(),
                "model": model(list(texts(random_source, 40)), random_source, **options)}
        size = len(file["model"]["vocab"])
        added = added + [token("<s>", special=True)]
        new = [t for t in added if t["content"] not in file["model"]["vocab"]]
        file["added_tokens"] = [
            {"id": file["model"]["vocab"].get(t["content"], size + (new.index(t) if t in new else 0)), **t} for t in added]
        reference = Tokenizer.from_str(json.dumps(file))
        cases = [[text, ids] for text in texts(random_source, count) if (ids := encode(reference, text)) is not None]
        lines.append(json.dumps({"name": name, "tokenizer": file, "cases": cases}, ensure_ascii=False, separators=(",", ":")))
    data = ("\n".join(lines) + "\n").encode()
    with open(os.path.join(FOLDER, "tokenizers.jsonl.gz"), "wb") as out:
        out.write(gzip.compress(data, 9, mtime=0))


if __name__ == "__main__":
    main()
