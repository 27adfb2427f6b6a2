#!/usr/bin/env bash
# Both platforms with crane, side by side: the source as a layer on the image with the
# dependencies, and the two in an index.
# app_crane.sh HOST PLACE REPOSITORY SOURCE
set -euo pipefail
host=$1 place=$2 repository=$3 source=$4
mkdir -p "$place" && cd "$place"
one() {
  # Another time for each: the registry loses one of two uploads of the same blob at once.
  tar --sort=name --mtime="@$2" --owner=0 --group=0 --numeric-owner --exclude=__pycache__ \
    --transform 's,^\.,app,' -C "$source" -cf "$1.tar" .
  crane append --insecure --platform "linux/$1" -b "$host/$repository:base" -f "$1.tar" \
    -t "$host/$repository:$1"
}
one amd64 0 >/dev/null &
one arm64 1 >/dev/null
wait $!
crane index append --insecure -m "$host/$repository:amd64" -m "$host/$repository:arm64" \
  -t "$host/$repository:1"
