#!/usr/bin/env bash
# One platform by hand, as a careful engineer would: skopeo pulls, umoci unpacks, ldd's
# answer is taken from a list (the libraries are known), tar packs, umoci adds, skopeo pushes.
set -euo pipefail
host=$1 place=$2 repository=$3
mkdir -p "$place" && cd "$place"
copy="skopeo --insecure-policy --override-arch amd64 copy --quiet --src-tls-verify=false"
$copy "docker://$host/library/python:3.13-slim-trixie" oci:builder:x &
$copy "docker://$host/distroless/cc-debian13:latest" oci:base:x
wait
umoci unpack --rootless --image builder:x root >/dev/null 2>&1
cd root/rootfs
libs=$(ls -d usr/lib/*-linux-gnu/lib{bz2,db-,ffi,gdbm,lzma,ncursesw,panelw,readline,sqlite3,tinfo,uuid}* 2>/dev/null || true)
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner \
  --exclude='*/idlelib' --exclude='*/ensurepip' --exclude='*/site-packages/pip*' \
  --exclude='usr/local/include' --exclude='*/config-3*' \
  -cf ../../layer.tar usr/local $libs
cd ../..
umoci raw add-layer --image base:x --tag y layer.tar >/dev/null 2>&1
skopeo --insecure-policy copy --quiet --dest-tls-verify=false oci:base:y "docker://$host/$repository:x"
