"""Import everything that is in an image, and see who and where one is: one JSON document.

Run by the image's Python with what is wanted as a JSON document on stdin: globs of modules to
import, globs of others, files to leave alone, and how many seconds a module may take. Modules are imported in one
process; where one of them ends or hangs it, another goes on behind it.

A module fails that stands by itself, or is an extension, or wants a shared library that
cannot be loaded. One inside a package may want what is optional, one of the library whose name
begins with _ may be for another system, and Tk's libraries are in no official image of Python:
that is only noted.
"""

from __future__ import annotations

import fnmatch
import importlib
import importlib.machinery
import json
import os
import select
import signal
import site
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

# What imports act at once, or is for CPython's own tests.
SKIPPED = {"antigravity", "this", "test", "tests", "idle_test", "__main__", "__pycache__"}
TK = ("libtk", "libtcl")
SUFFIXES = sorted(importlib.machinery.EXTENSION_SUFFIXES, key=len, reverse=True)


def module_of(name: str) -> tuple[str, bool]:
    """Return the module that a file is, and whether it is native; or ``("", False)``."""
    for suffix in SUFFIXES:
        if name.endswith(suffix):
            return name[: -len(suffix)], True
    return (name[:-3], False) if name.endswith(".py") else ("", False)


def walk(folder: str, prefix: str, alone: bool, found: dict[str, tuple[bool, bool, str]]) -> None:
    """Add the modules of a directory to `found`: name -> (stands alone, native, file)."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in names:
        path = os.path.join(folder, name)
        module, native = module_of(name)
        if not module and os.path.isdir(path):
            if not name.isidentifier() or name in SKIPPED:
                continue
            inits = (os.path.join(path, "__init__" + end) for end in [".py", *SUFFIXES])
            package = next(filter(os.path.exists, inits), "")
            if package:
                found.setdefault(prefix + name, (alone, not package.endswith(".py"), package))
            # What lies in no package stands by itself, however deep.
            walk(path, prefix + name + ".", alone and not package, found)
        elif module.isidentifier() and module not in SKIPPED and module != "__init__":
            found.setdefault(prefix + module, (alone, native, path))


def modules() -> dict[str, tuple[bool, bool, str]]:
    """Return every module that is in the image."""
    found = {name: (True, True, "") for name in sys.builtin_module_names}
    library = os.path.dirname(os.__file__)
    for folder in sys.path:
        if folder and os.path.isdir(folder):
            mine: dict[str, tuple[bool, bool, str]] = {}
            walk(folder, "", True, mine)
            if os.path.realpath(folder) == os.path.realpath(library):
                # Its directories that are no packages hold no modules.
                mine = {
                    name: (alone and (native or not name.startswith("_")), native, path)
                    for name, (alone, native, path) in mine.items()
                    if not alone or "." not in name
                }
            for name, what in mine.items():
                found.setdefault(name, what)
    return {name: what for name, what in found.items() if name.split(".")[0] not in SKIPPED}


def judged(error: BaseException, alone: bool, native: bool, known: set[str]) -> tuple[bool, str]:
    """Return whether an exception is a failure, and what it says."""
    said = "%s: %s" % (type(error).__name__, error)
    missing = getattr(error, "name", None)
    if isinstance(error, ModuleNotFoundError) and missing and missing.split(".")[0] not in known:
        said = "wants %s, which is not in the image" % missing
    elif isinstance(error, ImportError) and str(error).startswith(TK):
        return False, said[:500]
    elif isinstance(error, ImportError) and str(getattr(error, "path", "")).endswith(
        tuple(SUFFIXES)
    ):
        return True, said[:500]
    return alone or native, said[:500]


def work(todo: list[tuple[str, tuple[bool, bool, str]]], known: set[str], pipe: int) -> None:
    """Import modules, and tell of each when it begins and how it ended."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    for name, (alone, native, _) in todo:
        os.write(pipe, (json.dumps([name]) + "\n").encode())
        try:
            importlib.import_module(name)
        except BaseException as error:
            failed, said = judged(error, alone, native, known)
            answer = [name, failed, said]
        else:
            answer = [name, False, ""]
        os.write(pipe, (json.dumps(answer) + "\n").encode())
    os._exit(0)


def lines(pipe: int, seconds: float) -> Iterator[list[Any] | None]:
    """Yield what a worker tells; stop where it is silent for too long."""
    rest = b""
    while select.select([pipe], [], [], seconds)[0]:
        piece = os.read(pipe, 1 << 16)
        if not piece:
            return
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield json.loads(line)
    yield None


def import_all(
    wanted: dict[str, tuple[bool, bool, str]], there: Iterable[str], seconds: float
) -> tuple[int, dict[str, str], dict[str, str]]:
    """Import what is wanted; return how many were, and what failed or is to be noted."""
    known = {name.split(".")[0] for name in there}
    todo = sorted(wanted.items())
    imported = 0
    failed: dict[str, str] = {}
    noted: dict[str, str] = {}
    while todo:
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.close(reader)
            try:
                work(todo, known, writer)
            finally:
                os._exit(1)
        os.close(writer)
        at, done, hung = None, set(), False
        for line in lines(reader, seconds):
            if line is None:
                hung = True
                os.kill(child, signal.SIGKILL)
                break
            at = line[0]
            if len(line) == 1:
                continue
            done.add(at)
            if line[2]:
                (failed if line[1] else noted)[at] = line[2]
            else:
                imported += 1
            at = None
        os.close(reader)
        status = os.waitpid(child, 0)[1]
        if at is not None:
            done.add(at)
            how = "exit code %d" % (status >> 8) if status >> 8 else "signal %d" % (status & 127)
            if not status:
                how = "exit code 0"
            failed[at] = "takes more than %d seconds" % seconds if hung else "ends Python: " + how
        elif len(done) < len(todo):
            failed["(all)"] = "the process that imports ended: %d" % status
            break
        todo = [each for each in todo if each[0] not in done]
    return imported, failed, noted


def certificates() -> object:
    """Return how many authorities a default context trusts."""
    try:
        import ssl
    except ImportError as error:
        return str(error)
    try:
        return len(ssl.create_default_context().get_ca_certs())
    except Exception as error:
        return "%s: %s" % (type(error).__name__, error)


def writable() -> list[str]:
    """Return those directories that must not be changed and can be."""
    found = []
    for folder in {"/", "/etc", "/usr", "/dev", sys.prefix, os.path.dirname(os.__file__)}:
        path = os.path.join(folder, ".layersmith-test")
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        except OSError:
            continue
        os.unlink(path)
        found.append(folder)
    return sorted(found)


def main() -> None:
    """Do what stdin says."""
    # -I leaves out what is the user's own, which the image's programs see.
    site.addsitedir(site.getusersitepackages())
    asked = json.load(sys.stdin)

    def matches(name: str, globs: list[str]) -> bool:
        return any(fnmatch.fnmatchcase(name, glob) for glob in globs)

    chosen = {
        name: what
        for name, what in modules().items()
        if matches(name, asked["imports"]) and not matches(name, asked["except"])
    }
    known = set(asked["known"])
    todo = {name: what for name, what in chosen.items() if what[2] not in known}
    imported, failed, noted = import_all(todo, modules(), asked["seconds"])
    answer = {"version": sys.version.split()[0], "imported": imported, "failed": failed}
    answer["noted"], answer["known"] = noted, len(chosen) - len(todo)
    if asked["all"]:
        answer["certificates"] = certificates()
        answer["user"] = [os.getuid(), os.getgid()]
        answer["writable"] = writable()
    print(json.dumps(answer))


main()
