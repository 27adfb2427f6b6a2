"""Applications run, on both platforms, and no code of theirs runs while they are built."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fixtures import build, registry, sandbox
from tests.build.wheels import EXECUTABLE, Made, pylock, requirements, wheel
from tests.fakes.package_index import serve_index
from tests.interop.conftest import ARCHITECTURES, emulator, layersmith
from tests.interop.peers import need
from tests.reliability.traces import mapped, ours, started, strace

pytestmark = pytest.mark.interop

# Whoever executes any of these leaves a trace: a file beside the wheels.
TRAP = b"open('trapped', 'w').close()\n"
GREETING = b"""
import importlib.metadata, sys
def main():
    print(importlib.metadata.version("greeting"), sys.argv[1:])
    return 3
"""
MAIN = """
import importlib.metadata, json, os, sys
import greeting
def run():
    files = importlib.metadata.files("greeting")
    print(json.dumps({
        "argv": sys.argv[1:],
        "prefix": sys.prefix,
        "executable": sys.executable,
        "whole": all(os.path.exists(file.locate()) for file in files),
        "answer": greeting.answer,
        "data": open(os.path.join(sys.prefix, "share", "greeting.txt")).read(),
        "cwd": os.getcwd(),
        "mode": os.environ["MODE"],
        "writable": os.access("/app", os.W_OK),
    }))
"""


def wheels() -> tuple[Made, ...]:
    """Return a pure wheel with a script, and one with a module for each platform."""
    pure = wheel(
        "greeting",
        files={
            "greeting/__init__.py": b"answer = 42\n",
            "greeting/cli.py": GREETING,
            "greeting-1.0.data/data/share/greeting.txt": b"hello\n",
            "greeting-1.0.data/scripts/old-greeting": b"#!python\nprint('old')\n",
            "setup.py": TRAP,
            "greeting.pth": b"",
        },
        scripts={"greet": "greeting.cli:main"},
        modes={"greeting-1.0.data/scripts/old-greeting": EXECUTABLE},
    )
    native = [
        wheel(
            "native",
            files={"native.py": f"machine = {name!r}\n".encode()},
            tag=f"cp313-cp313-manylinux_2_17_{name}",
        )
        for name in ("x86_64", "aarch64", "s390x")
    ]
    return (pure, *native)


@dataclass(frozen=True)
class Shop:
    """An application that was built: its folder, and what was said of it."""

    folder: Path
    document: dict[str, Any]


def write_shop(folder: Path, images: build.Fixtures) -> None:
    for each in wheels():
        each.write(folder / "wheels")
    (folder / "pylock.toml").write_text(pylock(*wheels()))
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "main.py").write_text(MAIN)
    (folder / "layersmith.toml").write_text(
        f'target = "3.13-debian13"\nbase = "oci:{images.base}:latest"\n'
        f'builder = "oci:{images.builder}:3.13-slim-trixie"\n'
        '[app]\nlock = "pylock.toml"\nsource = "src"\nentrypoint = "main:run"\ncmd = ["a b", "c"]\n'
        '[app.env]\nMODE = "production"\n'
    )


@pytest.fixture(scope="module")
def shop(peers: None, images: build.Fixtures, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("shop")
    write_shop(folder, images)
    done = app_build(folder)
    assert done.code == 0, done.err
    return Shop(folder, done.document)


def app_build(folder: Path, *more: str, prefix: tuple[str, ...] = (), out: str = "out") -> Any:
    recipe = str(folder / "layersmith.toml")
    return layersmith(
        "app", "build", "--file", recipe, "--json", "--output", f"oci:{folder}/{out}:shop",
        "--cache-dir", f"{folder}/cache", *more, prefix=prefix,
        env={"PYTHONDONTWRITEBYTECODE": "1", "PIP_CONFIG_FILE": "/dev/null"},
    )  # fmt: skip


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_it_runs(shop: Shop, arch: str, tmp_path: Path) -> None:
    bundle = sandbox.unpack(shop.folder / "out", "shop", arch, tmp_path / arch)

    done = sandbox.run(bundle, bundle.command, emulator=emulator(arch))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "argv": ["a b", "c"],
        "prefix": "/app/.venv",
        "executable": "/app/.venv/bin/python",
        "whole": True,
        "answer": 42,
        "data": "hello\n",
        "cwd": "/app",
        "mode": "production",
        "writable": False,
    }

    python = "/app/.venv/bin/python"
    script = sandbox.run(bundle, [python, "/app/.venv/bin/greet", "x"], emulator=emulator(arch))
    assert (script.returncode, script.stdout) == (3, "1.0 ['x']\n"), script.stderr
    machine = sandbox.run(
        bundle, [python, "-c", "import native; print(native.machine)"], emulator=emulator(arch)
    )
    assert machine.stdout == {"amd64": "x86_64\n", "arm64": "aarch64\n"}[arch], machine.stderr
    if emulator(arch) is None:
        # The kernel reads the first line of scripts; an emulator of one program does not.
        old = sandbox.run(bundle, ["/app/.venv/bin/old-greeting"])
        assert old.stdout == "old\n", old.stderr


@pytest.fixture(scope="module")
def same_python(
    bundles: Callable[[str, str], sandbox.Bundle], tmp_path_factory: pytest.TempPathFactory
) -> str:
    """The builder's own interpreter as a program of this machine."""
    if emulator("amd64") is not None:
        pytest.skip("the interpreter is of amd64")
    root = bundles("builder", "amd64").rootfs
    program = tmp_path_factory.mktemp("python") / "python3.13"
    program.write_text(
        "#!/bin/sh\n"
        f"PYTHONHOME={root}/usr/local exec {root}/usr/lib64/ld-linux-x86-64.so.2 "
        f"--library-path {root}/usr/lib/x86_64-linux-gnu:{root}/usr/local/lib "
        f'{root}/usr/local/bin/python3.13 "$@"\n'
    )
    program.chmod(0o755)
    return str(program)


