"""``rebase`` as a user types it, on the smallest world."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.build.elf import elf
from tests.build.image import (
    AMD64,
    ARM64,
    Made,
    for_platform,
    put,
    put_index,
    put_json,
    shown,
)
from tests.build.tar import archive, directory, file
from tests.build.wheels import wheel
from tests.build.world import ARM, X86, base_layers, builder_layers
from tests.unit.cli.test_app import both_platforms, no_index, prepare

from layersmith.errors import ClosureError, InvalidInput, NotFound, RecipeError
from layersmith.oci.content import held
from layersmith.oci.derived import NewLayer, Settings, derive
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST
from layersmith.oci.image import Image, Layer, load, select
from layersmith.stores.layout import Layout

if TYPE_CHECKING:
    from tests.build.site import Site

    from layersmith.oci.documents import Platform

__all__ = ["no_index"]

DEMO = wheel(scripts={"demo": "demo:main"})
FILE = ("--file", "layersmith.toml")
ONTO = ("--onto", "3.13-debian13", *FILE)
APP = 'entrypoint = "main:run"\nports = ["8000"]\nstop-signal = "SIGINT"\ncmd = ["-v"]\n'
MORE = "[app.env]\nMODE = 'x'\nLANG = 'de'\n[app.labels]\nl = 'm'\n[app.annotations]\na = 'b'\n"


def rebased(site: Site, *options: str, ref: str = "oci:dist/app:latest") -> dict[str, Any]:
    value: dict[str, Any] = json.loads(site.run("rebase", ref, "--json", *options))
    return value


def image(site: Site, place: str = "dist/rebased", platform: Platform = AMD64) -> Image:
    layout = Layout(site.folder / place)
    return select(layout, load(layout, "latest"), platform)


def build(site: Site, *options: str) -> str:
    return str(json.loads(site.run("app", "build", "--json", *options))["digest"])


def new_base(site: Site, *layers: bytes, runtime: dict[str, Any] | None = None) -> None:
    """Let the base's tag stand for one with more layers."""
    layout = Layout(site.folder / "base")
    made = Made([*base_layers(), *layers], AMD64, runtime=runtime or {})
    layout.tag("t", put_index(layout, [for_platform(made.put(layout), AMD64)]))


def test_only_documents_are_new(site: Site) -> None:
    prepare(site, DEMO, app=APP + MORE)
    before = build(site)
    old = image(site, "dist/app")
    site.move(b"another builder", version="3.13.9")
    done = rebased(site, *ONTO)
    new = image(site)
    assert done["from"]["digest"] == before
    assert not done["same"]
    assert new.layers[-2:] == old.layers[-2:]
    assert new.layers[:-2] != old.layers[:-2]
    config = new.config.json["config"]
    assert config["Env"] == old.config.json["config"]["Env"]
    assert config["ExposedPorts"] == {"8000/tcp": {}}
    assert (config["StopSignal"], config["Cmd"]) == ("SIGINT", ["-v"])
    about = new.manifest.value.annotations
    assert about["a"] == "b"
    assert json.loads(about["dev.layersmith.app"])["python"] == "3.13.9"
    top = load(Layout(site.folder / "dist/rebased"), "latest")
    assert top.value.annotations["dev.layersmith.rebased-from.digest"] == before
    text = site.run("rebase", "oci:dist/app:latest", *ONTO)
    assert "2 layers on 3" in text
    assert "next: layersmith sign oci:dist/rebased:latest" in text


