"""pip's configuration, in pip's order."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from layersmith.errors import InvalidInput
from layersmith.stores.pip_config import PipConfig, default_index, read_pip_config

if TYPE_CHECKING:
    from pathlib import Path


def read(folder: Path, **variables: str) -> PipConfig:
    given = {"HOME": str(folder), "XDG_CONFIG_DIRS": str(folder / "xdg"), **variables}
    return read_pip_config(given)


def write(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def test_what_comes_later_wins(tmp_path: Path) -> None:
    system = "[global]\nindex-url = https://system.example/\n"
    write(tmp_path / "xdg" / "pip" / "pip.conf", system)
    assert read(tmp_path).index == "https://system.example/"
    write(
        tmp_path / ".config" / "pip" / "pip.conf",
        "[global]\nindex-url = https://user.example/\ncert = /ca.pem\n",
    )
    assert read(tmp_path).index == "https://user.example/"
    named = write(tmp_path / "x.conf", "[install]\nindex-url=https://named.example/\n")
    assert read(tmp_path, PIP_CONFIG_FILE=named).index == "https://named.example/"
    found = read(tmp_path, PIP_CONFIG_FILE=named, PIP_INDEX_URL="https://variable.example/")
    assert found.index == "https://variable.example/"
    assert found.cert == "/ca.pem"


def test_lists_and_flags(tmp_path: Path) -> None:
    text = "[global]\nextra-index-url =\n    https://a.example/\n    https://b.example/\nno-index = yes\n"
    found = read(tmp_path, PIP_CONFIG_FILE=write(tmp_path / "c", text), PIP_FIND_LINKS="x y")
    assert found.extra == ("https://a.example/", "https://b.example/")
    assert found.find_links == ("x", "y")
    assert found.no_index


def test_no_file_counts_with_the_null_device(tmp_path: Path) -> None:
    write(
        tmp_path / ".config" / "pip" / "pip.conf", "[global]\nindex-url = https://user.example/\n"
    )
    assert read(tmp_path, PIP_CONFIG_FILE=os.devnull).index == ""


def test_of_a_virtual_environment(tmp_path: Path) -> None:
    write(tmp_path / "venv" / "pip.conf", "[global]\nindex-url = https://venv.example/\n")
    assert read(tmp_path, VIRTUAL_ENV=str(tmp_path / "venv")).index == "https://venv.example/"


def test_passwords_are_not_shown(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        PIP_INDEX_URL="https://u:s3cret@h.example/",
        PIP_EXTRA_INDEX_URL="https://u:s3cret@x/",
    )
    assert "s3cret" not in repr(found)
    broken = write(tmp_path / "c", "https://u:s3cret@h.example/\n")
    with pytest.raises(InvalidInput) as caught:
        read(tmp_path, PIP_CONFIG_FILE=broken)
    assert "s3cret" not in caught.value.message


def test_the_default_of_the_pip_beside_us() -> None:
    from pip._internal.models.index import PyPI

    assert default_index() == PyPI.simple_url


@pytest.mark.parametrize(
    "what", [None, object(), SimpleNamespace(PyPI=SimpleNamespace(simple_url=7))]
)
def test_no_pip_or_another_has_no_default(monkeypatch: pytest.MonkeyPatch, what: object) -> None:
    monkeypatch.setitem(sys.modules, "pip._internal.models.index", what)
    assert default_index() == ""
