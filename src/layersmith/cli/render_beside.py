"""What is said of documents and signatures beside images: for people, and in JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from layersmith.cli.words import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layersmith.assemble.outcome import Attached
    from layersmith.assemble.signing import Written

__all__ = ["Delivered", "beside_json", "published_lines"]


class Delivered(Protocol):
    """Images that have names now, and what is beside them."""

    @property
    def names(self) -> Sequence[str]:
        """The names."""

    @property
    def attached(self) -> Sequence[Attached]:
        """The documents."""

    @property
    def signed(self) -> Sequence[Written]:
        """The signatures."""


def published_lines(done: Delivered) -> list[str]:
    """Return a line for every name and document, and how much was signed."""
    lines = [f"  {name}" for name in done.names]
    lines += [f"  {_about(one)} {one.manifest.descriptor.digest}" for one in done.attached]
    if done.signed:
        known = sum(one.known for one in done.signed)
        lines.append(f"  {counted(len(done.signed), 'signature')}, {known} of them were there")
    return lines


def beside_json(done: Delivered) -> dict[str, Any]:
    """Return what was signed and attached, as it stands in JSON documents."""
    return {
        "signed": [
            {"digest": one.subject.digest, "carrier": one.carrier, "known": one.known}
            for one in done.signed
        ],
        "attached": [_attached_json(one) for one in done.attached],
    }


def _about(one: Attached) -> str:
    return f"{one.name} of {one.platform}" if one.platform else one.name


def _attached_json(one: Attached) -> dict[str, Any]:
    return {
        "kind": one.name,
        "platform": str(one.platform) if one.platform else None,
        "subject": one.subject.digest,
        "digest": one.manifest.descriptor.digest,
        "content": {
            "digest": one.content.digest,
            "mediaType": one.content.media_type,
            "size": one.content.size,
        },
    }
