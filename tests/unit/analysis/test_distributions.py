"""Python distributions: found by dist-info, their files by RECORD, none beyond the tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.build.tree import root

from layersmith.analysis.distributions import distributions, normalized

if TYPE_CHECKING:
    from tests.build.tree import Literal

SITE = "usr/local/lib/python3.13/site-packages"
INFO = f"{SITE}/Flask_X-1.2.dist-info"
METADATA = (
    b"Metadata-Version: 2.4\nName: Flask.X\nVersion: 1.2\nLicense-Expression: MIT\n\nName: no\n"
)


def installed(record: bytes, metadata: bytes = METADATA, **more: bytes) -> Literal:
    return {
        f"{INFO}/METADATA": metadata,
        f"{INFO}/RECORD": record,
        f"{SITE}/flask_x/__init__.py": b"",
        "usr/local/bin/flask-x": b"#!",
        "etc/passwd": b"",
        **{f"{SITE}/{name}": content for name, content in more.items()},
    }


def test_a_record_names_the_files() -> None:
    record = (
        b"flask_x/__init__.py,sha256=x,1\r\n../../../bin/flask-x,,\r\ngone.py,,\r\n"
        b'"with, comma.py",,\r\nFlask_X-1.2.dist-info/RECORD,,\r\n'
    )
    (found,) = distributions(root(installed(record, **{"with, comma.py": b""})))
    assert (found.name, found.version, found.license) == ("Flask.X", "1.2", "MIT")
    assert found.place == INFO
    assert found.files == {
        f"{SITE}/flask_x/__init__.py", f"{SITE}/with, comma.py", "usr/local/bin/flask-x",
        f"{INFO}/METADATA", f"{INFO}/RECORD",
    }  # fmt: skip


def test_its_own_directory_is_its_own_whatever_the_record_says() -> None:
    (found,) = distributions(root(installed(b"")))
    assert found.files == {f"{INFO}/METADATA", f"{INFO}/RECORD"}


def test_a_record_does_not_lead_out_of_the_tree() -> None:
    record = b"../../../../../../../../../../etc/passwd,,\n/etc/passwd,,\n"
    (found,) = distributions(root(installed(record)))
    assert "etc/passwd" in found.files  # the image's own: there is no other
    assert not [path for path in found.files if ".." in path]


@pytest.mark.parametrize(
    "record", [b"\xff\xfe,,\n", b"a\0b,,\n", b'"open', b",,\n\n", b"a" * 200_000]
)
def test_a_broken_record_gives_what_it_gives(record: bytes) -> None:
    (found,) = distributions(root(installed(record)))
    assert f"{INFO}/METADATA" in found.files


@pytest.mark.parametrize(
    "metadata",
    [b"", b"Name: x\n", b"Version: 1\n", b"Name: ../x\nVersion: 1\n", b"Name: x\nVersion: 1 2\n"],
)
def test_without_name_and_version_there_is_no_distribution(metadata: bytes) -> None:
    assert distributions(root(installed(b"", metadata))) == []


@pytest.mark.parametrize("name", ["Flask.X", "flask-x", "FLASK__x", "flask-_.X"])
def test_names_have_one_form(name: str) -> None:
    assert normalized(name) == "flask-x"
