"""A process whose system calls are watched: each is let through, refused, or its last.

The child asks the kernel to hold each of its calls that touch a file until we have answered
(seccomp user notification, seccomp(2)), in all its threads. So calls are counted over all
threads, and a kill or an error comes at just the call it is meant for. No tracer, no root; it
works in containers too.
"""

import ctypes
import errno
import fcntl
import os
import platform
import re
import select
import signal
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

__all__ = ["KILL", "Call", "Ended", "Verdict", "watched"]

KILL: Final = -1
Verdict = int | None
"""What becomes of a call: None lets it through, KILL kills instead, or an errno refuses it."""

_AT_FDCWD: Final = -100
_O_ACCMODE, _O_CREAT = os.O_ACCMODE, os.O_CREAT

# name: numbers on x86_64 and aarch64, and where its paths are: descriptors ("f0" is the file
# behind argument 0), paths ("p0"), or paths below a directory ("a01": argument 1, at 0).
_TABLE: Final = {
    "open": (2, None, "p0"), "creat": (85, None, "p0"), "openat": (257, 56, "a01"),
    "openat2": (437, 437, "a01"), "write": (1, 64, "f0"), "writev": (20, 66, "f0"),
    "pwrite64": (18, 68, "f0"), "pwritev": (296, 70, "f0"), "sendfile": (40, 71, "f0"),
    "copy_file_range": (326, 285, "f2"), "fallocate": (285, 47, "f0"),
    "fsync": (74, 82, "f0"), "fdatasync": (75, 83, "f0"), "truncate": (76, 45, "p0"),
    "ftruncate": (77, 46, "f0"), "rename": (82, None, "p0 p1"), "renameat": (264, 38, "a01 a23"),
    "renameat2": (316, 276, "a01 a23"), "link": (86, None, "p0 p1"), "linkat": (265, 37, "a01 a23"),
    "symlink": (88, None, "p1"), "symlinkat": (266, 36, "a12"), "unlink": (87, None, "p0"),
    "unlinkat": (263, 35, "a01"), "mkdir": (83, None, "p0"), "mkdirat": (258, 34, "a01"),
    "rmdir": (84, None, "p0"), "chmod": (90, None, "p0"), "fchmod": (91, 52, "f0"),
    "fchmodat": (268, 53, "a01"), "utimensat": (280, 88, "a01"), "flock": (73, 32, "f0"),
}  # fmt: skip
_COLUMN: Final = {"x86_64": 0, "aarch64": 1}
_SECCOMP: Final = {"x86_64": 317, "aarch64": 277}

_NOTIFICATION: Final = struct.Struct("=QIIiIQ6Q")  # struct seccomp_notif
_ANSWER: Final = struct.Struct("=QqiI")  # struct seccomp_notif_resp
_RECEIVE: Final = 0xC0502100  # SECCOMP_IOCTL_NOTIF_RECV
_SEND: Final = 0xC0182101  # SECCOMP_IOCTL_NOTIF_SEND
_GO_ON: Final = 1  # SECCOMP_USER_NOTIF_FLAG_CONTINUE

_NAMES: Final = (
    (re.compile(r"[0-9a-f]{64}"), "DIGEST"),
    (re.compile(r"\.new-[0-9a-f]{12}-[a-z0-9_]{8}"), ".new-dir"),
    (re.compile(r"\.new-[a-z0-9_]{8}"), ".new"),
    (re.compile(r"layersmith-cache-[a-z0-9_]{8}"), "own-cache"),
    (re.compile(r"#\d+ \(deleted\)"), "unnamed"),
    (re.compile(r" \(deleted\)"), ""),
)


@dataclass(frozen=True)
class Call:
    """A system call on files below the root that is watched; paths are relative to that."""

    name: str
    paths: tuple[str, ...]
    writes: bool  # false for opening to read

    @property
    def kind(self) -> str:
        """The call and its paths, without what is different in each run."""
        text = " ".join((self.name, "" if self.writes else "(read)", *self.paths))
        for pattern, name in _NAMES:
            text = pattern.sub(name, text)
        return " ".join(text.split())


@dataclass
class Ended:
    """How a watched process ended: status as in a shell, and the calls that it made."""

    status: int = 0
    seconds: float = 0.0
    stuck: bool = False
    calls: list[Call] = field(default_factory=list)


def watched(
    child: Callable[[], int],
    root: Path,
    decide: Callable[[Call], Verdict] = lambda _: None,
    *,
    patience: float = 60.0,
    death: float = float("inf"),
) -> Ended:
    """Run `child` in a process of its own; `decide` on each of its calls below `root`.

    It is killed after `death` seconds; after `patience` seconds too, but then it is stuck.
    """
    ours, theirs = socket.socketpair()
    started = time.monotonic()
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            ours.close()
            listener = _listener()
            socket.send_fds(theirs, [b"x"], [listener])
            os.close(listener)
            theirs.close()
            status = child()
        finally:
            os._exit(status)
    theirs.close()
    with ours:
        _, handles, _, _ = socket.recv_fds(ours, 1, 1)
    ended = Ended()
    if handles:
        with os.fdopen(handles[0], "rb", buffering=0) as listener_file:
            _Watch(pid, listener_file.fileno(), str(root), decide, ended).run(
                started + min(patience, death)
            )
        ended.stuck = time.monotonic() - started >= patience
    _, status = os.waitpid(pid, 0)
    ended.status = os.waitstatus_to_exitcode(status)
    ended.seconds = time.monotonic() - started
    return ended


