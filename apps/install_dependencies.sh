#!/bin/sh
# Installs what a build needs, with apt on Debian 12; further packages can be named as arguments (libdnnl-dev, with which
# `benchmark matmul` compares). Does nothing, and says nothing, where everything is there.
set -eu

packages="g++ cmake ninja-build pkg-config libhdf5-dev doctest-dev libcli11-dev
libtomlplusplus-dev nlohmann-json3-dev zlib1g-dev libzstd-dev libdeflate-dev libsimdjson-dev libpcre2-dev libutf8proc-dev $*"

if ! command -v dpkg-query >/dev/null 2>&1; then
  echo "install_dependencies.sh: this is not Debian; install what these packages hold: $(echo $packages)" >&2
  exit 1
fi

missing=
for package in $packages; do
  case "$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)" in
    *" ok installed") ;;
    *) missing="$missing $package" ;;
  esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
  as_root=
elif command -v sudo >/dev/null 2>&1; then
  as_root=sudo
else
  echo "install_dependencies.sh: as root, run: apt-get install$missing" >&2
  exit 1
fi

echo "Installing$missing" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# DEBIAN_FRONTEND goes through env: sudo drops variables.
apt() {
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y "$@" >"$log" 2>&1 || {
    cat "$log" >&2
    echo "install_dependencies.sh: apt-get $1 failed; its messages are above" >&2
    exit 1
  }
}
apt update
# Word splitting is wanted: one argument a package.
apt install --no-install-recommends $missing
