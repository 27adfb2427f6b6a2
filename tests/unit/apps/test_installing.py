"""Installing: where every file of a wheel lands, and who may own what."""

from __future__ import annotations

import csv
import hashlib
import json
import random
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Any

import pytest
from tests.build.wheels import EXECUTABLE, Made, wheel

from layersmith.apps.installing import install, launcher
from layersmith.apps.interpreter import Interpreter
from layersmith.apps.site import VENV, Site, WheelContents, lay_out, with_parents
from layersmith.apps.wheel import open_wheel
from layersmith.errors import WheelError
from layersmith.rootfs.entries import Directory, File, Symlink
from layersmith.rootfs.tree import MemoryContents

if TYPE_CHECKING:
    from pathlib import Path

AMD = Interpreter("3.13.5", "x86_64", (2, 41))
SITE = f"{VENV}/lib/python3.13/site-packages"
PYTHON = f"/{VENV}/bin/python"


class Installed:
    """A site with wheels in it."""

    def __init__(
        self, folder: Path, *made: Made, shared: tuple[str, ...] = (), url: str = ""
    ) -> None:
        self.site = Site(shared)
        lay_out(self.site, AMD)
        wheels = [open_wheel(m.file(folder), m.filename, m.digest) for m in made]
        for one in wheels:
            install(one, self.site, AMD, direct_url=url)
        self.site.check()
        self.contents = WheelContents({str(w.digest): w for w in wheels}, MemoryContents())

    def read(self, path: str) -> bytes:
        entry = self.site.entries[path]
        assert isinstance(entry, File)
        return self.contents.read(entry)

    def mode(self, path: str) -> int:
        return self.site.entries[path].meta.mode

    def record(self, info: str = "demo-1.0.dist-info") -> list[list[str]]:
        return list(csv.reader(self.read(f"{SITE}/{info}/RECORD").decode().splitlines()))


def test_an_environment_is_what_venv_makes(tmp_path: Path) -> None:
    site = Installed(tmp_path).site
    assert site.entries[f"{VENV}/bin/python"].target == "/usr/local/bin/python3.13"  # type: ignore[union-attr]
    assert isinstance(site.entries[f"{VENV}/lib64"], Symlink)
    assert isinstance(site.entries[SITE], Directory)
    text = site.entries[f"{VENV}/pyvenv.cfg"].content.decode()  # type: ignore[union-attr]
    assert "home = /usr/local/bin\n" in text
    assert "3.13.5" not in text


def test_files_land_where_their_scheme_says(tmp_path: Path) -> None:
    found = Installed(
        tmp_path,
        wheel(
            files={
                "demo/__init__.py": b"answer = 42\n",
                "demo/tool": b"x",
                "demo-1.0.data/purelib/pure.py": b"pure",
                "demo-1.0.data/platlib/plat.py": b"plat",
                "demo-1.0.data/headers/demo.h": b"h",
                "demo-1.0.data/data/share/demo/x": b"share",
                "demo-1.0.data/scripts/old": b"#!python\nprint(1)\n",
                "demo-1.0.data/scripts/shell": b"#!/bin/sh\n",
            },
            scripts={"demo": "demo.cli:main", "deep": "demo.cli:App.run [extra]"},
            modes={"demo/tool": EXECUTABLE},
        ),
    )
    assert found.read(f"{SITE}/demo/__init__.py") == b"answer = 42\n"
    assert (found.mode(f"{SITE}/demo/__init__.py"), found.mode(f"{SITE}/demo/tool")) == (
        0o644,
        0o755,
    )
    assert found.read(f"{SITE}/pure.py") + found.read(f"{SITE}/plat.py") == b"pureplat"
    assert found.read(f"{VENV}/include/site/python3.13/demo/demo.h") == b"h"
    assert found.read(f"{VENV}/share/demo/x") == b"share"
    assert found.read(f"{VENV}/bin/old") == f"#!{PYTHON}\nprint(1)\n".encode()
    assert found.read(f"{VENV}/bin/shell") == b"#!/bin/sh\n"
    script = found.read(f"{VENV}/bin/demo").decode()
    assert script.startswith(f"#!{PYTHON}\n")
    assert "from demo.cli import main" in script
    assert "sys.exit(App.run())" in found.read(f"{VENV}/bin/deep").decode()
    assert {found.mode(f"{VENV}/bin/{name}") for name in ("demo", "deep", "old", "shell")} == {
        0o755
    }


def test_the_record_names_every_file_and_proves_it(tmp_path: Path) -> None:
    found = Installed(
        tmp_path,
        wheel(
            files={
                "demo/__init__.py": b"",
                "demo-1.0.data/data/share/x": b"x",
                "demo-1.0.data/headers/d.h": b"h",
            },
            scripts={"demo": "demo:main"},
        ),
    )
    rows = {row[0]: row[1:] for row in found.record()}
    mine = {p for p, owner in found.site.owners.items() if owner == "demo 1.0"}
    assert {resolved(path) for path in rows} == mine
    for path, (proof, size) in rows.items():
        if path.endswith("RECORD"):
            assert (proof, size) == ("", "")
            continue
        data = found.read(resolved(path))
        digest = urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        assert (proof, size) == (f"sha256={digest}", str(len(data)))


