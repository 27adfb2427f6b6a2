"""The result runs: every module imports and the runtime does its work, on both platforms."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixtures import sandbox
from tests.interop.conftest import ARCHITECTURES, TARGET, Assembled, emulator, layersmith
from tests.interop.peers import need

pytestmark = pytest.mark.interop

Bundles = Callable[[str, str], sandbox.Bundle]
INSIDE = Path(__file__).with_name("inside.py").read_text()
# What is left out on purpose, with CPython's own test modules.
LEFT_OUT = {"_tkinter", "tkinter", "turtle", "turtledemo", "ensurepip"}
TEST_MODULES = {"_ctypes_test", "_xxtestfuzz", "xxlimited", "xxlimited_35", "xxsubtype"}


@pytest.fixture(scope="module")
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of bytecode for all runs here: compiling under an emulator takes minutes."""
    return tmp_path_factory.mktemp("bytecode")


def report(
    bundle: sandbox.Bundle, arch: str, bytecode: Path | None, *arguments: str
) -> dict[str, Any]:
    done = sandbox.run(
        bundle,
        ["/usr/local/bin/python3", "-W", "ignore", "-c", INSIDE, *arguments],
        emulator=emulator(arch),
        shared=bytecode,
        env={"PYTHONPYCACHEPREFIX": "/tmp/shared", "PYTHONDONTWRITEBYTECODE": ""},
    )
    assert done.returncode == 0, done.stderr
    value: dict[str, Any] = json.loads(done.stdout)
    return value


def check(found: dict[str, Any]) -> None:
    assert found["sqlite"] == 42
    assert found["tls"] > 100
    assert found["terminal"] == 256
    assert found["zones"] == ["2:00:00", "-1 day, 20:00:00"]
    assert found["native"] == [5, 42]
    assert found["processes"] == 42
    assert found["read_only"] is True
    assert found["compressed"] is True
    assert found["locale"] == ["C.UTF-8", "utf-8"]
    assert found["databases"] == ["smith", "smith"]
    assert found["hashes"] == "e3b0c442"
    assert found["configuration"][1] == "/usr/local"
    assert found["person"][:3] == [1000, 1000, "monty"]


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_it_imports_what_the_builder_imports_and_works(
    arch: str, bundles: Bundles, bytecode: Path
) -> None:
    # amd64 comes first and fills the cache: the sources are the same on both platforms.
    ours = report(bundles("result", arch), arch, bytecode)
    theirs = report(bundles("builder", "amd64"), "amd64", None, "modules")

    missing = set(theirs["imported"]) - set(ours["imported"])
    assert {name for name in missing if not name.startswith("_test")} <= LEFT_OUT | TEST_MODULES
    assert {"sqlite3", "_bz2", "_lzma", "readline", "_curses_panel", "_dbm", "_gdbm", "_uuid"} <= (
        set(ours["imported"])
    )
    assert ours["version"] == theirs["version"]
    check(ours)


@pytest.fixture
def bundle_of_root(assembled: Assembled, tmp_path: Path) -> Path:
    """An unpacked image whose files have their true owners, ready for runc."""
    if os.geteuid() != 0:
        pytest.skip("true owners need root; the sandbox test above covers other users")
    layout, bundle = tmp_path / "single", tmp_path / "bundle"
    subprocess.run(
        [need("skopeo"), "--insecure-policy", "--override-arch", "amd64", "copy", "--quiet",
         f"oci:{assembled.layout}:{TARGET}", f"oci:{layout}:x"],
        check=True,
    )  # fmt: skip
    subprocess.run([need("umoci"), "unpack", "--image", f"{layout}:x", bundle], check=True)
    return bundle


def test_it_runs_under_runc_with_its_own_user(bundle_of_root: Path) -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("the bundle is of amd64")
    path = bundle_of_root / "config.json"
    config = json.loads(path.read_text())
    assert config["process"]["args"] == ["/usr/local/bin/python"]
    assert config["process"]["user"] == {"uid": 1000, "gid": 1000}
    config["process"]["args"] += ["-W", "ignore", "-c", INSIDE]
    config["process"]["terminal"] = False
    config["root"]["readonly"] = True
    tmp = {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"]}
    config["mounts"].append(tmp)
    path.write_text(json.dumps(config))

    done = subprocess.run(
        [need("runc"), "run", "--bundle", bundle_of_root, f"layersmith-{os.getpid()}"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    check(found)
    assert found["person"] == [1000, 1000, "monty", 1000, True]


def test_it_runs_for_an_unprivileged_user(assembled: Assembled) -> None:
    if os.geteuid() != 0:
        pytest.skip("all tests here run unprivileged already")
    work = Path("/tmp") / f"layersmith-unprivileged-{os.getpid()}"
    user = [need("setpriv"), "--reuid=65533", "--regid=65533", "--clear-groups"]
    work.mkdir()
    try:
        subprocess.run(
            [need("skopeo"), "--insecure-policy", "--override-arch", "amd64", "copy", "--quiet",
             f"oci:{assembled.layout}:{TARGET}", f"oci:{work}/single:x"],
            check=True,
        )  # fmt: skip
        subprocess.run(["chown", "-R", "65533:65533", work], check=True)
        subprocess.run(
            [*user, need("umoci"), "unpack", "--rootless", "--image", f"{work}/single:x",
             f"{work}/bundle"],
            check=True, env={"HOME": str(work), "PATH": os.environ["PATH"]},
        )  # fmt: skip
        done = subprocess.run(
            [*user, need("bwrap"), "--unshare-all", "--uid", "1000", "--gid", "1000",
             "--ro-bind", f"{work}/bundle/rootfs", "/", "--proc", "/proc", "--dev", "/dev",
             "--tmpfs", "/tmp", "--clearenv", "--setenv", "LANG", "C.UTF-8",
             "--setenv", "SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt",
             "/usr/local/bin/python", "-W", "ignore", "-c", INSIDE],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        check(json.loads(done.stdout))
    finally:
        shutil.rmtree(work)


def test_the_debug_image_has_the_same_layer_and_a_shell(
    assembled: Assembled, mirrors: tuple[str, ...], tmp_path: Path
) -> None:
    done = layersmith(
        "assemble", f"{TARGET}-debug", *mirrors, "--json", "--output", f"oci:{tmp_path}/debug",
        "--cache-dir", str(assembled.cache),
    )  # fmt: skip
    assert done.code == 0, done.err
    plain = {p["platform"]: p["layer"]["digest"] for p in assembled.document["platforms"]}
    debug = {p["platform"]: p["layer"]["digest"] for p in done.document["platforms"]}
    assert debug == plain

    for arch in ARCHITECTURES:
        bundle = sandbox.unpack(tmp_path / "debug", f"{TARGET}-debug", arch, tmp_path / arch)
        assert bundle.command == ["/usr/local/bin/python"]
        assert bundle.environment["PATH"].endswith(":/busybox")
        shell = sandbox.run(bundle, ["/busybox/sh", "-c", "echo shell"], emulator=emulator(arch))
        assert shell.stdout == "shell\n", shell.stderr
