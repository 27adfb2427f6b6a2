"""Compiling with an interpreter of this machine: it is given sources, and gives bytecode back.

Nothing is imported or run of what is compiled: ``compile`` reads it. The interpreter starts
without site packages, and reads and writes nothing but its pipes.

Two runs give the same bytes: names and constants get one reference more before they are
written, for marshal writes an object in another way if it is the only one that knows it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from layersmith.apps.bytecode import cached_name, sources
from layersmith.errors import InvalidInput, one_line
from layersmith.rootfs.entries import File, Meta

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from layersmith.apps.interpreter import Interpreter
    from layersmith.rootfs.entries import Entry
    from layersmith.rootfs.tree import Contents

__all__ = ["Compiler", "compiled", "find_compiler"]

_QUESTION: Final = """
import sys
magic = sys.modules["_frozen_importlib_external"].MAGIC_NUMBER
print(int.from_bytes(magic[:2], "little"), sys.implementation.name, sys.version.split()[0])
"""
# Frames: a length of eight bytes, and as many bytes. A name and a source go in, bytecode comes
# out; of what is no Python of this version, an empty frame.
_PROGRAM: Final = """
import sys
sys.path[:] = filter(None, sys.path)  # its own library: identifiers and encodings need it
import _imp, marshal
magic = sys.modules["_frozen_importlib_external"].MAGIC_NUMBER
token = int.from_bytes(magic, "little")
read, write = sys.stdin.buffer, sys.stdout.buffer

def frame():
    head = read.read(8)
    return read.read(int.from_bytes(head, "little")) if head else None

def held(value, kept):
    kept.append(value)
    if isinstance(value, (tuple, frozenset)):
        for item in value:
            held(item, kept)
    elif isinstance(value, slice):
        held((value.start, value.stop, value.step), kept)
    elif hasattr(value, "co_code"):
        for name in ("consts", "names", "varnames", "cellvars", "freevars", "filename", "name",
                     "qualname", "linetable", "exceptiontable"):
            held(getattr(value, "co_" + name, None), kept)

while (name := frame()) is not None:
    source = frame()
    try:
        code = compile(source, name.decode("utf-8", "surrogateescape"), "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        data = b""
    else:
        kept = []
        held(code, kept)
        data = magic + bytes((1, 0, 0, 0)) + _imp.source_hash(token, source) + marshal.dumps(code)
    write.write(len(data).to_bytes(8, "little") + data)
    write.flush()
"""
_OPTIONS: Final = ("-s", "-S", "-B", "-W", "ignore", "-c")
_KEPT: Final = ("PATH", "HOME")  # that which starts an interpreter may itself be a script
_LONGEST: Final = 30  # seconds until it says who it is
_MOST: Final = 256 << 20


@dataclass(frozen=True, slots=True)
class Compiler:
    """A program that compiles for `magic`, and its version: another one may compile better."""

    program: str
    magic: int
    version: str

    def compile(self, files: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
        """Yield the .pyc of each file, its name as the image has it; empty for no Python."""
        try:
            with self._started() as process:
                try:
                    for name, source in files:
                        self._give(process, name.encode("utf-8", "surrogateescape"), source)
                        yield self._answer(process)
                finally:
                    process.kill()
        except OSError as error:  # also of closing what could not be written
            raise self._broken(error.strerror or str(error)) from None

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - the user's own interpreter, no shell
            [self.program, *_OPTIONS, _PROGRAM],
            cwd="/",
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def _give(self, process: subprocess.Popen[bytes], *parts: bytes) -> None:
        assert process.stdin is not None
        for part in parts:
            process.stdin.write(len(part).to_bytes(8, "little") + part)
        process.stdin.flush()

    def _answer(self, process: subprocess.Popen[bytes]) -> bytes:
        assert process.stdout is not None
        head = process.stdout.read(8)
        size = int.from_bytes(head, "little")
        if len(head) < 8 or size > _MOST:
            raise self._broken("it ended")
        data = process.stdout.read(size)
        if len(data) < size:
            raise self._broken("it ended")
        return data

    def _broken(self, why: str) -> InvalidInput:
        return InvalidInput(f"{one_line(self.program)} does not compile: {why}")


def compiled(
    compiler: Compiler, entries: Mapping[str, Entry], contents: Contents, interpreter: Interpreter
) -> dict[str, Entry]:
    """Return the bytecode of all sources among `entries`, with their owners."""
    found = list(sources(entries))
    files = ((f"/{path}", contents.read(file)) for path, file in found)
    made: dict[str, Entry] = {}
    for (path, file), data in zip(found, compiler.compile(files), strict=True):
        if data:
            meta = Meta(file.meta.mode & 0o666, file.meta.uid, file.meta.gid)
            made[cached_name(path, interpreter)] = File(meta, data)
    return made


def find_compiler(interpreter: Interpreter, magic: int | None, given: str) -> Compiler:
    """Return the interpreter to compile with: `given`, or one on PATH.

    Raises :class:`InvalidInput` that says which one is wanted.
    """
    if magic is None:
        raise InvalidInput(f"nobody knows the bytecode of Python {interpreter.short} yet")
    names = [given] if given else [f"python{interpreter.short}", "python3", "python"]
    for name in names:
        program = shutil.which(name)
        found = _asked(program) if program else None
        if program and found and found[0] == str(magic) and found[1] == "cpython":
            return Compiler(program, magic, found[2])
    wrong = f"{one_line(given)} is none" if given else "there is none on PATH"
    raise InvalidInput(
        f"bytecode for Python {interpreter.version} needs an interpreter with the magic number "
        f"{magic}, and {wrong}",
        hint=f"install any CPython {interpreter.short} here, or name one: --python PROGRAM",
    )


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}


def _asked(program: str) -> list[str] | None:
    """Return magic number, implementation and version; None if it does not say."""
    try:
        done = subprocess.run(  # noqa: S603 - as above
            [program, *_OPTIONS, _QUESTION],
            cwd="/",
            env=_environment(),
            capture_output=True,
            check=False,
            timeout=_LONGEST,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    words = done.stdout.decode("utf-8", "replace").split()
    return words if done.returncode == 0 and len(words) == 3 else None