def test_bytecode_is_used_and_is_the_same_each_time(
    shop: Shop, images: build.Fixtures, same_python: str, tmp_path: Path
) -> None:
    folder = tmp_path / "shop"
    write_shop(folder, images)
    again = app_build(folder, "--bytecode", "--python", same_python)
    assert again.code == 0, again.err
    done = app_build(shop.folder, "--bytecode", "--python", same_python, out="compiled")
    assert done.document["digest"] == again.document["digest"]
    assert done.document["digest"] != shop.document["digest"]

    for arch in ARCHITECTURES:
        bundle = sandbox.unpack(shop.folder / "compiled", "shop", arch, tmp_path / arch)
        python = bundle.command[0]
        run = sandbox.run(
            bundle,
            [python, "-v", "-c", "import json, main, greeting.cli, native"],
            emulator=emulator(arch),
        )
        assert run.returncode == 0, run.stderr
        loaded = {
            line for line in run.stderr.splitlines() if line.startswith("# code object from ")
        }
        assert not [line for line in loaded if ".py'" in line]
        for name in (
            "/app/__pycache__/main",
            "greeting/__pycache__/cli",
            "json/__pycache__/decoder",
        ):
            assert any(f"{name}.cpython-313.pyc" in line for line in loaded), name
        whole = sandbox.run(bundle, bundle.command, emulator=emulator(arch))
        assert json.loads(whole.stdout)["answer"] == 42, whole.stderr


def test_the_wrong_interpreter_is_no_compiler(shop: Shop) -> None:
    done = app_build(shop.folder, "--bytecode", "--python", "/bin/true", out="never")
    assert done.code == 2
    assert "magic number 3571" in done.err
    assert "--python" in done.err


def test_the_module_venv_agrees(shop: Shop, tmp_path: Path) -> None:
    bundle = sandbox.unpack(shop.folder / "out", "shop", "amd64", tmp_path / "amd64")
    if emulator("amd64") is not None:
        pytest.skip("the bundle is of amd64")
    compare = """
import json, os, venv
venv.create("/tmp/venv", symlinks=True, with_pip=False)
def look(top):
    return {name: os.readlink(path) if os.path.islink(path := os.path.join(top, "bin", name)) else ""
            for name in ("python", "python3", "python3.13")}
def config(top):
    pairs = dict(line.split(" = ", 1) for line in open(top + "/pyvenv.cfg").read().splitlines())
    return {key: pairs[key] for key in ("home", "include-system-site-packages")}
resolve = lambda top: os.path.realpath(top + "/bin/python")
print(json.dumps([[config(t), resolve(t), os.readlink(t + "/lib64")] for t in ("/tmp/venv", "/app/.venv")]))
"""
    done = sandbox.run(bundle, ["/usr/local/bin/python3", "-c", compare])
    assert done.returncode == 0, done.stderr
    theirs, ours = json.loads(done.stdout)
    assert ours == theirs


