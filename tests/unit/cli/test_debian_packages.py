"""``app build --debian-package`` on the smallest world, with a signed archive on loopback."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
from tests.build.debs import Archive, Deb, keyring
from tests.build.elf import AARCH64, elf
from tests.build.image import AMD64, Made, for_platform, put_index
from tests.build.tar import archive, directory, file
from tests.build.wheels import wheel
from tests.build.world import X86, base_layers
from tests.fakes.file_server import FileServer, serve_files
from tests.unit.cli.test_app import Layer, both_platforms, built, image, no_index, prepare

from layersmith.assemble import archives
from layersmith.debs.choosing import choose
from layersmith.errors import (
    ClosureError,
    DigestMismatch,
    InvalidInput,
    InvalidKey,
    NotFound,
    PackageError,
    RecipeError,
    Untrusted,
)
from layersmith.oci.digest import Digest
from layersmith.stores import apt_config
from layersmith.stores.apt_config import Host
from layersmith.stores.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.build.site import Site

__all__ = ["no_index"]

LIB = "usr/lib/x86_64-linux-gnu"
GREET = elf(soname="libgreet.so.1", needed=["libword.so.2", "libc.so.6"])
WORD = elf(soname="libword.so.2", needed=["libc.so.6"])
DEBS = (
    Deb(files={f"{LIB}/libgreet.so.1": GREET, "usr/share/doc/libgreet1/copyright": b"free"},
        depends="libword2 (>= 2), debconf (>= 0.5) | debconf-2.0", scripts=("postinst",)),
    Deb("libword2", "2:2.1-1", files={f"{LIB}/libword.so.2": WORD}, form=".gz"),
    Deb(files={"usr/lib/aarch64-linux-gnu/libgreet.so.1": elf(machine=AARCH64, soname="libgreet.so.1")},
        architecture="arm64"),
)  # fmt: skip
WANTS = wheel("greeter", files={"greeter.so": elf(needed=["libgreet.so.1", "libc.so.6"])})


@pytest.fixture
def server(site: Site) -> Iterator[FileServer]:
    """Serve the packages, and let the recipe name the archive and its keyring."""
    (site.folder / "archive.pgp").write_bytes(keyring())
    with serve_files(Archive(DEBS).files()) as running:
        yield running


def app_of(server: FileServer, *packages: str, line: str = "{} trixie main") -> str:
    return (
        f"debian-packages = {json.dumps(packages)}\n"
        f"debian-archives = [{json.dumps(line.format(server.url))}]\n"
        'debian-keyring = "archive.pgp"\n'
    )


def test_a_library_that_a_wheel_needs(site: Site, server: FileServer) -> None:
    prepare(site, WANTS)
    with pytest.raises(ClosureError, match=r"libgreet.so.1 \(Debian's package libgreet1\?\)") as e:
        site.run("app", "build")
    assert "--debian-package NAME" in e.value.hint

    prepare(site, WANTS, app=app_of(server, "libgreet1"))
    done = built(site)
    (platform,) = done["platforms"]
    assert platform["debian"]["packages"] == [
        {"name": deb.name, "version": deb.version, "architecture": "amd64",
         "digest": Digest.of(bytes(deb)), "scripts": list(deb.scripts)}
        for deb in DEBS[:2]
    ]  # fmt: skip
    found = image(site)
    layer = Layer(site, found, -3)
    assert platform["debian"]["layer"]["digest"] == found.manifest.value.layers[-3].digest
    assert layer.read(f"{LIB}/libgreet.so.1") == GREET
    assert layer.read("var/lib/dpkg/status.d/libword2") == DEBS[1].paragraph.encode()
    assert {entry.meta.mtime for entry in layer.entries.values()} == {315532800}
    assert {entry.meta.uid for entry in layer.entries.values()} == {0}
    standing = json.loads(found.manifest.value.annotations["dev.layersmith.app"])
    assert standing["packages"] == ["libgreet1=1.0-1", "libword2=2:2.1-1"]
    listed = json.loads(site.run("sbom", "oci:dist/app:latest", "--format", "spdx-json"))
    shown = {(one["name"], one.get("versionInfo")) for one in listed["packages"]}
    assert {("libgreet1", "1.0-1"), ("libword2", "2:2.1-1")} <= shown
    plain = site.run("app", "build")
    assert "packages" in plain
    assert "libgreet1=1.0-1, libword2=2:2.1-1" in plain
    assert "scripts were not run: postinst or preinst of libgreet1" in plain


def test_a_library_that_the_application_itself_needs(site: Site, server: FileServer) -> None:
    prepare(site)
    own = elf(needed=["libgreet.so.1", "libc.so.6"])
    (site.folder / "src/own.so").write_bytes(own)
    with pytest.raises(ClosureError, match=r"libgreet.so.1"):
        site.run("app", "build")
    prepare(site, app=app_of(server, "libgreet1"))
    assert built(site)["platforms"][0]["unresolved"] == []
    (site.folder / "src/own.so").write_bytes(own + b"x")
    assert built(site)["platforms"][0]["unresolved"] == [], "the packages are read again"


def test_the_layer_stays_when_the_source_changes(site: Site, server: FileServer) -> None:
    prepare(site, WANTS, app=app_of(server, "libgreet1"))
    first = built(site)["platforms"][0]
    asked = len(server.asked)
    (site.folder / "src/main.py").write_text("def run(): print(43)\n")
    second = built(site)["platforms"][0]
    assert first["debian"] == second["debian"]
    assert first["dependencies"] == second["dependencies"]
    assert first["application"] != second["application"]
    assert server.asked[asked:] == ["dists/trixie/InRelease"], "the rest is known by its digest"


def test_the_statement_names_the_packages_and_no_archive(site: Site, server: FileServer) -> None:
    prepare(site, WANTS, app=app_of(server, "libgreet1"))
    built(site, "--provenance", "--sbom", "--documents", "docs")
    text = (site.folder / "docs/app.provenance.json").read_text()
    assert server.url.removeprefix("http://") not in text
    definition = json.loads(text)["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["application"]["debian-packages"] == ["libgreet1"]
    named = {one["name"]: one for one in definition["resolvedDependencies"]}
    one = named["libword2_2:2.1-1_amd64.deb"]
    assert one["uri"] == "pkg:deb/debian/libword2@2:2.1-1?arch=amd64"
    assert one["digest"] == {"sha256": Digest.of(bytes(DEBS[1])).encoded}


def test_from_a_cold_cache_the_same(site: Site, server: FileServer) -> None:
    prepare(site, WANTS, app=app_of(server, "libgreet1"))
    first = built(site)["digest"]
    again = json.loads(site.run_plain(
        "app", "build", "--json", "--cache-dir", "other", "-q", "--output", "oci:dist/again"
    ))  # fmt: skip
    assert again["digest"] == first


def test_each_platform_has_its_own(site: Site, server: FileServer) -> None:
    prepare(site, app=app_of(server, "libgreet1"))
    both_platforms(site)
    first, second = built(site)["platforms"]
    assert len(first["debian"]["packages"]) == 2
    assert [one["architecture"] for one in second["debian"]["packages"]] == ["arm64"]
    assert server.asked.count("dists/trixie/InRelease") == 1


def test_one_platform_s_lists_are_in_memory_at_a_time(
    site: Site, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(site, app=app_of(server, "libgreet1"))
    both_platforms(site)
    here = []

    def counted(*args: Any) -> Any:
        here.append(1)
        time.sleep(0.05)
        assert len(here) == 1
        here.clear()
        return choose(*args)

    monkeypatch.setattr(archives, "choose", counted)
    assert built(site)


def test_the_reason_is_said_whichever_platform_asks_first(site: Site, server: FileServer) -> None:
    prepare(site, app=app_of(server, "libgreet1"))
    both_platforms(site)
    (site.folder / "archive.pgp").write_bytes(b"no key")
    for _ in range(6):
        with pytest.raises(InvalidKey, match="is no keyring"):
            site.run("app", "build")


def test_options_say_what_the_recipe_does(site: Site, server: FileServer) -> None:
    prepare(site)
    done = built(
        site, "--debian-package", "libword2=2:2.1-1", "--debian-archive", f"{server.url} trixie main",
        "--debian-keyring", "archive.pgp",
    )  # fmt: skip
    assert [one["name"] for one in done["platforms"][0]["debian"]["packages"]] == ["libword2"]
    (site.folder / "own.sources").write_text(
        f"Types: deb\nURIs: {server.url}\nSuites: trixie\nComponents: main\n"
        f"Signed-By: {site.folder}/archive.pgp\n"
    )
    again = built(site, "--debian-package", "libword2", "--debian-archive", "own.sources")
    assert again["digest"] == done["digest"]
    (site.folder / "own.list").write_text(
        f"deb [signed-by={site.folder}/archive.pgp] {server.url} trixie main\n"
    )
    last = built(site, "--debian-package", "libword2", "--debian-archive", "own.list")
    assert last["digest"] == done["digest"]


def host(server: FileServer, suite: str, *, system: str = "debian") -> Host:
    line = f"deb {server.url} {suite} main\n"
    release = f"ID={system}\nVERSION_CODENAME=bookworm\n"
    return Host(release, (("sources.list", line),), "archive.pgp")


def with_release(site: Site) -> None:
    """Let the base say that it is of trixie, as distroless does."""
    text = b'ID="debian"\nVERSION="Debian GNU/Linux 13 (trixie)"\nVERSION_ID="13"\n'
    layer = archive(directory("etc"), file("etc/os-release", text))
    layout = Layout(site.folder / "base")
    made = Made([*base_layers(X86), layer])
    layout.tag("t", put_index(layout, [for_platform(made.put(layout), AMD64)]))


def test_a_component_that_the_image_s_release_has_not(
    site: Site, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of apt's own configuration, turned to another release, it is no mistake."""
    with_release(site)
    prepare(site, app='debian-packages = ["libgreet1"]\n')
    found = host(server, "bookworm")
    line = found.sources[0][1].replace(" main", " main non-free-firmware")
    monkeypatch.setattr(
        apt_config, "read_host", lambda: replace(found, sources=(("a.list", line),))
    )
    assert built(site)
    line = line.replace(" main ", " ")
    with pytest.raises(NotFound, match="the archive has no packages for amd64"):
        site.run("app", "build")


