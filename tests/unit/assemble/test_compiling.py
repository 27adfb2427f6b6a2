"""Bytecode by an interpreter of this machine: right, unchecked, and the same each time."""

from __future__ import annotations

import importlib.util
import marshal
import subprocess
import sys
import types
from typing import TYPE_CHECKING

import pytest
from tests.build.tree import root

from layersmith.apps.bytecode import cached_name, library_sources, magic_number
from layersmith.apps.interpreter import Interpreter
from layersmith.assemble.compiling import Compiler, compiled, find_compiler
from layersmith.errors import InvalidInput
from layersmith.rootfs.entries import File, Meta
from layersmith.rootfs.tree import MemoryContents

if TYPE_CHECKING:
    from pathlib import Path

HERE = Interpreter(sys.version.split()[0].rstrip("+"), "x86_64", (2, 41))
MAGIC = int.from_bytes(importlib.util.MAGIC_NUMBER[:2], "little")
SOURCES = {
    "app/one.py": b"answer = 6 * 7\ndef f(x): return x in {'a', 'b', 'c d', 1.5} and (1, 'two words')\n",
    "app/two.py": "größe = 1\n".encode(),
    "app/three.py": b"# -*- coding: latin-1 -*-\ntext = '\xe9'\n",
    "app/empty.py": b"",
    "app/four.py": b"print 'not Python 3'\n",
    "app/nul.py": b"\0",
    "app/text.txt": b"not a source",
}


def entries(*names: str) -> dict[str, File]:
    return {name: File(Meta(0o755, 5, 6), SOURCES[name]) for name in names or SOURCES}


def compiler() -> Compiler:
    return find_compiler(HERE, MAGIC, sys.executable)


def test_bytecode_is_what_its_source_says() -> None:
    made = compiled(compiler(), entries(), MemoryContents(), HERE)
    tag = f"cpython-3{HERE.minor}"
    assert made.keys() == {
        f"app/__pycache__/{n}.{tag}.pyc" for n in ("one", "two", "three", "empty")
    }
    for name in ("one", "three"):
        entry = made[f"app/__pycache__/{name}.{tag}.pyc"]
        assert isinstance(entry, File)
        assert entry.meta == Meta(0o644, 5, 6)
        data = entry.content
        assert isinstance(data, bytes)
        assert data[:4] == importlib.util.MAGIC_NUMBER
        assert data[4:8] == b"\1\0\0\0"  # hash-based, and not to be checked (PEP 552)
        assert data[8:16] == importlib.util.source_hash(SOURCES[f"app/{name}.py"])
        code = marshal.loads(data[16:])
        assert isinstance(code, types.CodeType)
        assert code.co_filename == f"/app/{name}.py"
        found: dict[str, object] = {}
        exec(code, found)
        assert found.get("answer", 42) == 42
        assert found.get("text", "é") == "é"


def test_what_was_compiled_before_does_not_matter() -> None:
    together = compiled(compiler(), entries(), MemoryContents(), HERE)
    for name in ("app/one.py", "app/three.py"):
        alone = compiled(compiler(), entries(name), MemoryContents(), HERE)
        path = cached_name(name, HERE)
        assert alone[path] == together[path]


def test_nothing_of_a_source_runs(tmp_path: Path) -> None:
    trap = f"open({str(tmp_path / 'trapped')!r}, 'w')\n".encode()
    compiled(compiler(), {"app/x.py": File(Meta(0o644), trap)}, MemoryContents(), HERE)
    assert not list(tmp_path.iterdir())


def test_the_wrong_interpreter_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match=rf"magic number {MAGIC + 1}, and .* is none") as caught:
        find_compiler(HERE, MAGIC + 1, sys.executable)
    assert f"CPython {HERE.short}" in caught.value.hint
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(InvalidInput, match="none on PATH"):
        find_compiler(HERE, MAGIC, "")
    with pytest.raises(InvalidInput, match="nobody knows"):
        find_compiler(HERE, None, "")


def test_an_interpreter_that_dies(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    with pytest.raises(InvalidInput, match="does not compile"):
        list(Compiler(str(program), MAGIC, "x").compile([("/x.py", b"x" * 1_000_000)]))


def test_the_image_s_own_number() -> None:
    thirteen = Interpreter("3.13.5", "x86_64", (2, 41))
    place = "usr/local/lib/python3.13/importlib/_bootstrap_external.py"
    for text in (
        b"x = 1\n_RAW_MAGIC_NUMBER = 3571\n",
        b"MAGIC_NUMBER = (3571).to_bytes(2, 'little')\n",
    ):
        assert magic_number(root({place: text}), thirteen) == 3571
    assert magic_number(root({}), Interpreter("3.14.0", "x86_64", (2, 41))) == 3627
    assert magic_number(root({}), Interpreter("3.40.0", "x86_64", (2, 41))) is None


def test_this_interpreter_s_own_library_agrees() -> None:
    text = subprocess.run(
        [sys.executable, "-c", "import importlib._bootstrap_external as m; print(open(m.__file__).read())"],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    place = f"usr/local/lib/python{HERE.short}/importlib/_bootstrap_external.py"
    assert magic_number(root({place: text}), HERE) == MAGIC


def test_a_library_that_has_bytecode_needs_none() -> None:
    thirteen = Interpreter("3.13.5", "x86_64", (2, 41))
    home = "usr/local/lib/python3.13"
    bare = {
        f"{home}/os.py": b"",
        f"{home}/idlelib/x.py": b"",
        f"{home}/a/b.py": b"",
        f"{home}/x.txt": b"",
    }
    assert set(library_sources(root(bare), thirteen)) == {f"{home}/os.py", f"{home}/a/b.py"}
    full = {**bare, f"{home}/__pycache__/os.cpython-313.pyc": b""}
    assert library_sources(root(full), thirteen) == {}
