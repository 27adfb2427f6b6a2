"""Locks: requirements.txt as pip reads it, pylock.toml as its specification says."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from tests.build.wheels import pylock, wheel

from layersmith.apps.interpreter import Interpreter
from layersmith.apps.pylock import PylockFile
from layersmith.apps.requirements import Requirements, parse_requirements
from layersmith.errors import RecipeError

if TYPE_CHECKING:
    from layersmith.apps.pins import Pin

AMD = Interpreter("3.13.5", "x86_64", (2, 41))
ARM = Interpreter("3.13.5", "aarch64", (2, 41))
ONE, OTHER = "a" * 64, "b" * 64
HASH = f"--hash=sha256:{ONE}"


def read(text: str, **files: str) -> Requirements:
    def other(named: str, _where: str) -> tuple[str, str]:
        return named, files[named.replace(".", "_")]

    return parse_requirements(text, "r.txt", {"TOKEN": "t0p"}, other)


def pins(text: str, interpreter: Interpreter = AMD, **files: str) -> dict[str, Pin]:
    return {pin.name: pin for pin in read(text, **files).pins(interpreter, (), ())}


def test_lines_comments_and_continuations() -> None:
    text = f"""\
# made by somebody
Demo.Pkg==1.0 \\
    --hash=sha256:{ONE} \\
    --hash=sha256:{OTHER}   # via x
    # via y
other[extra]==2.0 ; sys_platform == "linux" {HASH}
gone==1 ; sys_platform == "win32" {HASH}
arm==1 ; platform_machine == "aarch64" {HASH}
"""
    found = pins(text)
    assert found.keys() == {"demo-pkg", "other"}
    assert found["demo-pkg"].hashes == {f"sha256:{ONE}", f"sha256:{OTHER}"}
    assert found["other"].version == "2.0"


def test_options_name_indexes_and_files() -> None:
    text = """\