def test_apt_s_own_archive_in_the_image_s_release(
    site: Site, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_release(site)
    prepare(site, app='debian-packages = ["libgreet1"]\n')
    monkeypatch.setattr(apt_config, "read_host", lambda: host(server, "bookworm"))
    done = built(site)
    assert len(done["platforms"][0]["debian"]["packages"]) == 2
    assert server.asked[0] == "dists/trixie/InRelease"


def rejected(site: Site, server: FileServer, kind: type[Exception], why: str, **how: Any) -> None:
    """Let a build fail, which then has written nothing."""
    prepare(site, app=app_of(server, "libgreet1", **how))
    with pytest.raises(kind, match=why):
        site.run("app", "build")
    assert not (site.folder / "dist/app").exists()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"Codename": "sid", "Suite": "unstable"}, "of 'sid', not of 'trixie'"),
        ({"Valid-Until": formatdate(time.time() - 60)}, "expired"),
        ({"Date": formatdate(time.time() + 200_000)}, "future"),
    ],
)
def test_an_index_that_is_not_the_one(
    site: Site, server: FileServer, said: dict[str, str], why: str
) -> None:
    server.files |= Archive(DEBS, said=said).files()
    rejected(site, server, Untrusted, why)


def test_an_old_index_of_a_snapshot(site: Site, server: FileServer) -> None:
    said = {"Valid-Until": formatdate(time.time() - 60)}
    server.files |= Archive(DEBS, said=said).files()
    line = "[check-valid-until=no] {} trixie main"
    prepare(site, app=app_of(server, "libgreet1", line=line))
    assert built(site)


