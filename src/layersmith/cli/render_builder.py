"""What ``plan`` says of a builder image: for people, and as JSON for programs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from layersmith.cli.progress import size
from layersmith.cli.render import decisions_json, planned_json, planned_text
from layersmith.rootfs.entries import File

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.assemble.builder_image import BuilderPlan, PlannedBuilder

__all__ = ["builder_plan_json", "builder_plan_text"]


def builder_plan_json(planned: PlannedBuilder) -> str:
    """Return the one document of ``plan --json``."""
    return planned_json(planned, map(_plan, planned.plans))


def _plan(plan: BuilderPlan) -> dict[str, Any]:
    return {
        "platform": str(plan.image.platform),
        "size": _size(plan),
        "user": plan.user.config,
        "home": plan.user.home,
        "wheels": [
            {
                "name": each.name,
                "version": each.version,
                "filename": each.filename,
                "digest": each.digest,
            }
            for each in plan.wheels
        ],
        "files": [
            {"path": f"/{path}", "size": entry.size, "reason": plan.reasons[path]}
            for path, entry in sorted(plan.entries.items())
            if isinstance(entry, File)
        ],
        **decisions_json(plan.unresolved, ()),
    }


def _size(plan: BuilderPlan) -> int:
    return sum(entry.size for entry in plan.entries.values() if isinstance(entry, File))


def builder_plan_text(planned: PlannedBuilder) -> str:
    """Return the plan of every platform, for reading."""
    inputs = {"base": planned.builder}
    lines = (line for plan in planned.plans for line in _plan_lines(plan))
    return planned_text(planned, inputs, lines)


def _plan_lines(plan: BuilderPlan) -> Iterator[str]:
    counts = Counter(
        plan.reasons[path] for path, entry in plan.entries.items() if isinstance(entry, File)
    )
    yield ""
    yield f"{plan.image.platform}: {counts.total()} files, {size(_size(plan))}"
    yield f"  user {plan.user.config}, home {plan.user.home}"
    for reason, count in sorted(counts.items()):
        yield f"    {count:>6}  {reason}"
    yield "  wheels"
    for each in plan.wheels:
        yield f"    {each.filename}  {each.digest}"
    for missing in plan.unresolved:
        yield f"  unresolved {missing.soname}, for {', '.join(missing.wanted_by)}"
