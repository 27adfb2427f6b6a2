"""What nearly every command is told of its run: where the cache is, and how much is said."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, TypeAlias

from layersmith.cli.cachedir import cache_directory
from layersmith.cli.gathering import Gathered
from layersmith.cli.options import CacheDir, Json, Quiet  # noqa: TC001 - as above

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.assemble.workshop import Workshop
    from layersmith.stores.cache import Cache
    from layersmith.stores.registry_options import RegistryOptions

__all__ = ["Run", "Running"]


@dataclass(frozen=True, slots=True)
class Running:
    """How a command runs; with `json` its result is one document."""

    cache_dir: Path | None
    json: bool
    quiet: bool

    @contextmanager
    def workshop(
        self, network: RegistryOptions, kind: type[Cache] | None = None
    ) -> Iterator[Workshop]:
        """Open what a run needs, its progress shown; the cache is a `kind` of its own if given."""
        from layersmith.assemble.workshop import Workshop
        from layersmith.cli.progress import shown

        kinds = [kind] if kind is not None else []
        with (
            cache_directory(self.cache_dir) as cache,
            shown(quiet=self.quiet) as progress,
            Workshop(cache, network, progress, *kinds) as workshop,
        ):
            yield workshop


def _running(cache_dir: CacheDir = None, json: Json = False, quiet: Quiet = False) -> Running:
    return Running(cache_dir, json, quiet)


Run: TypeAlias = Annotated[Running, Gathered(_running)]