def test_an_index_that_a_stranger_signed(site: Site, server: FileServer) -> None:
    server.files |= Archive(DEBS, signer="stranger").files()
    rejected(site, server, Untrusted, "nobody of the keyring has signed it")


def test_an_index_that_was_changed(site: Site, server: FileServer) -> None:
    raw = server.files["dists/trixie/InRelease"]
    server.files["dists/trixie/InRelease"] = raw.replace(b"Origin: Debian", b"Origin: Debiam")
    rejected(site, server, Untrusted, "nobody of the keyring has signed it")


def test_other_bytes_of_a_list_or_a_package(site: Site, server: FileServer) -> None:
    for path in [path for path in server.files if "by-hash" in path or path.endswith(".deb")]:
        whole = server.files[path]
        server.files[path] = whole[:-1] + bytes([whole[-1] ^ 1])
        if "arm64" not in path and whole not in Archive(DEBS).files().values():
            continue
        if "binary-amd64" in path or "_amd64" in path:
            rejected(site, server, DigestMismatch, "digest")
        server.files[path] = whole


def served(server: FileServer, deb: Deb) -> None:
    server.files |= Archive([deb, *DEBS[1:]]).files()


class Liar(Deb):
    """A package whose file is another's."""

    @property
    def stanza(self) -> str:
        return super().stanza.replace("Version: 1.0-1", "Version: 1.0-2")


