#!/bin/sh
# From a fresh machine to generated text: installs what is missing, builds, makes token shards of the text in data/text,
# trains apps/configs/quickstart.toml (about two minutes on 2 cores) and generates. What is done already is not done again;
# an interrupted training goes on where it stopped.
#
#   sh apps/quickstart.sh [--set key=value]...     the settings count when the training starts
#
# DLCM_QUICKSTART_DIR: where the shards and the model go, instead of runs/quickstart.
set -eu

called_from=$(pwd)
cd "$(dirname "$0")/.."
run=${DLCM_QUICKSTART_DIR:-runs/quickstart}
case $run in
  runs/quickstart | /*) ;;
  *) run=$called_from/$run ;;
esac
programs=build/apps
data=$run/data
model=$run/model

step() {
  echo "== $*" >&2
}

# Number of steps in a config.toml that train has written.
steps_of() {
  sed -n '/^\[schedule\]/,/^\[train\]/s/^steps = \([0-9][0-9]*\).*/\1/p' "$1"
}

is_trained() {
  [ -f "$model/config.toml" ] || return 1
  [ -f "$model/checkpoints/step-$(printf %08d "$(steps_of "$model/config.toml")").h5" ]
}

sh apps/install_dependencies.sh

step "Building (the first time takes a minute or two)"
if [ ! -f build/build.ninja ]; then
  cmake --preset release >&2
fi
cmake --build build --target programs >&2

# Nothing is removed here: the folder may hold files of the user's.
if [ ! -f "$data/complete" ]; then
  step "Making token shards of data/text in $data"
  "$programs/tokenize" --tokenizer bytes --heldout 0.1 --overwrite --output "$data" data/text/gutenberg.jsonl >&2
  : >"$data/complete"
fi

if ! is_trained; then
  # The first Ctrl-C is for train, which saves and ends; this script then says how to go on.
  trap : INT TERM
  if ls "$model"/checkpoints/step-*.h5 >/dev/null 2>&1; then
    step "Training goes on in $model"
    "$programs/train" --config "$model/config.toml" --data "$data" --output "$model" --resume
  else
    step "Training apps/configs/quickstart.toml in $model"
    # A training that was killed before its first checkpoint has left a folder: it begins again in there.
    if [ -d "$model" ]; then set -- "$@" --resume; fi
    "$programs/train" --config apps/configs/quickstart.toml "$@" --data "$data" --output "$model"
  fi
  trap - INT TERM
  # Interrupted by the user: saved, but not done.
  if ! is_trained; then
    step "Stopped early; the same command goes on from here"
    exit 0
  fi
fi

step "Generating: each concept stands apart"
"$programs/generate" --checkpoint "$model" --prompt "Alice was " --prompt "\"My dear Anne," \
  --max-tokens 200 --temperature 0.7 --seed 1 --show-concepts

cat >&2 <<END

== What to try next, from $(pwd)
  $programs/generate --checkpoint "$model" --prompt "Father Brown " --max-tokens 400
  $programs/segment --checkpoint "$model" --html concepts.html "Alice was beginning to get very tired."
  $programs/evaluate --checkpoint "$model" --data "$data/heldout-00000.h5"
  $programs/report --output run.html "$model"
  $programs/train --config apps/configs/quickstart.toml --set schedule.steps=1000 --data "$data" --output runs/longer
END
