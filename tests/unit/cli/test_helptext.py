"""Help texts: complete, for a narrow terminal too, quick to load."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from layersmith.cli.app import app

COMMANDS = [
    "assemble",
    "plan",
    "sbom",
    "test",
    "copy",
    "inspect",
    "tags",
    "digest",
    "login",
    "logout",
]


def help_of(*words: str) -> str:
    done = CliRunner().invoke(app, [*words, "--help"])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_says_what_it_does_with_examples_as_they_are_typed(command: str) -> None:
    text = help_of(command)
    assert text.startswith("Usage: ")
    assert re.search(rf"^  layersmith {command} \S", text, re.MULTILINE), text
    assert "```" not in text
    assert "--help" in text


@pytest.mark.parametrize("command", ["assemble", "plan", "lock"])
def test_what_is_assembled_can_be_named(command: str) -> None:
    assert re.search(r"^  TARGET +PYTHON-DEBIAN", help_of(command), re.MULTILINE)


def test_the_program_lists_every_command() -> None:
    text = help_of()
    for command in (*COMMANDS, "cache"):
        assert re.search(rf"^  {command} +[A-Z]", text, re.MULTILINE), command


def test_options_stand_under_their_panels() -> None:
    text = help_of("assemble")
    _, inputs, image = text.split("Inputs:")[0], *text.split("Inputs:")[1].split("Image:")
    assert "--base REF" in inputs
    assert "--user USER" in image


@pytest.mark.parametrize("words", [[], ["cache"]])
def test_no_command_shows_the_help(words: list[str]) -> None:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0
    assert "Commands:" in done.output


def test_colour_is_for_terminals_only() -> None:
    assert "\x1b" not in help_of("copy")


def test_help_loads_no_heavy_code() -> None:
    check = (
        "import sys; sys.argv = ['layersmith', '--help']\n"
        "from layersmith.cli.app import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "bad = {'rich', 'msgspec', 'requests', 'oras', 'pydantic', 'ssl', 'asyncio'}\n"
        "print('loaded:', sorted(bad & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded: []"


def test_a_command_loads_no_other() -> None:
    check = (
        "import sys; sys.argv = ['layersmith', 'logout', '--help']\n"
        "from layersmith.cli.app import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "others = {f'layersmith.cli.{name}' for name in ('assemble', 'login', 'application')}\n"
        "print('loaded:', sorted(others & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0].startswith("Usage: layersmith logout")
    assert done.stdout.splitlines()[-1] == "loaded: []"


def test_a_name_that_is_none_is_told_what_it_may_mean() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "layersmith", "lokc"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "No such command 'lokc'. Did you mean 'lock'?" in done.stderr
