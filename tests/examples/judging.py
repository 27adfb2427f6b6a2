"""What is true of every example beyond its own tests: who runs it, and how it was built."""

import gzip
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.examples.building import EXAMPLES, Bench
from tests.reliability.traces import calls, mapped, ours, started, strace

# ELF's e_machine (gABI, "ELF Header").
_MACHINES = {"amd64": 62, "arm64": 183}
_OPENED = re.compile(r"= \d+<(?P<path>[^>]*\.(?:py|pyc|pth|so)(?:\.[\d.]+)?)>$")
_OWN_LAYERS = 2
# Run in the image: who one is, and where one cannot write.
_LOOK = """
import json, os
def errno(path):
    try:
        open(path, "w").close()
    except OSError as error:
        return error.errno
    return 0
places = ("/x", "/app/x", "/app/.venv/x", "/usr/local/x", os.path.expanduser("~/x"))
print(json.dumps([os.getuid(), os.getgid(), sorted({errno(place) for place in places})]))
"""
_READ_ONLY = [1000, 1000, [30]]  # EROFS
_CALLS = ("execve", "execveat", "mmap", "memfd_create", "open", "openat")


def verdicts(document: dict[str, Any]) -> tuple[list[str], float]:
    """Return what failed of a report of ``layersmith test``, and the seconds of all tests."""
    results = [one for platform in document["platforms"] for one in platform["tests"]]
    faults = [f"{one['name']}: {one['message']}" for one in results if not one["passed"]]
    if not results:
        faults.append("it has no tests")
    return faults, sum(one["seconds"] for one in results)


def faults_of_user(bench: Bench, name: str, architecture: str, *more: str) -> list[str]:
    """Tell if it is not run as 1000, or if anything of its root can be written."""
    command = ("--", "/usr/local/bin/python3", "-c", _LOOK)
    document = bench.test(name, architecture, *more, *command)
    (result,) = document["platforms"][0]["tests"]
    seen = json.loads(result["stdout"]) if result["passed"] else result["stderr"]
    return [] if seen == _READ_ONLY else [f"its user, and where it can write: {seen}"]


def foreign_files(layout: Path) -> tuple[list[str], int]:
    """Return what is for another machine in the two layers of each platform; count what is not."""
    wrong, right = [], 0
    for architecture, layer in _layers(layout):
        for path, machine in _objects(layer):
            if machine == _MACHINES[architecture]:
                right += 1
            else:
                wrong.append(f"{architecture} has {path}, of machine {machine}")
    return wrong, right


def _layers(layout: Path) -> Iterator[tuple[str, Path]]:
    def blob(descriptor: dict[str, Any]) -> Path:
        return layout / "blobs" / str(descriptor["digest"]).replace(":", "/")

    (top,) = json.loads((layout / "index.json").read_text())["manifests"]
    for child in json.loads(blob(top).read_text())["manifests"]:
        for layer in json.loads(blob(child).read_text())["layers"][-_OWN_LAYERS:]:
            yield child["platform"]["architecture"], blob(layer)


def _objects(layer: Path) -> Iterator[tuple[str, int]]:
    with gzip.open(layer) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isreg() else None
            head = content.read(20) if content else b""
            if head.startswith(b"\x7fELF"):
                yield member.name, int.from_bytes(head[18:20], "little")


def traced(trace: Path) -> tuple[str, ...]:
    """Return what to put before a command so that :func:`code_of_others` can judge it."""
    return strace(trace, *_CALLS)


def code_of_others(trace: Path) -> list[str]:
    """Return every program, library or module of a traced run that is not layersmith's own."""
    allowed = ours()
    found = [f"{call.name}({call.text[:200]}" for call in started(trace)]
    found += [f"mapped to be run: {path}" for path in mapped(trace, allowed)]
    for call in calls(trace):
        match = _OPENED.search(call.text) if call.name in ("open", "openat") else None
        # The example's own source is read, as data.
        if match and not match["path"].startswith((*allowed, f"{EXAMPLES}/")):
            found.append(f"opened: {match['path']}")
    return found