def test_it_is_what_app_build_makes_there(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    prepare(site, DEMO, app=APP + MORE)
    build(site)
    new_base(site, archive(file("etc/new", b"x")), runtime={"Env": ["PATH=/opt/bin", "X=1"]})
    site.move(b"another builder", version="3.13.9")
    done = rebased(site, *ONTO)
    build(site)
    ours, theirs = image(site), image(site, "dist/app")
    assert ours.config.json == theirs.config.json
    assert ours.manifest.json == theirs.manifest.json
    assert ours.manifest.descriptor.digest == theirs.manifest.descriptor.digest
    tops = [load(Layout(site.folder / p), "latest").json for p in ("dist/rebased", "dist/app")]
    assert (
        tops[0]["annotations"].pop("dev.layersmith.rebased-from.digest") == done["from"]["digest"]
    )
    assert tops[0] == tops[1]
    assert "PATH=/app/.venv/bin:/opt/bin" in ours.config.json["config"]["Env"]
    path = next(v for v in done["platforms"][0]["values"] if v["key"] == "env PATH")
    assert path["origin"] == "both"


def test_there_and_back_again(site: Site) -> None:
    prepare(site, DEMO, app=APP + MORE)
    build(site)
    site.assemble(*FILE, "--output", "oci:python:one")
    site.move(b"another builder")
    rebased(site, *ONTO)
    rebased(site, "--onto", "oci:python:one", "--output", "oci:back", ref="oci:dist/rebased")
    config = image(site, "back").config.json["config"]
    assert config == image(site, "dist/app").config.json["config"]
    assert image(site, "back").layers == image(site, "dist/app").layers


def test_onto_the_same_base_there_is_nothing_to_do(site: Site) -> None:
    prepare(site, DEMO)
    before = build(site)
    done = rebased(site, *ONTO)
    assert (done["digest"], done["same"], done["tags"]) == (before, True, [])
    assert not (site.folder / "dist/rebased").exists()
    assert "nothing to do" in site.run("rebase", "oci:dist/app:latest", *ONTO)
    done = rebased(site, *ONTO, "--output", "oci:copied")
    assert (done["digest"], done["tags"]) == (before, ["oci:copied:latest"])
    assert Layout(site.folder / "copied").resolve("latest").digest == before


def test_the_same_twice_and_from_a_cold_cache(site: Site) -> None:
    prepare(site, DEMO)
    build(site)
    site.move(b"another builder")
    first = rebased(site, *ONTO)["digest"]
    assert rebased(site, *ONTO)["digest"] == first
    cold = ("--cache-dir", "cold", "-q", "--json", "--output", "oci:other")
    done = json.loads(site.run_plain("rebase", "oci:dist/app:latest", *ONTO, *cold))
    assert done["digest"] == first


def test_every_platform_moves(site: Site) -> None:
    prepare(site, DEMO)
    both_platforms(site)
    build(site)
    layout = Layout(site.folder / "builder")
    runtime = {"Env": ["PYTHON_VERSION=3.13.5"]}
    made = [
        Made(builder_layers(b"new", abi), abi.platform, runtime=runtime or {}) for abi in (X86, ARM)
    ]
    layout.tag("t", put_index(layout, [for_platform(m.put(layout), m.platform) for m in made]))
    done = rebased(site, *ONTO)
    assert [p["platform"] for p in done["platforms"]] == ["linux/amd64", "linux/arm64"]
    one = rebased(site, *ONTO, "--platform", "linux/arm64", "--output", "oci:one")
    assert [p["digest"] for p in one["platforms"]] == [done["platforms"][1]["digest"]]
    assert image(site, platform=ARM64).layers[-2:] == image(site, "dist/app", ARM64).layers[-2:]
    new_base(site)  # has amd64 alone
    with pytest.raises(NotFound, match=r"onto 3.13-debian13: .*no image for linux/arm64"):
        rebased(site, *ONTO)


def test_a_chosen_platform_of_the_same_base(site: Site) -> None:
    prepare(site, DEMO)
    both_platforms(site)
    build(site)
    done = rebased(site, *ONTO, "--platform", "linux/arm64")
    assert (
        done["platforms"][0]["digest"] == image(site, "dist/app", ARM64).manifest.descriptor.digest
    )


def test_another_python_is_refused(site: Site) -> None:
    prepare(site, DEMO)
    build(site)
    layers = [
        archive(
            file("usr/local/bin/python3.14", elf(needed=["libc.so.6"]), mode=0o755),
            directory("usr/local/lib/python3.14"),
            file("usr/local/lib/python3.14/os.py", b""),
        )
    ]
    site.move(b"", "3.14.1", *layers)
    with pytest.raises(ClosureError, match=r"linux/amd64: it was built for Python 3\.13") as caught:
        rebased(site, "--onto", "3.14-debian13", *FILE)
    assert caught.value.exit_code == 8
    assert not (site.folder / "dist/rebased").exists()


def test_a_library_that_the_new_base_has_not(site: Site) -> None:
    module = elf(needed=["libnew.so.1", "libc.so.6"])
    library = archive(file(f"{X86.folder}/libnew.so.1", elf(soname="libnew.so.1"), mode=0o755))
    new_base(site, library)
    prepare(site, wheel(files={"demo/_x.abi3.so": module}, tag="cp313-abi3-linux_x86_64"))
    build(site)
    new_base(site)
    for _ in range(2):  # an error is not remembered
        with pytest.raises(ClosureError, match=r"_x\.abi3\.so needs libnew\.so\.1"):
            rebased(site, *ONTO)
    done = rebased(site, *ONTO, "--allow-unresolved", "libnew.so.1")
    assert done["platforms"][0]["unresolved"][0]["soname"] == "libnew.so.1"
    site.move(b"again")
    again = rebased(site, *ONTO, ref="oci:dist/rebased:latest")  # it is known to be without
    assert again["platforms"][0]["unresolved"][0]["soname"] == "libnew.so.1"


def test_files_of_the_base_that_would_be_hidden(site: Site) -> None:
    prepare(site, DEMO)
    build(site)
    new_base(site, archive(directory("app"), file("app/main.py", b"theirs")))
    with pytest.raises(ClosureError, match=r"would hide /app/main.py of the new base") as caught:
        rebased(site, *ONTO)
    assert "--allow-shadowing" in caught.value.hint
    done = rebased(site, *ONTO, "--allow-shadowing")
    assert done["platforms"][0]["hidden"] == ["/app/main.py"]
    assert "hides /app/main.py" in site.run(
        "rebase", "oci:dist/app:latest", *ONTO, "--allow-shadowing"
    )


def test_an_image_that_was_changed(site: Site) -> None:
    prepare(site, DEMO)
    build(site)
    layout = Layout(site.folder / "dist/app")
    made = image(site, "dist/app")

    def changed(**about: Any) -> None:
        config = put_json(layout, {**made.config.json, **about.pop("config", {})}, OCI_CONFIG)
        value = {**made.manifest.json, "config": shown(config), **about}
        layout.tag("changed", put_json(layout, value, OCI_MANIFEST))

    changed(config={"author": "me"})
    with pytest.raises(InvalidInput, match="its config is not the one") as caught:
        rebased(site, *ONTO, ref="oci:dist/app:changed")
    assert caught.value.exit_code == 2
    layers = made.manifest.json["layers"]
    changed(layers=[layers[1], layers[0], *layers[2:]])
    with pytest.raises(InvalidInput, match="are not those of the base"):
        rebased(site, *ONTO, ref="oci:dist/app:changed")
    changed(annotations={**made.manifest.json["annotations"], "dev.layersmith.app": "{}"})
    with pytest.raises(InvalidInput, match="does not say what in it"):
        rebased(site, *ONTO, ref="oci:dist/app:changed")


def test_what_is_no_application(site: Site) -> None:
    site.assemble(*FILE, "--output", "oci:python:p")
    with pytest.raises(InvalidInput, match="is a Python image, no application"):
        rebased(site, *ONTO, ref="oci:python:p")
    with pytest.raises(InvalidInput, match="it is no application of layersmith") as caught:
        rebased(site, *ONTO, ref="oci:builder:t")
    assert "--old-base REF" in caught.value.hint
    with pytest.raises(InvalidInput, match="no layer of its own"):
        rebased(site, *ONTO, "--old-base", "oci:python:p", ref="oci:python:p")
    with pytest.raises(InvalidInput, match="the old base is not below it: layer 3"):
        rebased(site, *ONTO, "--old-base", "oci:builder:t", ref="oci:python:p")


def test_onto_what(site: Site) -> None:
    prepare(site, DEMO)
    build(site)
    with pytest.raises(InvalidInput, match="is not a target"):
        rebased(site, "--onto", "3.13", *FILE)
    with pytest.raises(InvalidInput, match="an application already"):
        rebased(site, "--onto", "oci:dist/app:latest")
    (site.folder / "layersmith.toml").unlink()
    with pytest.raises(RecipeError, match="onto what"):
        rebased(site)


def foreign(site: Site, tar: bytes, **settings: Any) -> Image:
    """Put an image that somebody else built on our Python image into its layout."""
    layout = Layout(site.folder / "python")
    below = select(layout, load(layout, "p"), AMD64)
    runtime = below.config.json["config"]
    said = {"user": runtime["User"], "entrypoint": runtime["Entrypoint"], "cmd": None, "env": {}}
    about: dict[str, Any] = {"created": "2026-01-01T00:00:00Z", "workdir": None, "labels": {}}
    layer = Layer(put(layout, tar, OCI_LAYER), Digest.of(tar))
    made = derive(
        below, NewLayer(layer, "COPY"), Settings(**{**said, **about, "annotations": {}, **settings})
    )
    for document in (made.config, made.manifest):
        layout.put(document.descriptor, held(document.raw))
    layout.tag("foreign", made.manifest.descriptor)
    return made


def test_an_image_of_somebody_else(site: Site) -> None:
    site.assemble(*FILE, "--output", "oci:python:p")
    made = foreign(
        site,
        archive(directory("app"), file("app/x", b"x")),
        env={"MODE": "x", "PATH": "/mine:/usr/local/bin:/usr/bin:/bin"},
        labels={"l": "m"},
        workdir="/app",
        ports=("80/tcp",),
        rest={"Volumes": {"/data": {}}},
        annotations={"mine": "1"},
    )
    options = (*ONTO, "--old-base", "oci:python:p")
    site.move(b"another")
    done = rebased(site, *options, ref="oci:python:foreign")
    new = image(site)
    layout = Layout(site.folder / "dist/rebased")
    assert new.layers[-1] == made.layers[-1]
    theirs, ours = made.config.json["config"], new.config.json["config"]
    assert {**ours, "Env": sorted(ours["Env"])} == {**theirs, "Env": sorted(theirs["Env"])}
    assert new.config.json["history"][-1]["created_by"] == "COPY"
    assert new.manifest.value.annotations["mine"] == "1"
    assert load(layout, "latest").value.annotations["mine"] == "1"
    assert done["platforms"][0]["layers"] == [made.layers[-1].descriptor.digest]
    # From here on it says itself where it stands.
    site.move(b"and another")
    again = rebased(site, *ONTO, "--output", "oci:again", ref="oci:dist/rebased")
    assert not again["same"]
    assert image(site, "again").config.json["config"] == ours
    assert rebased(site, *ONTO, ref="oci:again")["same"]


def test_a_start_that_is_the_base_s_moves_with_it(site: Site) -> None:
    site.assemble(*FILE, "--output", "oci:python:p")
    foreign(site, archive(file("x", b"x")))
    site.assemble(*FILE, "--entrypoint", "/usr/local/bin/python3", "--output", "oci:python:q")
    options = ("--onto", "oci:python:q", "--old-base", "oci:python:p")
    rebased(site, *options, ref="oci:python:foreign")
    assert image(site).config.json["config"]["Entrypoint"] == ["/usr/local/bin/python3"]


@pytest.mark.parametrize(
    ("tar", "settings", "message"),
    [
        (
            archive(file("x", b"", uid=1000)),
            {},
            "/x belongs to the user 1000, and it would run as 65",
        ),
        (archive(file("x")), {"user": "1000"}, "no user 1000"),
        (archive(file("x")), {"user": "monty"}, "no user monty"),
        (archive(file("etc/passwd", b"")), {"user": "0"}, "hide /etc/passwd of the new base"),
        (
            archive(file("usr/.wh.local", b"")),
            {"user": "0"},
            "hide /usr/local/lib/python3.13/os.py",
        ),
        (
            archive(file("usr/local/lib/python3.13/__pycache__/os.cpython-313.pyc", b"\xf3\r\r\n")),
            {"user": "0"},
            "its bytecode of /usr/local/lib/python3.13/os.py is of another source",
        ),
        (
            archive(file("usr/local/lib/python3.13/__pycache__/os.cpython-313.pyc", b"\xf2\r\r\n")),
            {"user": "0"},
            "the magic number 3570, the new base's Python 3571",
        ),
    ],
    ids=["owner", "number", "name", "changed", "whiteout", "stale", "magic"],
)
def test_what_does_not_fit(site: Site, tar: bytes, settings: dict[str, Any], message: str) -> None:
    site.assemble(*FILE, "--output", "oci:python:p")
    foreign(site, tar, **settings)
    site.move(b"another")
    user = ("--user", "app:65000:65000")
    with pytest.raises(ClosureError, match=message):
        rebased(site, *ONTO, *user, "--old-base", "oci:python:p", ref="oci:python:foreign")
    assert not (site.folder / "dist").exists()


def test_what_the_application_hid_before_it_may_hide(site: Site) -> None:
    site.assemble(*FILE, "--output", "oci:python:p")
    foreign(site, archive(file("etc/group", b"mine")))
    site.move(b"another")
    done = rebased(site, *ONTO, "--old-base", "oci:python:p", ref="oci:python:foreign")
    assert done["platforms"][0]["hidden"] == []


def test_bytecode_of_a_library_that_is_the_same(site: Site) -> None:
    site.assemble(*FILE, "--output", "oci:python:p")
    pyc = "usr/local/lib/python3.13/__pycache__/os.cpython-313.pyc"
    foreign(site, archive(file(pyc, b"\xf3\r\r\n")))
    new_base(site, archive(file("etc/new", b"")))
    done = rebased(site, *ONTO, "--old-base", "oci:python:p", ref="oci:python:foreign")
    assert not done["same"]


def test_a_locked_target(site: Site) -> None:
    prepare(site, DEMO)
    before = build(site)
    site.run("lock", *FILE)
    site.move(b"another builder")
    assert rebased(site, *ONTO, "--locked")["digest"] == before
    assert rebased(site, *ONTO)["digest"] != before


def test_one_manifest_to_an_archive(site: Site) -> None:
    prepare(site, DEMO)
    build(site)
    one = image(site, "dist/app").manifest.descriptor
    Layout(site.folder / "dist/app").tag("one", one)
    site.move(b"another builder")
    whole = rebased(site, *ONTO)
    done = rebased(site, *ONTO, "--output", "docker-archive:x.tar:shop:1", ref="oci:dist/app:one")
    assert done["platforms"][0]["digest"] == whole["platforms"][0]["digest"]
    assert done["from"]["digest"] == one.digest


def test_values_say_where_they_come_from(site: Site) -> None:
    prepare(site, DEMO, app="[app.env]\nMODE = 'mine'\n")
    build(site)
    new_base(site, runtime={"Env": ["MODE=theirs"], "Labels": {"l": "new"}})
    text = site.run("rebase", "oci:dist/app:latest", *ONTO)
    assert "env MODE: 'mine' of the application, not the base's 'theirs'" in text
    new_base(site, runtime={"Env": ["MODE=x"], "Labels": {"l": "newer"}})
    text = site.run("rebase", "oci:dist/rebased:latest", *ONTO)
    assert "label l: 'newer' of the base, not the image's 'new'" in text