class Foreign(Deb):
    """A package of another machine, in the list of ours."""

    @property
    def stanza(self) -> str:
        return super().stanza.replace("Architecture: amd64", "Architecture: s390x")


@pytest.mark.parametrize(
    ("deb", "kind", "why"),
    [
        (Liar(), PackageError, "it says that it is libgreet1 1.0-1"),
        (Deb(members=(file("./../x"),)), PackageError, "goes up"),
        (Deb(files={"etc/passwd": b"evil"}), ClosureError, "another /etc/passwd than the image"),
        (Deb(files={"etc/passwd/x": b"evil"}), ClosureError, "no directory"),
        (Deb(depends="libc7"), ClosureError, "needs libc7: no archive has it"),
        (Deb(files={f"{LIB}/libgreet.so.1": elf(needed=["libnone.so.1"])}), ClosureError,
         "the packages need what the image does not have.*libnone.so.1"),
        (Foreign(), PackageError, "libgreet1=1.0-1 is for s390x"),
        (Deb(version="1_0"), PackageError, "name or a version"),
    ],
)  # fmt: skip
def test_packages_that_are_refused(
    site: Site, server: FileServer, deb: Deb, kind: type[Exception], why: str
) -> None:
    served(server, deb)
    rejected(site, server, kind, why)


def test_what_is_not_there(site: Site, server: FileServer) -> None:
    prepare(site, app=app_of(server, "libnone1"))
    with pytest.raises(NotFound, match="does not have the package libnone1"):
        site.run("app", "build")
    rejected(site, server, NotFound, "no component contrib", line="{} trixie contrib")
    rejected(site, server, NotFound, "no component mian", line="{} trixie main mian")
    rejected(site, server, NotFound, "does not have it", line="{} sid main")
    del server.files[DEBS[0].filename]
    rejected(site, server, NotFound, "fetching libgreet1_1.0-1_amd64.deb")


def test_what_makes_no_sense(
    site: Site, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rejected(site, server, InvalidInput, "no http or https", line="ftp://a.example trixie main")
    rejected(site, server, InvalidInput, "there is no file", line="none.sources")
    (site.folder / "empty.sources").write_text("")
    rejected(site, server, InvalidInput, "names no archive", line="empty.sources")
    for uri, shown in (
        ("file:/x", "file:/x"),
        ("https://token@a.example/d", r"//\*\*\*@a.example/d"),
    ):
        (site.folder / "odd.sources").write_text(
            f"Types: deb\nURIs: {uri}\nSuites: x\nComponents: main\n"
        )
        rejected(site, server, InvalidInput, f"{shown} is no http", line="odd.sources")
    prepare(site, app=app_of(server, "lib x"))
    with pytest.raises(RecipeError, match="no package of Debian"):
        site.run("app", "build", "--base", "oci:gone:t")  # before anything is read
    prepare(site, app=app_of(server))
    with pytest.raises(RecipeError, match="no package to take"):
        site.run("app", "build")
    for factory in (Host, lambda: host(server, "bookworm", system="ubuntu")):
        monkeypatch.setattr(apt_config, "read_host", factory)
        prepare(site, app='debian-packages = ["libgreet1"]\n')
        with pytest.raises(RecipeError, match="apt of this machine names no archive"):
            site.run("app", "build")
    prepare(
        site, app=f'debian-packages = ["liba1"]\ndebian-archives = ["{server.url} trixie main"]\n'
    )
    monkeypatch.setattr(apt_config, "read_host", Host)
    with pytest.raises(InvalidInput, match="no keyring of Debian's archive is on this machine"):
        site.run("app", "build")


def test_it_does_not_move_to_another_base(site: Site, server: FileServer) -> None:
    prepare(site, WANTS, app=app_of(server, "libgreet1"))
    built(site)
    onto = ("--onto", "3.13-debian13", "--file", "layersmith.toml")
    assert "already: nothing to do" in site.run("rebase", "oci:dist/app:latest", *onto)
    layout = Layout(site.folder / "base")
    made = Made([*base_layers(X86), archive(file("etc/new", b"x"))])
    layout.tag("t", put_index(layout, [for_platform(made.put(layout), AMD64)]))
    with pytest.raises(
        ClosureError, match=r"chosen for its old base: libgreet1=1.0-1, libword2"
    ) as e:
        site.run("rebase", "oci:dist/app:latest", *onto)
    assert "build it anew with layersmith app build" in e.value.hint
