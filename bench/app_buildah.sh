#!/usr/bin/env bash
# One platform with buildah: from the image with the dependencies, which is in its storage since
# the first run; copy, commit, push. As root on overlayfs, else as it can.
# app_buildah.sh HOST PLACE REPOSITORY SOURCE
set -euo pipefail
[ "$(id -u)" = 0 ] || [ -n "${BENCH_UNSHARED:-}" ] || BENCH_UNSHARED=1 exec buildah unshare bash "$0" "$@"
host=$1 place=$2 repository=$3 source=$4
mkdir -p "$place" && cd "$place"
echo '{"default": [{"type": "insecureAcceptAnything"}]}' >policy.json
driver=vfs
[ "$(id -u)" != 0 ] || [ -n "${BENCH_UNSHARED:-}" ] || driver=overlay
b() { buildah --root "$place/root" --runroot "$place/run" --storage-driver "$driver" "$@"; }
[ -e pulled ] || b pull --signature-policy policy.json --tls-verify=false --arch amd64 --quiet \
  "docker://$host/$repository:base" >pulled
from=$(b from --signature-policy policy.json --pull-never "$(cat pulled)")
b copy --quiet "$from" "$source" /app >/dev/null
b commit --signature-policy policy.json --tls-verify=false --quiet --timestamp 0 --rm \
  "$from" "docker://$host/$repository:1" >/dev/null
