"""The requirements that are shipped for builder images: whole, pinned, and of no place."""

from __future__ import annotations

from importlib.resources import files
from typing import NoReturn

import pytest

from layersmith.apps.interpreter import Interpreter
from layersmith.apps.requirements import Requirements, parse_requirements

TOOLS = {"pipenv", "poetry", "uv", "virtualenv"}
TEXT = files("layersmith.apps").joinpath("builder.txt").read_text("utf-8")


def others(named: str, by: str) -> NoReturn:
    raise AssertionError(named)


def shipped() -> Requirements:
    return parse_requirements(TEXT, "builder.txt", {}, others)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("minor", range(9, 15))
def test_every_python_that_is_a_target_gets_the_tools(minor: int, machine: str) -> None:
    for patch in (0, 18):
        pins = shipped().pins(Interpreter(f"3.{minor}.{patch}", machine, (2, 36)), (), ())
        names = {pin.name for pin in pins}
        assert names >= TOOLS
        assert not names & {"colorama", "pywin32-ctypes", "xattr"}  # of other systems
        assert all(pin.hashes and not pin.files for pin in pins)


def test_they_name_no_place() -> None:
    assert "://" not in TEXT
    assert shipped().indexes.index == ""
    assert "--index" not in TEXT
