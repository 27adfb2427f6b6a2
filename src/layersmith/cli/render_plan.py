"""What ``plan`` says: for people, and as JSON for programs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from layersmith.assemble.pipeline import undone
from layersmith.cli.progress import size
from layersmith.cli.render import decisions_json, planned_json, planned_text
from layersmith.cli.words import counted
from layersmith.rootfs.entries import File

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.assemble.pipeline import Planned
    from layersmith.plan.plan import Plan

__all__ = ["plan_json", "plan_text"]


def plan_json(planned: Planned) -> str:
    """Return the one document of ``plan --json``."""
    return planned_json(planned, map(_plan, planned.plans))


def _plan(plan: Plan) -> dict[str, Any]:
    return {
        "platform": str(plan.inputs.base.platform),
        "size": plan.size,
        "user": plan.user.config,
        "files": [
            {
                "path": f"/{path}",
                "size": _size(plan, path),
                "reason": reason,
                "package": _package(plan, path),
                "owner": _owner(plan, path),
            }
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
        "unowned": [
            {"path": f"/{path}", "reason": reason} for path, reason in plan.unowned.items()
        ],
        "removed": [f"/{path}" for path in sorted(plan.removed)],
        "same_in_base": [f"/{path}" for path in plan.provided],
        **decisions_json(*undone(plan)),
    }


def _package(plan: Plan, path: str) -> str | None:
    package = plan.owners.get(path)
    return f"{package.name} {package.version}" if package else None


def _owner(plan: Plan, path: str) -> dict[str, str] | None:
    owner = plan.owned.get(path)
    return owner._asdict() if owner else None


def _size(plan: Plan, path: str) -> int:
    entry = plan.entries[path]
    return entry.size if isinstance(entry, File) else 0


def plan_text(planned: Planned) -> str:
    """Return the plan of every platform, for reading."""
    inputs = {"base": planned.base, "builder": planned.builder}
    lines = (line for plan in planned.plans for line in _plan_lines(plan))
    return planned_text(planned, inputs, lines)


def _plan_lines(plan: Plan) -> Iterator[str]:
    files = sum(isinstance(entry, File) for entry in plan.entries.values())
    yield ""
    yield f"{plan.inputs.base.platform}: {counted(files, 'file')}, {size(plan.size)}"
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
    yield "  packages recorded"
    packages = {package.name: package for package in plan.owners.values()}
    for package in sorted(packages.values(), key=lambda package: package.name):
        files = sum(owner.name == package.name for owner in plan.owners.values())
        yield f"    {package.name:<22} {package.version:<22} {files:>3} files"
    yield "  files by owner"
    for owner, count in sorted(Counter(plan.owned.values()).items()):
        if owner.kind != "debian":
            yield f"    {owner.name:<22} {owner.version:<22} {count:>3} files"
    for path, reason in plan.unowned.items():
        yield f"    nobody's: /{path}: {reason}"
    for path in sorted(plan.removed):
        yield f"    taken away from the base: /{path}"
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
