"""What the bytes alone cost: the same libraries, in a bare loop, on two threads.

Downloads the blobs of both platforms of base and builder, hashes them, inflates them,
hashes the tars, and deflates as many bytes as the new layers have. No tar is read, no
closure computed, nothing is written, nothing pushed.
"""

from __future__ import annotations

import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import deflate
import requests
from isal import isal_zlib

IMAGES = (("distroless/cc-debian13", "latest"), ("library/python", "3.13-slim-trixie"))
ACCEPT = {
    "Accept": "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
}
LAYER = 26 << 20  # uncompressed bytes of the new layer of one platform


def main() -> int:
    """Do it once."""
    base = f"http://{sys.argv[1]}/v2"
    blobs: dict[str, tuple[str, int]] = {}
    for name, tag in IMAGES:
        index = document(f"{base}/{name}/manifests/{tag}")
        for child in index["manifests"]:
            if child["platform"]["os"] == "linux":
                manifest = document(f"{base}/{name}/manifests/{child['digest']}")
                for layer in manifest["layers"]:
                    blobs[layer["digest"]] = (f"{base}/{name}/blobs/", layer["size"])
    largest = sorted(blobs, key=lambda digest: -blobs[digest][1])
    with ThreadPoolExecutor(2) as pool:
        samples = list(pool.map(lambda digest: read(blobs[digest][0] + digest), largest))
        list(pool.map(write, samples[:1] * 2))
    return 0


def document(url: str) -> Any:
    """Fetch JSON."""
    return requests.get(url, headers=ACCEPT, timeout=30).json()


def read(url: str) -> bytes:
    """Download, hash, inflate, hash; return the first bytes of the tar."""
    blob, tar = hashlib.sha256(), hashlib.sha256()
    inflate = isal_zlib.decompressobj(wbits=31)
    kept = b""
    with requests.get(url, stream=True, timeout=30) as answer:
        while data := answer.raw.read(1 << 18):
            blob.update(data)
            piece = inflate.decompress(data)
            tar.update(piece)
            if len(kept) < LAYER:
                kept += piece
    return kept[:LAYER]


def write(data: bytes) -> None:
    """Hash, deflate, hash."""
    tar, blob = hashlib.sha256(data), hashlib.sha256()
    for start in range(0, len(data), 1 << 20):
        blob.update(deflate.gzip_compress(data[start : start + (1 << 20)], 6))
    tar.digest(), blob.digest()


if __name__ == "__main__":
    sys.exit(main())
