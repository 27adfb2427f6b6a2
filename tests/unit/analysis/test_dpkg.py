"""dpkg's records: owners through usr-merge and diversions, paragraphs, records of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.build.tree import root

from layersmith.analysis.dpkg import copyright_of, owners, records
from layersmith.errors import LayerError

if TYPE_CHECKING:
    from tests.build.tree import Literal

STATUS = b"""\
Package: libx1
Status: install ok installed
Priority: optional
Architecture: amd64
Source: xsource (1:2.0-1)
Version: 2.0-1+b3
Conffiles:
 /etc/x.conf 0123456789abcdef0123456789abcdef
Description: an X
 with a second line
 .
  and more
Homepage: https://x.example/

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1

Package: tool
Status: install ok installed
Architecture: all
Version: 1.0~rc1
"""
WORLD: Literal = {
    "var/lib/dpkg/status": STATUS,
    "var/lib/dpkg/info/libx1:amd64.list": b"/.\n/lib\n/lib/libx.so.1\n/usr/share/doc/libx1\n",
    "var/lib/dpkg/info/tool.list": b"/usr/bin/tool\n/usr/bin/sh\n",
    "var/lib/dpkg/info/gone.list": b"/usr/bin/old\n",
    "var/lib/dpkg/diversions": b"/usr/bin/tool\n/usr/bin/tool.real\nlibx1\n",
    "lib": "usr/lib",
    "usr/lib/libx.so.1": b"x",
    "usr/lib/libother.so.1": b"y",
    "usr/bin/tool": b"diverted: not tool's",
    "usr/bin/tool.real": b"tool's",
    "usr/bin/old": b"",
}


def test_a_list_may_name_a_path_through_a_link() -> None:
    found = owners(root(WORLD), ["usr/lib/libx.so.1", "usr/lib/libother.so.1", "usr/bin/old"])
    assert {path: package.name for path, package in found.items()} == {"usr/lib/libx.so.1": "libx1"}


def test_a_diverted_file_is_owned_where_it_was_moved_to() -> None:
    found = owners(root(WORLD), ["usr/bin/tool", "usr/bin/tool.real"])
    assert {path: package.name for path, package in found.items()} == {"usr/bin/tool.real": "tool"}


def test_the_paragraph_is_the_maintainers_own() -> None:
    package = owners(root(WORLD), ["usr/lib/libx.so.1"])["usr/lib/libx.so.1"]
    assert (package.version, package.architecture) == ("2.0-1+b3", "amd64")
    assert (package.source, package.source_version) == ("xsource", "1:2.0-1")
    assert package.control == (
        b"Package: libx1\nPriority: optional\nArchitecture: amd64\nSource: xsource (1:2.0-1)\n"
        b"Version: 2.0-1+b3\nDescription: an X\n with a second line\n .\n  and more\n"
        b"Homepage: https://x.example/\n"
    )


def test_a_source_of_the_same_name_and_version_is_not_written() -> None:
    package = owners(root(WORLD), ["usr/bin/tool.real"])["usr/bin/tool.real"]
    assert (package.source, package.source_version) == ("tool", "1.0~rc1")


def test_no_dpkg_no_owners() -> None:
    assert owners(root({"usr/bin/x": b""}), ["usr/bin/x"]) == {}
    assert records(root({"usr/bin/x": b""})) == {}


def test_records_of_an_image() -> None:
    image = root(
        {
            "var/lib/dpkg/status.d/zlib1g": b"Package: zlib1g\nVersion: 1:1.3-1\nArchitecture: amd64\n",
            "var/lib/dpkg/status.d/zlib1g.md5sums": b"0  usr/lib/libz.so.1\n",
            "var/lib/dpkg/status.d/bare": b"Package: bare\nVersion: 1\n",
        }
    )
    found = records(image)
    assert {name: (p.version, sums) for name, (p, sums) in found.items()} == {
        "zlib1g": ("1:1.3-1", b"0  usr/lib/libz.so.1\n"),
        "bare": ("1", b""),
    }


@pytest.mark.parametrize(
    "status",
    [
        b"Package: x\n", b"Version: 1\n", b"Package: ../x\nVersion: 1\n",
        b"Package: x\nVersion: 1\x1b[31m\n", b"no field\n", b" leading\n",
        b"Package: x\nVersion: 1\nSource: a b c\n", b"\xff\xfe: x\n",
    ],
)  # fmt: skip
def test_what_is_no_paragraph_is_refused(status: bytes) -> None:
    with pytest.raises(LayerError) as caught:
        owners(root({"var/lib/dpkg/status": status}), ["x"])
    assert "var/lib/dpkg/status" in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_the_copyright_file_is_found_behind_a_link() -> None:
    world = root(
        {**WORLD, "usr/share/doc/libx1": "xbase", "usr/share/doc/xbase/copyright": b"free"}
    )
    package = owners(world, ["usr/lib/libx.so.1"])["usr/lib/libx.so.1"]
    assert copyright_of(world.tree, package) == [
        "usr/share/doc/libx1", "usr/share/doc/xbase/copyright",
    ]  # fmt: skip
    assert copyright_of(root(WORLD).tree, package) == []
