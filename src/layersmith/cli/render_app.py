"""What ``layersmith app`` says at its end: for people, and as JSON for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from layersmith.cli.progress import size
from layersmith.cli.render_beside import beside_json, published_lines
from layersmith.cli.words import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from layersmith.assemble.deblayer import Added
    from layersmith.assemble.orders import Applied, Built
    from layersmith.assemble.outcome import TopLayer
    from layersmith.assemble.wheels import Missing

__all__ = ["built", "built_json", "missing", "missing_json"]

_SHOWN: Final = 10  # of Debian's packages: --json has all of them


def built(done: Built, timings: Mapping[str, float]) -> str:
    """Return what was made, how big it is, and what is missing in it."""
    lines = [
        f"on {done.python.name}: Python {done.python.version}",
        f"  index  {done.index.descriptor.digest}",
    ]
    for one in done.applied:
        layers = one.environment.layer, one.application.layer
        lines.append(
            f"  {one.image.platform!s:<12} {one.image.manifest.descriptor.digest}\n"
            f"  {'':<12} {counted(len(one.wheels), 'wheel')} {size(layers[0].size)}, "
            f"application {size(layers[1].size)}, image {size(one.image.size)}"
        )
        if one.added:
            lines += [f"  {'':<12} {text}" for text in _packages(one.added)]
        lines += [
            f"  {'':<12} without {lack.soname}, wanted by /{', /'.join(lack.wanted_by)}"
            for lack in one.unresolved
        ]
    lines += published_lines(done.published)
    lines.append(f"  done in {sum(timings.values()):.1f} s")
    return "\n".join(lines)


def built_json(done: Built, timings: Mapping[str, float]) -> str:
    """Return the one document of ``app build --json``."""
    index = done.index.descriptor
    document = {
        "python": done.python.version,
        "image": {"reference": done.python.name, "digest": done.python.input.digest},
        "digest": index.digest,
        "mediaType": index.media_type,
        "size": index.size,
        "tags": list(done.published.names),
        "platforms": [_applied(one) for one in done.applied],
        **beside_json(done.published),
        "timings": dict(timings),
    }
    return json.dumps(document, indent=2)


def _applied(one: Applied) -> dict[str, Any]:
    return {
        "platform": str(one.image.platform),
        "digest": one.image.manifest.descriptor.digest,
        "size": one.image.size,
        "config": one.image.config.descriptor.digest,
        **({"debian": _added(one.added)} if one.added else {}),
        "dependencies": _layer(one.environment.layer),
        "application": _layer(one.application.layer),
        "entrypoint": list(one.application.start),
        "wheels": [
            {"name": c.name, "version": c.version, "filename": c.filename, "digest": c.digest}
            for c in one.wheels
        ],
        "unresolved": [
            {"soname": lack.soname, "wanted_by": [f"/{path}" for path in lack.wanted_by]}
            for lack in one.unresolved
        ],
    }


def _packages(added: Added) -> list[str]:
    """Return which packages were added, and whose maintainer wanted more than files."""
    names = [str(one) for one in added.packages[:_SHOWN]]
    names += [f"{len(added.packages) - _SHOWN} more"] if len(added.packages) > _SHOWN else []
    lines = [f"packages {size(added.layer.size)}: {', '.join(names)}"]
    scripted = [one.name for one in added.packages if one.scripts]
    if scripted:
        lines.append(f"scripts were not run: postinst or preinst of {', '.join(scripted)}")
    return lines


def _added(added: Added) -> dict[str, Any]:
    return {
        "layer": _layer(added.layer),
        "packages": [
            {
                "name": one.name,
                "version": one.version,
                "architecture": one.architecture,
                "digest": one.digest,
                "scripts": list(one.scripts),
            }
            for one in added.packages
        ],
    }


def _layer(layer: TopLayer) -> dict[str, Any]:
    return {
        "digest": layer.digest,
        "diff_id": layer.diff_id,
        "mediaType": layer.media_type,
        "size": layer.size,
        "uncompressed": layer.uncompressed,
    }


def missing(found: Sequence[Missing]) -> str:
    """Return a line for each wheel that must be built."""
    if not found:
        return "nothing has to be built: there is a wheel for everything"
    return "\n".join(
        f"{each.name}=={each.version}  {each.platform}  one of {', '.join(each.tags)}"
        for each in found
    )


def missing_json(found: Sequence[Missing]) -> str:
    """Return the one document of ``app wheels --json``."""
    document = [
        {
            "name": each.name,
            "version": each.version,
            "platform": each.platform,
            "tags": list(each.tags),
            "there": each.line,
        }
        for each in found
    ]
    return json.dumps(document, indent=2)
