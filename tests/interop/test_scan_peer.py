"""scan on the real image: dpkg says which source every package is of, and how old it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.build.osv import affected, between, debian, entry, exported
from tests.interop.conftest import TARGET, Assembled, layersmith
from tests.interop.dpkg_peer import Admin

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Rootfs = Callable[[str, str], Path]

pytestmark = pytest.mark.interop


def scanned(
    assembled: Assembled, *options: str
) -> tuple[int, dict[str, tuple[str, str, str]], str]:
    """Scan amd64's image; return the code, by package what was looked up and whose it is."""
    done = layersmith(
        "scan", f"oci:{assembled.layout}:{TARGET}", "--platform", "linux/amd64", "--json", "-q",
        "--cache-dir", f"{assembled.cache}", *options,
    )  # fmt: skip
    found = {
        one["package"]["name"]: (
            one["package"]["source"]["name"], one["package"]["source"]["version"],
            one["places"][0]["origin"],
        )
        for one in json.loads(done.out or '{"findings": []}')["findings"]
    }  # fmt: skip
    return done.code, found, done.err


def test_every_package_is_looked_up_as_dpkg_names_its_source(
    assembled: Assembled, rootfs: Rootfs, tmp_path: Path
) -> None:
    admin = Admin.of(rootfs("result", "amd64"), tmp_path / "admin")
    sources = admin.sources()
    db = tmp_path / "all.zip"
    everything = {source for source, _ in sources.values()}
    python = entry("GHSA-1", affected("PyPI", "x", *between()))
    db.write_bytes(exported(python, *(debian(f"CVE-{name}", name) for name in sorted(everything))))
    code, found, err = scanned(assembled, "--db", str(db))
    assert code == 0, err
    assert {name: seen[:2] for name, seen in found.items()} == sources
    assert {found[name][2] for name in ("libc6", "libssl3t64")} == {"base"}
    assert {found[name][2] for name in ("libsqlite3-0", "libffi8", "liblzma5")} == {"ours"}

    # What dpkg has is the fixed version: nothing is left. Just before it: all of it is.
    for more, expected in (("", set()), ("+0", sources.keys())):
        fixed = {source: version + more for source, version in sources.values()}
        entries = [debian(f"CVE-{name}", name, version) for name, version in fixed.items()]
        db.write_bytes(exported(python, *entries))
        code, found, err = scanned(assembled, "--db", str(db), "--fail-on", "critical")
        assert found.keys() == expected
        assert code == (1 if expected else 0), err
