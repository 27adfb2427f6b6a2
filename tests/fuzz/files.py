"""Files of users and of administrators: recipes, locks, registries.conf, credentials."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final
from unittest.mock import patch

from tests.build import hostile_json as made
from tests.build.locks import lock
from tests.fuzz.target import Target, refused

from layersmith.oci.reference import Reference
from layersmith.recipe.lock import parse_lock, write_lock
from layersmith.recipe.lockdiff import changes
from layersmith.recipe.recipe import read_recipe
from layersmith.recipe.shape import of_shape, parse_shape, shape, shape_digest, shape_json
from layersmith.recipe.toml import write_toml
from layersmith.stores.credentials import stored_credential
from layersmith.stores.registries_conf import read_rules, rule_for

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEPT: Final = TemporaryDirectory(prefix="fuzz-")
_FILE: Final = Path(_KEPT.name) / "config.json"
_IMAGES: Final = (
    Reference("docker.io/library/python:3.13"),
    Reference("quay.io/a/b"),
    Reference("other.example/x/y:t"),
)


def _recipe(data: bytes) -> None:
    _FILE.write_bytes(data)
    found = read_recipe(_FILE)
    assert of_shape(shape(found), "shape") is not None
    again = parse_shape(shape_json(found), "shape")
    assert shape(again) == shape(found)
    assert shape_digest(again) == shape_digest(found)
    _FILE.write_text(write_toml(shape(found)), encoding="utf-8")
    assert shape(read_recipe(_FILE)) == shape(found)
    assert found.over(found) is not None
    refused(found.chosen_platforms)
    refused(found.chosen_user)
    assert str(found.compressor())


def _lock(data: bytes) -> None:
    found = parse_lock(data, "lock")
    text = write_lock(found)
    again = parse_lock(text, "lock")
    assert write_lock(again) == text
    assert shape(again.wish) == shape(found.wish)
    assert not list(changes(found, found))
    list(changes(found, lock()))


def _registries(data: bytes) -> None:
    _FILE.write_bytes(data)
    with patch.dict(os.environ, {"CONTAINERS_REGISTRIES_CONF": str(_FILE)}):
        rules = read_rules()
    with patch.dict(os.environ, _conf_directory(data), clear=True):
        assert set(read_rules()) >= set(rules)
    assert len({rule.prefix for rule in rules}) == len(rules)
    for image in _IMAGES:
        refused(partial(rule_for, rules, image))


def _conf_directory(data: bytes) -> dict[str, str]:
    """Let this be the one file of a user's directory."""
    place = _FILE.parent / "containers" / "registries.conf.d" / "x.conf"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return {"XDG_CONFIG_HOME": str(_FILE.parent)}


def _credentials(data: bytes) -> None:
    """Look up credentials; there is no helper where this looks for one."""
    _FILE.write_bytes(data)
    nowhere = {"DOCKER_CONFIG": str(_FILE.parent), "PATH": str(_FILE.parent / "none")}
    home = {**nowhere, "HOME": str(_FILE.parent), "XDG_RUNTIME_DIR": str(_FILE.parent)}
    del home["DOCKER_CONFIG"]
    for surroundings in (nowhere, home, {**nowhere, "REGISTRY_AUTH_FILE": str(_FILE)}):
        with patch.dict(os.environ, surroundings, clear=True):
            for image in _IMAGES:
                refused(partial(_credential, image))


def _credential(image: Reference) -> None:
    found = stored_credential(image.registry, image.repository)
    if found is not None:
        assert found.basic.isascii()
        assert all(secret not in repr(found) for secret in found.secrets if len(secret) > 40)
        assert "\n" not in found.identity + found.registry + found.username + found.password


def _recipes() -> Iterator[bytes]:
    yield b'target = "3.13-debian13"\nplatforms = ["linux/amd64"]\n[env]\nA = "1"\n'
    yield (
        b'base = "oci:x:t"\nbuilder = "python:3.13"\npush = ["r.example/a:t"]\nuser = "a:1:2"\n'
        b'include = ["pip", "**/*.py"]\nexclude = ["test"]\nentrypoint = []\ncmd = ["a", "\\u00e9"]\n'
        b'workdir = "/x"\ncompression = "zstd:19"\nallow-unresolved = ["libx.so*"]\nplain-http=[]\n'
        b'[labels]\n"a.b" = "c"\n[annotations]\n"" = ""\n[mirrors]\n"docker.io" = "h:5000/p"\n'
    )
    for line in (
        b'target = "x"', b"target = 5", b"unknown = 1", b"env = []", b'user = "root"', b"[env", b"\xff",
        b'workdir = "x"', b'compression = "lz4"', b"a" * 300, b'target = """\n"""', b"env.A = 1",
        b'platforms = ["linux"]', b'[annotations]\n"dev.layersmith.x" = "y"', b'plain-http = ["/"]',
        b'cmd = ["\\u0000"]', b"x = " + b"[" * 300, b"x = 2020-13-40", b"x = nan", b'env = {"=" = ""}',
        b'compression = "gzip:6"', b'plain-http = ["a/b"]', b'env = {A = "\\u0000"}', b"#" * (1 << 20),
        b"\n\nuser = 5", b"[env]\nA = 5", b"push = 5", b'verify-base = ""', b'sign = "x"',
        b'[app]\nlock = "l"\nsource = "."\nports = ["80"]\n[app.env]\nA = "1"', b"[app]\nunknown = 1",
        b"[app]\nlock = 5", b'[app.env]\n"=" = ""', b'[app.annotations]\n"dev.layersmith.x" = "y"',
        b'[app]\nworkdir = "x"', b'[[test]]\ncommand = ["a"]\nexit = 1\nuser = "1:2"',
        b"[[test]]\nunknown = 1", b"[[test]]\nhttp = {port = 0}", b"[[test]]\nhttp = {port = 5}",
        b"[[test]]\nhttp = {port = 5, unknown = 1}", b'[[test]]\nplatforms = ["x"]', b"test = 5",
        b'requirements = "r.txt"\nwheel-dirs = ["w"]', b'requirements = "\\u0000"',
        b'replace-package = ["a"]', b'user = "a:99999999999:1"', b'user = ":"', b'user = "nonroot"',
        b'platforms = ["linux/amd64", "linux/amd64"]', b'base = "oci:"', b'mirrors = {"x" = "a b"}',
    ):  # fmt: skip
        yield line + b"\n"


