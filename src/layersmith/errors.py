"""Every error that layersmith raises on purpose.

::

    LayersmithError                       exit code
    ├─ InvalidInput                       2   what the user typed or wrote
    │  ├─ InvalidReference, InvalidDigest, InvalidTarget
    │  ├─ RecipeError                         a key of a recipe, with its place
    │  ├─ InvalidKey                          a key or its password cannot be used
    │  └─ DocumentError                   7   a JSON document of an image, with its path
    ├─ StoreError                         5   a registry, a layout, the cache, the disk
    │  ├─ NotFound                        3
    │  │  └─ MissingWheels                    distributions without a wheel for a platform
    │  ├─ Unauthorized                    4
    │  ├─ RegistryError                   5   status and code of the registry's answer
    │  │  └─ MissingContent                   a manifest names what is not there (any more)
    │  └─ OutputError                     9   the output or the cache cannot be written
    ├─ VerificationError                  6   bytes are not what their digest says
    │  └─ DigestMismatch, SizeMismatch
    ├─ LayerError                         7   a tar layer that no runtime should accept
    │  └─ MalformedTar, UnsafePath, BadWhiteout, UnsafeLink
    ├─ WheelError                         7   a wheel that must not be installed
    ├─ PackageError                       7   a Debian package, or a list of them, that is broken
    ├─ ElfError                           8
    ├─ ClosureError                       8   every missing library and version, together
    ├─ Untrusted                         11   no signature that is demanded holds
    ├─ LockMismatch                      10   recipe and lock, or compressor and lock, differ
    ├─ SandboxUnavailable                12   this host has no way to shut an image's programs off
    ├─ Differs                            1   a check was asked for, and its answer is no
    │  └─ Vulnerable                          a scan's answer is
    └─ Interrupted                      130   ctrl-C, or a failure in another thread

A message reads ``what, where, why``; the hint says what to try. Messages are for
one line: :func:`one_line` removes control characters, so that a string from an
image can never drive a terminal.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "BadWhiteout",
    "ClosureError",
    "Differs",
    "DigestMismatch",
    "DocumentError",
    "ElfError",
    "Interrupted",
    "InvalidDigest",
    "InvalidInput",
    "InvalidKey",
    "InvalidReference",
    "InvalidTarget",
    "LayerError",
    "LayersmithError",
    "LockMismatch",
    "MalformedTar",
    "MissingContent",
    "MissingWheels",
    "NotFound",
    "OutputError",
    "PackageError",
    "RecipeError",
    "RegistryError",
    "SandboxUnavailable",
    "SizeMismatch",
    "StoreError",
    "Unauthorized",
    "UnsafeLink",
    "UnsafePath",
    "Untrusted",
    "VerificationError",
    "Vulnerable",
    "WheelError",
    "intention",
    "one_line",
    "typed",
]

_LONGEST = 600
# user:password@host is what people paste; a digest behind the @ is none.
_PASSWORD = re.compile(r"[^/\s:@='\"]*:(?!//)[^\s'\"]*@(?!sha(?:256|512):)")
_READ = 4096


def one_line(text: str, limit: int = _LONGEST) -> str:
    """Return `text` without line breaks and control characters, at most `limit` long."""
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def typed(text: str, limit: int = _LONGEST) -> str:
    """Return what a user typed or wrote as :func:`one_line` does, without passwords."""
    return one_line(_PASSWORD.sub("***@", text[:_READ]), limit)


class LayersmithError(Exception):
    """Base of all errors; `hint` says what to try, `exit_code` is the program's."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """Return the message alone; the hint is shown on a line of its own."""
        return self.message


class Interrupted(LayersmithError):
    """The user, or a failure elsewhere, stopped the work."""

    exit_code = 130


class InvalidInput(LayersmithError):
    """Something that the user typed or wrote cannot be understood."""

    exit_code = 2


class InvalidReference(InvalidInput):
    """A string is no image reference."""


class InvalidDigest(InvalidInput):
    """A string is no digest of a supported algorithm."""


class InvalidTarget(InvalidInput):
    """A target is outside the grammar; the hint names the nearest valid one."""


class RecipeError(InvalidInput):
    """A recipe has a key or a value that is not allowed, at `place`."""

    def __init__(self, message: str, *, place: str = "", hint: str = "") -> None:
        super().__init__(f"{place}: {message}" if place else message, hint=hint)
        self.place = place


class InvalidKey(InvalidInput):
    """A key cannot be read or used: another kind, a damaged file, a wrong password."""


class DocumentError(InvalidInput):
    """A JSON document of an image is malformed, ambiguous or too large."""

    exit_code = 7


class StoreError(LayersmithError):
    """A place that holds images failed."""

    exit_code = 5


class NotFound(StoreError):
    """The place answered that it does not have the thing."""

    exit_code = 3


