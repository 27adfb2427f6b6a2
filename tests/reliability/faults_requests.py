"""Which request is which, from one run to the next.

Everything is addressed by its digest, so a request has the same name in every run of the
same world, whatever the order in which threads come to it. Upload sessions do not: of the
POSTs that open them only the order is known.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.fakes.registry import FakeRegistry
    from tests.fakes.wire import Request

__all__ = ["READS", "SHARED", "WRITES", "Asked", "Roles", "name_of"]

READS: Final = frozenset({"GET index", "GET manifest", "GET config", "GET layer"})
SHARED: Final = frozenset({"GET shared layer"})  # either input has it: one of them will do
WRITES: Final = frozenset(
    {"POST upload", "PATCH upload", "PUT blob", "PUT manifest", "PUT index", "PUT tag"}
)
_PLACE: Final = re.compile(r"/v2/(?P<repository>.+)/(?P<kind>manifests|blobs)/(?P<name>[^/]+)")
_POST: Final = "POST upload"


@dataclass(frozen=True, order=True)
class Asked:
    """One request of the run: its name, and its shape (``GET layer``)."""

    name: str
    shape: str

    @property
    def is_push(self) -> bool:
        """Tell whether it is about what is written, or a part of writing it."""
        return (
            "out" in re.split(r"[ /:]", self.name) or "upload" in self.name or "mount" in self.name
        )


@dataclass(frozen=True)
class Roles:
    """What each digest is: an index, a manifest, a config, a layer."""

    by_digest: dict[str, str]

    @classmethod
    def of(cls, registry: FakeRegistry) -> Roles:
        """Read every manifest of a registry."""
        found: dict[str, str] = {}
        for documents in registry.manifests.values():
            for digest, (_, raw) in documents.items():
                value = json.loads(raw)
                found[digest] = "index" if "manifests" in value else "manifest"
                if config := value.get("config"):
                    found[config["digest"]] = "config"
                found.update((layer["digest"], "layer") for layer in value.get("layers", ()))
        base, py = (registry.blobs[repository].keys() for repository in ("in/base", "in/py"))
        return cls(found | dict.fromkeys(base & py, "shared layer"))

    def asked(self, log: list[Request]) -> list[Asked]:
        """Return the requests of a run, each once, the first sessions numbered."""
        names: dict[str, Asked] = {}
        opened = 0
        for request in log:
            name = name_of(request)
            if name == _POST:
                name, opened = f"{_POST} {opened}", opened + 1
            names[name] = Asked(name, self._shape(request))
        return list(names.values())

    def _shape(self, request: Request) -> str:
        bare = "bare " if _is_bare(request) else ""
        if request.path == "/token":
            return "GET token" if len(request.query["scope"]) == 1 else "GET mount token"
        if "/uploads/" in request.path:
            kinds = {"POST": "upload", "PUT": "blob", "PATCH": "upload", "GET": "session"}
            mount = "POST mount" if "mount" in request.query else ""
            return bare + (mount or f"{request.method} {kinds[request.method]}")
        match = _PLACE.fullmatch(request.path)
        assert match is not None, request
        role = self.by_digest.get(match["name"], "blob") if ":" in match["name"] else "tag"
        if request.method == "HEAD" and match["kind"] == "blobs":
            role = "blob"
        return f"{bare}{request.method} {role}"


def name_of(request: Request) -> str:
    """Return the name of a request; POSTs that open a session all have one."""
    bare = " bare" if _is_bare(request) else ""
    query = request.query
    if request.path == "/token":
        return f"GET token {' '.join(sorted(query.get('scope', [])))}"
    if "/uploads/" not in request.path:
        return f"{request.method} {request.path.removeprefix('/v2/')}{bare}"
    if mount := query.get("mount"):
        return f"POST mount {mount[0]}{bare}"
    if digest := query.get("digest"):
        return f"PUT upload {digest[0]}{bare}"
    if request.method == "PATCH":
        piece = hashlib.sha256(request.body).hexdigest()[:12]
        return f"PATCH upload {request.headers.get('content-range')} {piece}{bare}"
    return f"{request.method} upload{bare}"


def _is_bare(request: Request) -> bool:
    """Tell whether it comes without authorization: the first of all do."""
    return not request.authorization and request.path != "/token"
