#!/usr/bin/env bash
# Both platforms with crane, side by side: export the builder, pick the files of a list (nobody
# has to find the libraries), append them to the base, set the config, join the two in an index.
# crane.sh HOST PLACE REPOSITORY LISTS
set -euo pipefail
host=$1 place=$2 repository=$3 lists=$4
mkdir -p "$place" && cd "$place"
one() {
  local arch=$1 image="$host/$repository:$1"
  mkdir "$arch"
  crane export --insecure --platform "linux/$arch" "$host/library/python:3.13-slim-trixie" - |
    tar --no-same-owner --no-recursion -C "$arch" -T "$lists/$arch" -xf -
  tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --no-recursion \
    -C "$arch" -T "$lists/$arch" -cf "$arch.tar"
  crane append --insecure --platform "linux/$arch" -b "$host/distroless/cc-debian13:latest" \
    -f "$arch.tar" -t "$image"
  crane mutate --insecure --user 1000:1000 --entrypoint /usr/local/bin/python \
    --env LANG=C.UTF-8 --env LC_ALL=C.UTF-8 -t "$image" "$image"
}
one amd64 &
one arm64
wait $!
crane index append --insecure -m "$host/$repository:amd64" -m "$host/$repository:arm64" \
  -t "$host/$repository:x"
