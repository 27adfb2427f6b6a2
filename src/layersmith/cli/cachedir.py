"""The directory of the cache: asked for, the user's, or none that lasts."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from layersmith.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["cache_directory", "cache_path"]


def cache_path(given: Path | None) -> Path:
    """Return the cache that was asked for, or the user's."""
    from platformdirs import user_cache_path

    return given if given is not None else user_cache_path("layersmith")


@contextmanager
def cache_directory(given: Path | None) -> Iterator[Path]:
    """Give the cache to use: a temporary one, with a warning, where it cannot be written."""
    from tempfile import TemporaryFile, gettempdir

    from layersmith.stores.files import disk_errors
    from layersmith.stores.locks import scratch

    path = cache_path(given)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path) as probe:
            probe.write(b"x")
    except OSError as error:
        why = f"{one_line(str(path))} cannot be written ({error.strerror})"
        typer.echo(f"layersmith: warning: the cache {why}: this run goes without", err=True)
    else:
        yield path
        return
    with ExitStack() as stack:
        with disk_errors("making a temporary directory"):
            temporary = stack.enter_context(scratch(Path(gettempdir()), "layersmith-cache-"))
        yield temporary
