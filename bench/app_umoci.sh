#!/usr/bin/env bash
# One platform by hand: umoci puts the source on the image with the dependencies, which is in a
# layout since the first run, and skopeo pushes.
# app_umoci.sh HOST PLACE REPOSITORY SOURCE
set -euo pipefail
host=$1 place=$2 repository=$3 source=$4
mkdir -p "$place" && cd "$place"
copy="skopeo --insecure-policy --override-arch amd64 copy --quiet"
[ -e base ] || $copy --src-tls-verify=false "docker://$host/$repository:base" oci:base:x
umoci insert --rootless --image base:x --tag y "$source" /app >/dev/null 2>&1
$copy --dest-tls-verify=false oci:base:y "docker://$host/$repository:1"
