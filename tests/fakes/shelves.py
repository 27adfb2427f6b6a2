"""What a registry holds, and whether it is whole: no sockets, no requests."""

from __future__ import annotations

import hashlib
import json

__all__ = ["Shelves", "digest_of", "named_in"]


def digest_of(data: bytes) -> str:
    """Return the sha256 digest of `data`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def named_in(raw: bytes) -> list[str]:
    """Return the digests that a document names."""
    value = json.loads(raw)
    configs = [value["config"]] if value.get("config") else []
    named = [*value.get("layers", ()), *configs, *value.get("manifests", ())]
    return [descriptor["digest"] for descriptor in named]


class Shelves:
    """Repositories: blobs, manifests and tags by name and digest, for a test to look into."""

    def __init__(self) -> None:
        self.blobs: dict[str, dict[str, bytes]] = {}
        self.manifests: dict[str, dict[str, tuple[str, bytes]]] = {}
        self.tags: dict[str, dict[str, str]] = {}

    def add_blob(self, repository: str, data: bytes) -> str:
        digest = digest_of(data)
        self.blobs.setdefault(repository, {})[digest] = data
        return digest

    def add_manifest(self, repository: str, raw: bytes, media_type: str, *tags: str) -> str:
        digest = digest_of(raw)
        self.manifests.setdefault(repository, {})[digest] = (media_type, raw)
        for tag in tags:
            self.tags.setdefault(repository, {})[tag] = digest
        return digest

    def lose_below(self, repository: str, raw: bytes) -> str:
        """Lose the first thing that is there of what a document names, as collectors do."""
        kept = self.blobs.get(repository, {}), self.manifests.get(repository, {})
        for named in named_in(raw):
            if any(shelf.pop(named, None) for shelf in kept):
                return named
        return ""

    def below(self, repository: str, digest: str) -> set[str]:
        """Return every digest of a manifest's graph that is there, its own first of all."""
        found = {digest}
        if (document := self.manifests.get(repository, {}).get(digest)) is not None:
            found |= {d for named in named_in(document[1]) for d in self.below(repository, named)}
        return found

    def torn_tags(self) -> list[str]:
        """Return the tags below which something is missing, and what (empty: all is well)."""
        return [
            f"{repository}:{tag} lacks {missing}"
            for repository, tags in self.tags.items()
            for tag, digest in tags.items()
            if (missing := self._hole(repository, digest))
        ]

    def _hole(self, repository: str, digest: str) -> str:
        """Return the first digest that is not there, in the whole graph of a manifest."""
        found = self.manifests.get(repository, {}).get(digest)
        if found is None:
            return digest
        if missing := self.missing(repository, found[1]):
            return missing
        below = (digest for digest in named_in(found[1]) if digest in self.manifests[repository])
        return next(filter(None, (self._hole(repository, digest) for digest in below)), "")

    def missing(self, repository: str, raw: bytes) -> str:
        """Return a digest that the document names and the repository has not."""
        there = self.blobs.get(repository, {}).keys() | self.manifests.get(repository, {}).keys()
        return next((digest for digest in named_in(raw) if digest not in there), "")
