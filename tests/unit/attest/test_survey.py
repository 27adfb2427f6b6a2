"""An inventory: packages by their records, files by their bytes, layers by their diff_ids."""

from __future__ import annotations

import hashlib

import pytest
from tests.build.sboms import BASE, OURS, PYTHON, RECORDS, SITE, debian, taken
from tests.build.tar import archive, file

from layersmith.errors import LayerError
from layersmith.oci.digest import Digest

ONE, TWO = str(Digest.of(BASE)), str(Digest.of(OURS))


def test_every_package_is_found_with_its_files() -> None:
    found = {one.name: one for one in taken().components}
    assert {name: [file.path for file in one.files] for name, one in found.items()} == {
        "libstdc++6": ["usr/lib/libstdc++.so.6"],
        "libffi8": ["usr/lib/libffi.so.8.1"],
        "python": [
            "usr/local/bin/python3.13",
            "usr/local/lib/libpython3.13.so.1.0",
            "usr/local/lib/python3.13/os.py",
        ],
        "Flask.X": [
            f"{SITE}/Flask_X-1.2.dist-info/METADATA",
            f"{SITE}/Flask_X-1.2.dist-info/RECORD",
            f"{SITE}/flask_x/__init__.py",
        ],
    }
    assert [found[name].purl for name in sorted(found)] == [
        "pkg:pypi/flask-x@1.2",
        "pkg:deb/debian/libffi8@1.0-1?arch=amd64&distro=debian-13",
        "pkg:deb/debian/libstdc%2B%2B6@14.2.0-19%2Bb1~x?arch=amd64&distro=debian-13",
        "pkg:generic/python@3.13.5",
    ]
    assert found["python"].cpe == "cpe:2.3:a:python:python:3.13.5:*:*:*:*:*:*:*"
    assert found["libstdc++6"].source == ("gcc-14", "14.2.0-19")
    assert found["libffi8"].source == ("libffi8", "1.0-1")
    assert found["Flask.X"].license == "BSD-3-Clause"


def test_a_file_that_is_not_what_its_record_says_is_nobodys() -> None:
    assert "usr/lib/changed" in {file.path for file in taken().others}
    whole = taken([BASE])
    assert "usr/lib/changed" in {f.path for c in whole.components for f in c.files}


def test_every_regular_file_is_there_just_once() -> None:
    found = taken()
    paths = [file.path for file in found.files]
    assert len(paths) == len(set(paths))
    assert {file.path for file in found.others} == {
        "etc/passwd", "usr/lib/os-release", "usr/lib/changed", "usr/lib/libffi.so.8.2",
        f"{SITE}/stray.py", b"srv/\xff\n\x1b".decode("utf-8", "surrogateescape"),
        *(f"{RECORDS}/{name}{end}" for name in ("libffi8", "libstdc++6") for end in ("", ".md5sums")),
    }  # fmt: skip


def test_files_have_their_digests_and_their_layer() -> None:
    found = {file.path: file for file in taken().files}
    library = found["usr/local/lib/libpython3.13.so.1.0"]
    assert library.sha1 == hashlib.sha1(PYTHON, usedforsecurity=False).hexdigest()
    assert library.sha256 == hashlib.sha256(PYTHON).hexdigest()
    assert (library.size, library.layer) == (len(PYTHON), TWO)
    assert found["etc/passwd"].layer == ONE
    assert found["usr/lib/changed"].layer == TWO
    assert found["usr/lib/libffi.so.8.2"].sha1 == found["usr/lib/libffi.so.8.1"].sha1


def test_a_package_came_in_the_layers_of_its_record_and_its_files() -> None:
    more = archive(*debian("libffi8", {"usr/lib/libffi.so.8.1": b"ffi", "usr/lib/more": b"m"})[1:])
    layers = {one.name: one.layers for one in taken([BASE, OURS, more]).components}
    assert layers["libstdc++6"] == (ONE,)
    assert layers["libffi8"] == (TWO, str(Digest.of(more)))
    assert layers["python"] == (TWO,)


def test_a_system_with_dpkg_is_described_too() -> None:
    status = (
        b"Package: tool\nStatus: install ok installed\nArchitecture: all\nVersion: 2\n\n"
        b"Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n"
    )
    layer = archive(
        file("var/lib/dpkg/status", status),
        file("var/lib/dpkg/info/tool.list", b"/.\n/usr/bin/tool\n/etc/tool.conf\n"),
        file("usr/bin/tool", b"t"),
        file("etc/tool.conf", b"changed by its owner"),
        file("etc/os-release", b"ID=ubuntu\nVERSION_ID='24.04'\n"),
    )
    (tool,) = taken([layer]).components
    assert tool.purl == "pkg:deb/ubuntu/tool@2?arch=all&distro=ubuntu-24.04"
    assert {one.path for one in tool.files} == {"usr/bin/tool", "etc/tool.conf"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ID=debian\nVERSION_ID=13\nPRETTY_NAME='A \"b\"'", ("debian", "13", 'A "b')),
        ("ID=\nVERSION_ID=''\nPRETTY_NAME=\n", ("linux", "", "linux")),
        ("ID=a/../b\nVERSION_ID=1?x=y&z\n", ("linux", "", "linux")),
        (f"ID={'a' * 65}", ("linux", "", "linux")),
        (f"ID={' ' * 50_000}'x", ("x", "", "x")),  # in no time
    ],
)
def test_a_system_has_a_name_that_fits_into_a_url(
    text: str, expected: tuple[str, str, str]
) -> None:
    system = taken([archive(file("etc/os-release", text.encode()))]).system
    assert system is not None
    assert (system.name, system.version, system.title) == expected


def test_what_is_too_long_to_say_which_system_it_is_says_nothing() -> None:
    assert taken([archive(file("etc/os-release", b"ID=a\n" * 20_000))]).system is None


def test_two_pythons_are_told_apart() -> None:
    layer = archive(
        *(file(f"usr/local/lib/python3.{minor}/os.py", b"os%d" % minor) for minor in (9, 13)),
        file("usr/local/lib/libpython3.13.so.1.0", PYTHON),
        file("usr/local/bin/python3.9", b"\x003.9.2\x00"),
        file("usr/local/bin/python", b"which"),
    )
    found = {one.version: {f.path for f in one.files} for one in taken([layer]).components}
    assert found["3.9.2"] >= {"usr/local/lib/python3.9/os.py", "usr/local/bin/python3.9"}
    assert "usr/local/lib/python3.13/os.py" in found["3.13.5"]
    assert sum(map(len, found.values())) == 5


def test_a_python_that_does_not_say_its_release_has_its_minor_version() -> None:
    (found,) = taken([archive(file("usr/local/lib/python3.13/os.py", b""))]).components
    assert (found.version, found.purl) == ("3.13", "pkg:generic/python@3.13")


def test_an_image_without_records_is_files() -> None:
    found = taken([archive(file("a", b"a"))])
    assert (found.components, found.system) == ((), None)
    assert [file.path for file in found.others] == ["a"]


def test_records_that_cannot_be_read_are_an_error() -> None:
    with pytest.raises(LayerError, match="not a field"):
        taken([archive(file(f"{RECORDS}/x", b"nothing of the kind"))])


def test_the_image_is_called_as_it_says() -> None:
    title = {"org.opencontainers.image.title": "Team/Python"}
    assert taken(annotations=title).name == "Team/Python"
    assert taken().name == "image"
