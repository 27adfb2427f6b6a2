"""``layersmith logout``."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["logout"]

Host = Annotated[str, typer.Argument(help="The registry: HOST[:PORT].", metavar="HOST")]


def logout(host: Host) -> None:
    """Forget a registry's credentials, wherever they are kept.

    Example:

    ```
    layersmith logout registry.example
    ```
    """
    from layersmith.stores.login import forget, named_registry

    registry = named_registry(host)
    places = forget(registry)
    for place in places:
        typer.echo(f"logged out of {registry}: removed from {place}")
    if not places:
        typer.echo(f"there are no credentials for {registry}")
