"""The image's Python: its tags and markers are the image's, whatever the host is."""

from __future__ import annotations

import pytest
from packaging.markers import Marker, default_environment
from packaging.tags import parse_tag
from tests.build.image import AMD64
from tests.build.tree import root

from layersmith.analysis.objects import Objects
from layersmith.apps.interpreter import Interpreter, find_interpreter
from layersmith.errors import RecipeError
from layersmith.oci.documents import Platform

AMD = Interpreter("3.13.5", "x86_64", (2, 36))
ARM = Interpreter("3.12.1", "aarch64", (2, 41))


def takes(interpreter: Interpreter, tag: str) -> bool:
    return bool(parse_tag(tag) & set(interpreter.tags()))


@pytest.mark.parametrize(
    ("interpreter", "tag", "expected"),
    [
        (AMD, "cp313-cp313-manylinux_2_36_x86_64", True),
        (AMD, "cp313-cp313-manylinux_2_37_x86_64", False),
        (AMD, "cp313-cp313-manylinux2014_x86_64", True),
        (AMD, "cp313-cp313-manylinux2010_x86_64", True),
        (AMD, "cp313-cp313-manylinux1_x86_64", True),
        (AMD, "cp313-cp313-manylinux_2_4_x86_64", False),
        (AMD, "cp313-cp313-linux_x86_64", True),
        (AMD, "cp38-abi3-manylinux_2_17_x86_64", True),
        (AMD, "cp314-abi3-manylinux_2_17_x86_64", False),
        (AMD, "cp313-cp313t-manylinux_2_17_x86_64", False),
        (AMD, "cp312-cp312-manylinux_2_17_x86_64", False),
        (AMD, "cp313-cp313-musllinux_1_2_x86_64", False),
        (AMD, "cp313-cp313-manylinux_2_17_aarch64", False),
        (AMD, "cp313-cp313-win_amd64", False),
        (AMD, "py3-none-any", True),
        (AMD, "py2.py3-none-any", True),
        (AMD, "py2-none-any", False),
        (AMD, "py3-none-manylinux_2_17_x86_64", True),
        (ARM, "cp312-cp312-manylinux_2_41_aarch64", True),
        (ARM, "cp312-cp312-manylinux2014_aarch64", True),
        (ARM, "cp312-cp312-manylinux2010_aarch64", False),
        (ARM, "cp312-cp312-manylinux_2_16_aarch64", False),
        (ARM, "cp312-cp312-manylinux_2_17_x86_64", False),
    ],
    ids=str,
)
def test_tags(interpreter: Interpreter, tag: str, expected: bool) -> None:
    assert takes(interpreter, tag) is expected


def test_the_newest_level_is_liked_best() -> None:
    tags = [str(tag) for tag in AMD.tags()]
    assert tags[0] == "cp313-cp313-manylinux_2_36_x86_64"
    assert tags.index("cp313-cp313-manylinux_2_17_x86_64") < tags.index(
        "cp313-abi3-manylinux_2_36_x86_64"
    )
    assert tags[-1].endswith("-none-any")


def test_markers_know_nothing_of_the_host() -> None:
    assert default_environment().keys() <= ARM.environment().keys()
    text = "platform_machine == 'aarch64' and sys_platform == 'linux' and python_version < '3.13'"
    assert Marker(text).evaluate(ARM.environment())
    assert not Marker(text).evaluate(AMD.environment())


def an_image(**more: bytes) -> object:
    return {
        "usr/local/bin/python3.13": b"x",
        "usr/local/lib/python3.13/os.py": b"",
        **more,
    }


@pytest.mark.parametrize(
    ("said", "message"),
    [("", "does not say"), ("3.13.5; x", "does not say"), ("3.12.1", "no Python 3.12")],
)
def test_an_image_without_that_python(said: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        find_interpreter(root(an_image()), AMD64, said, Objects())  # type: ignore[arg-type]


def test_an_image_without_glibc() -> None:
    with pytest.raises(RecipeError, match="no glibc"):
        find_interpreter(root(an_image()), AMD64, "3.13.5", Objects())  # type: ignore[arg-type]


def test_a_platform_without_wheels() -> None:
    odd = Platform(os="linux", architecture="mips64le")
    with pytest.raises(RecipeError, match="mips64le"):
        find_interpreter(root(an_image()), odd, "3.13.5", Objects())  # type: ignore[arg-type]
