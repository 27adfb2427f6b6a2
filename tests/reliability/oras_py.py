"""Run by :mod:`tests.reliability.pullers`: oras-py itself, none of our subclass of it."""

from __future__ import annotations

import hashlib
import sys

import oras.container
import oras.provider

INDEX = "application/vnd.oci.image.index.v1+json"


def main(scheme: str, reference: str, backend: str, *known: str) -> None:
    container = oras.container.Container(reference)
    insecure = scheme == "http"
    client = oras.provider.Registry(container.registry, insecure=insecure, auth_backend=backend)
    if known:
        client.auth.set_basic_auth(*known)
    url = f"{scheme}://{container.manifest_url()}"
    answer = client.do_request(url, "GET", headers={"Accept": INDEX})
    answer.raise_for_status()
    for child in answer.json()["manifests"]:
        manifest = client.get_manifest(f"{reference.rpartition(':')[0]}@{child['digest']}")
        for blob in (*manifest["layers"], manifest["config"]):
            content = client.get_blob(container, blob["digest"]).content
            if digest_of(content) != blob["digest"]:
                sys.exit(f"{blob['digest']} is something else")
    print(digest_of(answer.content))


def digest_of(raw: bytes) -> str:
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


if __name__ == "__main__":
    main(*sys.argv[1:])