def test_no_code_of_a_wheel_runs_while_it_is_built(
    shop: Shop, images: build.Fixtures, tmp_path: Path
) -> None:
    folder, trace = tmp_path / "shop", tmp_path / "trace"
    write_shop(folder, images)
    need("strace")
    prefix = strace(
        trace, "execve", "execveat", "mmap", "memfd_create", "open", "openat", "creat", "rename", "renameat",
        "renameat2", "mkdir", "mkdirat", "symlink", "symlinkat", "link", "linkat",
    )  # fmt: skip
    done = app_build(folder, prefix=prefix)
    assert done.code == 0, done.err
    assert done.document["digest"] == shop.document["digest"]

    lines = trace.read_text(errors="replace").splitlines()
    assert started(trace) == []
    assert mapped(trace, ours()) == []
    made = re.compile(r"(?:O_CREAT|rename\w*\(|mkdir\w*\(|link\w*\()")
    written = [
        name
        for line in lines
        if " = -1 " not in line and made.search(line)
        for name in re.findall(r'"(/[^"]*)"', line)
    ]
    allowed = (f"{folder}/cache", f"{folder}/out", "/dev/null")
    assert [name for name in written if not name.startswith(allowed)] == []
    names = {Path(name).name for name in written}
    assert not names & {"greet", "cli.py", "setup.py", "greeting.pth", "RECORD", "python"}
    assert not list(tmp_path.rglob("trapped"))


def test_it_is_pushed_pulled_and_run_by_others(
    shop: Shop, served: registry.Registry, tmp_path: Path
) -> None:
    repository = f"{served.host}/team/shop:1.0"
    done = app_build(shop.folder, "--push", repository)
    assert done.code == 0, done.err
    assert done.document["digest"] == shop.document["digest"]
    subprocess.run(
        [need("skopeo"), "--insecure-policy", "copy", "--quiet", "--all", "--src-tls-verify=false",
         f"docker://{repository}", f"oci:{tmp_path}/pulled:shop"],
        check=True,
    )  # fmt: skip
    index = json.loads((tmp_path / "pulled" / "index.json").read_text())
    assert [each["digest"] for each in index["manifests"]] == [shop.document["digest"]]
    if os.geteuid() != 0 or emulator("amd64") is not None:
        pytest.skip("runc with true owners needs root, and the bundle is of amd64")
    subprocess.run(
        [need("skopeo"), "--insecure-policy", "--override-arch", "amd64", "copy", "--quiet",
         f"oci:{tmp_path}/pulled:shop", f"oci:{tmp_path}/single:x"],
        check=True,
    )  # fmt: skip
    bundle = tmp_path / "bundle"
    subprocess.run([need("umoci"), "unpack", "--image", f"{tmp_path}/single:x", bundle], check=True)
    path = bundle / "config.json"
    config = json.loads(path.read_text())
    assert config["process"]["user"] == {"uid": 1000, "gid": 1000}
    config["process"]["terminal"] = False
    config["root"]["readonly"] = True
    path.write_text(json.dumps(config))
    ran = subprocess.run(
        [need("runc"), "run", "--bundle", bundle, f"layersmith-app-{os.getpid()}"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["answer"] == 42


def test_an_index_and_a_lock_of_hashes_give_the_same(shop: Shop) -> None:
    (shop.folder / "requirements.txt").write_text(
        requirements(wheels()[0])
        + "native==1.0"
        + "".join(f" --hash={w.digest}" for w in wheels()[1:])
        + "\n"
    )
    with serve_index(*wheels()) as index:
        done = layersmith(
            "app", "build", "--file", str(shop.folder / "layersmith.toml"), "--json",
            "--dependencies", str(shop.folder / "requirements.txt"),
            "--output", f"oci:{shop.folder}/other:shop", "--cache-dir", f"{shop.folder}/cold",
            env={"PIP_CONFIG_FILE": "/dev/null", "PIP_INDEX_URL": index.url},
        )  # fmt: skip
    assert done.code == 0, done.err
    assert done.document["digest"] == shop.document["digest"]
