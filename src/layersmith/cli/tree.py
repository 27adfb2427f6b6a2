"""What an image consists of, as a tree for people and as JSON for programs.

Every string may be a stranger's: for people it is one line without control characters
(GHSA-c38g-469g-cmgx), JSON escapes by itself.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from layersmith.cli.progress import size
from layersmith.errors import DocumentError, one_line
from layersmith.oci.content import read_document
from layersmith.oci.documents import CONFIG_TYPES, Document, ImageConfig, Manifest
from layersmith.oci.graph import MAX_TOGETHER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.assemble.places import Place
    from layersmith.oci.content import Source
    from layersmith.oci.documents import Descriptor
    from layersmith.oci.graph import Node

__all__ = ["Shown", "as_json", "as_text", "read"]

_RUNTIME = ("User", "Entrypoint", "Cmd", "WorkingDir", "Env")
_MOST = 120


@dataclass(frozen=True, slots=True)
class Shown:
    """A node with the config of its image, if it is one."""

    node: Node
    config: Document[ImageConfig] | None
    children: tuple[Shown, ...]


def read(source: Source, node: Node) -> Shown:
    """Read the configs too; raises as `source` does, and for too many large ones."""
    if sum(descriptor.size for descriptor in _configs(node)) > MAX_TOGETHER:
        raise DocumentError(f"{source.name}: more than {MAX_TOGETHER >> 20} MiB of configs")
    return _read(source, node)


def _configs(node: Node) -> Iterator[Descriptor]:
    for one in node.nodes():
        value = one.document.value if one.document else None
        if isinstance(value, Manifest) and value.config.media_type in CONFIG_TYPES:
            yield value.config


def _read(source: Source, node: Node) -> Shown:
    config = None
    value = node.document.value if node.document else None
    if isinstance(value, Manifest) and value.config.media_type in CONFIG_TYPES:
        raw = read_document(source, value.config)
        config = Document.parse(raw, value.config, ImageConfig)
    return Shown(node, config, tuple(_read(source, child) for child in node.children))


def as_json(place: Place, shown: Shown) -> str:
    """Return one document."""
    return json.dumps({"reference": str(place), **_json(shown)}, indent=2)


def _json(shown: Shown) -> dict[str, Any]:
    found = _described(shown.node.descriptor)
    if shown.node.document is None:
        return found
    value = shown.node.document.value
    if value.artifact_type:
        found["artifactType"] = value.artifact_type
    if value.subject is not None:
        found["subject"] = _described(value.subject)
    if value.annotations:
        found["annotations"] = dict(value.annotations)
    if not isinstance(value, Manifest):
        return {**found, "manifests": [_json(child) for child in shown.children]}
    found["config"] = _described(value.config)
    if shown.config is not None:
        found["platform"] = str(shown.config.value.platform)
        found["config"]["content"] = shown.config.json
    return {**found, "layers": [_described(layer) for layer in value.layers]}


def _described(descriptor: Descriptor) -> dict[str, Any]:
    found: dict[str, Any] = {
        "mediaType": descriptor.media_type,
        "digest": descriptor.digest,
        "size": descriptor.size,
    }
    if descriptor.platform is not None:
        found["platform"] = str(descriptor.platform)
    if descriptor.artifact_type:
        found["artifactType"] = descriptor.artifact_type
    if descriptor.annotations:
        found["annotations"] = dict(descriptor.annotations)
    return found


def as_text(place: Place, shown: Shown) -> str:
    """Return the tree, a line for each thing."""
    return "\n".join([one_line(str(place), _MOST), *_lines(shown, "")])


def _lines(shown: Shown, indent: str) -> Iterator[str]:
    node = shown.node
    yield indent + _line(_kind(shown), node.descriptor)
    if node.document is None:
        return
    inner = indent + "  "
    value = node.document.value
    if value.subject is not None:
        yield inner + _line("refers to", value.subject)
    for key, text in sorted(value.annotations.items()):
        yield f"{inner}{one_line(key, _MOST)}: {one_line(text, _MOST)}"
    if isinstance(value, Manifest):
        yield inner + _line("config", value.config)
        if shown.config is not None:
            yield from _config(shown.config, inner + "  ")
        for layer in value.layers:
            yield inner + _line("layer", layer)
    for child in shown.children:
        yield from _lines(child, inner)


def _kind(shown: Shown) -> str:
    node = shown.node
    if node.document is None:
        return "other"
    if not isinstance(node.document.value, Manifest):
        return "index"
    platform = shown.config.value.platform if shown.config else node.descriptor.platform
    return f"manifest {one_line(str(platform), 60)}" if platform else "manifest"


def _line(kind: str, descriptor: Descriptor) -> str:
    media_type = one_line(descriptor.media_type, _MOST)
    return f"{kind} {descriptor.digest} {size(descriptor.size)} {media_type}"


def _config(config: Document[ImageConfig], indent: str) -> Iterator[str]:
    created = config.value.created
    if created:
        yield f"{indent}created: {one_line(created, 40)}"
    runtime = config.json.get("config") or {}
    for key in _RUNTIME:
        if runtime.get(key):
            text = json.dumps(runtime[key], ensure_ascii=False)
            yield f"{indent}{key}: {one_line(text, 2 * _MOST)}"
