"""``app build`` and ``app wheels`` as a user types them, on the smallest world."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from tests.build.elf import elf
from tests.build.image import AMD64, ARM64
from tests.build.wheels import Made, pylock, requirements, wheel
from tests.build.world import ARM, X86, put_base, put_builder
from tests.fakes.package_index import serve_index

from layersmith.errors import (
    ClosureError,
    DigestMismatch,
    InvalidInput,
    LayersmithError,
    MissingWheels,
    RecipeError,
    WheelError,
)
from layersmith.oci.content import CHUNK
from layersmith.oci.image import Image, load, select
from layersmith.rootfs.entries import Directory, File, Slice, Symlink
from layersmith.rootfs.layer import Put, read_layer
from layersmith.stores.layout import Layout

if TYPE_CHECKING:
    from tests.build.site import Site

    from layersmith.oci.documents import Platform
    from layersmith.rootfs.entries import Entry

DEMO = wheel(scripts={"demo": "demo:main"})
SITE = "app/.venv/lib/python3.13/site-packages"
BOTH = 'platforms = ["linux/amd64", "linux/arm64"]\n'


@pytest.fixture(autouse=True)
def no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep this machine's own configuration of pip out."""
    for name in list(os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setattr("layersmith.assemble.wheels.default_index", lambda: "")


def built(site: Site, *options: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(site.run("app", "build", "--json", *options))
    return value


def image(site: Site, platform: Platform = AMD64, place: str = "dist/app") -> Image:
    layout = Layout(site.folder / place)
    return select(layout, load(layout, "latest"), platform)


class Layer:
    """A layer of a layout, read."""

    def __init__(self, site: Site, image: Image, number: int) -> None:
        descriptor = image.manifest.value.layers[number]
        with Layout(site.folder / "dist/app").open(descriptor) as stream:
            self.tar = gzip.decompress(b"".join(iter(lambda: stream.read(CHUNK), b"")))
        puts = [
            change for change in read_layer(io.BytesIO(self.tar), "x") if isinstance(change, Put)
        ]
        self.entries: dict[str, Entry] = {put.path: put.entry for put in puts}

    def read(self, path: str) -> bytes:
        entry = self.entries[path]
        assert isinstance(entry, File)
        assert isinstance(entry.content, Slice)
        return self.tar[entry.content.offset :][: entry.content.size]


def prepare(site: Site, *wheels: Made, app: str = "", head: str = "") -> None:
    """Write a source, the wheels, their lock and a recipe."""
    for each in wheels:
        each.write(site.folder / "wheels")
    (site.folder / "pylock.toml").write_text(pylock(*wheels))
    source = site.folder / "src"
    source.mkdir(exist_ok=True)
    (source / "main.py").write_text("def run(): print(42)\n")
    lock = 'lock = "pylock.toml"\n' if wheels else ""
    site.recipe(f'{head}[app]\n{lock}source = "src"\n{app}')


def both_platforms(site: Site) -> None:
    base, builder = Layout(site.folder / "base"), Layout(site.folder / "builder")
    base.tag("t", put_base(base, X86, ARM))
    builder.tag("t", put_builder(builder, X86, ARM))
    recipe = site.folder / "layersmith.toml"
    recipe.write_text(recipe.read_text().replace('platforms = ["linux/amd64"]\n', BOTH))


def test_an_entry_point_that_nothing_has_is_refused(site: Site) -> None:
    prepare(site, DEMO, app='entrypoint = "mian:run"\n')
    with pytest.raises(RecipeError, match="no module mian in the source"):
        built(site)
    assert not (site.folder / "dist").exists()
    # Where Python is told where to look, nobody knows.
    for told in ("[app.env]\nPYTHONPATH = '/opt'\n", "workdir = '/opt'\n"):
        prepare(site, DEMO, app=f'entrypoint = "mian:run"\n{told}')
        assert built(site)["platforms"]


def test_two_layers_on_the_python_image(site: Site) -> None:
    app = 'entrypoint = "main:run"\nports = ["8000"]\nstop-signal = "SIGINT"\ncmd = ["-v"]\n'
    prepare(site, DEMO, app=app + "[app.env]\nMODE = 'x'\n[app.labels]\nl = 'm'\n")
    done = built(site)
    found = image(site)
    python = site.assemble("--file", "layersmith.toml")
    assert [
        layer["digest"]
        for layer in (done["platforms"][0][k] for k in ("dependencies", "application"))
    ] == [layer.digest for layer in found.manifest.value.layers[-2:]]
    assert done["image"]["digest"] == python
    dependencies, application = Layer(site, found, -2), Layer(site, found, -1)
    assert dependencies.read(f"{SITE}/demo/__init__.py") == b"answer = 42\n"
    assert dependencies.read(f"{SITE}/demo-1.0.dist-info/INSTALLER") == b"layersmith\n"
    link = dependencies.entries["app/.venv/bin/python"]
    assert isinstance(link, Symlink)
    assert link.target == "/usr/local/bin/python3.13"
    assert application.read("app/main.py") == b"def run(): print(42)\n"
    assert application.read(f"{SITE}/layersmith-app.pth") == b"/app\n"
    assert b"from main import run" in application.read("app/.venv/bin/layersmith-start")
    assert {e.meta.mtime for p, e in dependencies.entries.items()} == {315532800}
    config = found.config.json["config"]
    assert config["Entrypoint"] == ["/app/.venv/bin/python", "/app/.venv/bin/layersmith-start"]
    assert config["Cmd"] == ["-v"]
    assert config["WorkingDir"] == "/app"
    assert config["ExposedPorts"] == {"8000/tcp": {}}
    assert config["StopSignal"] == "SIGINT"
    assert config["Labels"]["l"] == "m"
    assert config["User"] == "1000:1000"
    environment = dict(entry.split("=", 1) for entry in config["Env"])
    assert environment["PATH"].startswith("/app/.venv/bin:")
    assert environment["VIRTUAL_ENV"] == "/app/.venv"
    assert (environment["MODE"], environment["LANG"]) == ("x", "C.UTF-8")
    about = json.loads(found.manifest.value.annotations["dev.layersmith.app"])
    assert about["python"] == "3.13.5"
    assert [entry["created_by"] for entry in found.config.json["history"][-2:]] == [
        "layersmith app build: dependencies",
        "layersmith app build: application",
    ]


def test_a_source_change_moves_one_layer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(site, DEMO)
    before = built(site)["platforms"][0]
    (site.folder / "src" / "main.py").write_text("changed\n")
    shutil.rmtree(site.folder / "wheels")  # nothing of the dependencies is read again
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    after = built(site)["platforms"][0]
    assert after["dependencies"] == before["dependencies"]
    assert after["application"] != before["application"]
    assert {e.meta.mtime for e in Layer(site, image(site), -1).entries.values()} == {1700000000}


def test_the_same_twice_and_from_a_cold_cache(site: Site) -> None:
    prepare(site, DEMO, app='entrypoint = "demo"\n')
    first = built(site)["digest"]
    assert built(site)["digest"] == first
    shutil.rmtree(site.folder / "cache")
    assert built(site, "--output", "oci:other")["digest"] == first


def test_dependencies_do_not_depend_on_the_base(site: Site) -> None:
    prepare(site, DEMO)
    before = built(site)["platforms"][0]
    site.move(b"another builder", version="3.13.9")
    after = built(site)["platforms"][0]
    assert after["dependencies"] == before["dependencies"]
    assert after["digest"] != before["digest"]


def test_a_layer_of_dependencies_that_rotted_is_made_anew(site: Site) -> None:
    prepare(site, DEMO)
    before = built(site)
    blob = (
        site.folder
        / "cache/v1/blobs"
        / before["platforms"][0]["dependencies"]["digest"].replace(":", "/")
    )
    blob.write_bytes(b"x" * blob.stat().st_size)
    after = built(site, "--output", "oci:other")
    assert after["digest"] == before["digest"]


def test_each_platform_has_its_own_wheels(site: Site) -> None:
    amd = wheel("fast", files={"fast/x.txt": b"amd"}, tag="cp313-cp313-manylinux_2_17_x86_64")
    arm = wheel("fast", files={"fast/x.txt": b"arm"}, tag="cp313-cp313-manylinux_2_17_aarch64")
    new = wheel("fast", files={"fast/x.txt": b"new"}, tag="cp313-cp313-manylinux_2_99_x86_64")
    win = wheel("fast", files={"fast/x.txt": b"win"}, tag="cp313-cp313-win_amd64")
    prepare(site, win, new, arm, amd, DEMO)
    both_platforms(site)
    done = built(site)
    assert [w["filename"] for p in done["platforms"] for w in p["wheels"] if w["name"] == "fast"] == [
        amd.filename, arm.filename,
    ]  # fmt: skip
    assert Layer(site, image(site, AMD64), -2).read(f"{SITE}/fast/x.txt") == b"amd"
    assert Layer(site, image(site, ARM64), -2).read(f"{SITE}/fast/x.txt") == b"arm"


def test_platforms_share_what_is_the_same(site: Site) -> None:
    prepare(site, DEMO)
    both_platforms(site)
    amd, arm = built(site)["platforms"]
    assert amd["dependencies"] == arm["dependencies"]


def test_every_missing_wheel_is_named_with_what_there_is(site: Site) -> None:
    win = wheel("fast", tag="cp313-cp313-win_amd64")
    prepare(site, DEMO, win)
    both_platforms(site)
    with pytest.raises(MissingWheels) as caught:
        built(site)
    assert caught.value.exit_code == 3
    assert f"fast 1.0 for linux/amd64: it has {win.filename}" in caught.value.message
    assert "fast 1.0 for linux/arm64" in caught.value.message
    text = site.run("app", "wheels")
    assert "fast==1.0  linux/amd64  one of cp313-cp313-manylinux_2_41_x86_64" in text
    assert len(json.loads(site.run("app", "wheels", "--json"))) == 2


def test_wheels_of_one_s_own_go_first(site: Site) -> None:
    prepare(site, DEMO, wheel("fast", tag="cp313-cp313-win_amd64"))
    own = wheel("fast", files={"fast.py": b"own"}, tag="cp313-cp313-linux_x86_64")
    own.write(site.folder / "own")
    wheel("fast", version="2.0").write(site.folder / "own")
    done = built(site, "--wheel-dir", "own")
    assert own.filename in {w["filename"] for w in done["platforms"][0]["wheels"]}
    assert "nothing has to be built" in site.run("app", "wheels", "--wheel-dir", "own")
    with pytest.raises(RecipeError, match="no directory of wheels"):
        built(site, "--wheel-dir", "gone")


@pytest.mark.parametrize("html", [False, True])
def test_an_index_of_pip_s_configuration(
    site: Site, monkeypatch: pytest.MonkeyPatch, html: bool
) -> None:
    prepare(site)
    (site.folder / "requirements.txt").write_text(requirements(DEMO))
    with serve_index(DEMO, wheel("demo", version="2.0"), user="me:s3cret", html=html) as index:
        monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("//", "//me:s3cret@"))
        done = built(site, "-d", "requirements.txt")
        assert [w["filename"] for w in done["platforms"][0]["wheels"]] == [DEMO.filename]
        asked = len(index.paths)
        (site.folder / "src" / "main.py").write_text("changed\n")
        built(site, "-d", "requirements.txt")
        assert len(index.paths) == asked
    cached = [p.read_bytes() for p in (site.folder / "cache").rglob("*") if p.is_file()]
    assert not any(b"s3cret" in data for data in cached)


def test_an_index_that_says_no_digests(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(site)
    (site.folder / "requirements.txt").write_text(requirements(DEMO))
    with serve_index(DEMO, hashed=False) as index:
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        built(site, "-d", "requirements.txt")


def test_a_corrupted_wheel(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(site)
    (site.folder / "requirements.txt").write_text(requirements(DEMO))
    with serve_index(DEMO, damaged=True) as index:
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        with pytest.raises(DigestMismatch, match=DEMO.filename):
            built(site, "-d", "requirements.txt")
    assert not (site.folder / "dist").exists()


def test_a_wheel_that_another_hash_proves_is_not_taken(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(site)
    (site.folder / "requirements.txt").write_text(requirements(DEMO))
    with serve_index(wheel(files={"demo.py": b"evil"})) as index:
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        with pytest.raises(MissingWheels, match="no wheel fits"):
            built(site, "-d", "requirements.txt")


def test_the_token_of_a_signed_url_is_not_in_the_image(site: Site) -> None:
    prepare(site)
    with serve_index(DEMO) as index:
        url = f"http://{index.host}/files/{DEMO.filename}"
        line = f"demo @ {url}?sig=T0ken --hash={DEMO.digest}\n"
        (site.folder / "requirements.txt").write_text(line)
        built(site, "-d", "requirements.txt")
        assert index.paths == [f"/files/{DEMO.filename}?sig=T0ken"]
    layer = Layer(site, image(site), -2)
    assert json.loads(layer.read(f"{SITE}/demo-1.0.dist-info/direct_url.json"))["url"] == url
    assert b"T0ken" not in layer.tar


@pytest.mark.parametrize("name", ["PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_INDEX_URL"])
def test_a_wheel_that_is_nowhere(site: Site, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    prepare(site)
    (site.folder / "requirements.txt").write_text(requirements(DEMO))
    with serve_index(wheel(files={"demo.py": b"other"})) as index:
        monkeypatch.setenv(name, index.url)
        with pytest.raises(MissingWheels, match="no wheel fits") as caught:
            built(site, "-d", "requirements.txt")
    assert ("no index-url is set" in caught.value.hint) == (name != "PIP_INDEX_URL")


def test_nothing_names_an_index(site: Site) -> None:
    prepare(site)
    (site.folder / "requirements.txt").write_text(requirements(DEMO))
    with pytest.raises(RecipeError, match="which package index"):
        built(site, "-d", "requirements.txt")


def test_pip_s_default_index_is_asked_where_none_is_named(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(site)
    (site.folder / "requirements.txt").write_text(requirements(DEMO))
    with serve_index(DEMO) as index:
        monkeypatch.setattr("layersmith.assemble.wheels.default_index", lambda: index.url)
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        with pytest.raises(MissingWheels, match="no wheel fits"):
            built(site, "-d", "requirements.txt")
        assert index.paths == []
        monkeypatch.delenv("PIP_NO_INDEX")
        built(site, "-d", "requirements.txt")
        assert f"/files/{DEMO.filename}" in index.paths


def test_pip_s_default_index_comes_after_what_is_named(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(site)
    (site.folder / "requirements.txt").write_text(requirements(DEMO))
    with serve_index() as default, serve_index(DEMO) as extra, serve_index() as own:
        monkeypatch.setattr("layersmith.assemble.wheels.default_index", lambda: default.url)
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", extra.url)
        built(site, "-d", "requirements.txt")
        assert default.paths == []
        extra.wheels.clear()
        default.wheels.append(DEMO)
        shutil.rmtree(site.folder / "cache")
        built(site, "-d", "requirements.txt")
        assert f"/files/{DEMO.filename}" in default.paths
        monkeypatch.setenv("PIP_INDEX_URL", own.url)  # takes its place
        shutil.rmtree(site.folder / "cache")
        with pytest.raises(MissingWheels, match="no wheel fits"):
            built(site, "-d", "requirements.txt")


@pytest.mark.parametrize(
    ("wheels", "kind", "message"),
    [
        ((wheel(more_record="../../x,sha256=a,1\n"),), WheelError, "leads out"),
        ((wheel(files={"../x": b""}),), WheelError, "leads out"),
        (
            (wheel("a", files={"t.py": b""}), wheel("b", files={"t.py": b""})),
            WheelError,
            "both bring",
        ),
        ((wheel(record=""),), WheelError, "RECORD does not name"),
    ],
    ids=["record", "path", "conflict", "unrecorded"],
)
def test_wheels_that_are_refused(
    site: Site, wheels: tuple[Made, ...], kind: type[LayersmithError], message: str
) -> None:
    prepare(site, *wheels)
    with pytest.raises(kind, match=message) as caught:
        built(site)
    assert "\n" not in caught.value.message
    assert not (site.folder / "dist").exists()


def test_a_lock_without_hashes(site: Site) -> None:
    prepare(site)
    (site.folder / "requirements.txt").write_text("demo==1.0\n")
    with pytest.raises(RecipeError, match=r"requirements.txt:1: demo: there is no sha256"):
        built(site, "-d", "requirements.txt")


@pytest.mark.parametrize("name", ["uv.lock", "poetry.lock", "Pipfile.lock"])
def test_a_missing_exporter(site: Site, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    prepare(site)
    (site.folder / name).write_text("")
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(RecipeError, match="which is not installed") as caught:
        built(site, "-d", name)
    assert "export" in caught.value.hint or "requirements" in caught.value.hint


def test_a_library_that_is_nowhere(site: Site) -> None:
    module = elf(needed=["libpq.so.5", "libc.so.6"])
    prepare(site, wheel(files={"demo/_x.abi3.so": module}, tag="cp313-abi3-linux_x86_64"))
    for _ in range(2):  # an error is not remembered
        with pytest.raises(ClosureError, match=r"libpq.so.5 \(Debian's package libpq5\?\)"):
            built(site)
    done = built(site, "--allow-unresolved", "libpq.so.5")
    expected = [{"soname": "libpq.so.5", "wanted_by": [f"/{SITE}/demo/_x.abi3.so"]}]
    assert done["platforms"][0]["unresolved"] == expected
    assert built(site, "--allow-unresolved", "libpq.so.5")["platforms"][0]["unresolved"] == expected
    with pytest.raises(ClosureError):
        built(site)


def test_a_source_with_an_object_is_checked_too(site: Site) -> None:
    prepare(site, DEMO)
    (site.folder / "src" / "_fast.so").write_bytes(elf(needed=["libz9.so.1"]))
    with pytest.raises(ClosureError, match=r"libz9\.so\.1"):
        built(site)


def test_an_application_as_a_wheel(site: Site) -> None:
    prepare(site, DEMO)
    shop = wheel("shop", files={"shop.py": b"def main(): ..."}, scripts={"shop": "shop:main"})
    shop.write(site.folder / "out")
    site.recipe(
        f'[app]\nlock = "pylock.toml"\nwheel = "out/{shop.filename}"\nentrypoint = "shop -v"\n'
    )
    done = built(site)["platforms"][0]
    assert done["entrypoint"] == ["/app/.venv/bin/python", "/app/.venv/bin/shop", "-v"]
    assert Layer(site, image(site), -1).read(f"{SITE}/shop.py") == b"def main(): ..."
    wheel(files={"other.py": b""}).write(site.folder / "out")
    with pytest.raises(WheelError, match="the dependencies both bring"):
        built(site, "--wheel", "out/demo-1.0-py3-none-any.whl", "-f", "layersmith.toml")
    arm = wheel("shop", tag="cp313-cp313-linux_aarch64")
    arm.write(site.folder / "out")
    with pytest.raises(MissingWheels, match="is not for linux/amd64"):
        built(site, "--wheel", f"out/{arm.filename}", "-f", "layersmith.toml")


def test_an_image_of_ours_as_the_base(site: Site) -> None:
    prepare(site, DEMO)
    site.assemble("--file", "layersmith.toml", "--output", "oci:python:p")
    options = ("--base-image", "oci:python:p", "--source", "src", "--output", "oci:x")
    (site.folder / "layersmith.toml").unlink()
    done = built(site, *options, "--platform", "linux/amd64", "-d", "pylock.toml")
    found = image(site, place="x")
    assert done["python"] == "3.13.5"
    about = found.manifest.value.annotations
    assert about["org.opencontainers.image.base.digest"] == done["image"]["digest"]
    assert "dev.layersmith.recipe.digest" in about
    one = ("--platform", "linux/amd64", "--source", "src", "--output", "oci:y")
    with pytest.raises(InvalidInput, match="an application already"):
        built(site, "--base-image", "oci:x:latest", *one)
    with pytest.raises(InvalidInput, match="not made by layersmith"):
        built(site, "--base-image", "oci:builder:t", *one)
    with pytest.raises(RecipeError, match="base-image beside target"):
        built(site, "3.13-debian13", "--base-image", "oci:python:p", *one)
    with pytest.raises(InvalidInput, match="is an application"):
        site.run("rebuild", "oci:x:latest")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[app]\nlocks = 'x'\n", "unknown key 'locks'"),
        ("[app]\nowner = 'me'\n", "no owner"),
        ("[app]\nsource = 'src'\nmode = '9'\n", "no mode"),
        ("[app]\nports = ['x']\n", "no port"),
        ("[app]\nports = ['70000']\n", "no port"),
        ("[app]\nstop-signal = 'x'\n", "no signal"),
        ("[app]\nsource = 'src'\nwheel = 'x.whl'\n", "source beside wheel"),
        ("[app]\nexclude = ['x']\n", "there is none"),
        ("[app]\nworkdir = 'x'\n", "not absolute"),
        ("[app]\nextras = ['x']\n", "extras and groups are of a lock"),
        ("[app]\nlock = 'gone.toml'\n", "cannot be read"),
        ("[app]\nlock = 'layersmith.toml'\n", "no lock by its name"),
        ("[app]\nsource = 'gone'\n", "no directory"),
        ("[app]\nwheel = 'gone.txt'\n", "no wheel by its name"),
        ("[app]\nentrypoint = 'gone'\n", "no such script"),
        ("[app.env]\n'a=b' = 'x'\n", "no name of a variable"),
        ("[app.annotations]\n'dev.layersmith.x' = 'y'\n", "layersmith's own"),
        ("entrypoint = ['x']\n[app]\n", "stands in its table"),
    ],
)
def test_recipes_that_make_no_sense(site: Site, text: str, message: str) -> None:
    prepare(site)
    site.recipe(text)
    with pytest.raises(RecipeError, match=message) as caught:
        built(site)
    assert caught.value.exit_code == 2


def test_no_target(site: Site) -> None:
    (site.folder / "layersmith.toml").unlink()
    with pytest.raises(RecipeError, match="no target and no base-image"):
        built(site)


def test_the_app_table_does_not_shape_the_python_image(site: Site) -> None:
    plain = site.assemble("--file", "layersmith.toml")
    prepare(site, DEMO)
    assert site.assemble("--file", "layersmith.toml") == plain


def test_what_is_written_belongs_to_no_source(site: Site) -> None:
    prepare(site)
    site.recipe("[app]\nsource = '.'\nexclude = ['base', 'builder']\n")
    first = built(site)["digest"]
    assert built(site)["digest"] == first
    paths = Layer(site, image(site), -1).entries.keys()
    assert {path for path in paths if path.startswith(("app/dist", "app/cache"))} <= {"app/dist"}
    assert "app/src/main.py" in paths


def test_a_locked_target(site: Site) -> None:
    prepare(site, DEMO)
    site.run("lock", "--file", "layersmith.toml")
    before = built(site)["digest"]
    site.move(b"another builder")
    assert built(site, "--locked")["digest"] == before
    assert built(site)["digest"] != before


def test_words_for_people(site: Site) -> None:
    prepare(site, DEMO)
    text = site.run("app", "build")
    assert "1 wheel " in text
    assert "oci:dist/app:latest" in text


def test_mirrors_of_the_recipe_that_lies_here_are_used(site: Site) -> None:
    prepare(site, DEMO, head='mirrors = { "docker.io" = "no host" }\n')
    with pytest.raises(InvalidInput, match="'no host' cannot be a mirror"):
        built(site)


def test_an_application_of_which_nothing_is_said(site: Site) -> None:
    for text in ("", "[app]\n"):
        site.recipe(text)
        with pytest.raises(RecipeError, match="nothing is said") as caught:
            built(site)
        assert "--dependencies" in caught.value.hint


def test_an_application_of_python_alone(site: Site) -> None:
    site.recipe('[app]\nentrypoint = ""\n')
    assert built(site)["platforms"][0]["entrypoint"] == ["/app/.venv/bin/python"]
    assert isinstance(Layer(site, image(site), -2).entries[SITE], Directory)
