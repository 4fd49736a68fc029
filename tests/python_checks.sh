#!/bin/sh
# Files that the programs have written, read by what others read them with: h5py, safetensors, TensorBoard, tokenizers,
# transformers, a browser; and models of transformers in our programs. Installs the libraries from PyPI in a virtual
# environment of its own, which is removed (with PyTorch 6 GB, a minute), the browser with apt.
#
#   sh tests/python_checks.sh DIR     results of apps/quickstart.sh, as in its DLCM_QUICKSTART_DIR
set -eu

run=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check --no-cache-dir --no-compile \
  h5py numpy playwright safetensors tensorboard tokenizers torch transformers
python=$work/venv/bin/python

build/apps/evaluate --checkpoint "$run/model" --data "$run/data" --max-tokens 5000 --dump "$work/dump.h5" >"$work/evaluated" 2>&1
"$python" docs/read_files.py "$run"/data/*.h5 "$run/model/checkpoints/latest.h5" "$work/dump.h5" >"$work/read"
cat "$work/read"
for expected in "953990 tokens of uint16" "step 400, 1638400 tokens seen, 3886784 parameters" "5000 tokens in"; do
  grep -q "$expected" "$work/read" || { echo "python_checks.sh: read_files.py does not say '$expected'" >&2; exit 1; }
done

# A token changed by h5py is seen by both sides.
cp "$run"/data/heldout-00000.h5 "$work/changed.h5"
"$python" -c 'import sys, h5py; f = h5py.File(sys.argv[1], "r+"); f["tokens"][7] = f["tokens"][7] ^ 1' "$work/changed.h5"
if "$python" docs/read_files.py "$work/changed.h5" >/dev/null; then
  echo "python_checks.sh: read_files.py took a changed shard for whole" >&2
  exit 1
fi
if build/apps/inspect "$work/changed.h5" >/dev/null 2>&1; then
  echo "python_checks.sh: inspect took a changed shard for whole" >&2
  exit 1
fi

DLCM_WRITTEN_SAFETENSORS=$work/written.safetensors build/tests/unit_tests --test-case="safetensors: written byte for byte*" >/dev/null
"$python" tests/goldens/check_safetensors.py "$work/written.safetensors"

"$python" tests/check_trained_tokenizer.py build/apps/tokenize data/text/gutenberg.jsonl "$work/tokenizer" 2>"$work/messages" ||
  { cat "$work/messages" >&2; exit 1; }
# The scripts that compare speeds run, and find the same merges and ids.
"$python" apps/benchmark/peers/train_tokenizer.py --python "$python" --vocab-sizes 1000 --cores 1 --repeats 1 data/text/gutenberg.jsonl
"$python" apps/benchmark/peers/tokenize_corpus.py --only speeds --repeats 1 --tokenizer "$work/tokenizer/tokenizer.json" \
  --compare tokenizers -- data/text

# A run that lost its last checkpoint: what is made again replaces what the first file of events has.
train() {
  build/apps/train --config apps/configs/quickstart.toml --set schedule.steps=6 --set schedule.warmup=2 --set train.evaluate_every=3 \
    --set train.evaluate_tokens=2000 --set train.checkpoint_every=4 --data "$run/data" --output "$work/resumed" "$@" 2>"$work/trained" ||
    { cat "$work/trained" >&2; exit 1; }
}
train
rm "$work/resumed/checkpoints/step-00000006.h5"
train --resume
[ "$(find "$work/resumed" -name 'events.out.tfevents.*' | wc -l)" = 2 ]
# And a run with domains.
build/apps/tokenize --heldout 0.1 --domain books=data/text/gutenberg.jsonl --domain code=dlcm --output "$work/domains" >/dev/null
build/apps/train --config apps/configs/quickstart.toml --set schedule.steps=4 --set schedule.warmup=2 --set train.evaluate_every=2 \
  --set train.evaluate_tokens=2000 --data "$work/domains" --output "$work/domain run" 2>"$work/trained" || { cat "$work/trained" >&2; exit 1; }
for folder in "$run/model" "$work/resumed" "$work/domain run"; do
  "$python" tests/check_event_files.py "$folder" 2>"$work/messages" || { cat "$work/messages" >&2; exit 1; }
done

# Random Qwen3 models of transformers in our programs, and ours in transformers.
if ! "$python" tests/goldens/hugging_face.py check build "$run" >"$work/compared" 2>"$work/messages"; then
  cat "$work/compared" >&2
  tail -n 20 "$work/messages" >&2
  exit 1
fi
cat "$work/compared"

sh apps/install_dependencies.sh chromium-headless-shell fonts-dejavu-core
"$python" tests/report_page.py "$run/model" "$work/domain run"
