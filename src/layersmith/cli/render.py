"""What ``assemble`` says at its end, and what plans have in common: for people, and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from layersmith.cli.progress import size
from layersmith.cli.render_beside import beside_json, published_lines
from layersmith.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from layersmith.assemble.inputs import Input
    from layersmith.assemble.outcome import Assembled, LeftOut, Made, Unresolved
    from layersmith.assemble.planned import PlannedFor

__all__ = [
    "assembled_json", "decisions_json", "inputs_json", "planned_json", "planned_text", "summary",
]  # fmt: skip

_DOCKER = "docker-archive:"
_ARCHIVES = ("oci-archive:", _DOCKER)


def summary(done: Assembled, timings: Mapping[str, float]) -> str:
    """Return what was made, how big it is, and what to type next."""
    lines = [
        f"{done.target}: Python {done.outcome.python}",
        f"  index  {done.outcome.index.descriptor.digest}",
    ]
    for made in done.outcome.made:
        total = made.image.size
        lines.append(
            f"  {made.image.platform!s:<12} {made.image.manifest.descriptor.digest}\n"
            f"  {'':<12} new layer {size(made.layer.size)} "
            f"({size(made.layer.uncompressed)} unpacked), image {size(total)}"
        )
    seconds = sum(timings.values())
    for name, input_ in (("base", done.base), ("builder", done.builder)):
        lines += [f"  {name} verified: {one_line(by, 200)}" for by in input_.verified]
    lines += published_lines(done)
    lines.append(f"  done in {seconds:.1f} s")
    lines += ["", _next(done)]
    return "\n".join(lines)


def _next(done: Assembled) -> str:
    pushed = [name for name in done.names if not name.startswith(("oci:", *_ARCHIVES))]
    if pushed:
        if done.target.is_builder:
            return f"Run it:   docker run --rm -it {pushed[0]} sh"
        return f"Run it:   docker run --rm {pushed[0]} -c 'import sqlite3, ssl; print(\"ready\")'"
    name = done.names[0]
    if name.startswith(_DOCKER):
        return f"Load it:  docker load -i {name.removeprefix(_DOCKER).partition(':')[0]}"
    return f"Push it:  layersmith copy {name} REGISTRY/NAME"


def assembled_json(done: Assembled, timings: Mapping[str, float]) -> str:
    """Return the one document of ``assemble --json``."""
    index, beside = done.outcome.index.descriptor, beside_json(done)
    document = {
        "target": str(done.target),
        "python": done.outcome.python,
        "digest": index.digest,
        "mediaType": index.media_type,
        "size": index.size,
        "tags": list(done.names),
        "signed": beside["signed"],
        "inputs": inputs_json(done),
        "platforms": [_made(made) for made in done.outcome.made],
        "attached": beside["attached"],
        "timings": dict(timings),
    }
    return json.dumps(document, indent=2)


def planned_json(planned: PlannedFor[Any], platforms: Iterable[dict[str, Any]]) -> str:
    """Return the one document of ``plan --json``."""
    document = {
        "target": str(planned.target),
        "python": planned.python,
        "tags": list(planned.tags),
        "inputs": inputs_json(planned),
        "platforms": list(platforms),
    }
    return json.dumps(document, indent=2)


def planned_text(
    planned: PlannedFor[Any], inputs: Mapping[str, Input], lines: Iterable[str]
) -> str:
    """Return a plan for reading: what it is of, and `lines` of its platforms."""
    head = (
        f"{planned.target}: Python {planned.python}",
        *(f"  {name:<8} {one.place}  {one.digest}" for name, one in inputs.items()),
        f"  {'tags':<8} {', '.join(planned.tags)}",
    )
    # Names come from images and wheels: none of them may drive the terminal.
    return "\n".join(one_line(line, 4000) for line in (*head, *lines))


def inputs_json(done: Assembled | PlannedFor[Any]) -> dict[str, Any]:
    """Return base and builder, as references and digests, and who vouched for them."""
    return {
        name: {
            "reference": str(input_.place),
            "digest": input_.digest,
            **({"verified": list(input_.verified)} if input_.verified else {}),
        }
        for name, input_ in (("base", done.base), ("builder", done.builder))
    }


def _made(made: Made) -> dict[str, Any]:
    descriptor = made.image.manifest.descriptor
    return {
        "platform": str(made.image.platform),
        "digest": descriptor.digest,
        "size": made.image.size,
        "config": made.image.config.descriptor.digest,
        "layer": {
            "digest": made.layer.digest,
            "diff_id": made.layer.diff_id,
            "mediaType": made.layer.media_type,
            "size": made.layer.size,
            "uncompressed": made.layer.uncompressed,
        },
        **decisions_json(made.unresolved, made.left_out),
    }


def decisions_json(unresolved: Iterable[Unresolved], left_out: Iterable[LeftOut]) -> dict[str, Any]:
    """Return what is missing, as expected, and what was left out, as it was decided."""
    return {
        "unresolved": [
            {"soname": item.soname, "wanted_by": [f"/{path}" for path in item.wanted_by]}
            for item in unresolved
        ],
        "left_out": [
            {"name": item.name, "why": item.why, "files": item.files, "size": item.size}
            for item in left_out
        ],
    }
