"""A directory with the smallest base and builder, a recipe that names them, and the program."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.build.image import AMD64, Made, for_platform, put_index
from tests.build.world import builder_layers
from typer.testing import CliRunner

from layersmith.cli.app import app
from layersmith.stores.layout import Layout

if TYPE_CHECKING:
    from pathlib import Path

TARGET = "3.13-debian13"


@dataclass
class Site:
    """A directory with base, builder and a recipe that names them."""

    folder: Path
    err: str = ""

    def run(self, *arguments: str) -> str:
        return self.run_plain(*arguments, "--cache-dir", "cache", "-q")

    def run_plain(self, *arguments: str) -> str:
        """Run a command that takes no cache."""
        done = CliRunner().invoke(app, arguments)
        self.err = done.stderr
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.stdout

    def recipe(self, text: str = "") -> None:
        inputs = 'base = "oci:base:t"\nbuilder = "oci:builder:t"\nplatforms = ["linux/amd64"]\n'
        (self.folder / "layersmith.toml").write_text(f'target = "{TARGET}"\n{inputs}{text}')

    def move(
        self, text: bytes = b"moved", version: str = "3.13.5", *layers: bytes, **about: Any
    ) -> None:
        """Let the builder's tag stand for another image, with more `layers` on top."""
        layout = Layout(self.folder / "builder")
        made = Made(
            [*builder_layers(text), *layers], runtime={"Env": [f"PYTHON_VERSION={version}"]}
        )
        children = [for_platform(made.put(layout), AMD64, **about)]
        top = put_index(layout, children)
        layout.tag("t", top)

    def assemble(self, *options: str) -> str:
        return str(json.loads(self.run("assemble", "--json", *options))["digest"])

    @property
    def lock(self) -> dict[str, Any]:
        return tomllib.loads((self.folder / "layersmith.lock").read_text())


FILE = ("--file", "layersmith.toml")
