"""The smallest image that runs: one static program, for this machine and another."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Final

from tests.build.image import AMD64, ARM64, Made, for_platform, put_index
from tests.build.tar import archive, directory, file

from layersmith.stores.layout import Layout

if TYPE_CHECKING:
    from pathlib import Path

    from layersmith.oci.documents import Descriptor

SAYS: Final = "it runs\n"
TAG: Final = "1"
ARCHITECTURE: Final = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]

_BASE: Final = 0x400000
_HEADERS: Final = 64 + 56
# write(1, text, size); exit(0): the text stands behind the code.
_X86_64: Final = (
    b"\xb8\x01\0\0\0\xbf\x01\0\0\0\x48\x8d\x35\x10\0\0\0\xba%c\0\0\0\x0f\x05"
    b"\xb8\x3c\0\0\0\x31\xff\x0f\x05"
)
_AARCH64: Final = (
    0xD2800020, 0x100000E1, 0xD2800002, 0xD2800808, 0xD4000001, 0xD2800000, 0xD2800BA8, 0xD4000001,
)  # fmt: skip


def program(architecture: str) -> bytes:
    """Return an executable that says SAYS, and needs nothing but the kernel."""
    text = SAYS.encode()
    if architecture == "amd64":
        machine, code = 62, _X86_64 % len(text)
    else:
        words = list(_AARCH64)
        words[2] |= len(text) << 5
        machine, code = 183, struct.pack("<8I", *words)
    size = _HEADERS + len(code) + len(text)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, machine, 1, _BASE + _HEADERS, 64, 0, 0,
        64, 56, 1, 0, 0, 0,
    )  # fmt: skip
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return header + segment + code + text


def image(path: Path) -> Descriptor:
    """Write it to a layout, an index over both platforms; gives the index."""
    layout = Layout(path)
    children = []
    for platform in (AMD64, ARM64):
        places = [directory(name) for name in ("dev", "proc", "tmp")]  # for who runs it
        tar = archive(*places, file("hello", program(platform.architecture), mode=0o755))
        made = Made([tar], platform, runtime={"Entrypoint": ["/hello"], "User": "65532:65532"})
        children.append(for_platform(made.put(layout), platform))
    top = put_index(layout, children)
    layout.tag(TAG, top)
    return top
