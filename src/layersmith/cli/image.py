"""The options that say how the image looks."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = [
    "Annotation",
    "Cmd",
    "Compression",
    "Entrypoint",
    "Env",
    "Label",
    "UserOption",
    "Workdir",
]

_IMAGE = "Image"

UserOption = Annotated[
    str,
    typer.Option(
        "--user",
        help="NAME:UID:GID, or nonroot. Default: monty:1000:1000.",
        rich_help_panel=_IMAGE,
        metavar="USER",
    ),
]
Env = Annotated[
    list[str] | None,
    typer.Option(
        help="An environment variable; repeatable.", rich_help_panel=_IMAGE, metavar="K=V"
    ),
]
Label = Annotated[
    list[str] | None,
    typer.Option(help="A label; repeatable.", rich_help_panel=_IMAGE, metavar="K=V"),
]
Annotation = Annotated[
    list[str] | None,
    typer.Option(
        help="An annotation of manifests and index; repeatable.",
        rich_help_panel=_IMAGE,
        metavar="K=V",
    ),
]
Entrypoint = Annotated[
    str | None,
    typer.Option(
        help='Words, or a JSON list; "" for none. Default: /usr/local/bin/python.',
        rich_help_panel=_IMAGE,
        metavar="WORDS",
    ),
]
Cmd = Annotated[
    str | None,
    typer.Option(help="Words, or a JSON list.", rich_help_panel=_IMAGE, metavar="WORDS"),
]
Workdir = Annotated[
    str | None,
    typer.Option(help="The working directory.", rich_help_panel=_IMAGE, metavar="DIR"),
]
Compression = Annotated[
    str,
    typer.Option(
        help="How the new layer is compressed: gzip, zstd or none, with or without :LEVEL. "
        "Default: gzip:6.",
        rich_help_panel=_IMAGE,
        metavar="CODEC",
    ),
]
