#!/usr/bin/env bash
# One platform by hand: skopeo pulls, umoci unpacks, tar packs the files of a list (nobody
# has to find the libraries), umoci adds the layer, skopeo pushes.
# umoci.sh HOST PLACE REPOSITORY LISTS
set -euo pipefail
host=$1 place=$2 repository=$3 lists=$4
mkdir -p "$place" && cd "$place"
copy="skopeo --insecure-policy --override-arch amd64 copy --quiet --src-tls-verify=false"
$copy "docker://$host/library/python:3.13-slim-trixie" oci:builder:x &
$copy "docker://$host/distroless/cc-debian13:latest" oci:base:x
wait
umoci unpack --rootless --image builder:x root >/dev/null 2>&1
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --no-recursion \
  -C root/rootfs -T "$lists/amd64" -cf layer.tar
umoci raw add-layer --image base:x --tag y layer.tar >/dev/null 2>&1
umoci config --image base:y --config.user 1000:1000 --config.entrypoint /usr/local/bin/python \
  --config.env LANG=C.UTF-8 --config.env LC_ALL=C.UTF-8
skopeo --insecure-policy copy --quiet --dest-tls-verify=false oci:base:y "docker://$host/$repository:x"
