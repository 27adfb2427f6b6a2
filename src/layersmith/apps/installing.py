"""Installing wheels without a file system: `installer` decides, entries come out.

PyPA, "Binary distribution format" ("Installing a wheel"), "Entry points" and "Recording
installed projects". Nothing of a wheel is run.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

import installer
from installer.destinations import WheelDestination
from installer.exceptions import InvalidWheelSource
from installer.records import Hash, RecordEntry
from installer.scripts import Script
from installer.sources import WheelSource
from installer.utils import construct_record_file, fix_shebang

from layersmith.apps.site import ENVIRONMENT
from layersmith.apps.zips import name_problem
from layersmith.errors import LayersmithError, WheelError, one_line
from layersmith.rootfs.entries import File, Slice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from installer.scripts import ScriptSection
    from installer.utils import Scheme

    from layersmith.apps.interpreter import Interpreter
    from layersmith.apps.site import Prefix, Site
    from layersmith.apps.wheel import Packed, Wheel

__all__ = ["install", "launcher"]

_INSTALLER: Final = b"layersmith\n"
# Written by whoever installs, never taken from a wheel ("Recording installed projects").
_OURS: Final = ("INSTALLER", "REQUESTED", "direct_url.json", "RECORD.jws", "RECORD.p7s")


def install(
    wheel: Wheel,
    site: Site,
    interpreter: Interpreter,
    prefix: Prefix = ENVIRONMENT,
    *,
    direct_url: str = "",
) -> None:
    """Put all files of a wheel into `site`, below `prefix`; raises :class:`WheelError`.

    `direct_url` is where it came from, if the user named that and not a version.
    """
    metadata = {"INSTALLER": _INSTALLER}
    if direct_url:
        metadata["direct_url.json"] = _direct_url(direct_url, wheel)
    try:
        destination = _Destination(wheel, site, interpreter, prefix)
        installer.install(_Source(wheel), destination, metadata)
    except LayersmithError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the library says of a stranger's metadata
        raise WheelError(f"cannot be installed: {_why(error)}", wheel=wheel.filename) from None


def _why(error: Exception) -> str:
    if isinstance(error, AssertionError):  # the one way in which `installer` says it
        return "an entry point is no module:function"
    said = str(error.args[-1]) if isinstance(error, InvalidWheelSource) else str(error)
    return one_line(said, 200) or type(error).__name__


def launcher(module: str, attribute: str) -> bytes:
    """Return the script that calls a function, as that of an entry point does."""
    return Script("start", module, attribute, "console").generate(ENVIRONMENT.program, "posix")[1]


def _direct_url(url: str, wheel: Wheel) -> bytes:
    """Return direct_url.json of an archive (PyPA, "Direct URL Data Structure")."""
    algorithm, value = wheel.digest.algorithm, wheel.digest.encoded
    archive = {"hash": f"{algorithm}={value}", "hashes": {algorithm: value}}
    return json.dumps({"archive_info": archive, "url": url}, sort_keys=True).encode()


class _Stream(io.BytesIO):
    """A file of a wheel that is not read unless it must be changed."""

    def __init__(self, packed: Packed) -> None:
        super().__init__()
        self.packed = packed


class _Source(WheelSource):
    """A checked wheel as `installer` wants it."""

    def __init__(self, wheel: Wheel) -> None:
        name, _, version = wheel.stem.partition("-")
        super().__init__(name, version)
        self._wheel = wheel

    @property
    def dist_info_dir(self) -> str:
        return self._wheel.dist_info

    @property
    def data_dir(self) -> str:
        return f"{self._wheel.stem}.data"

    @property
    def dist_info_filenames(self) -> list[str]:
        prefix = f"{self._wheel.dist_info}/"
        return [path.removeprefix(prefix) for path in self._wheel.files if path.startswith(prefix)]

    def read_dist_info(self, filename: str) -> str:
        path = f"{self._wheel.dist_info}/{filename}"
        if path not in self._wheel.files:
            raise WheelError(f"has no {one_line(path, 200)}", wheel=self._wheel.filename)
        return self._wheel.read(path).decode("utf-8")

    def validate_record(self) -> None:
        """Do nothing: the wheel would not be here."""

    def get_contents(self) -> Iterator[tuple[tuple[str, str, str], BinaryIO, bool]]:
        ours = {f"{self._wheel.dist_info}/{name}" for name in _OURS}
        for path, packed in self._wheel.files.items():
            # Bytecode could be of other source than what stands beside it.
            if "__pycache__" in path.split("/")[:-1] or path in ours:
                continue
            yield (path, "", ""), _Stream(packed), packed.member.is_executable


class _Destination(WheelDestination):
    """Makes entries of what `installer` writes."""

    def __init__(self, wheel: Wheel, site: Site, interpreter: Interpreter, prefix: Prefix) -> None:
        self._wheel, self._site, self._prefix = wheel, site, prefix
        packages = prefix.packages(interpreter)
        self._folders = prefix.folders(interpreter, wheel.about.name)
        up = "../" * packages.removeprefix(f"{prefix.root}/").count("/") + "../"
        self._prefixes = {
            scheme: None
            if folder == packages
            else up + f"{folder}/".removeprefix(f"{prefix.root}/")
            for scheme, folder in self._folders.items()
        }

    def write_script(
        self, name: str, module: str, attr: str, section: ScriptSection
    ) -> RecordEntry:
        if "/" in name or name_problem(name, name):
            raise WheelError(
                f"has a script of the name {one_line(name, 100)!r}", wheel=self._wheel.filename
            )
        _, data = Script(name, module, attr, section).generate(self._prefix.program, "posix")
        return self._put("scripts", name, data, executable=True)

    def write_file(
        self, scheme: Scheme, path: Any, stream: BinaryIO, is_executable: bool
    ) -> RecordEntry:
        if not isinstance(stream, _Stream):
            return self._put(scheme, path, stream.read(), executable=is_executable)
        packed = stream.packed
        if scheme == "scripts":
            raw = io.BytesIO(self._wheel.read(packed.member.path))
            with fix_shebang(raw, self._prefix.program) as fixed:
                return self._put(scheme, path, fixed.read(), executable=True)
        member = packed.member
        content = Slice(str(self._wheel.digest), member.offset, member.size, packed.sha256)
        self._add(scheme, path, content, executable=is_executable)
        return RecordEntry(path, Hash("sha256", _encoded(packed.sha256)), member.size)

    def finalize_installation(
        self, scheme: Scheme, record_file_path: str, records: Iterable[tuple[Scheme, RecordEntry]]
    ) -> None:
        # installer's order is that of paths before their prefix; it does not matter which.
        with construct_record_file(records, lambda s: self._prefixes[cast("str", s)]) as file:
            self._put(scheme, record_file_path, file.read(), executable=False)

    def _put(self, scheme: str, path: str, data: bytes, *, executable: bool) -> RecordEntry:
        self._add(scheme, path, data, executable=executable)
        return RecordEntry(path, Hash("sha256", _encoded(hashlib.sha256(data).digest())), len(data))

    def _add(self, scheme: str, path: str, content: Slice | bytes, *, executable: bool) -> None:
        where = f"{self._folders[scheme]}/{path}"
        meta = self._prefix.meta(0o755 if executable else 0o644)
        about = self._wheel.about
        self._site.add(where, File(meta, content), f"{about.name} {about.version}")


def _encoded(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
