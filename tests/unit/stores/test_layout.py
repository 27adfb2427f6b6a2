"""OCI layouts: what is on the disk (the contract suite has what every place promises)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.build.dying import killed_while
from tests.build.image import AMD64, Made, descriptor, for_platform, put, put_index, shown

from layersmith.errors import DocumentError, NotFound, OutputError
from layersmith.oci.content import held
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from layersmith.oci.image import load, select
from layersmith.stores.layout import REF_NAME, Layout
from layersmith.stores.locks import try_lock

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = descriptor(b"{}", OCI_MANIFEST)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "layout"


def index_of(path: Path) -> Any:
    return json.loads((path / "index.json").read_bytes())


def write_index(path: Path, value: object) -> None:
    path.mkdir(parents=True, exist_ok=True)
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    (path / "index.json").write_bytes(raw)


def entry(tag: str | None, data: bytes = b"{}", **more: object) -> dict[str, Any]:
    notes = {} if tag is None else {"annotations": {REF_NAME: tag}}
    return shown(descriptor(data, OCI_MANIFEST), **notes, **more)


def test_is_a_layout_by_the_letter_of_the_spec(path: Path) -> None:
    layout = Layout(path)
    blob = put(layout, b"blob")
    manifest = Made().put(layout)
    layout.tag("t", manifest)
    assert json.loads((path / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    assert (path / "blobs/sha256" / blob.digest.encoded).read_bytes() == b"blob"
    assert index_of(path) == {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [shown(manifest, annotations={REF_NAME: "t"})],
    }


def test_what_was_there_before_stays(path: Path) -> None:
    foreign = entry("other", b"1", platform={"os": "linux", "architecture": "amd64"}, x=[1])
    untagged = entry(None, b"2")
    odd = shown(descriptor(b"3", "application/x-odd"))
    write_index(
        path,
        {
            "schemaVersion": 2,
            "manifests": [foreign, untagged, odd, entry("t", b"4")],
            "annotations": {"a": "b"},
            "y": 1,
        },
    )
    Layout(path).tag("t", MANIFEST)
    found = index_of(path)
    assert found["annotations"] == {"a": "b"}
    assert found["y"] == 1
    assert all(one in found["manifests"] for one in (foreign, untagged, odd))
    assert [m["digest"] for m in found["manifests"] if m.get("annotations") == {REF_NAME: "t"}] == [
        MANIFEST.digest
    ]
    assert len(found["manifests"]) == 4


def test_the_order_of_tagging_does_not_matter(tmp_path: Path) -> None:
    for folder, names in (("a", "xyz"), ("b", "zyx")):
        layout = Layout(tmp_path / folder)
        for name in names:
            layout.tag(name, MANIFEST)
    raws = [(tmp_path / folder / "index.json").read_bytes() for folder in "ab"]
    assert raws[0] == raws[1]


def test_a_fresh_layout_of_umoci_is_a_layout(path: Path) -> None:
    write_index(path, {"schemaVersion": 2, "manifests": None})
    with pytest.raises(NotFound, match="has no 't'"):
        Layout(path).resolve("t")
    Layout(path).tag("t", MANIFEST)
    assert Layout(path).resolve("t").digest == MANIFEST.digest


def test_latest_is_the_only_image_there_is(path: Path) -> None:
    write_index(path, {"manifests": [entry("3.13"), entry("3.13.5")]})
    assert Layout(path).resolve("latest").digest == MANIFEST.digest
    write_index(path, {"manifests": [entry(None)]})
    assert Layout(path).resolve("latest").digest == MANIFEST.digest
    write_index(path, {"manifests": [entry("3.13"), entry("3.14", b"other")]})
    with pytest.raises(NotFound) as caught:
        Layout(path).resolve("latest")
    assert "it has: 3.13, 3.14" in caught.value.hint


def test_a_tag_named_latest_is_just_a_tag(path: Path) -> None:
    write_index(path, {"manifests": [entry("latest"), entry("3.14", b"other")]})
    assert Layout(path).resolve("latest").digest == MANIFEST.digest


def test_blobs_in_the_index_are_no_images(path: Path) -> None:
    write_index(
        path, {"manifests": [shown(descriptor(b"x", OCI_LAYER), annotations={REF_NAME: "t"})]}
    )
    with pytest.raises(NotFound):
        Layout(path).resolve("t")


@pytest.mark.parametrize("name", ["t", "latest", Digest.of(b"x")])
def test_a_directory_that_is_no_layout_is_not_found(path: Path, name: str) -> None:
    with pytest.raises(NotFound, match="no index") as caught:
        Layout(path).resolve(name)
    assert "oci:DIR" in caught.value.hint


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"not json",
        b"[]",
        b"null",
        b'{"manifests": [], "manifests": []}',
        {"manifests": {"a": 1}},
        {"manifests": [1]},
        {"manifests": [None]},
        {"manifests": [{"mediaType": OCI_MANIFEST}]},
        {"manifests": [entry("t") | {"digest": "sha256:../../x"}]},
        {"manifests": [entry("t") | {"annotations": [1]}]},
        {"manifests": [entry("t") | {"annotations": {REF_NAME: 7}}]},
    ],
)
def test_a_broken_index_is_named_and_left_as_it_is(path: Path, value: object) -> None:
    write_index(path, value)
    before = (path / "index.json").read_bytes()
    with pytest.raises(DocumentError, match=r"index\.json"):
        Layout(path).resolve("t")
    with pytest.raises(DocumentError, match=r"index\.json"):
        Layout(path).tag("t", MANIFEST)
    assert (path / "index.json").read_bytes() == before


def test_of_an_endless_index_no_more_is_read_than_a_document(path: Path) -> None:
    path.mkdir(parents=True)
    (path / "index.json").symlink_to("/dev/zero")
    with pytest.raises(DocumentError, match="bytes of JSON"):
        Layout(path).resolve("t")


def test_a_path_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    layout = Layout(tmp_path / "file")
    with pytest.raises(OutputError):
        put(layout, b"blob")
    with pytest.raises(OutputError):
        layout.tag("t", MANIFEST)
    with pytest.raises(OutputError):
        layout.resolve("t")
    layout.abandon()
    assert (tmp_path / "file").read_bytes() == b""


def test_a_blob_that_is_a_directory_is_an_output_error(path: Path) -> None:
    layout = Layout(path)
    wanted = descriptor(b"x")
    (path / "blobs/sha256" / wanted.digest.encoded).mkdir(parents=True)
    with pytest.raises(OutputError), layout.open(wanted) as stream:
        stream.read()
    assert not layout.has(wanted)


def test_nobody_waits_at_a_named_pipe(path: Path) -> None:
    write_index(path, {"schemaVersion": 2, "manifests": [entry("t")]})
    (path / "blobs" / "sha256").mkdir(parents=True)
    os.mkfifo(path / "blobs" / "sha256" / MANIFEST.digest.encoded)
    assert not Layout(path).has(MANIFEST)
    with pytest.raises(OutputError, match="named pipe"), Layout(path).open(MANIFEST):
        pass
    (path / "index.json").unlink()
    os.mkfifo(path / "index.json")
    with pytest.raises(OutputError, match="named pipe"):
        Layout(path).resolve("t")


def test_a_damaged_blob_is_not_had_and_is_mended(path: Path) -> None:
    layout = Layout(path)
    wanted = put(layout, b"blob")
    (path / "blobs/sha256" / wanted.digest.encoded).write_bytes(b"blab")
    assert not layout.has(wanted)
    layout.put(wanted, held(b"blob"))
    assert layout.has(wanted)


def test_a_link_in_a_layout_leads_nowhere_else(path: Path) -> None:
    layout = Layout(path)
    wanted = descriptor(b"blob")
    secret = path.parent / "secret"
    (path / "blobs/sha256").mkdir(parents=True)
    secret.write_bytes(b"secret")
    (path / "blobs/sha256" / wanted.digest.encoded).symlink_to(secret)
    layout.put(wanted, held(b"blob"))
    assert secret.read_bytes() == b"secret"
    assert layout.has(wanted)


def test_abandoning_a_new_layout_leaves_nothing(path: Path) -> None:
    layout = Layout(path)
    Made().put(layout)
    layout.abandon()
    assert not path.exists()


def test_abandoning_leaves_what_others_put(path: Path) -> None:
    first = Layout(path)
    manifest = Made().put(first)
    first.tag("t", manifest)
    before = sorted(p for p in path.rglob("*") if p.is_file())
    second = Layout(path)
    put(second, b"never tagged")
    second.abandon()
    assert sorted(p for p in path.rglob("*") if p.is_file()) == before
    (path.parent / "beside").write_bytes(b"")
    second.abandon()
    assert (path.parent / "beside").exists()


def test_an_image_is_loaded_from_a_layout(path: Path) -> None:
    layout = Layout(path)
    layout.tag("t", put_index(layout, [for_platform(Made().put(layout), AMD64)]))
    assert select(layout, load(layout, "t"), AMD64).layers


def test_its_name_is_what_one_types(path: Path) -> None:
    assert Layout(path).name == f"oci:{path}"


def test_tags_of_many_processes_all_survive(tmp_path: Path) -> None:
    layout = tmp_path / "out"
    Layout(layout).put(MANIFEST, held(b"{}"))
    program = (
        "import sys; from pathlib import Path; from layersmith.oci.digest import Digest;"
        "from layersmith.oci.documents import OCI_MANIFEST, Descriptor;"
        "from layersmith.stores.layout import Layout;"
        "d = Descriptor(media_type=OCI_MANIFEST, digest=Digest.of(b'{}'), size=2);"
        "[Layout(Path(sys.argv[1])).tag(f'{sys.argv[2]}-{n}', d) for n in range(5)]"
    )
    workers = [
        subprocess.Popen([sys.executable, "-c", program, str(layout), str(number)])
        for number in range(4)
    ]
    assert [worker.wait(timeout=60) for worker in workers] == [0] * 4
    index = json.loads((layout / "index.json").read_bytes())
    assert len(index["manifests"]) == 20


def test_what_a_killed_process_was_writing_is_removed_by_the_next(path: Path) -> None:
    Made().put(Layout(path))
    blobs = path / "blobs" / "sha256"
    killed_while("appearing(folder / 'index.json')", path)
    killed_while("appearing(folder / 'x')", blobs)
    (blobs / ".new-not-ours").write_bytes(b"")
    assert len(list(path.rglob(".new-*"))) == 3
    put(Layout(path), b"another")
    assert [found.name for found in path.rglob(".new-*")] == [".new-not-ours"]


def test_a_layout_that_another_process_keeps_locked_is_an_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layersmith.stores.layout._PATIENCE", 0.2)
    layout = Layout(path)
    manifest = Made().put(layout)
    handle = os.open(path, os.O_RDONLY)
    assert try_lock(handle)
    with pytest.raises(OutputError, match="another process has had it locked") as caught:
        layout.tag("t", manifest)
    assert caught.value.hint
    os.close(handle)
    layout.tag("t", manifest)


def test_a_layout_without_locks_is_written(path: Path, no_locks: None) -> None:
    layout = Layout(path)
    layout.tag("t", Made().put(layout))
    assert layout.tags() == ["t"]


def test_giving_up_leaves_what_another_process_counts_on(path: Path) -> None:
    one, two = Layout(path), Layout(path)
    blob = put(one, b"shared")
    assert two.has(blob)
    one.abandon()
    assert two.has(blob)
    two.abandon()
    assert two.has(blob)  # it was not the second's either


def test_giving_up_leaves_what_another_process_has_tagged(path: Path) -> None:
    one, two = Layout(path), Layout(path)
    manifest = Made().put(one)
    two.tag("t", manifest)
    one.abandon()
    assert two.has(manifest)


def test_giving_up_alone_leaves_what_was_there_before(path: Path) -> None:
    first = Layout(path)
    manifest = Made().put(first)
    first.tag("t", manifest)
    first._blob(manifest.digest).write_bytes(b"rotten")
    second = Layout(path)
    assert not second.has(manifest)
    Made().put(second)
    blob = put(second, b"new")
    second.abandon()
    assert first.has(manifest)
    assert not first.has(blob)


def test_a_killed_process_counts_on_nothing(path: Path) -> None:
    one = Layout(path)
    blob = put(one, b"alone")
    killed_while("(a := Layout(folder))._use.begin() or scratch(folder, 'x-')", path)
    one.abandon()
    assert not one.has(blob)
