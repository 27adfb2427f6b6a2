"""Builder images, as a user types them, on the smallest world: the tools are wheels made here."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.build.image import AMD64, Made, for_platform, put_index
from tests.build.site import FILE, Site
from tests.build.tar import archive, directory, file
from tests.build.wheels import requirements, wheel
from tests.build.world import ARM, X86, builder_layers, put_builder
from tests.fakes.package_index import serve_index

from layersmith.assemble import builder_image
from layersmith.errors import (
    Differs,
    InvalidInput,
    LayersmithError,
    LockMismatch,
    MissingWheels,
    NotFound,
    RecipeError,
)
from layersmith.oci.content import CHUNK
from layersmith.oci.image import Image, load, select
from layersmith.rootfs.entries import File, Slice
from layersmith.rootfs.layer import Put, read_layer
from layersmith.stores.layout import Layout

if TYPE_CHECKING:
    from tests.build.wheels import Made as Wheel

    from layersmith.oci.documents import Platform
    from layersmith.rootfs.entries import Entry

TARGET = "builder:3.13-debian13"
OUT = "dist/builder-3.13-debian13"
HOME = "home/monty"
LOCAL = f"{HOME}/.local"
SITE = f"{LOCAL}/lib/python3.13/site-packages"
DEMO = wheel(
    files={"demo/__init__.py": b"", "demo-1.0.data/headers/demo.h": b"h"},
    scripts={"demo": "demo:main"},
)
RECIPE = f"""\
target = "{TARGET}"
builder = "oci:builder:t"
platforms = ["linux/amd64"]
requirements = "requirements.txt"
wheel-dirs = ["wheels"]
"""


@pytest.fixture(autouse=True)
def no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep this machine's own configuration of pip out."""
    for name in list(os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setattr("layersmith.assemble.wheels.default_index", lambda: "")


def prepare(site: Site, *wheels: Wheel, more: str = "") -> None:
    shutil.rmtree(site.folder / "wheels", ignore_errors=True)
    for each in wheels or (DEMO,):
        each.write(site.folder / "wheels")
    (site.folder / "requirements.txt").write_text(requirements(*(wheels or (DEMO,))))
    (site.folder / "layersmith.toml").write_text(RECIPE + more)


def put_slim(site: Site, *layers: bytes, **runtime: Any) -> None:
    """Let the builder's tag stand for an image with more layers, or another config."""
    layout = Layout(site.folder / "builder")
    about = {"Env": ["PYTHON_VERSION=3.13.5", "PATH=/usr/local/bin:/bin"], "Cmd": ["python3"]}
    made = Made([*builder_layers(), *layers], runtime={**about, **runtime})
    layout.tag("t", put_index(layout, [for_platform(made.put(layout), AMD64)]))


def image(site: Site, platform: Platform = AMD64, tag: str = "3.13-debian13") -> Image:
    layout = Layout(site.folder / OUT)
    return select(layout, load(layout, tag), platform)


class Top:
    """The uppermost layer of an image, read."""

    def __init__(self, site: Site, found: Image | None = None) -> None:
        descriptor = (found or image(site)).manifest.value.layers[-1]
        with Layout(site.folder / OUT).open(descriptor) as stream:
            self.tar = gzip.decompress(b"".join(iter(lambda: stream.read(CHUNK), b"")))
        changes = read_layer(io.BytesIO(self.tar), "x")
        self.entries: dict[str, Entry] = {
            each.path: each.entry for each in changes if isinstance(each, Put)
        }

    def read(self, path: str) -> bytes:
        entry = self.entries[path]
        assert isinstance(entry, File)
        assert isinstance(entry.content, Slice)
        return self.tar[entry.content.offset :][: entry.content.size]

    def meta(self, path: str) -> tuple[int, int, int]:
        meta = self.entries[path].meta
        return meta.mode, meta.uid, meta.gid


def test_the_official_image_stays_and_one_layer_comes_on_top(site: Site) -> None:
    put_slim(site)
    prepare(site)
    done = json.loads(site.run("assemble", *FILE, "--json"))
    below = select(
        Layout(site.folder / "builder"), load(Layout(site.folder / "builder"), "t"), AMD64
    )
    found = image(site)
    assert found.manifest.value.layers[:-1] == below.manifest.value.layers
    assert done["tags"] == [f"oci:{OUT}:3.13-debian13", f"oci:{OUT}:3.13.5-debian13"]
    config = found.config.json["config"]
    assert config["User"] == "1000:1000"
    assert config["WorkingDir"] == "/home/monty"
    assert config["Cmd"] == ["python3"]
    assert "Entrypoint" not in config
    assert dict(each.split("=", 1) for each in config["Env"]) == {
        "PYTHON_VERSION": "3.13.5",
        "PATH": "/home/monty/.local/bin:/usr/local/bin:/bin",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONFAULTHANDLER": "1",
        "UV_COMPILE_BYTECODE": "1",
        "UV_LINK_MODE": "copy",
        "UV_PYTHON_DOWNLOADS": "0",
    }
    assert done["inputs"]["base"] == done["inputs"]["builder"]


def test_the_tools_are_where_pip_install_user_puts_them_and_the_user_s_own(site: Site) -> None:
    prepare(site)
    site.run("assemble", *FILE)
    top = Top(site)
    assert top.meta(HOME) == (0o700, 1000, 1000)
    assert top.read("etc/passwd").endswith(b"monty:x:1000:1000:monty:/home/monty:/bin/sh\n")
    assert top.read("etc/group").endswith(b"monty:x:1000:\n")
    own = {path for path in top.entries if path.startswith(f"{HOME}/")}
    assert {top.meta(path)[1:] for path in own} == {(1000, 1000)}
    assert top.meta(f"{LOCAL}/bin") == (0o755, 1000, 1000)
    assert top.meta(f"{LOCAL}/bin/demo") == (0o755, 1000, 1000)
    assert top.read(f"{LOCAL}/bin/demo").startswith(b"#!/usr/local/bin/python3.13\n")
    assert top.read(f"{LOCAL}/include/python3.13/demo/demo.h") == b"h"
    record = top.read(f"{SITE}/demo-1.0.dist-info/RECORD").decode()
    listed = {row[0] for row in csv.reader(record.splitlines())}
    assert {"../../../bin/demo", "../../../include/python3.13/demo/demo.h"} <= listed
    assert {os.path.normpath(f"{SITE}/{name}") for name in listed} <= own
    assert len({entry.meta.mtime for entry in top.entries.values()}) == 1
    assert not [path for path in top.entries if path.startswith(("bin", "usr", "lib"))]


@pytest.mark.parametrize(
    ("user", "config", "home"),
    [
        ("nonroot", "65532:65532", "/home/nonroot"),
        ("me:7:8", "7:8", "/home/me"),
        ("daemon:1:1", "1:1", "/var/daemon"),
    ],
)
def test_another_user(site: Site, user: str, config: str, home: str) -> None:
    accounts = b"root:x:0:0::/root:/bin/sh\ndaemon:x:1:1::/var/daemon:/bin/sh\n"
    put_slim(
        site,
        archive(
            file("etc/passwd", accounts), file("etc/shadow", b"root:*:1:::::\n", mode=0o640, uid=42)
        ),
    )
    prepare(site)
    site.run("assemble", *FILE, "--user", user)
    found = image(site).config.json["config"]
    top = Top(site)
    assert (found["User"], found["WorkingDir"]) == (config, home)
    assert top.entries[f"{home[1:]}/.local/bin/demo"].meta.uid == int(
        config.split(":", maxsplit=1)[0]
    )
    assert top.meta(home[1:])[0] == 0o700
    if user.startswith("daemon"):
        assert "etc/shadow" not in top.entries
    else:
        assert (
            top.read("etc/shadow")
            .splitlines()[-1]
            .startswith(f"{user.split(':', maxsplit=1)[0]}:!:".encode())
        )
        assert top.meta("etc/shadow") == (0o640, 42, 42)


@pytest.mark.parametrize("home", ["", "/", "/gone/..", "/gone/../..", "//home//odd/"])
def test_whatever_home_the_accounts_say(site: Site, home: str) -> None:
    put_slim(site, archive(file("etc/passwd", f"odd:x:7:7::{home}:/bin/sh\n".encode())))
    prepare(site)
    site.run("assemble", *FILE, "--user", "odd:7:7")
    place = "home/odd/.local" if "odd" in home else ".local"
    assert Top(site).meta(f"{place}/bin/demo") == (0o755, 7, 7)


def test_a_home_that_the_image_has_stays_as_it_is(site: Site) -> None:
    accounts = file("etc/passwd", b"odd:x:7:8::/srv/odd:/bin/sh\n")
    home = directory("srv/odd", mode=0o750)
    put_slim(site, archive(accounts, directory("srv", mode=0o711), home))
    prepare(site)
    site.run("assemble", *FILE, "--user", "odd:7:8")
    top = Top(site)
    assert [top.meta(path) for path in ("srv", "srv/odd", "srv/odd/.local")] == [
        (0o711, 0, 0),
        (0o750, 0, 0),
        (0o755, 7, 8),
    ]


def test_what_the_recipe_says_wins(site: Site) -> None:
    put_slim(site)
    prepare(
        site, more='entrypoint = ["/usr/local/bin/python3.13"]\n[env]\nLANG = "de"\nPATH = "/x"\n'
    )
    site.run("assemble", *FILE, "--workdir", "/src", "--label", "a=b")
    config = image(site).config.json["config"]
    assert config["Entrypoint"] == ["/usr/local/bin/python3.13"]
    assert "Cmd" not in config  # it would be the entrypoint's arguments
    assert (config["WorkingDir"], config["Labels"]) == ("/src", {"a": "b"})
    assert {"LANG=de", "PATH=/x"} <= set(config["Env"])


def test_the_same_bytes_cold_and_warm_and_nothing_is_planned_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(site)
    first = site.assemble(*FILE)
    shutil.rmtree(site.folder / "cache")
    assert site.assemble(*FILE) == first

    def planned(*_: object) -> None:
        raise AssertionError

    with monkeypatch.context() as patched:
        patched.setattr(builder_image, "plan", planned)
        shutil.rmtree(site.folder / "dist")
        assert site.assemble(*FILE) == first
        other = wheel(files={"demo/__init__.py": b"other"})
        for change in (
            lambda: other.write(site.folder / "wheels"),
            lambda: prepare(site, DEMO, wheel("more")),
        ):
            change()
            with pytest.raises(AssertionError):
                site.run("assemble", *FILE)
    assert site.assemble(*FILE) != first
    prepare(site)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1750000000")
    assert site.assemble(*FILE) != first
    assert {entry.meta.mtime for entry in Top(site).entries.values()} == {1750000000}


def test_a_warm_run_loads_no_code_of_planning(site: Site) -> None:
    prepare(site)
    site.run("assemble", *FILE)
    program = (
        "import sys\nfrom layersmith.cli.app import app\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "bad = ('packaging', 'installer', 'layersmith.apps.', 'layersmith.plan', 'layersmith.analysis')\n"
        "print([name for name in sys.modules if name.startswith(bad)])\n"
    )
    arguments = ["assemble", *FILE, "--cache-dir", "cache", "-q", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_debug_is_a_name_for_the_same_layers(site: Site) -> None:
    prepare(site)
    site.run("assemble", *FILE)
    plain = image(site).manifest.value.layers
    done = json.loads(site.run("assemble", f"{TARGET}-debug", *FILE, "--json"))
    tags = ["3.13-debian13-debug", "3.13.5-debian13-debug"]
    assert done["tags"] == [f"oci:{OUT}-debug:{tag}" for tag in tags]
    layout = Layout(site.folder / f"{OUT}-debug")
    assert select(layout, load(layout, tags[0]), AMD64).manifest.value.layers == plain


def test_every_platform_gets_its_own_wheels_from_an_index(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(site.folder / "builder")
    layout.tag("t", put_builder(layout, X86, ARM))
    native = [
        wheel(
            "native", files={"native.py": name.encode()}, tag=f"cp313-cp313-manylinux_2_17_{name}"
        )
        for name in ("x86_64", "aarch64")
    ]
    prepare(site)
    hashes = " ".join(f"--hash={each.digest}" for each in native)
    (site.folder / "requirements.txt").write_text(f"native==1.0 {hashes}\n{DEMO.requirement}\n")
    with serve_index(*native) as index:
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        both = ["--platform", "linux/amd64", "--platform", "linux/arm64"]
        site.run("assemble", *FILE, *both)
        plan = json.loads(site.run("plan", *FILE, *both, "--json"))
    for at, (platform, mine) in enumerate(zip((X86.platform, ARM.platform), native, strict=True)):
        found = image(site, platform)
        said = json.loads(found.manifest.value.annotations["dev.layersmith.wheels"])
        assert said == {mine.filename: mine.digest, DEMO.filename: DEMO.digest}
        assert (
            Top(site, found).read(f"{SITE}/native.py")
            == mine.filename.split("2_17_")[1][:-4].encode()
        )
        assert {w["filename"]: w["digest"] for w in plan["platforms"][at]["wheels"]} == said


def test_the_plan_says_whose_each_file_is(site: Site) -> None:
    prepare(site)
    text = site.run("plan", *FILE)
    assert "demo 1.0" in text
    assert DEMO.filename in text
    files = json.loads(site.run("plan", *FILE, "--json"))["platforms"][0]["files"]
    reasons = {each["path"]: each["reason"] for each in files}
    assert reasons[f"/{LOCAL}/bin/demo"] == "demo 1.0"
    assert reasons["/etc/passwd"] == "the user"


def test_a_lock_has_the_wheels(site: Site) -> None:
    prepare(site)
    expected = site.assemble(*FILE)
    site.run("lock", *FILE)
    about = site.lock["platforms"]["linux/amd64"]
    assert about["wheels"] == {DEMO.filename: DEMO.digest}
    assert about["base"] == about["builder"]
    shutil.rmtree(site.folder / "cache")
    assert site.assemble(*FILE, "--locked") == expected
    assert "where they were" in site.run_plain("lock", "--check", *FILE)

    other = wheel(files={"demo/__init__.py": b"other"})
    other.write(site.folder / "wheels")
    with pytest.raises(LockMismatch, match="is not the wheel that was taken"):
        site.run("assemble", *FILE, "--locked")
    prepare(site, DEMO, wheel("more"))
    with pytest.raises(LockMismatch, match="the requirements have more, the lock has not"):
        site.run("assemble", *FILE, "--locked")
    prepare(site, wheel(version="2.0"))
    with pytest.raises(LockMismatch, match=r"the lock has demo 1.0, which is not in"):
        site.run("assemble", *FILE, "--locked")
    assert "wheel demo-2.0-py3-none-any.whl: new" in site.run("lock", *FILE)


def test_a_lock_that_names_no_wheel(site: Site) -> None:
    prepare(site)
    site.run("lock", *FILE)
    path = site.folder / "layersmith.lock"
    path.write_text(path.read_text().replace(DEMO.filename, "demo.txt"))
    (site.folder / "layersmith.toml").write_text(RECIPE.replace("requirements =", "# "))
    with pytest.raises(RecipeError, match=r"'demo.txt' is no wheel by its name"):
        site.run("assemble", *FILE, "--locked")


@pytest.mark.parametrize("which", [(), ("base",), ("builder",)])
def test_update_moves_the_one_image(site: Site, which: tuple[str, ...]) -> None:
    prepare(site)
    site.run("lock", *FILE)
    before = site.lock["builder"]["digest"]
    put_slim(site)
    site.run("lock", *FILE)
    assert site.lock["builder"]["digest"] == before
    with pytest.raises(Differs, match=r"^builder moved since"):
        site.run_plain("lock", "--check", *FILE)
    site.run("lock", *FILE, "--update", *which)
    assert site.lock["base"] == site.lock["builder"]
    assert site.lock["builder"]["digest"] != before


def test_a_bundle_alone_gives_the_same_image(site: Site) -> None:
    prepare(site)
    expected = site.assemble(*FILE)
    site.run("bundle", "create", *FILE, "-o", "b.tar")
    for name in ("builder", "wheels", "cache"):
        shutil.rmtree(site.folder / name)
    for name in ("layersmith.toml", "requirements.txt"):
        (site.folder / name).unlink()
    assert "16 blobs, all as" in site.run_plain("bundle", "verify", "b.tar", "-q")
    assert site.assemble("--bundle", "b.tar") == expected
    assert "equal" in site.run("rebuild", "--bundle", "b.tar")
    out = f"oci:{OUT}:3.13-debian13"
    assert "equal" in site.run("rebuild", out, "--bundle", "b.tar")


def test_a_bundle_without_a_wheel_says_so(site: Site) -> None:
    prepare(site)
    site.run("bundle", "create", *FILE, "-o", "b.tar")
    raw = (site.folder / "b.tar").read_bytes()
    name = DEMO.digest.encoded.encode()
    (site.folder / "b.tar").write_bytes(raw.replace(b"/" + name, b"/" + name[::-1]))
    with pytest.raises(LayersmithError, match=DEMO.filename):
        site.run("assemble", "--bundle", "b.tar")


def test_provenance_names_the_wheels(site: Site) -> None:
    prepare(site)
    site.run("assemble", *FILE, "--provenance", "--sbom", "--documents", "docs")
    documents = {path.name for path in (site.folder / "docs").iterdir()}
    assert documents == {
        "builder-3.13-debian13.provenance.json",
        "builder-3.13-debian13-linux-amd64.spdx.json",
    }
    said = json.loads((site.folder / "docs/builder-3.13-debian13.provenance.json").read_text())
    definition = said["predicate"]["buildDefinition"]
    assert definition["resolvedDependencies"][-1] == {
        "name": DEMO.filename,
        "uri": "pkg:pypi/demo@1.0",
        "digest": {"sha256": DEMO.digest.encoded},
    }
    names = [each["name"] for each in definition["resolvedDependencies"]]
    assert names == ["base", "base linux/amd64", DEMO.filename]
    sbom = (site.folder / "docs/builder-3.13-debian13-linux-amd64.spdx.json").read_text()
    assert "pkg:pypi/demo@1.0" in sbom


def test_an_application_on_a_builder_image(site: Site) -> None:
    prepare(site)
    site.run("assemble", *FILE)
    (site.folder / "src").mkdir()
    (site.folder / "src" / "main.py").write_text("")
    place = f"oci:{OUT}:3.13-debian13"
    (site.folder / "layersmith.toml").write_text(
        'platforms = ["linux/amd64"]\n[app]\nsource = "src"\n'
    )
    site.run("app", "build", "--base-image", place)
    layout = Layout(site.folder / "dist/app")
    found = select(layout, load(layout, "latest"), AMD64)
    assert "dev.layersmith.wheels" not in found.manifest.value.annotations
    assert found.config.value.environment()["PATH"].startswith(f"/app/.venv/bin:/{LOCAL}/bin:")
    prepare(site, more='[app]\nsource = "src"\n')
    site.run("app", "build")
    again = select(layout, load(layout, "latest"), AMD64)
    assert again.manifest.value.layers == found.manifest.value.layers


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--base", "oci:base:t"], "base beside builder:3.13-debian13"),
        (["--verify-base", "sha256:" + "0" * 64], "verify-base beside"),
        (["--include", "pip"], "include beside"),
        (["--exclude", "x"], "exclude beside"),
        (["--replace-package", "x"], "replace-package beside"),
        (["--requirements", "gone.txt"], "gone.txt: cannot be read"),
        (["--wheel-dir", "gone"], "gone is no directory of wheels"),
        (["--entrypoint", "/bin/gone"], "no file '/bin/gone' to start"),
        (["--user", "root"], "is not a user"),
        (["builder:3.14-debian13"], "has Python 3.13.5, the target says 3.14"),
    ],
)
def test_what_makes_no_sense_is_refused(site: Site, options: list[str], message: str) -> None:
    prepare(site)
    with pytest.raises(InvalidInput, match=message):
        site.run("assemble", *FILE, *options)
    assert not (site.folder / "dist").exists()


@pytest.mark.parametrize("option", [["--requirements", "x"], ["--wheel-dir", "x"]])
def test_other_images_have_no_tools(site: Site, option: list[str]) -> None:
    with pytest.raises(RecipeError, match="is for builder images, and"):
        site.run("assemble", *FILE, *option)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-r other.txt\n", "'other.txt': a builder's requirements are one file"),
        (f"demo @ https://h.example/{DEMO.filename} --hash={DEMO.digest}\n", "demo is at a URL"),
        ("demo==1.0\n", "no sha256 or sha512 hash"),
        (f"demo --hash={DEMO.digest}\n", "demo is not pinned"),
    ],
)
def test_requirements_that_are_none(site: Site, text: str, message: str) -> None:
    prepare(site)
    (site.folder / "requirements.txt").write_text(text)
    with pytest.raises(RecipeError, match=message):
        site.run("assemble", *FILE)


