"""Small OSV databases in the real format: entries, and exports of them."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MODIFIED = "2025-11-20T10:11:12.123456Z"
HIGH = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"  # 7.5
LOW = "CVSS:3.1/AV:L/AC:H/PR:L/UI:R/S:U/C:L/I:N/A:N"  # 2.2
V4 = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"
CPYTHON = "https://github.com/python/cpython"


def affected(
    ecosystem: str,
    name: str,
    *events: Mapping[str, str],
    versions: Sequence[str] = (),
    kind: str = "ECOSYSTEM",
    **more: Any,
) -> dict[str, Any]:
    """Return what an entry says of one package; without `events` there is no range."""
    found: dict[str, Any] = {"package": {"ecosystem": ecosystem, "name": name}, **more}
    if events:
        found["ranges"] = [{"type": kind, "events": list(events)}]
    if versions:
        found["versions"] = list(versions)
    return found


def between(introduced: str = "0", fixed: str = "") -> list[dict[str, str]]:
    """Return the events of a range, without an end if there is no fix."""
    return [{"introduced": introduced}, *([{"fixed": fixed}] if fixed else [])]


def entry(
    name: str, *about: Mapping[str, Any], cvss: str = "", modified: str = MODIFIED, **more: Any
) -> dict[str, Any]:
    """Return an entry."""
    found = {"schema_version": "1.6.0", "id": name, "modified": modified, "affected": list(about)}
    if cvss:
        found["severity"] = [{"type": f"CVSS_V{cvss[5]}", "score": cvss}]
    return {**found, **more}


def debian(
    cve: str,
    source: str,
    fixed: str = "",
    *,
    cvss: str = "",
    urgency: str = "not yet assigned",
    release: str = "13",
    **more: Any,
) -> dict[str, Any]:
    """Return an entry as OSV makes one of Debian's tracker."""
    about = affected(
        f"Debian:{release}",
        source,
        *between(fixed=fixed),
        ecosystem_specific={"urgency": urgency},
    )
    return entry(f"DEBIAN-{cve}", about, cvss=cvss, upstream=[cve], **more)


def cpython(name: str, cve: str, *tags: str, **more: Any) -> dict[str, Any]:
    """Return an entry as OSV makes one of the Python Software Foundation's."""
    ranges = [
        {"type": "GIT", "repo": CPYTHON, "events": [{"introduced": "0"}, {"fixed": "a" * 40}]}
    ]
    about = {"ranges": ranges, **({"versions": list(tags)} if tags else {})}
    return entry(name, about, aliases=[cve], **more)


def raw(*entries: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    """Return entries as records of an export."""
    return [(f"{one['id']}.json", json.dumps(one).encode()) for one in entries]


def zipped(records: Iterable[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return an ``all.zip``."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", method) as archive:
        for name, data in records:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return written.getvalue()


def exported(*entries: Mapping[str, Any]) -> bytes:
    """Return the ``all.zip`` of `entries`."""
    return zipped(raw(*entries))


def lines(*entries: Mapping[str, Any]) -> bytes:
    """Return entries as JSON lines."""
    return b"".join(data + b"\n" for _, data in raw(*entries))
