"""Exports of databases: every form, and archives that want to become too much."""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from tests.build.osv import debian, exported, lines, raw, zipped

from layersmith.errors import DocumentError, LayersmithError, NotFound
from layersmith.scan.entries import MAX_ENTRY, glance
from layersmith.stores import osv
from layersmith.stores.osv import export_at

if TYPE_CHECKING:
    from pathlib import Path

ENTRIES = [debian(f"CVE-2025-{n}", "x", summary="a {\n} b") for n in (2, 1, 3)]
IDS = sorted(str(one["id"]) for one in ENTRIES)


def read(path: Path) -> list[tuple[str, bytes]]:
    return list(export_at(path).records())


def put(folder: Path, data: bytes, name: str = "all.zip") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def ids(path: Path) -> list[str]:
    return sorted(glance(data).id for _, data in read(path))


def test_every_form_has_the_same_entries(tmp_path: Path) -> None:
    folder = tmp_path / "osv" / "Debian"
    folder.mkdir(parents=True)
    for name, data in raw(*ENTRIES):
        (folder / name).write_bytes(data)
    (folder / "README.md").write_text("not an entry")
    forms = [
        put(tmp_path, exported(*ENTRIES)),
        put(tmp_path, zipped([*raw(*ENTRIES), ("README.md", b"x")], zipfile.ZIP_STORED), "x"),
        put(tmp_path, lines(*ENTRIES), "x.jsonl"),
        put(tmp_path, b"\n".join([b"", lines(*ENTRIES).rstrip()])[1:], "y.jsonl"),
        folder.parent,
    ]
    for form in forms:
        assert ids(form) == IDS
    one = put(tmp_path, raw(ENTRIES[0])[0][1].replace(b", ", b",\r\n  "), "one.json")
    assert ids(one) == [ENTRIES[0]["id"]]


def test_names_say_where_an_entry_is(tmp_path: Path) -> None:
    path = put(tmp_path, exported(*ENTRIES))
    assert [name for name, _ in read(path)] == [f"{name}.json" for name in IDS]
    path = put(tmp_path, lines(*ENTRIES).replace(b"\n", b"\n\n"), "x.jsonl")
    assert [name for name, _ in read(path)] == ["line 1", "line 3", "line 5"]


def test_the_sha256_is_that_of_the_bytes(tmp_path: Path) -> None:
    data = exported(*ENTRIES)
    assert export_at(put(tmp_path, data)).sha256 == hashlib.sha256(data).hexdigest()
    folder = tmp_path / "osv"
    folder.mkdir()
    (folder / "b.json").write_bytes(b"2")
    (folder / "a.json").write_bytes(b"1")
    sums = "".join(
        f"{hashlib.sha256(d).hexdigest()}  {n}.json\n" for n, d in (("a", b"1"), ("b", b"2"))
    )
    assert export_at(folder).sha256 == hashlib.sha256(sums.encode()).hexdigest()


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such file"):
        export_at(tmp_path / "x")


def test_an_entry_that_is_too_large_is_cut_and_so_refused(tmp_path: Path) -> None:
    huge = b'{"id":"' + b"x" * MAX_ENTRY + b'"}'
    forms = [
        put(tmp_path, zipped([("x.json", huge), *raw(ENTRIES[0])])),
        put(tmp_path, lines(ENTRIES[0]) + huge + b"\n" + lines(ENTRIES[1]), "x.jsonl"),
        put(tmp_path, huge[:-2], "x.json"),
    ]
    for form, sound in zip(forms, (1, 2, 0), strict=True):
        found = read(form)
        cut = [data for _, data in found if len(data) > 1000]
        assert [len(data) for data in cut] == [MAX_ENTRY + 1]
        with pytest.raises(DocumentError, match="larger than"):
            glance(cut[0])
        assert len(found) - len(cut) == sound


def test_a_bomb_is_refused_before_it_is_inflated(tmp_path: Path) -> None:
    zeros = bytes(MAX_ENTRY)
    bomb = put(tmp_path, zipped([(f"{n}.json", zeros) for n in range(12)]))
    with pytest.raises(DocumentError, match="a bomb"):
        read(bomb)


def test_entries_that_lie_on_one_another_are_a_bomb_too(tmp_path: Path) -> None:
    data = zipped([("a.json", bytes(MAX_ENTRY))])
    end = data.rindex(b"PK\5\6")
    start = data.index(b"PK\1\2")
    head = data[start:end]
    many = head * 3000
    tail = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 3000, 3000, len(many), start, 0)
    with pytest.raises(DocumentError, match=r"a bomb|damaged"):
        read(put(tmp_path, data[:start] + many + tail))


def test_an_entry_gives_no_more_than_it_announces(tmp_path: Path) -> None:
    data = bytearray(zipped([("a.json", bytes(MAX_ENTRY))]))
    at = data.index(b"PK\1\2") + 24
    data[at : at + 4] = struct.pack("<I", 10)
    try:
        found = read(put(tmp_path, bytes(data)))
    except DocumentError:
        return
    assert [len(raw) for _, raw in found] == [10]


def test_a_directory_that_is_a_lie_is_not_read_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(osv, "_MAX_DIRECTORY", 100)
    with pytest.raises(DocumentError, match="directory has"):
        read(put(tmp_path, exported(*ENTRIES)))


def test_too_many_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(osv, "_MAX_FILES", 2)
    with pytest.raises(DocumentError, match="3 entries"):
        read(put(tmp_path, exported(*ENTRIES)))
    for name, data in raw(*ENTRIES):
        put(tmp_path, data, name)
    with pytest.raises(DocumentError, match="more than 2 files"):
        export_at(tmp_path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_not_read(tmp_path: Path, method: int) -> None:
    with pytest.raises(DocumentError, match="encrypted or not deflated"):
        read(put(tmp_path, zipped(raw(*ENTRIES), method)))


def test_encrypted_entries_are_not_read(tmp_path: Path) -> None:
    data = bytearray(exported(*ENTRIES))
    data[data.index(b"PK\1\2") + 8] |= 1
    with pytest.raises(DocumentError, match="encrypted"):
        read(put(tmp_path, bytes(data)))


def test_damage_anywhere_is_our_error_or_none(tmp_path: Path) -> None:
    data = exported(*ENTRIES)
    for at in range(0, len(data), 3):
        damaged = data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]
        for wrong in (damaged, data[:at]):
            with suppress(LayersmithError):
                read(put(tmp_path, wrong))


def test_a_changed_byte_of_an_entry_is_noticed(tmp_path: Path) -> None:
    data = zipped(raw(*ENTRIES), zipfile.ZIP_STORED)
    with pytest.raises(DocumentError, match="damaged"):
        read(put(tmp_path, data.replace(b"CVE-2025-3", b"CVE-2025-4", 2)))


def test_a_large_archive_of_many_small_entries(tmp_path: Path) -> None:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for number in range(70_000):  # more than a zip of the old kind can number
            archive.writestr(f"{number}.json", b"{}")
    assert len(read(put(tmp_path, written.getvalue()))) == 70_000
