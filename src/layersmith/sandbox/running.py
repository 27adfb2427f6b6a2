"""A program of the host, bounded: in time and in what it may say."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

from layersmith.sandbox.task import HOST_ENVIRONMENT

if TYPE_CHECKING:
    from layersmith.sandbox.task import Launch

__all__ = ["MAX_OUTPUT", "Ended", "run"]

MAX_OUTPUT: Final = 1 << 20
_PIECE: Final = 1 << 16
_GRACE: Final = 10.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: its exit code, and the beginning of what it said.

    One that a signal ended has 128 and its number, as sandboxes pass it on, and shells.
    """

    status: int
    stdout: bytes
    stderr: bytes
    seconds: float
    timed_out: bool = False
    cut: bool = False

    @property
    def error(self) -> str:
        """The last line of stderr, for a message."""
        lines = self.stderr.decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""


def run(launch: Launch, *, stdin: bytes = b"", timeout: float, most: int = MAX_OUTPUT) -> Ended:
    """Run a sandbox to its end, or until `timeout` seconds are over.

    What it says beyond `most` bytes is read and dropped. Whatever ends this call, the
    sandbox has ended before. Raises :class:`OSError` where it cannot be started.
    """
    started = time.monotonic()
    with tempfile.TemporaryFile() as typed:
        typed.write(stdin)
        typed.seek(0)
        process = _start(launch, typed)
    try:
        with process:
            try:
                outputs, in_time = _listen(process, started + timeout, most)
                if not in_time:
                    _kill(process, launch)
                status = process.wait(_GRACE)
            except BaseException:
                _kill(process, launch)
                raise
    finally:
        _stop(launch, was_killed=process.returncode < 0)
    texts = [bytes(data[:most]) for data in outputs]
    cut = any(len(data) > most for data in outputs)
    code = status if status >= 0 else 128 - status
    return Ended(code, texts[0], texts[1], time.monotonic() - started, not in_time, cut)


def _start(launch: Launch, typed: IO[bytes]) -> subprocess.Popen[bytes]:
    user = group = groups = None
    if launch.ids is not None:
        user, group, groups = launch.ids.uid, launch.ids.gid, ()
    return subprocess.Popen(  # noqa: S603 - the sandbox, and nothing of the image
        launch.argv,
        stdin=typed,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=HOST_ENVIRONMENT,
        cwd="/",
        # ctrl-C is ours: we end the sandbox, and wait until it has ended.
        start_new_session=True,
        user=user,
        group=group,
        extra_groups=groups,
        umask=0o022,
    )


def _listen(
    process: subprocess.Popen[bytes], until: float, most: int
) -> tuple[list[bytearray], bool]:
    """Read both outputs to their end; tell whether that came in time."""
    outputs = [bytearray(), bytearray()]
    with selectors.DefaultSelector() as selector:
        for stream, kept in zip((process.stdout, process.stderr), outputs, strict=True):
            assert stream is not None
            selector.register(stream, selectors.EVENT_READ, kept)
        while selector.get_map():
            left = until - time.monotonic()
            if left <= 0:
                return outputs, False
            for key, _ in selector.select(left):
                piece = os.read(key.fd, _PIECE)
                if not piece:
                    selector.unregister(key.fileobj)
                elif len(key.data) <= most:
                    key.data.extend(piece)
        try:
            process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            return outputs, False
    return outputs, True


def _kill(process: subprocess.Popen[bytes], launch: Launch) -> None:
    """End the sandbox; its programs die with it, or are ended by its own `stop`."""
    _stop(launch, was_killed=True)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)


def _stop(launch: Launch, *, was_killed: bool) -> None:
    if launch.stop and was_killed:
        with suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(  # noqa: S603 - as above
                launch.stop,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env=HOST_ENVIRONMENT,
                cwd="/",
                timeout=_GRACE,
                check=False,
            )