class _Watch:
    """Answers the questions of one process."""

    def __init__(
        self, pid: int, listener: int, root: str, decide: Callable[[Call], Verdict], ended: Ended
    ) -> None:
        self._pid = pid
        self._listener = listener
        self._root = root.rstrip("/") + "/"
        self._decide = decide
        self._ended = ended
        self._memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
        self._names = {row[_column()]: name for name, row in _TABLE.items()}

    def run(self, deadline: float) -> None:
        """Answer until the process is no more; from `deadline` on it is killed."""
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        try:
            while True:
                left = deadline - time.monotonic()
                events = poll.poll(max(0.0, min(left, 3600.0)) * 1000)
                if left <= 0:
                    os.kill(self._pid, signal.SIGKILL)
                    deadline = time.monotonic() + 60
                for _, event in events:
                    if event & select.POLLIN:
                        self._answer()
                    elif event & select.POLLHUP:
                        return
        finally:
            os.close(self._memory)

    def _answer(self) -> None:
        question = bytearray(_NOTIFICATION.size)
        try:
            fcntl.ioctl(self._listener, _RECEIVE, question)
        except FileNotFoundError:  # who asked was killed meanwhile
            return
        number, tid, _, call_number, _, _, *args = _NOTIFICATION.unpack(question)
        call = self._call(self._names[call_number], tid, args)
        verdict = None
        if call is not None:
            self._ended.calls.append(call)
            verdict = self._decide(call)
        if verdict == KILL:
            os.kill(self._pid, signal.SIGKILL)
            return
        refusal = (0, -verdict, 0) if verdict is not None else (0, 0, _GO_ON)
        try:
            fcntl.ioctl(self._listener, _SEND, bytearray(_ANSWER.pack(number, *refusal)))
        except FileNotFoundError:
            return

    def _call(self, name: str, tid: int, args: list[int]) -> Call | None:
        """Describe the call; None where it is not about a file below the root."""
        try:
            paths = [self._path(where, tid, args) for where in _TABLE[name][2].split()]
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.EIO, errno.ESRCH}:
                return None  # no such descriptor or process (any more)
            raise
        inside = [p.removeprefix(self._root) for p in paths if p.startswith(self._root)]
        if not inside:
            return None
        flags = {"open": args[1], "openat": args[2]}.get(name, os.O_WRONLY)
        return Call(name, tuple(inside), bool(flags & (_O_ACCMODE | _O_CREAT)))

    def _path(self, where: str, tid: int, args: list[int]) -> str:
        kind, *at = where[0], *(args[int(digit)] for digit in where[1:])
        if kind == "f" or (kind == "a" and not at[1]):  # a call on a descriptor itself
            return str(Path(f"/proc/{tid}/fd/{at[0]}").readlink())
        path = os.pread(self._memory, 4096, at[-1]).partition(b"\0")[0].decode()
        if path.startswith("/"):
            return os.path.normpath(path)
        folder = ctypes.c_int(at[0]).value if kind == "a" else _AT_FDCWD
        link = "cwd" if folder == _AT_FDCWD else f"fd/{folder}"
        return os.path.normpath(Path(f"/proc/{tid}/{link}").readlink() / path)


def _column() -> int:
    machine = platform.machine()
    if machine not in _COLUMN:
        raise NotImplementedError(f"the system calls of {machine} are not in the table")
    return _COLUMN[machine]


def _listener() -> int:
    """Install the filter in this process; return the descriptor that answers come over."""
    libc = ctypes.CDLL(None, use_errno=True)
    code = _program()
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("=HxxxxxxQ", len(code) // 8, ctypes.addressof(buffer))
    if libc.prctl(38, 1, 0, 0, 0):  # PR_SET_NO_NEW_PRIVS
        raise OSError(ctypes.get_errno(), "prctl")
    # SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER
    handle = int(libc.syscall(_SECCOMP[platform.machine()], 1, 1 << 3, program))
    if handle < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return handle


def _program() -> bytes:
    """Write the filter (classic BPF): ask about the calls of the table, allow all others."""
    numbers = [row[_column()] for row in _TABLE.values() if row[_column()] is not None]
    instruction = struct.Struct("=HBBI")
    lines = [instruction.pack(0x20, 0, 0, 0)]  # the call's number
    lines += [
        instruction.pack(0x15, len(numbers) - at, 0, number or 0)
        for at, number in enumerate(numbers)
    ]
    lines += [instruction.pack(0x06, 0, 0, 0x7FFF0000), instruction.pack(0x06, 0, 0, 0x7FC00000)]
    return b"".join(lines)