def test_a_wheel_that_is_nowhere_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(site)
    (site.folder / "requirements.txt").write_text(requirements(DEMO, wheel("more")))
    with pytest.raises(RecipeError, match="which package index"):
        site.run("assemble", *FILE)
    with serve_index() as index:
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        with pytest.raises(MissingWheels) as caught:
            site.run("assemble", *FILE)
    assert caught.value.missing == ("more 1.0 for linux/amd64: it has nothing",)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (archive(directory("home"), directory(HOME), directory(LOCAL)), f"the image has /{LOCAL}"),
        (archive(directory("home"), file(HOME, b"")), "no directory"),
    ],
)
def test_an_image_that_has_what_would_be_put(site: Site, layer: bytes, message: str) -> None:
    put_slim(site, layer)
    prepare(site)
    with pytest.raises(RecipeError, match=message):
        site.run("assemble", *FILE)


def test_an_image_without_what_a_wheel_needs(site: Site) -> None:
    from tests.build.elf import elf

    needy = wheel(
        "needy", files={"needy.so": elf(needed=["libgone.so.1"])}, tag="cp313-cp313-linux_x86_64"
    )
    prepare(site, needy)
    with pytest.raises(LayersmithError) as caught:
        site.run("assemble", *FILE)
    assert "libgone.so.1" in str(caught.value) + "".join(getattr(caught.value, "problems", ()))
    done = json.loads(site.run("assemble", *FILE, "--allow-unresolved", "libgone*", "--json"))
    assert done["platforms"][0]["unresolved"][0]["soname"] == "libgone.so.1"


def test_an_image_of_one_platform_has_no_other(site: Site) -> None:
    prepare(site)
    with pytest.raises(NotFound, match="linux/arm64"):
        site.run("assemble", *FILE, "--platform", "linux/arm64")


def test_paths_of_a_recipe_start_at_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(site)
    expected = site.assemble(*FILE)
    (site.folder / "below").mkdir()
    monkeypatch.chdir(site.folder / "below")
    text = (site.folder / "layersmith.toml").read_text()
    (site.folder / "layersmith.toml").write_text(
        text.replace("oci:builder", f"oci:{site.folder}/builder")
    )
    assert site.assemble("--file", "../layersmith.toml") == expected
