"""Every file of the layer has an owner, or stands there with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.build.tree import root

from layersmith.plan.ownership import Owner, owners_of, unowned
from layersmith.plan.packages import record_packages
from layersmith.plan.placing import Placing
from layersmith.rootfs.entries import File, Meta

if TYPE_CHECKING:
    from tests.build.tree import Literal

LIB = "usr/local/lib/python3.13"
SITE = f"{LIB}/site-packages"
BUILDER: Literal = {
    "var/lib/dpkg/status": (
        b"Package: liba\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n"
    ),
    "var/lib/dpkg/info/liba:amd64.list": b"/usr/lib/a.so\n",
    "usr/lib/a.so": b"a",
    "usr/lib/a.so.1": "a.so",
    "etc/inputrc": b"keys",
    f"{LIB}/os.py": b"os",
    f"{SITE}/x.py": b"x",
    f"{SITE}/stray.py": b"?",
    f"{SITE}/x-1.dist-info/METADATA": b"Name: x\nVersion: 1\n",
    f"{SITE}/x-1.dist-info/RECORD": b"x.py,,\n",
    "usr/local/bin/tool": b"#!",
}


def test_each_file_has_one_owner() -> None:
    placing = Placing(root({}), root(BUILDER))
    for path in BUILDER:
        if not path.startswith("var/"):
            placing.take(path, f"taken: {path}")
    placing.put("etc/passwd", File(Meta(0o644), b""), "the user")
    owned = owners_of(placing, record_packages(placing, ()), "3.13.5")
    kinds = {path: (owner.kind, owner.name) for path, owner in owned.items()}
    assert kinds == {
        "usr/lib/a.so": ("debian", "liba"),
        f"{LIB}/os.py": ("cpython", "python"),
        f"{SITE}/x.py": ("python", "x"),
        f"{SITE}/x-1.dist-info/METADATA": ("python", "x"),
        f"{SITE}/x-1.dist-info/RECORD": ("python", "x"),
        "etc/passwd": ("layersmith", "layersmith"),
        "var/lib/dpkg/status.d/liba": ("layersmith", "layersmith"),
        "var/lib/dpkg/status.d/liba.md5sums": ("layersmith", "layersmith"),
    }
    assert owned[f"{LIB}/os.py"] == Owner("cpython", "python", "3.13.5")
    assert unowned(placing, owned) == {
        path: f"taken: {path}" for path in ("etc/inputrc", f"{SITE}/stray.py", "usr/local/bin/tool")
    }