--index-url https://u:${TOKEN}@index.example/simple
--extra-index-url=https://more.example/
-f wheels
--trusted-host h.example
--only-binary :all:
--require-hashes
-r other.txt
"""
    found = read(text, other_txt=f"demo==1 {HASH}\n")
    assert found.indexes.index == "https://u:t0p@index.example/simple"
    assert found.indexes.extra == ("https://more.example/",)
    assert found.indexes.find_links == ("wheels",)
    assert found.indexes.trusted == ("h.example",)
    assert [pin.name for pin in found.pins(AMD, (), ())] == ["demo"]
    assert "t0p" not in repr(found)


def test_a_wheel_by_url_or_path() -> None:
    name = "demo-1.0-py3-none-any.whl"
    found = pins(f"demo @ https://h.example/{name} {HASH}\n./x_y-2.0-py3-none-any.whl {HASH}\n")
    assert found["demo"].direct
    assert found["demo"].files[0].filename == name
    assert found["x-y"].files[0].url == "file:./x_y-2.0-py3-none-any.whl"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("demo==1.0", "r.txt:1: demo: there is no sha256"),
        ("demo==1.0 --hash=md5:abc", "only md5"),
        (f"demo {HASH}", "not pinned"),
        (f"demo>=1 {HASH}", "not pinned"),
        (f"demo==1.* {HASH}", "not pinned"),
        (f"demo==1,<2 {HASH}", "not pinned"),
        ("demo==1 --hash=sha256:12", "not a digest"),
        ("-e .", "cannot be locked"),
        ("--no-binary :all:", "not known here"),
        ("-r other.txt", "too deeply"),
        (f"de mo==1 {HASH}", "no requirement"),
        (f"demo @ https://h.example/demo.tar.gz {HASH}", "no wheel"),
        (f"demo @ https://h.example/other-1-py3-none-any.whl {HASH}", "a wheel of other"),
        (f"demo==1 --config-settings=x {HASH}", "what is"),
        ("-r 'x", "No closing quotation"),
        (f"demo==1 ; {'(' * 5000}os_name=='x'{')' * 5000} {HASH}", "no requirement"),
        (f"http://[::1/demo-1-py3-none-any.whl {HASH}", "no requirement"),
        (f"demo @ http://[::1/demo-1-py3-none-any.whl {HASH}", "no wheel"),
    ],
)
def test_what_is_no_lock(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        read(text, other_txt="-r other.txt")


@pytest.mark.parametrize(
    "marker",
    [
        "sys_platform ~= 'linux'",
        "'a' in extras",
        "'1' == '1'",
        f"python_version == '{'1' * 5000}'",
    ],
)
def test_a_marker_without_sense(marker: str) -> None:
    with pytest.raises(RecipeError, match="a marker means nothing"):
        pins(f"demo==1 ; {marker} {HASH}")


def test_blanks_cost_no_time() -> None:
    started = time.monotonic()
    text = f"demo==1{' ' * 200_000}x {HASH}"
    with pytest.raises(RecipeError, match="no requirement"):
        read(text)
    assert time.monotonic() - started < 5


def test_one_distribution_has_one_version() -> None:
    with pytest.raises(RecipeError, match="pinned twice"):
        pins(f"demo==1 {HASH}\nDemo==2 {HASH}")


def test_extras_are_chosen_when_it_is_exported() -> None:
    with pytest.raises(RecipeError, match="no extras"):
        read(f"demo==1 {HASH}").pins(AMD, ("x",), ())


def lock(text: str) -> PylockFile:
    return PylockFile(text.encode(), "pylock.toml")


PACKAGE = """
[[packages]]
name = "{name}"
version = "1.0"
{more}
[[packages.wheels]]
name = "{name}-1.0-py3-none-any.whl"
url = "https://h.example/{name}-1.0-py3-none-any.whl"
hashes = {{sha256 = "{hash}"}}
"""
HEAD = 'lock-version = "1.0"\ncreated-by = "tests"\n'


def package(name: str, more: str = "") -> str:
    return PACKAGE.format(name=name, more=more, hash=ONE)


def names(text: str, interpreter: Interpreter = AMD, **chosen: tuple[str, ...]) -> list[str]:
    found = lock(text).pins(interpreter, chosen.get("extras", ()), chosen.get("groups", ()))
    return [pin.name for pin in found]


def test_markers_of_the_image_choose_packages() -> None:
    text = HEAD + package("both") + package("arm", "marker = \"platform_machine == 'aarch64'\"")
    assert names(text) == ["both"]
    assert names(text, ARM) == ["arm", "both"]


def test_extras_and_groups_choose_packages() -> None:
    text = (
        HEAD
        + 'extras = ["fast"]\ndependency-groups = ["dev", "prod"]\ndefault-groups = ["prod"]\n'
        + package("always")
        + package("fast", "marker = \"'fast' in extras\"")
        + package("dev", "marker = \"'dev' in dependency_groups\"")
        + package("prod", "marker = \"'prod' in dependency_groups\"")
    )
    assert names(text) == ["always", "prod"]
    assert names(text, extras=("Fast",), groups=("dev",)) == ["always", "dev", "fast", "prod"]
    with pytest.raises(RecipeError, match="no extra 'slow' in it"):
        names(text, extras=("slow",))
    with pytest.raises(RecipeError, match="no group 'x' in it"):
        names(text, groups=("x",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + 'requires-python = ">=3.14"\n' + package("a"), "is for Python >=3.14"),
        (HEAD + package("a", 'requires-python = "<3"'), "a is for Python <3"),
        (HEAD + "environments = [\"sys_platform == 'win32'\"]\n" + package("a"), "not for Linux"),
        (HEAD + package("a") + package("a"), "two packages 'a'"),
        (HEAD + package("a", "marker = \"os_name ~= 'x'\""), "a: a marker means nothing"),
        (HEAD + "environments = [\"'a' in extras\"]\n" + package("a"), "a marker means nothing"),
        (HEAD + f'requires-python = ">={"1" * 5000}"\n' + package("a"), "requires-python means"),
    ],
)
def test_what_is_not_for_the_image(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        names(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", "no pylock.toml"),
        ('lock-version = "2.0"\ncreated-by = "x"\npackages = []\n', "no pylock.toml"),
        (HEAD + package("a").replace(f'{{sha256 = "{ONE}"}}', "{}"), "without hashes"),
    ],
)
def test_what_is_no_pylock(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        names(text)


def test_a_weak_hash_is_none() -> None:
    with pytest.raises(RecipeError, match="only md5"):
        names(HEAD + package("a").replace("sha256", "md5"))


def test_sources_are_named_where_there_is_no_wheel() -> None:
    text = (
        HEAD
        + """
[[packages]]
name = "src"
version = "1.0"
sdist = {name = "src-1.0.tar.gz", url = "https://h.example/src-1.0.tar.gz", hashes = {sha256 = "ONE"}}

[[packages]]
name = "repo"
vcs = {type = "git", url = "https://h.example/x", commit-id = "abc"}

[[packages]]
name = "arch"
version = "2.0"
archive = {url = "https://h.example/arch-2.0-py3-none-any.whl", hashes = {sha256 = "ONE"}}
""".replace("ONE", ONE)
    )
    arch, repo, src = lock(text).pins(AMD, (), ())
    assert (arch.direct, arch.files[0].filename) == (True, "arch-2.0-py3-none-any.whl")
    assert repo.others == ("a repository",)
    assert (src.files, src.others) == ((), ("src-1.0.tar.gz",))


def test_paths_are_beside_the_lock() -> None:
    (pin,) = lock(pylock(wheel())).pins(AMD, (), ())
    assert pin.files[0].url == "file:wheels/demo-1.0-py3-none-any.whl"