def resolved(path: str) -> str:
    parts = SITE.split("/")
    for part in path.split("/"):
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def test_metadata_says_who_installed_it(tmp_path: Path) -> None:
    info = f"{SITE}/demo-1.0.dist-info"
    made = wheel(
        dist_info={"INSTALLER": b"evil", "direct_url.json": b"{}", "licenses/LICENSE": b"l"}
    )
    plain = Installed(tmp_path, made)
    assert plain.read(f"{info}/INSTALLER") == b"layersmith\n"
    assert f"{info}/direct_url.json" not in plain.site.entries
    assert plain.read(f"{info}/licenses/LICENSE") == b"l"
    direct: dict[str, Any] = json.loads(
        Installed(tmp_path, made, url="https://h.example/x.whl").read(f"{info}/direct_url.json")
    )
    assert direct["url"] == "https://h.example/x.whl"
    assert direct["archive_info"]["hashes"] == {"sha256": made.digest.encoded}


def test_bytecode_of_a_wheel_is_left_out(tmp_path: Path) -> None:
    found = Installed(
        tmp_path, wheel(files={"demo/__init__.py": b"", "demo/__pycache__/x.pyc": b"evil"})
    )
    assert not [path for path in found.site.entries if "__pycache__" in path]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (wheel(scripts={"../../evil": "demo:main"}), "has a script of the name"),
        (wheel(scripts={".wh.python": "demo:main"}), "has a script of the name"),
        (wheel(scripts={"x" * 256: "demo:main"}), "has a script of the name"),
        (wheel(scripts={"evil": "demo:main; import os"}), "no module:function"),
        (wheel(scripts={"evil": "demo"}), "no module:function"),
        (wheel(dist_info={"entry_points.txt": b"x"}), "cannot be installed"),
        (
            wheel(dist_info={"WHEEL": b"Wheel-Version: 9.0\n"}),
            r"installed: Incompatible Wheel-Version",
        ),
        (wheel(files={"demo-1.0.data/odd/x": b""}), "cannot be installed"),
        (wheel(files={"demo-1.0.data/data/pyvenv.cfg": b""}), "the virtual environment both bring"),
        (wheel(files={"demo-1.0.data/scripts/python": b""}), "the virtual environment both bring"),
        (wheel(files={"x.py": b"", "demo-1.0.data/purelib/x.py": b""}), "brings .* twice"),
        (wheel(files={"demo-1.0.data/data/lib64/x": b""}), "a directory of that name"),
    ],
)
def test_wheels_that_cannot_be_installed(made: Made, message: str, tmp_path: Path) -> None:
    with pytest.raises(WheelError, match=message) as caught:
        Installed(tmp_path, made)
    assert caught.value.exit_code == 7


def test_two_distributions_cannot_own_one_file(tmp_path: Path) -> None:
    one, other = (
        wheel("one", files={"tests/__init__.py": b""}),
        wheel("other", files={"tests/__init__.py": b"x"}),
    )
    with pytest.raises(WheelError, match=r"other 1\.0 and one 1\.0 both bring") as caught:
        Installed(tmp_path, one, other)
    assert "shared" in caught.value.hint
    found = Installed(tmp_path, one, other, shared=("**/tests/**",))
    assert found.read(f"{SITE}/tests/__init__.py") == b"x"


def test_a_file_where_another_has_a_directory(tmp_path: Path) -> None:
    one, other = wheel("one", files={"lib": b""}), wheel("other", files={"lib/x.py": b""})
    with pytest.raises(WheelError, match="brings the file"):
        Installed(tmp_path, one, other)


def test_every_parent_is_there(tmp_path: Path) -> None:
    entries = with_parents(Installed(tmp_path, wheel()).site.entries)
    for path in entries:
        parent = path.rpartition("/")[0]
        assert not parent or isinstance(entries[parent], Directory)


def test_a_wheel_that_changes_while_it_is_read(tmp_path: Path) -> None:
    made = wheel(files={"demo/x": random.Random(1).randbytes(3 << 20)})  # more than is buffered
    found = Installed(tmp_path, made)
    data = bytearray(made.data)
    data[2 << 20] ^= 1
    (tmp_path / made.filename).write_bytes(data)
    with pytest.raises(WheelError):
        found.read(f"{SITE}/demo/x")


def test_a_launcher_is_a_console_script() -> None:
    text = launcher("shop.main", "App.run").decode()
    assert text.startswith(f"#!{PYTHON}\n")
    assert "from shop.main import App" in text
    assert "sys.exit(App.run())" in text
