#!/usr/bin/env bash
# One platform with buildah, without running anything in it: two working containers, the files
# of a list copied from one to the other (nobody has to find the libraries), commit, push.
# buildah.sh HOST PLACE REPOSITORY LISTS
set -euo pipefail
[ "$(id -u)" = 0 ] || [ -n "${BENCH_UNSHARED:-}" ] || BENCH_UNSHARED=1 exec buildah unshare bash "$0" "$@"
host=$1 place=$2 repository=$3 lists=$4
mkdir -p "$place" && cd "$place"
echo '{"default": [{"type": "insecureAcceptAnything"}]}' >policy.json
export BUILDAH_ISOLATION=chroot
b() { buildah --root "$place/root" --runroot "$place/run" --storage-driver vfs "$@"; }
pull="--signature-policy policy.json --tls-verify=false --arch amd64 --quiet"
builder=$(b from $pull "docker://$host/library/python:3.13-slim-trixie")
base=$(b from $pull "docker://$host/distroless/cc-debian13:latest")
from=$(b mount "$builder")
to=$(b mount "$base")
tar --no-recursion -C "$from" -T "$lists/amd64" -cf - | tar -C "$to" -xf -
b config --user 1000:1000 --entrypoint '["/usr/local/bin/python"]' --cmd '' \
  --env LANG=C.UTF-8 --env LC_ALL=C.UTF-8 "$base" 2>/dev/null
b commit --signature-policy policy.json --tls-verify=false --quiet --timestamp 0 \
  "$base" "docker://$host/$repository:x" >/dev/null