def _locks() -> Iterator[bytes]:
    text = write_lock(lock())
    yield from (text, b"version = 1\n", b"version = 2\n", b"", b"[[", b"\xff", b"#" * (1 << 21))
    for old, new in (
        (b"linux/arm64", b"linux/arm64/v8"), (b'TZ = "UTC"', b'TZ = "x"'), (b"sha256:", b"sha1:"),
        (b"3.13-debian13", b""), (b"[recipe]\n", b'[recipe]\nbase = "x"\n'), (b"epoch = ", b"epoch = -"),
        (b"[recipe]\n", b'[recipe]\nrequirements = "x"\n'), (b"epoch = ", b'wheels = {"x.whl" = "y"}\nepoch = '),
        (b"[recipe]\n", b"[recipe]\nunknown = 1\n"), (b"[platforms.", b"[x."), (b"= ", b"= 1 #"),
    ):  # fmt: skip
        yield text.replace(old, new)


def _registries_confs() -> Iterator[bytes]:
    yield (
        b'unqualified-search-registries = ["docker.io"]\n[[registry]]\nprefix = "docker.io/library"\n'
        b'location = "m.example/hub/"\ninsecure = true\nblocked = false\nmirror-by-digest-only = true\n'
        b'[[registry.mirror]]\nlocation = "c.example:5000/hub"\npull-from-mirror = "tag-only"\n'
    )
    yield b'[[registry]]\nprefix = "*.example"\nblocked = true\n[[registry]]\nlocation = "quay.io"\n'
    for line in (
        b"[[registry]]", b"registry = 5", b"registry = [1]", b'[[registry]]\nprefix = 5\nlocation="x"',
        b'[[registry]]\nlocation = "x"\nmirror = "y"', b'[[registry]]\nlocation=["x"]', b"\xff", b"[",
        b'[[registry]]\nlocation="x"\n[[registry.mirror]]\nlocation="y"\npull-from-mirror="never"',
        b'[[registry]]\nlocation="x"\n[[registry.mirror]]\npull-from-mirror=["all"]', b"[registry]",
        b'[[registry]]\nprefix = ""\nlocation = ""', b'[[registry]]\nprefix = "quay.io/a"',
    ):  # fmt: skip
        yield line + b"\n"


def _auths() -> Iterator[bytes]:
    for case in made.cases():
        if case.role == "auth":
            yield case.raw.replace(b'"@"', b'"other.example"')
    yield b'{"auths":{"https://index.docker.io/v1/":{"auth":"dTpw"},"quay.io/a":{"auth":"YTpi"}}}'
    yield b'{"credHelpers":{"quay.io":""},"credsStore":"x","auths":{"other.example/x":{"identitytoken":"t"}}}'


TARGETS: Final = (
    Target(
        "recipe",
        _recipe,
        _recipes,
        ("recipe.recipe", "recipe.shape", "recipe.toml", "recipe.target"),
        (b'target = "', b"[env]\n", b" = ", b'"""', b"\\u0000", b"[[", b"=[]", b"\x7f", b"\\ud800"),
    ),
    Target(
        "lock",
        _lock,
        _locks,
        ("recipe.lock", "recipe.shape", "recipe.toml"),
        (b"[platforms.", b"[recipe.env]\n", b"version = 1", b"sha256:", b"digest = ", b"\\ud800"),
    ),
    Target(
        "registries-conf",
        _registries,
        _registries_confs,
        ("stores.registries_conf",),
        (b"[[registry]]\n", b'prefix = "', b'location = "', b"[[registry.mirror]]\n", b"*.", b"[]"),
    ),
    Target(
        "auth-files",
        _credentials,
        _auths,
        ("stores.auth_files",),
        (
            b'{"auths":{',
            b'"auth":"',
            b'"credHelpers":{',
            b'"credsStore":"',
            b'"other.example"',
            b"{}",
        ),
    ),
)