class MissingWheels(NotFound):
    """Some distributions have no wheel that the image's Python takes; `missing` names all."""

    def __init__(self, message: str, *, missing: tuple[str, ...] = (), hint: str = "") -> None:
        super().__init__("; ".join((message, *missing)), hint=hint)
        self.missing = missing


class Unauthorized(StoreError):
    """The registry refused the credentials, or their absence."""

    exit_code = 4


class RegistryError(StoreError):
    """A registry answered with an error.

    `status` is the HTTP status (0: no answer), `code` the distribution-spec error
    code if one was given, `temporary` whether trying again can help; then `wait` is for
    how many seconds the registry asked, and `tries` how often it makes sense (0: as usual).
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        code: str = "",
        temporary: bool = False,
        wait: float = 0.0,
        tries: int = 0,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code
        self.temporary = temporary
        self.wait = wait
        self.tries = tries


class MissingContent(RegistryError):
    """The registry refuses a manifest because it lacks what the manifest names.

    It had said otherwise, or has lost it since: bring the content again, then the manifest.
    """


class OutputError(StoreError):
    """The output directory or the cache cannot be read or written."""

    exit_code = 9


class VerificationError(LayersmithError):
    """Bytes are not what their descriptor promised."""

    exit_code = 6


class DigestMismatch(VerificationError):
    """The digest of the bytes is `got`, the descriptor says `expected`."""

    def __init__(self, where: str, *, expected: str, got: str) -> None:
        super().__init__(f"{where}: the digest is {got}, expected {expected}")
        self.expected = expected
        self.got = got


class SizeMismatch(VerificationError):
    """There are more or fewer bytes than the descriptor says."""

    def __init__(self, where: str, *, expected: int, got: int) -> None:
        more = "at least " if got > expected else ""
        super().__init__(f"{where}: {more}{got} bytes, expected {expected}")
        self.expected = expected
        self.got = got


class LayerError(LayersmithError):
    """A layer that must not be accepted; `path` is the entry at fault."""

    exit_code = 7

    def __init__(self, message: str, *, path: str = "", hint: str = "") -> None:
        super().__init__(f"{path!r}: {message}" if path else message, hint=hint)
        self.path = path


class MalformedTar(LayerError):
    """The archive itself is broken or ambiguous."""


class UnsafePath(LayerError):
    """An entry's name is not one that may be written."""


class UnsafeLink(LayerError):
    """A link has no target inside the root."""


class BadWhiteout(LayerError):
    """A whiteout that image-spec forbids or that runtimes read differently."""


class WheelError(LayersmithError):
    """A wheel that must not be installed; `wheel` is its file name."""

    exit_code = 7

    def __init__(self, message: str, *, wheel: str = "", hint: str = "") -> None:
        super().__init__(f"{one_line(wheel, 200)}: {message}" if wheel else message, hint=hint)
        self.wheel = wheel


class PackageError(LayersmithError):
    """A package of Debian's, or a list of them, is broken or unsafe; `place` is which."""

    exit_code = 7

    def __init__(self, message: str, *, place: str = "", hint: str = "") -> None:
        super().__init__(f"{one_line(place, 300)}: {message}" if place else message, hint=hint)
        self.place = place


class ElfError(LayersmithError):
    """An ELF file is damaged: `path` and the cause."""

    exit_code = 8

    def __init__(self, message: str, *, path: str = "", hint: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message, hint=hint)
        self.path = path


class ClosureError(LayersmithError):
    """Some objects' needs cannot be met; `problems` names all of them."""

    exit_code = 8

    def __init__(self, message: str, *, problems: tuple[str, ...] = (), hint: str = "") -> None:
        super().__init__("; ".join((message, *problems)) if problems else message, hint=hint)
        self.problems = problems


class LockMismatch(LayersmithError):
    """A lock is not of this recipe, or not for this layersmith; `differences` says where."""

    exit_code = 10

    def __init__(self, message: str, *, differences: tuple[str, ...] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.differences = differences


class Untrusted(LayersmithError):
    """Nobody who is trusted has said what was demanded; `reasons` is why, for each that spoke."""

    exit_code = 11

    def __init__(self, message: str, *, reasons: tuple[str, ...] = (), hint: str = "") -> None:
        super().__init__("; ".join((message, *reasons)) if reasons else message, hint=hint)
        self.reasons = reasons


class SandboxUnavailable(LayersmithError):
    """An image's programs cannot be shut off from this host, so they are not run."""

    exit_code = 12


class Differs(LayersmithError):
    """What was compared is not equal; what differs has been told already."""

    exit_code = 1


class Vulnerable(Differs):
    """A scan found what it was told to fail on, or could not judge; its report has been told."""


@contextmanager
def intention(what: str) -> Iterator[None]:
    """Prefix the message of any LayersmithError raised inside with ``what: ``, if it is said."""
    try:
        yield
    except LayersmithError as error:
        error.message = f"{what}: {error.message}" if what else error.message
        raise
