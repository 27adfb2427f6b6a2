"""``layersmith cache``: info, list, prune, verify."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from layersmith.cli.cachedir import cache_path
from layersmith.cli.helptext import Command, Commands
from layersmith.cli.options import CacheDir, Json  # noqa: TC001 - typer reads the annotations
from layersmith.cli.words import counted
from layersmith.errors import InvalidInput, VerificationError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from layersmith.stores.upkeep import Item

__all__ = ["cache"]

_SIZE = re.compile(r"(\d{1,15})(?:\.(\d{1,3}))?\s*([kmgt]?)(i?)b?", re.ASCII | re.IGNORECASE)

cache = typer.Typer(
    name="cache",
    help="Look after the cache. Other processes may go on using it meanwhile.",
    rich_markup_mode=None,
    cls=Commands,
    add_completion=False,
)

MaxSize = Annotated[
    str, typer.Option("--max-size", help="What may stay, like 500MB, 2GiB or 0.", metavar="SIZE")
]


@cache.command(cls=Command)
def info(cache_dir: CacheDir = None, json: Json = False) -> None:
    """Show where the cache is and how much is in it."""
    from layersmith.cli.progress import size
    from layersmith.stores.cache import Cache
    from layersmith.stores.upkeep import items

    opened = Cache(cache_path(cache_dir))
    found = items(opened)
    kinds = {kind: [i for i in found if i.kind == kind] for kind in sorted({i.kind for i in found})}
    total = sum(item.size for item in found)
    if json:
        counts = {k: {"count": len(i), "size": _sum(i)} for k, i in kinds.items()}
        _print({"path": str(opened.root), "size": total, "kinds": counts})
        return
    typer.echo(f"{one_line(str(opened.root))}: {size(total)}")
    for kind, of_kind in kinds.items():
        typer.echo(f"  {len(of_kind):>6} {kind}s, {size(_sum(of_kind))}")


@cache.command(cls=Command, name="list")
def list_(cache_dir: CacheDir = None, json: Json = False) -> None:
    """List what is in the cache, what was not used for longest first."""
    from layersmith.stores.cache import Cache
    from layersmith.stores.upkeep import items

    found = items(Cache(cache_path(cache_dir)))
    if json:
        _print([_described(item) for item in found])
        return
    for item in found:
        typer.echo(_line(item))


@cache.command(cls=Command)
def prune(max_size: MaxSize, cache_dir: CacheDir = None, json: Json = False) -> None:
    """Remove what was not used for longest, and what killed processes left behind.

    Examples:

    ```
    layersmith cache prune --max-size 2GiB
    layersmith cache prune --max-size 0
    ```
    """
    from layersmith.cli.progress import size
    from layersmith.stores.cache import Cache
    from layersmith.stores.upkeep import prune as run

    gone = run(Cache(cache_path(cache_dir)), parsed_size(max_size))
    if json:
        _print({"removed": [_described(item) for item in gone], "size": _sum(gone)})
    else:
        typer.echo(f"removed {counted(len(gone), 'item')}, {size(_sum(gone))}")


@cache.command(cls=Command)
def verify(cache_dir: CacheDir = None, json: Json = False) -> None:
    """Check every byte in the cache; what is damaged is removed, and told.

    Exits with 6 if something was damaged; it will be fetched again when it is needed.
    """
    from layersmith.stores.cache import Cache
    from layersmith.stores.upkeep import verify as run

    checked, faults = 0, []
    for item, fault in run(Cache(cache_path(cache_dir))):
        checked += 1
        if fault:
            faults.append({**_described(item), "fault": fault})
            if not json:
                typer.echo(f"removed {item.kind} {one_line(item.name)}: {one_line(fault)}")
    if json:
        _print({"checked": checked, "removed": faults})
    else:
        typer.echo(f"checked {counted(checked, 'item')}, removed {len(faults)}")
    damaged = [fault for fault in faults if fault["kind"] != "leftover"]
    if damaged:
        raise VerificationError(
            f"{len(damaged)} damaged items were in the cache",
            hint="they are removed and will be fetched again; is the disk all right?",
        )


def parsed_size(text: str) -> int:
    """Read ``500MB``, ``2GiB``, ``1.5g`` or a number of bytes; raises :class:`InvalidInput`."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise InvalidInput(
            f"{one_line(text, 40)!r} is not a size", hint="write it like 500MB, 2GiB or 0"
        )
    whole, fraction, unit, binary = match.groups()
    factor: int = (1024 if binary else 1000) ** " kmgt".index(unit.lower() or " ")
    thousandths = int((fraction or "").ljust(3, "0"))
    return int(whole) * factor + thousandths * factor // 1000


def _sum(of: Iterable[Item]) -> int:
    return sum(item.size for item in of)


def _described(item: Item) -> dict[str, Any]:
    return {"kind": item.kind, "name": item.name, "size": item.size, "used": round(item.used)}


def _line(item: Item) -> str:
    from datetime import UTC, datetime

    from layersmith.cli.progress import size

    used = datetime.fromtimestamp(item.used, UTC).strftime("%Y-%m-%d %H:%M")
    return f"{used}  {size(item.size):>9}  {item.kind:<8}  {one_line(item.name)}"


def _print(value: object) -> None:
    from json import dumps

    typer.echo(dumps(value, indent=2))
