"""What the commands say at their end: for people, and as JSON for programs."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from layersmith.cli.progress import size
from layersmith.errors import one_line
from layersmith.rootfs.entries import File

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from layersmith.assemble.pipeline import Assembled, Made, Planned
    from layersmith.plan.plan import Plan

__all__ = ["assembled_json", "plan_json", "plan_text", "summary"]

_DOCKER = "docker-archive:"
_ARCHIVES = ("oci-archive:", _DOCKER)


def summary(done: Assembled, timings: Mapping[str, float]) -> str:
    """Return what was made, how big it is, and what to type next."""
    planned = done.planned
    lines = [
        f"{planned.target}: Python {planned.python}",
        f"  index  {done.index.descriptor.digest}",
    ]
    for made in done.made:
        total = made.image.size
        lines.append(
            f"  {made.image.platform!s:<12} {made.image.manifest.descriptor.digest}\n"
            f"  {'':<12} new layer {size(made.layer.size)} "
            f"({size(made.layer.uncompressed)} unpacked), image {size(total)}"
        )
    seconds = sum(timings.values())
    lines += [f"  {name}" for name in done.names]
    lines.append(f"  done in {seconds:.1f} s")
    lines += ["", _next(done)]
    return "\n".join(lines)


def _next(done: Assembled) -> str:
    pushed = [name for name in done.names if not name.startswith(("oci:", *_ARCHIVES))]
    if pushed:
        return f"Run it:   docker run --rm {pushed[0]} -c 'import sqlite3, ssl; print(\"ready\")'"
    name = done.names[0]
    if name.startswith(_DOCKER):
        return f"Load it:  docker load -i {name.removeprefix(_DOCKER).partition(':')[0]}"
    return f"Push it:  layersmith copy {name} REGISTRY/NAME"


def assembled_json(done: Assembled, timings: Mapping[str, float]) -> str:
    """Return the one document of ``assemble --json``."""
    document = {
        "target": str(done.planned.target),
        "python": done.planned.python,
        "digest": done.index.descriptor.digest,
        "mediaType": done.index.descriptor.media_type,
        "size": done.index.descriptor.size,
        "tags": list(done.names),
        "inputs": _inputs(done.planned),
        "platforms": [_made(made) for made in done.made],
        "timings": dict(timings),
    }
    return json.dumps(document, indent=2)


def _inputs(planned: Planned) -> dict[str, Any]:
    return {
        name: {"reference": str(input_.place), "digest": input_.digest}
        for name, input_ in (("base", planned.base), ("builder", planned.builder))
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
            "size": made.layer.size,
            "uncompressed": made.layer.uncompressed,
        },
        **_decisions(made.plan),
    }


def _decisions(plan: Plan) -> dict[str, Any]:
    return {
        "unresolved": [
            {"soname": item.soname, "wanted_by": [f"/{path}" for path in item.wanted_by]}
            for item in plan.unresolved
        ],
        "left_out": [
            {"name": item.name, "why": item.why, "files": len(item.paths), "size": item.size}
            for item in plan.left_out
        ],
    }


def plan_json(planned: Planned) -> str:
    """Return the one document of ``plan --json``."""
    document = {
        "target": str(planned.target),
        "python": planned.python,
        "tags": list(planned.tags),
        "inputs": _inputs(planned),
        "platforms": [_plan(plan) for plan in planned.plans],
    }
    return json.dumps(document, indent=2)


def _plan(plan: Plan) -> dict[str, Any]:
    return {
        "platform": str(plan.inputs.base.platform),
        "size": plan.size,
        "user": plan.user.config,
        "files": [
            {"path": f"/{path}", "size": _size(plan, path), "reason": reason}
            for path, reason in sorted(plan.reasons.items())
        ],
        "libraries": [
            {
                "path": f"/{item.path}",
                "wanted_by": [
                    {"path": f"/{reason.wanted_by}", "soname": reason.soname}
                    for reason in item.reasons
                ],
            }
            for item in plan.closure.shipped
        ],
        "provided": [
            {
                "soname": item.soname,
                "path": f"/{item.path}",
                "wanted_by": [f"/{path}" for path in item.wanted_by],
            }
            for item in plan.closure.provided
        ],
        "same_in_base": [f"/{path}" for path in plan.provided],
        **_decisions(plan),
    }


def _size(plan: Plan, path: str) -> int:
    entry = plan.entries[path]
    return entry.size if isinstance(entry, File) else 0


def plan_text(planned: Planned) -> str:
    """Return the plan of every platform, for reading."""
    head = [
        f"{planned.target}: Python {planned.python}",
        f"  base     {planned.base.place}  {planned.base.digest}",
        f"  builder  {planned.builder.place}  {planned.builder.digest}",
        f"  tags     {', '.join(planned.tags)}",
    ]
    lines = [*head, *(line for plan in planned.plans for line in _plan_lines(plan))]
    # Names come from images: none of them may drive the terminal.
    return "\n".join(one_line(line, 4000) for line in lines)


def _plan_lines(plan: Plan) -> Iterator[str]:
    files = sum(isinstance(entry, File) for entry in plan.entries.values())
    yield ""
    yield f"{plan.inputs.base.platform}: {files} files, {size(plan.size)}"
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for path, reason in plan.reasons.items():
        counts[reason] += 1
        sizes[reason] += _size(plan, path)
    yield "  files by reason"
    for reason, _ in sizes.most_common():
        yield f"    {counts[reason]:>6}  {size(sizes[reason]):>9}  {reason}"
    yield "  libraries taken from the builder"
    for shipped in plan.closure.shipped:
        wanted_by = tuple(reason.wanted_by for reason in shipped.reasons)
        yield f"    {shipped.reasons[0].soname:<22} /{shipped.path}  for {_few(wanted_by)}"
    yield "  libraries that the base has"
    for item in plan.closure.provided:
        yield f"    {item.soname:<22} /{item.path}  for {_few(item.wanted_by)}"
    yield "  left out"
    for left in plan.left_out:
        yield f"    {left.name:<22} {len(left.paths):>5} files {size(left.size):>9}  {left.why}"
    for missing in plan.unresolved:
        yield f"  unresolved {missing.soname}, for {_few(missing.wanted_by)}"


def _few(names: tuple[str, ...], most: int = 3) -> str:
    short = [name.rpartition("/")[2] for name in names]
    more = f" and {len(short) - most} more" if len(short) > most else ""
    return ", ".join(short[:most]) + more
