"""Which sandbox this host can make: found out by making one, around its own `true`.

There is no way without. What cannot be shut off is not run.
"""

from __future__ import annotations

import os
import pwd
import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Final

from layersmith.errors import InvalidInput, SandboxUnavailable, one_line
from layersmith.sandbox.bubblewrap import Bubblewrap
from layersmith.sandbox.oci_runtime import OciRuntime
from layersmith.sandbox.running import run
from layersmith.sandbox.task import HOST_ENVIRONMENT, Ids, Task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.sandbox.task import Runner

__all__ = ["RUNNERS", "find_runner", "owner_of_files"]

RUNNERS: Final = {"bubblewrap": "bwrap", "crun": "crun", "runc": "runc"}
# Whoever starts layersmith as root does not want an image's programs to be root, even
# behind a namespace; these two numbers are nobody's.
_NOBODY: Final = Ids(65534, 65534)
_SPARE: Final = Ids(65533, 65533)
_PROBE: Final = 30.0
_SHOWN: Final = ("usr", "bin", "sbin", "lib", "lib32", "lib64")


def owner_of_files() -> Ids | None:
    """Return to whom an unpacked image has to belong, None for ourselves.

    Who is root in a namespace of his own, where there is nobody else, is not the host's root.
    """
    return _NOBODY if os.geteuid() == 0 and all(map(_has_nobody, ("uid", "gid"))) else None


def _has_nobody(kind: str) -> bool:
    """Tell whether the number is somebody's here (user_namespaces(7))."""
    try:
        lines = Path(f"/proc/self/{kind}_map").read_text(encoding="ascii").splitlines()
    except OSError:
        return True
    ranges = ([int(number) for number in line.split()] for line in lines)
    return any(start <= _NOBODY.uid < start + count for start, _, count in ranges)


def find_runner(wanted: str, folder: Path) -> Runner:
    """Return the first runner that works here, or the `wanted` one; try them in `folder`.

    Raises :class:`SandboxUnavailable` with what failed, for each of them.
    """
    if wanted and wanted not in RUNNERS:
        known = ", ".join(RUNNERS)
        raise InvalidInput(f"{one_line(wanted, 60)!r} is no runner", hint=f"one of: {known}")
    _check_reachable(folder)
    reasons = []
    for name, program in RUNNERS.items():
        if wanted not in ("", name):
            continue
        found = shutil.which(program, path=HOST_ENVIRONMENT["PATH"])
        if found is None:
            reasons.append(f"{program} is not installed")
            continue
        reason = ""
        for runner in _ways(name, Path(found)):
            if isinstance(runner, str):
                reason = runner
                break
            reason = _tried(runner, folder)
            if not reason:
                return runner
        reasons.append(f"{program}: {reason}")
    raise SandboxUnavailable(
        f"this host cannot make a sandbox: {'; '.join(reasons)}",
        hint="install bubblewrap, and let users make user namespaces (sysctls "
        "user.max_user_namespaces, kernel.unprivileged_userns_clone and "
        "kernel.apparmor_restrict_unprivileged_userns; in a container, its seccomp profile); "
        "or run it as root with runc or crun. Nothing is ever run without a sandbox",
    )


def _ways(name: str, program: Path) -> Iterator[Runner | str]:
    """Yield what to try with a program, the strictest first, or why there is nothing to try."""
    owner = owner_of_files()
    if name == "bubblewrap":
        for proc in (True, False):
            yield Bubblewrap(program, owner, modern=True, proc=proc)
            yield Bubblewrap(program, owner, modern=False, proc=proc)
        return
    if owner is not None:
        yield OciRuntime(program, name, owner=owner, user=owner, root=_SPARE)
        return
    spare = _delegated()
    if spare is None:
        yield "this user has no range in /etc/subuid and /etc/subgid"
        return
    me = Ids(os.geteuid(), os.getegid())
    yield OciRuntime(program, name, owner=me, user=spare, root=me)


def _tried(runner: Runner, folder: Path) -> str:
    """Run `true` of the host in a sandbox; return why that failed, or nothing."""
    place = Path(mkdtemp(prefix="probe-", dir=folder))
    root, bundle = place / "root", place / "bundle"
    binds = {}
    for path in (place, root, bundle, *(root / name for name in ("proc", "dev", "tmp"))):
        path.mkdir(exist_ok=True)
        path.chmod(0o755)
    for name in _SHOWN:
        source = Path("/", name)
        if source.is_symlink():
            (root / name).symlink_to(source.readlink())
        elif source.is_dir():
            (root / name).mkdir()
            binds[f"/{name}"] = source
    owner = owner_of_files()
    if owner is not None:
        for path in (root, *root.iterdir()):
            os.chown(path, *owner, follow_symlinks=False)
    program = shutil.which("true", path=HOST_ENVIRONMENT["PATH"]) or "/bin/true"
    task = Task(root=root, argv=(program,), env=HOST_ENVIRONMENT, ids=Ids(1000, 1000), binds=binds)
    try:
        done = run(runner.launch(task, bundle), timeout=_PROBE)
    except OSError as error:
        return str(error.strerror or error)
    if done.timed_out:
        return f"it did not end within {_PROBE:.0f} seconds"
    if done.status:
        return one_line(done.error, 300) or f"it ended with {done.status}"
    return ""


def _check_reachable(folder: Path) -> None:
    """Raise where nobody cannot enter `folder`, which is to be his."""
    if owner_of_files() is None:
        return
    for parent in folder.resolve().parents:
        if not parent.stat().st_mode & 0o001:
            raise SandboxUnavailable(
                f"{one_line(str(parent))} is closed to others: as root, images are unpacked and "
                "run as another user",
                hint="let TMPDIR name a directory that everybody can enter",
            )


def _delegated() -> Ids | None:
    """Return the first ids that this user may map beside his own (subuid(5))."""
    uid, gid = _first("/etc/subuid"), _first("/etc/subgid")
    return Ids(uid, gid) if uid is not None and gid is not None else None


def _first(table: str) -> int | None:
    names = {str(os.geteuid())}
    with suppress(KeyError):
        names.add(pwd.getpwuid(os.geteuid()).pw_name)
    try:
        lines = Path(table).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, ids = line.partition(":")
        start, _, count = ids.partition(":")
        if name in names and start.isdecimal() and count.isdecimal() and int(count):
            return int(start)
    return None
