"""The program that imports everything, run by this Python on modules that were made for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = files("layersmith.sandbox.inside").joinpath("imports.py").read_text("utf-8")
MODULES = {
    "zz_good.py": "",
    "zz_loud.py": "print('loud'); import sys; print('e', file=sys.stderr); sys.stdin.read()",
    "zz_wants.py": "import zz_absent",
    "zz_raises.py": "raise RuntimeError('at once')",
    "zz_leaves.py": "import sys; sys.exit(0)",
    "zz_dies.py": "import os; os._exit(0)",
    "zz_killed.py": "import os; os.kill(os.getpid(), 9)",
    "zz_hangs.py": "import time; time.sleep(60)",
    "zz_pack/__init__.py": "",
    "zz_pack/fine.py": "",
    "zz_pack/windows.py": "import winreg",
    "zz_pack/optional.py": "from zz_absent.thing import x",
    "zz_pack/deep/__init__.py": "raise OSError('not here')",
    "zz_pack/tests/test_x.py": "raise AssertionError",
    "zz_space/part/__init__.py": "import zz_absent",
    "zz_space/part/inner.py": "",
    "zz-dash/x.py": "raise AssertionError",
    "zz_tk.py": "raise ImportError('libtk8.6.so: cannot open shared object file', path='/_tkinter.so')",
    "zz_native.cpython-399-none.so": "",
}


def run(
    folder: Path, *globs: str, known: tuple[str, ...] = (), leave: tuple[str, ...] = (), **more: Any
) -> dict[str, Any]:
    asked = {"imports": globs, "except": leave, "seconds": 30, "all": False, "known": known, **more}
    done = subprocess.run(
        [sys.executable, "-B", "-c", SOURCE],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={"PYTHONPATH": str(folder), "PATH": os.defpath, "PYTHONUSERBASE": str(folder / "user")},
    )
    assert done.returncode == 0, done.stderr
    value: dict[str, Any] = json.loads(done.stdout)
    return value


@pytest.fixture
def made(tmp_path: Path) -> Path:
    for name, text in MODULES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "zz_linked.py").symlink_to(tmp_path / "zz_good.py")
    return tmp_path


def test_everything_is_imported_whatever_the_others_do(made: Path) -> None:
    found = run(made, "zz_*", seconds=3)
    assert found["failed"] == {
        "zz_wants": "wants zz_absent, which is not in the image",
        "zz_raises": "RuntimeError: at once",
        "zz_leaves": "SystemExit: 0",
        "zz_dies": "ends Python: exit code 0",
        "zz_killed": "ends Python: signal 9",
        "zz_hangs": "takes more than 3 seconds",
        "zz_space.part": "wants zz_absent, which is not in the image",
    }
    assert set(found["noted"]) == {
        "zz_pack.windows",
        "zz_pack.optional",
        "zz_pack.deep",
        "zz_space.part.inner",
        "zz_tk",
    }
    assert found["imported"] == 5  # good, linked, loud, pack, pack.fine
    assert found["version"] == sys.version.split()[0]


def test_an_extension_that_cannot_be_loaded_fails(made: Path) -> None:
    import importlib.machinery

    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    for name in ("zz_ext", "zz_pack/_ext"):
        (made / f"{name}{suffix}").write_bytes(b"\x7fELF no library")
    (made / "zz_pack" / "front.py").write_text("from . import _ext")
    found = run(made, "zz_ext", "zz_pack._ext", "zz_pack.front")
    assert set(found["failed"]) == {"zz_ext", "zz_pack._ext", "zz_pack.front"}
    assert "ImportError" in found["failed"]["zz_pack.front"]


def test_what_the_user_has_of_his_own_is_imported_too(made: Path) -> None:
    place = made / "user" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    (place / "site-packages").mkdir(parents=True)
    (place / "site-packages" / "zz_mine.py").write_text("import zz_absent")
    assert set(run(made, "zz_mine")["failed"]) == {"zz_mine"}


def test_what_is_chosen_is_imported(made: Path) -> None:
    found = run(made, "zz_pack*", leave=("zz_pack.[!f]*",))
    assert (found["imported"], found["failed"], found["noted"]) == (2, {}, {})


def test_files_that_were_imported_elsewhere_are_left_alone(made: Path) -> None:
    found = run(made, "zz_[grw]*", known=(str(made / "zz_raises.py"), str(made / "zz_good.py")))
    assert found["known"] == 2
    assert found["imported"] == 0
    assert set(found["failed"]) == {"zz_wants"}


def test_what_one_is_and_may_is_told(made: Path) -> None:
    found = run(made, "zz_good", all=True)
    assert found["user"] == [os.getuid(), os.getgid()]
    assert isinstance(found["certificates"], int | str)
    assert isinstance(found["writable"], list)
