"""Signed documents as a stranger would write them, and how they are put beside an image.

A :class:`Scene` is an image by digest, its repository, and three keys; a :class:`Beside` is
what lies there. Cases are in `hostile_signatures`.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tests.build.image import put, put_index, put_json, shown

from layersmith.assemble.referrers import referrers_tag
from layersmith.attest.claims import SIGNED
from layersmith.attest.keys import ECDSA, ED25519, PrivateKey
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_CONFIG, OCI_MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from layersmith.oci.content import Sink
    from layersmith.oci.documents import Descriptor

SIMPLE: Final = "application/vnd.dev.cosign.simplesigning.v1+json"
DSSE: Final = "application/vnd.dsse.envelope.v1+json"
BUNDLE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
SIGNATURE: Final = "dev.cosignproject.cosign/signature"
IN_TOTO: Final = "application/vnd.in-toto+json"
SPDX: Final = "https://spdx.dev/Document"
EMPTY: Final = "application/vnd.oci.empty.v1+json"


@dataclass(frozen=True)
class Scene:
    """An image and who may speak of it: `key` and `edwards` are trusted, `stranger` is not."""

    repository: str
    digest: Digest
    key: PrivateKey = field(default_factory=lambda: PrivateKey.generate(ECDSA))
    edwards: PrivateKey = field(default_factory=lambda: PrivateKey.generate(ED25519))
    stranger: PrivateKey = field(default_factory=lambda: PrivateKey.generate(ECDSA))


@dataclass(frozen=True)
class Layer:
    """A blob with its annotations."""

    raw: bytes
    media_type: str = SIMPLE
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Beside:
    """What lies beside an image: the layers of cosign's tags, and bundles as referrers."""

    sig: Sequence[Layer] | None = None
    att: Sequence[Layer] | None = None
    bundles: Sequence[bytes] = ()
    about: Digest | None = None  # what the bundles refer to, if it is not the image
    index: bool = False  # cosign's tag stands for an index of its manifest
    lost: bool = False  # the layers of the tag are not there

    def put(self, sink: Sink, top: Descriptor) -> None:
        """Put it beside `top`; the referrers under the tag that lists them."""
        for name, layers in (("sig", self.sig), ("att", self.att)):
            if layers is not None:
                manifest = self._listing(sink, layers)
                if self.index:
                    manifest = put_index(sink, [shown(manifest)])
                sink.tag(f"{referrers_tag(top.digest)}.{name}", manifest)
        referrers = [self._referrer(sink, raw, top) for raw in self.bundles]
        if referrers:
            listed = [shown(one, artifactType=BUNDLE) for one in referrers]
            sink.tag(referrers_tag(top.digest), put_index(sink, listed))

    def _listing(self, sink: Sink, layers: Sequence[Layer]) -> Descriptor:
        there: dict[bytes, Descriptor] = {}
        for layer in layers:
            if layer.raw not in there:
                lost = _described(layer) if self.lost else None
                there[layer.raw] = lost or put(sink, layer.raw, layer.media_type)
        described = [
            shown(there[layer.raw], mediaType=layer.media_type, annotations=dict(layer.notes))
            for layer in layers
        ]
        digests = [one["digest"] for one in described]
        config = {"architecture": "", "os": "", "rootfs": {"type": "layers", "diff_ids": digests}}
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": shown(put_json(sink, config, OCI_CONFIG)),
            "layers": described,
        }
        return put_json(sink, manifest, OCI_MANIFEST)

    def _referrer(self, sink: Sink, raw: bytes, top: Descriptor) -> Descriptor:
        subject = shown(top) | ({"digest": self.about} if self.about else {})
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": BUNDLE,
            "config": shown(put(sink, b"{}", EMPTY)),
            "layers": [shown(put(sink, raw, BUNDLE))],
            "subject": subject,
        }
        return put_json(sink, manifest, OCI_MANIFEST)


def _described(layer: Layer) -> Descriptor:
    from layersmith.oci.documents import Descriptor

    digest = Digest.of(layer.raw + b"lost")
    return Descriptor(media_type=layer.media_type, digest=digest, size=len(layer.raw))


def written(data: bytes) -> str:
    return base64.b64encode(data).decode()


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def payload(scene: Scene, **changes: Any) -> dict[str, Any]:
    """Return simple signing's payload as cosign has it; `changes` by the name of the key."""
    return {
        "critical": changes.get("critical")
        or {
            "identity": changes.get(
                "identity", {"docker-reference": changes.get("name", scene.repository)}
            ),
            "image": changes.get(
                "image", {"docker-manifest-digest": changes.get("digest", scene.digest)}
            ),
            "type": changes.get("type", "cosign container image signature"),
        },
        "optional": changes.get("optional"),
    }


def simple(
    scene: Scene,
    raw: bytes | None = None,
    *,
    key: PrivateKey | None = None,
    altered: Callable[[bytes], bytes] = lambda signature: signature,
    spelled: Callable[[bytes], str] = written,
    **changes: Any,
) -> Layer:
    """Return a signature of simple signing; what is altered is altered after it was signed."""
    raw = compact(payload(scene, **changes)) if raw is None else raw
    signature = altered((key or scene.key).sign(raw))
    return Layer(raw, SIMPLE, {SIGNATURE: spelled(signature)})


def statement(scene: Scene, **changes: Any) -> dict[str, Any]:
    """Return a statement that signs, as cosign 3 has it, with a name; `changes` by key."""
    subject = {
        "name": changes.get("name", scene.repository),
        "digest": changes.get("digest", {"sha256": scene.digest.encoded}),
    }
    return {
        "_type": changes.get("type", "https://in-toto.io/Statement/v1"),
        "subject": changes.get("subject", [subject]),
        "predicateType": changes.get("kind", SIGNED),
        "predicate": changes.get("predicate", {}),
    }


def pae(raw: bytes, kind: str = IN_TOTO) -> bytes:
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(raw), raw)


def envelope(
    scene: Scene,
    raw: bytes | None = None,
    *,
    key: PrivateKey | None = None,
    kind: str = IN_TOTO,
    signed: Callable[[bytes], bytes] = pae,
    altered: Callable[[bytes], bytes] = lambda signature: signature,
    spelled: Callable[[bytes], str] = written,
) -> dict[str, Any]:
    """Return an envelope around a statement."""
    raw = compact(statement(scene)) if raw is None else raw
    signature = altered((key or scene.key).sign(signed(raw)))
    return {
        "payload": spelled(raw),
        "payloadType": kind,
        "signatures": [{"sig": written(signature)}],
    }


def bundle(content: dict[str, Any], **changes: Any) -> bytes:
    """Return a bundle around an envelope; `changes` are keys of its own."""
    whole = {
        "mediaType": BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": "aGludA=="}},
        "dsseEnvelope": content,
        **changes,
    }
    return compact({key: value for key, value in whole.items() if value is not None})


def attested(content: dict[str, Any] | bytes) -> Layer:
    """Return an envelope as a layer of cosign's tag."""
    raw = content if isinstance(content, bytes) else compact(content)
    return Layer(raw, DSSE, {SIGNATURE: "", "predicateType": SPDX})
