"""Wheels that must not be installed, each with what is wrong with it."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from typing import TYPE_CHECKING

import pytest
from tests.build.wheels import EXECUTABLE, Made, record_line, wheel, zipped

from layersmith.apps import zips
from layersmith.apps.wheel import Wheel, open_wheel
from layersmith.errors import WheelError

if TYPE_CHECKING:
    from pathlib import Path

INFO = "demo-1.0.dist-info"
NAME = "demo-1.0-py3-none-any.whl"


def opened(made: Made, folder: Path) -> Wheel:
    return open_wheel(made.file(folder), made.filename, made.digest)


def refused(made: Made, folder: Path) -> str:
    with pytest.raises(WheelError) as caught:
        opened(made, folder)
    assert caught.value.exit_code == 7
    assert made.filename in caught.value.message
    assert "\n" not in caught.value.message
    return caught.value.message


def members(**more: bytes) -> dict[str, bytes]:
    """Return the members of a sound wheel, and `more` that its record names."""
    made = wheel(files={"demo/__init__.py": b"", **more})
    with zipfile.ZipFile(io.BytesIO(made.data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_sound_wheel(tmp_path: Path) -> None:
    made = wheel(
        files={"demo/run": b"#!python\n", "demo/data": b"x" * 3_000_000},
        modes={"demo/run": EXECUTABLE},
    )
    found = opened(made, tmp_path)
    assert found.about.name == "demo"
    assert found.files["demo/run"].member.is_executable
    assert not found.files["demo/data"].member.is_executable
    assert b"".join(found.chunks("demo/data")) == b"x" * 3_000_000


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../evil.py", "leads out"),
        ("demo/../../evil.py", "leads out"),
        ("/etc/passwd", "absolute"),
        ("demo//x.py", "not canonical"),
        ("demo/./x.py", "not canonical"),
        ("demo/\x1b[2Jx.py", "characters"),
        ("demo\\x.py", "characters"),
        ("demo/.wh.x", "would delete"),
        (f"demo/{'n' * 300}", "too long"),
    ],
)
def test_names_that_lead_elsewhere(name: str, message: str, tmp_path: Path) -> None:
    assert message in refused(wheel(files={"demo/__init__.py": b"", name: b"x"}), tmp_path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (record_line("../../evil.py", b"x"), "leads out"),
        (record_line("/etc/passwd", b"x"), "leads out"),
        (record_line("demo/gone.py", b"x"), "not there"),
        (record_line("demo/__init__.py", b"x"), "twice"),
        ("a,b\n", "cannot be read"),
    ],
)
def test_records_that_lie(line: str, message: str, tmp_path: Path) -> None:
    assert message in refused(wheel(more_record=line), tmp_path)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("", "does not name"),
        (record_line("demo/__init__.py", b"other"), "is not what RECORD says"),
        ("demo/__init__.py,,\n", "no sha256"),
        ("demo/__init__.py,md5=abc,12\n", "no sha256"),
    ],
)
def test_records_that_do_not_prove(record: str, message: str, tmp_path: Path) -> None:
    assert message in refused(wheel(record=record), tmp_path)


def test_a_size_that_differs(tmp_path: Path) -> None:
    line = record_line("demo/__init__.py", b"answer = 42\n").replace(",12", ",13")
    assert "is not what RECORD says" in refused(wheel(record=line), tmp_path)


@pytest.mark.parametrize(
    ("kind", "message"),
    [(stat.S_IFLNK, "symbolic link"), (stat.S_IFIFO, "no regular"), (stat.S_IFDIR, "no regular")],
)
def test_members_that_are_no_files(kind: int, message: str, tmp_path: Path) -> None:
    made = wheel(files={"demo/x": b"/etc/passwd"}, modes={"demo/x": kind | 0o777})
    assert message in refused(made, tmp_path)


def test_a_name_that_stands_twice(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members().items():
            archive.writestr(name, data)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("demo/__init__.py", b"evil")
    assert "twice" in refused(Made(NAME, out.getvalue()), tmp_path)


def test_a_file_that_is_a_directory_too(tmp_path: Path) -> None:
    made = wheel(files={"demo": b"x", "demo/__init__.py": b""})
    assert "a file and a directory" in refused(made, tmp_path)


def central(data: bytes, name: bytes) -> int:
    """Return where the central header of a member begins."""
    at = data.index(b"PK\x01\x02")
    while data[at + 46 : at + 46 + len(name)] != name:
        at = data.index(b"PK\x01\x02", at + 1)
    return at


def patched(offset: int, value: int, code: str = "<H") -> Made:
    data = bytearray(wheel().data)
    at = central(bytes(data), b"demo/__init__.py") + offset
    struct.pack_into(code, data, at, value)
    return Made(NAME, bytes(data))


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (8, 0x1, "encrypted"),
        (8, 0x40, "encrypted"),
        (8, 0x2000, "encrypted"),
        (10, 12, "compressed in a way"),
        (10, 99, "compressed in a way"),
    ],
)
def test_methods_that_wheels_do_not_have(
    offset: int, value: int, message: str, tmp_path: Path
) -> None:
    assert message in refused(patched(offset, value), tmp_path)


def test_a_bomb(tmp_path: Path) -> None:
    message = refused(patched(24, 0xFFFFFF00, "<I"), tmp_path)
    assert "zip bomb" in message


def test_more_than_it_says(tmp_path: Path) -> None:
    assert "is damaged" in refused(patched(24, 5, "<I"), tmp_path)


def test_data_in_another_s_data(tmp_path: Path) -> None:
    data = bytearray(wheel(files={"demo/a.py": b"a" * 40, "demo/b.py": b"a" * 40}).data)
    at = central(bytes(data), b"demo/b.py")
    struct.pack_into("<I", data, at + 42, 0)
    assert "another's data" in refused(Made(NAME, bytes(data)), tmp_path)


def test_data_before_the_archive(tmp_path: Path) -> None:
    assert "data before" in refused(Made(NAME, b"#!/bin/sh\n" + wheel().data), tmp_path)


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zips, "_MOST_MEMBERS", 3)
    assert "more than 3" in refused(wheel(), tmp_path)


def test_a_directory_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zips, "_LARGEST_DIRECTORY", 100)
    assert "a directory of" in refused(wheel(), tmp_path)


def test_a_directory_that_only_zip64_counts(tmp_path: Path) -> None:
    data = wheel().data
    end = data.rindex(b"PK\x05\x06")
    size, offset = struct.unpack_from("<II", data, end + 12)
    record = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 4, 4, 1 << 40, offset)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1)
    last = data[end : end + 12] + struct.pack("<II", 0xFFFFFFFF, 0xFFFFFFFF) + data[end + 20 :]
    made = Made(NAME, data[:end] + record + locator + last)
    assert f"a directory of {1 << 40}" in refused(made, tmp_path)
    assert size < 1000


@pytest.mark.parametrize("cut", [1, 30, 200])
def test_a_wheel_that_is_cut_short(cut: int, tmp_path: Path) -> None:
    assert "is damaged" in refused(Made(NAME, wheel().data[:-cut]), tmp_path)


def test_every_damaged_byte_of_a_file_is_noticed(tmp_path: Path) -> None:
    data = wheel(files={"demo/x": bytes(range(64))}).data
    start = data.index(b"demo/x") + len("demo/x") + 1  # whether a block is the last is no content
    for at in range(start, start + 40):
        damaged = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        refused(Made(NAME, damaged), tmp_path)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (wheel(metadata="Name: other\nVersion: 1.0\n"), "is 'other 1.0' by its metadata"),
        (wheel(metadata="Name: demo\nVersion: 2.0\n"), "is 'demo 2.0' by its metadata"),
        (Made(NAME, zipped({"demo/x": b""})), "0 .dist-info"),
        (Made(NAME, zipped({**members(), "x-1.dist-info/METADATA": b""})), "2 .dist-info"),
        (Made(NAME, zipped({**members(), f"{INFO.upper()}/METADATA": b""})), "2 .dist-info"),
        (Made(NAME, zipped({f"{INFO}/METADATA": b"Name: demo\nVersion: 1.0\n"})), "has no"),
        (Made("other-1.0-py3-none-any.whl", wheel().data), "by its metadata"),
        (Made(NAME, b"not a zip"), "is damaged"),
        (Made(NAME, b""), "is damaged"),
    ],
)
def test_metadata_of_another(made: Made, message: str, tmp_path: Path) -> None:
    assert message in refused(made, tmp_path)


def test_a_name_that_is_no_wheel_s(tmp_path: Path) -> None:
    assert "no name of a wheel" in refused(Made("demo.whl", wheel().data), tmp_path)
