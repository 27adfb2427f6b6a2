"""What the bytes alone cost: the same libraries, in a bare loop, on two threads.

``floor.py HOST TAR...`` downloads the blobs of both platforms of base and builder, hashes
and inflates them, hashes the tars; and deflates the tars of the new layers, with both
hashes. No tar is read, no closure computed, nothing is written, nothing pushed.
"""

from __future__ import annotations

import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import deflate
import requests
from isal import isal_zlib

IMAGES = (("distroless/cc-debian13", "latest"), ("library/python", "3.13-slim-trixie"))
ACCEPT = {
    "Accept": "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
}


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
        list(pool.map(lambda digest: read(blobs[digest][0] + digest), largest))
        list(pool.map(write, sys.argv[2:]))
    return 0


def document(url: str) -> Any:
    """Fetch JSON."""
    return requests.get(url, headers=ACCEPT, timeout=30).json()


def read(url: str) -> None:
    """Download, hash, inflate, hash."""
    blob, tar = hashlib.sha256(), hashlib.sha256()
    inflate = isal_zlib.decompressobj(wbits=31)
    with requests.get(url, stream=True, timeout=30) as answer:
        while data := answer.raw.read(1 << 18):
            blob.update(data)
            tar.update(inflate.decompress(data))


def write(path: str) -> None:
    """Hash, deflate, hash."""
    data = Path(path).read_bytes()
    tar, blob = hashlib.sha256(data), hashlib.sha256()
    for start in range(0, len(data), 1 << 20):
        blob.update(deflate.gzip_compress(data[start : start + (1 << 20)], 6))
    tar.digest(), blob.digest()


if __name__ == "__main__":
    sys.exit(main())
