"""Nothing of an image is run, nor anything that lies about where the user happens to stand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from tests.reliability.program import Home, run
from tests.reliability.scoreboard import Figure, Row, Run
from tests.reliability.traces import mapped, ours, started, strace
from tests.reliability.traps import lay_traps, write_application, write_trapped

ROW: Final = Row("R23", "no-exec", "0 programs started, 0 files mapped to be run")

# As it is installed: `python -m` is told to import from where the user stands.
COMMAND: Final = (str(Path(sys.executable).with_name("layersmith")),)
_CALLS: Final = ("execve", "execveat", "mmap", "memfd_create")


def commands(
    base: str, builder: str, application: tuple[str, ...], out: Path
) -> dict[str, tuple[str, ...]]:
    inputs = ("3.13-debian13", f"--base={base}", f"--builder={builder}")
    tag = "3.13-debian13"
    return {
        "plan": ("plan", *inputs),
        "assemble": ("assemble", *inputs, f"--output=oci:{out}/layout", "--include=*"),
        "app build": ("app", "build", *inputs, *application, f"--output=oci:{out}/application"),
        "copy": ("copy", f"oci:{out}/layout:{tag}", f"oci-archive:{out}/a.tar"),
        "copy to docker-archive": (
            "copy", f"oci-archive:{out}/a.tar:{tag}", f"docker-archive:{out}/b.tar",
            "--platform=linux/amd64",
        ),
        "inspect": ("inspect", f"oci-archive:{out}/a.tar:{tag}"),
    }  # fmt: skip


def measure(run_: Run) -> Figure:
    mark = run_.scratch / "mark"
    home = Home(run_.scratch / "user")
    base, builder = write_trapped(run_.scratch / "images", mark)
    for folder in ("cwd", "home", "home/.local/bin", "out", "cache"):
        lay_traps(home.path / folder, mark)
    misses: list[str] = []
    programs = maps = 0
    application = write_application(run_.scratch / "application", mark)
    everything = commands(base, builder, application, home.path / "out")
    for number, (name, arguments) in enumerate(everything.items()):
        trace = run_.scratch / f"trace-{number}"
        prefix = strace(trace, *_CALLS)
        done = run(home, *arguments, prefix=prefix, command=COMMAND)
        if done.code:
            misses.append(f"{name}: status {done.code}: {done.err[-300:]}")
        others, strange = started(trace), mapped(trace, ours())
        programs += len(others)
        maps += len(strange)
        misses += [f"{name}: {call.name}({call.text[:120]}" for call in others]
        misses += [f"{name}: mapped to be run: {path}" for path in strange]
        if mark.exists():
            misses.append(f"{name}: a trap was run: {mark.read_text()[:100]!r}")
            mark.unlink()
    misses += _seen(run_.scratch, home)
    text = f"{len(everything)} commands over trapped images: {programs} programs, {maps} maps"
    return Figure(text, tuple(misses))


def _seen(scratch: Path, home: Home) -> list[str]:
    """The measure itself sees a trap that goes off: a credential helper that is ours to run."""
    helper = home.path / "bin" / "docker-credential-trap"
    helper.write_text("#!/bin/sh\necho credentials not found; exit 1\n")
    helper.chmod(0o755)
    (home.path / "auth.json").write_text('{"credsStore": "trap"}')
    trace = scratch / "trace-seen"
    env = {"REGISTRY_AUTH_FILE": str(home.path / "auth.json")}
    prefix = strace(trace, *_CALLS)
    run(home, "logout", "registry.example", env=env, prefix=prefix, command=COMMAND)
    return [] if started(trace) else ["the measure does not see a program that is started"]
