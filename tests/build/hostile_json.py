"""JSON documents of images, registries and users that were made to be misread.

A case is a document in a role (what it is taken for), and what must come of it: "" if it is
accepted, otherwise words of the error. What is accepted has one meaning, which Go's readers
see too; `peer` says whether skopeo can be asked.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.build.image import compressed
from tests.build.world import base_layers

from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST

ESC = "\x1b]0;owned\x07\x1b[31m"
MAX = 4 * 1024 * 1024
TARS = base_layers()
LAYERS = [compressed(tar, "gzip") for tar in TARS]
GONE = f"sha256:{'0' * 64}"


@dataclass(frozen=True)
class Case:
    """One document: `media_type` is what its descriptor says it is."""

    role: str
    name: str
    raw: bytes
    said: str = ""
    peer: bool = True
    media_type: str = ""


def described(raw: bytes, media_type: str, **more: object) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": Digest.of(raw), "size": len(raw), **more}


CONFIG: dict[str, Any] = {
    "architecture": "amd64",
    "os": "linux",
    "created": "2026-01-01T00:00:00Z",
    "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/x"]},
    "rootfs": {"type": "layers", "diff_ids": [Digest.of(tar) for tar in TARS]},
    "history": [{"created_by": "x"}],
}
RAW_CONFIG = json.dumps(CONFIG).encode()
MANIFEST: dict[str, Any] = {
    "schemaVersion": 2,
    "mediaType": OCI_MANIFEST,
    "config": described(RAW_CONFIG, OCI_CONFIG),
    "layers": [described(layer, f"{OCI_LAYER}+gzip") for layer in LAYERS],
}
RAW_MANIFEST = json.dumps(MANIFEST).encode()
PLATFORM = {"architecture": "amd64", "os": "linux"}
INDEX: dict[str, Any] = {
    "schemaVersion": 2,
    "mediaType": OCI_INDEX,
    "manifests": [described(RAW_MANIFEST, OCI_MANIFEST, platform=PLATFORM)],
}
RAW_INDEX = json.dumps(INDEX).encode()
NESTED = [RAW_INDEX]
while len(NESTED) < 7:
    NESTED.append(json.dumps({**INDEX, "manifests": [described(NESTED[-1], OCI_INDEX)]}).encode())
REF = {"org.opencontainers.image.ref.name": "t"}
NAMES: dict[str, Any] = {
    "schemaVersion": 2,
    "manifests": [described(RAW_INDEX, OCI_INDEX, annotations=REF)],
}
ITEMS: list[Any] = [
    {"Config": "c.json", "RepoTags": ["some/thing:t"], "Layers": ["0.tar", "1.tar"]}
]
WHOLE: dict[str, Any] = {
    "manifest": MANIFEST, "index": INDEX, "config": CONFIG, "names": NAMES, "archive": ITEMS,
    "token": {"token": "abc", "expires_in": 60}, "tags": {"name": "x", "tags": ["t", "u"]},
    "auth": {"auths": {"other.example": {"auth": base64.b64encode(b"u:p").decode()}}},
    "referrers": {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []},
}  # fmt: skip


def cases() -> Iterator[Case]:
    """Yield every document in every role."""
    for role, value in WHOLE.items():
        yield Case(role, "as it should be", json.dumps(value).encode())
        if isinstance(value, dict):
            yield from _texts(role, json.dumps(value).encode())
    for group in (_manifests, _indexes, _configs, _users, _names, _digests, _sizes, _items):
        yield from group()
    for group in (_tokens, _tags, _auths, _errors):
        yield from group()


def changed(value: Any, path: str, new: Any) -> Any:
    """Return a JSON value with another one at a path like ``layers.0.size``; `...` removes."""
    head, _, rest = path.partition(".")
    key: Any = int(head) if isinstance(value, list) else head
    copy = list(value) if isinstance(value, list) else dict(value)
    if rest:
        copy[key] = changed(value[key], rest, new)
    elif new is ...:
        del copy[key]
    else:
        copy[key] = new
    return copy


# A line a case, whatever its length.
# fmt: off


def _texts(role: str, text: bytes) -> Iterator[Case]:
    """Yield what is wrong with the text itself, whatever it is about."""
    def inside(member: bytes) -> bytes:
        return b"{" + member + b"," + text[1:]

    key = next(iter(json.loads(text)))
    twice = b'"%s":null' % key.encode()
    bad: dict[str, tuple[bytes, str]] = {
        "empty": (b"", "."), "blanks": (b" \n ", "."), "half": (text[: len(text) // 2], "."), "without its end": (text[:-1], "."), "garbage behind": (text + b"x", "Extra data"),
        "NUL behind": (text + b"\0", "Extra data"), "twice": (text * 2, "Extra data"), "a BOM": (b"\xef\xbb\xbf" + text, "."), "UTF-16": (text.decode().encode("utf-16"), "not UTF-8"),
        "UTF-16 without a BOM": (text.decode().encode("utf-16-le"), "."), "UTF-32": (text.decode().encode("utf-32"), "."), "latin-1": (inside(b'"x":"\xe9"'), "not UTF-8"), "overlong UTF-8": (inside(b'"x":"\xc0\xaf"'), "not UTF-8"),
        "a surrogate in UTF-8": (inside(b'"x":"\xed\xa0\x80"'), "not UTF-8"), "a lone surrogate": (inside(b'"x":"\\ud800"'), "surrogate"), "a lone surrogate as a key": (inside(b'"\\udfff":1'), "surrogate"),
        "a key twice": (inside(twice), "stands twice"), "a key twice, escaped": (inside(twice.replace(b'"' + key[:1].encode(), b'"\\u%04x' % ord(key[0]), 1)), "stands twice"),
        "a strange key twice": (inside(b'"x":1,"x":1'), "stands twice"), "a key twice below": (inside(b'"x":[{"y":1,"y":2}]'), "stands twice"), "NaN": (inside(b'"x":NaN'), "NaN"), "Infinity": (inside(b'"x":[Infinity]'), "Infinity"),
        "-Infinity": (inside(b'"x":-Infinity'), "Infinity"), "1e999": (inside(b'"x":1e999'), "too large"), "a number of 10,000 digits": (inside(b'"x":' + b"9" * 10_000), "digits"), "a fraction of 10,000 digits": (inside(b'"x":1.' + b"9" * 10_000 + b"e400"), "too large"),
        "depth 100,000": (inside(b'"x":' + b"[" * 100_000 + b"]" * 100_000), "deeper|not a token"), "depth 100,000 of objects": (inside(b'"x":' + b'{"x":' * 100_000 + b"1" + b"}" * 100_000), "deeper|not a token"), "depth 100,000 without an end": (b"[" * 100_000, "."),
        "depth 65": (inside(b'"x":' + b"[" * 65 + b"]" * 65), "deeper"), "a list": (b"[" + text + b"]", "."), "a text": (b'"x"', "."), "a number": (b"2", "."), "null": (b"null", "."), "true": (b"true", "."), "a comment": (b"//x\n" + text, "."),
        "single quotes": (text.replace(b'"', b"'"), "."), "a comma too many": (text[:-1] + b",}", "."), "a line break in a text": (inside(b'"x":"\n"'), "control character"), "an escape in a text": (inside(b'"x":"\x1b"'), "control character"),
        "an octal number": (inside(b'"x":010'), "."), "a plus": (inside(b'"x":+1'), "."), "more than 4 MiB": (text + b" " * MAX, "bytes|not a token|large"), "an unknown escape": (inside(b'"x":"\\x41"'), "."),
    }
    for name, (raw, said) in bad.items():
        yield Case(role, name, raw, "" if _is_spared(role, name) else said)
    good = {"something unknown": b'"x":{"y":[1,2.5,null]}', "depth 50": b'"x":' + b"[" * 50 + b"]" * 50, "a pair of surrogates": b'"x":"\\ud83d\\ude00"', "a number of 18 digits": b'"x":' + b"9" * 18}
    for name, member in good.items():
        yield Case(role, name, inside(member))
    yield Case(role, "a key in escapes", text.replace(b'"' + key.encode(), b'"' + b"".join(b"\\u%04x" % ord(c) for c in key), 1))
    yield Case(role, "blanks around", b" \r\n\t" + text + b"\n\n")


def _is_spared(role: str, name: str) -> bool:
    """An empty auth file is one without entries, as for Docker."""
    return role == "auth" and name in ("empty", "blanks")


def _each(role: str, value: Any, path: str, table: dict[str, tuple[Any, str]], *, peer: bool = True) -> Iterator[Case]:
    for name, (new, said) in table.items():
        yield Case(role, f"{path}: {name}", json.dumps(changed(value, path, new)).encode(), said, peer)


STRANGE: dict[str, Any] = {"null": None, "true": True, "a number": 7, "a text": "x", "a list": [1], "an object": {"x": 1}}


def _strange(role: str, value: Any, path: str, *fine: str, said: str = ".") -> Iterator[Case]:
    """Yield every type of value at a path; those that are `fine` are accepted."""
    table = {name: (new, "" if name in fine else said) for name, new in STRANGE.items()}
    yield from _each(role, value, path, table)


def _manifests() -> Iterator[Case]:
    layer = MANIFEST["layers"][0]
    yield from _each("manifest", MANIFEST, "schemaVersion", {"1": (1, "."), "3": (3, "."), "a text": ("2", "."), "a fraction": (2.5, "."), "null": (None, "."), "huge": (2**62, ".")})
    yield from _each("manifest", MANIFEST, "mediaType", {"none": (..., ""), "an index's": (OCI_INDEX, "says it is"), "Docker's": ("application/vnd.docker.distribution.manifest.v2+json", "says it is"), "nothing": ("", "says it is"), "a number": (2, "."), "null": (None, "says it is"), "escapes": (ESC, "says it is"), "capitals": (OCI_MANIFEST.upper(), "says it is"), "a parameter": (f"{OCI_MANIFEST}; a=b", "says it is")})
    for path in ("config", "layers"):
        yield from _strange("manifest", MANIFEST, path)
        yield from _each("manifest", MANIFEST, path, {"none": (..., ".")})
    yield from _each("manifest", MANIFEST, "layers", {"a null in it": ([None], "."), "a text in it": (["x"], "."), "an object in it": ([{}], "."), "a list in it": ([[layer]], "."), "none": ([], "0 layers"), "the same thrice": ([layer] * 3, "3 layers"), "100,000": ([layer] * 9000, "9000 layers")})
    for key, value in {"manifests": [], "fsLayers": [], "Manifests": INDEX["manifests"], "FSLAYERS": None}.items():
        yield Case("manifest", f"and {key}", json.dumps({**MANIFEST, key: value}).encode(), "also has")
    for key in ("Layers", "Config", "MEDIATYPE", "SchemaVersion", "\u017fchemaVersion"):
        yield Case("manifest", f"a twin {key}", json.dumps({**MANIFEST, key: MANIFEST.get(key.lower())}).encode(), "two spellings")
    for key in ("mediatype", "LAYERS"):
        lower = {(key if k.lower() == key.lower() else k): v for k, v in MANIFEST.items()}
        yield Case("manifest", f"only {key}", json.dumps(lower).encode(), "" if key == "mediatype" else ".")
    for path in ("annotations", "config.annotations", "layers.0.annotations"):
        yield from _each("manifest", MANIFEST, path, {"escapes": ({ESC: ESC, "k": "a\nb\u202ec"}, ""), "a number in it": ({"a": 1}, "."), "a list": ([], "."), "a null in it": ({"a": None}, "."), "nested": ({"a": {}}, "."), "many": ({f"k{n}": "v" * 50 for n in range(5000)}, ""), "twins": ({"A": "1", "a": "2"}, "")})
    yield from _each("manifest", MANIFEST, "config.mediaType", {"none": (..., "."), "null": (None, "."), "unknown": ("application/x", ""), "escapes": (ESC, ""), "an index's": (OCI_INDEX, "")}, peer=False)
    yield from _each("manifest", MANIFEST, "layers.0.mediaType", {"none": (..., "."), "null": (None, "."), "unknown": ("application/x", ""), "escapes": (ESC, "")}, peer=False)
    yield from _each("manifest", MANIFEST, "layers.0.urls", {"one inside": (["http://169.254.169.254/x"], ""), "no URL": ([ESC], ""), "a text": ("http://x", "."), "numbers": ([1], "."), "null": (None, "."), "many": (["x"] * 10_000, "")}, peer=False)
    data = base64.b64encode(RAW_CONFIG).decode()
    yield from _each("manifest", MANIFEST, "config.data", {"right": (data, ""), "wrong": (base64.b64encode(b"x").decode(), "not what digest"), "no base64": ("!", "."), "base64 with a break": (data[:8] + "\n" + data[8:], "."), "one more": (base64.b64encode(RAW_CONFIG + b" ").decode(), "not what digest"), "a number": (1, "."), "null": (None, ".")})
    yield from _each("manifest", MANIFEST, "subject", {"null": (None, ""), "a text": ("x", "."), "empty": ({}, "."), "another": (described(b"", OCI_MANIFEST), ""), "a bad digest": ({**described(b"", OCI_MANIFEST), "digest": "x"}, "digest")})
    yield from _each("manifest", MANIFEST, "artifactType", {"escapes": (ESC, ""), "a number": (1, "."), "null": (None, ".")})
    yield Case("manifest", "taken for an index", RAW_MANIFEST, "also has|says it is", media_type=OCI_INDEX)
    yield Case("index", "taken for a manifest", RAW_INDEX, "also has|says it is", media_type=OCI_MANIFEST)
    yield Case("manifest", "taken for Docker's", RAW_MANIFEST, "says it is", media_type="application/vnd.docker.distribution.manifest.v2+json")
    both = json.dumps({**{k: v for k, v in MANIFEST.items() if k != "mediaType"}, "manifests": INDEX["manifests"]}).encode()
    for media_type in (OCI_INDEX, OCI_MANIFEST):
        yield Case("manifest", f"both, taken for {media_type[-20:]}", both, "also has", media_type=media_type)


def _indexes() -> Iterator[Case]:
    yield from _strange("index", INDEX, "manifests")
    yield from _each("index", INDEX, "manifests", {"none": (..., "."), "a null in it": ([None], "."), "a text in it": (["x"], "."), "empty": ([], "")})
    for key in ("layers", "config", "fsLayers", "Layers"):
        yield Case("index", f"and {key}", json.dumps({**INDEX, key: MANIFEST.get(key, [])}).encode(), "also has")
    yield from _each("index", INDEX, "mediaType", {"none": (..., ""), "a manifest's": (OCI_MANIFEST, "says it is"), "null": (None, "says it is")})
    yield from _each("index", INDEX, "manifests.0.mediaType", {"none": (..., "."), "null": (None, "."), "an index's": (OCI_INDEX, "also has|says it is"), "a config's": (OCI_CONFIG, ""), "unknown": ("application/x", ""), "escapes": (ESC, ""), "nothing": ("", "")}, peer=False)
    yield from _strange("index", INDEX, "manifests.0.platform", "null")
    for key in ("os", "architecture", "variant", "os.version"):
        yield from _each("index", {**INDEX, "manifests": [{**INDEX["manifests"][0], "platform": {**PLATFORM, "variant": "v1", "os.version": "1"}}]}, f"manifests.0.platform.{key}" if "." not in key else "manifests.0.platform", {"a number": (1 if "." not in key else {**PLATFORM, key: 1}, "."), "null": (None if "." not in key else {**PLATFORM, key: None}, "."), "escapes": (ESC if "." not in key else {**PLATFORM, key: ESC}, "")}, peer=False)
    yield from _each("index", INDEX, "manifests.0.platform.features", {"a text": ("x", ""), "a list": (["sse4"], "")}, peer=False)
    for depth, raw in enumerate(NESTED):
        yield Case("nested", f"{depth} in each other", raw, "" if depth < 3 else "nested deeper", peer=False)
    yield from _each("index", INDEX, "manifests", {"a child that is not there": ([described(b"gone", OCI_MANIFEST)], "no blob"), "10,000 that are not there": ([{**described(b"gone", "application/x"), "digest": f"sha256:{n:064x}"} for n in range(10_000)], "more than 10000 entries"), "one 2,000 times": (INDEX["manifests"] * 2000, ""), "an unknown platform": ([{**INDEX["manifests"][0], "platform": {"os": "unknown", "architecture": "unknown"}}], "")}, peer=False)


def _configs() -> Iterator[Case]:
    for key in ("os", "architecture"):
        yield from _each("config", CONFIG, key, {"none": (..., "."), "null": (None, "."), "a number": (1, "."), "a list": ([], ".")})
    yield from _each("config", CONFIG, "os", {"escapes": (ESC, "")}, peer=False)
    yield from _each("config", CONFIG, "variant", {"a number": (8, "."), "null": (None, "."), "escapes": (ESC, "")}, peer=False)
    yield from _strange("config", CONFIG, "rootfs")
    yield from _each("config", CONFIG, "rootfs", {"none": (..., "."), "empty": ({}, ".")})
    yield from _each("config", CONFIG, "rootfs.type", {"none": (..., "."), "another": ("other", "."), "null": (None, ".")})
    yield from _strange("config", CONFIG, "rootfs.diff_ids")
    two = CONFIG["rootfs"]["diff_ids"]
    yield from _each("config", CONFIG, "rootfs.diff_ids", {"none": (..., "."), "no digest": (["x"], "."), "too few": (two[:1], "diff_ids"), "none of them": ([], "diff_ids"), "too many": (two * 2, "diff_ids"), "a null in it": ([None], ".")})
    yield from _strange("config", CONFIG, "config", "null", "an object")
    for key in ("Env", "Entrypoint", "Cmd"):
        yield from _strange("config", CONFIG, f"config.{key}", "null")
        yield from _each("config", CONFIG, f"config.{key}", {"a null in it": ([None], "."), "a list in it": ([["x"]], "."), "escapes": ([f"A={ESC}"], ""), "none": ([], ""), "10,000": ([f"K{n}=v" for n in range(10_000)], "")})
    yield from _each("config", CONFIG, "config.Env", {"no equals sign": (["A"], ""), "no name": (["=x"], ""), "one name twice": (["A=1", "A=2"], ""), "NUL": (["A=\0b"], ""), "an empty text": ([""], "")})
    yield from _strange("config", CONFIG, "config.Labels", "null", said=".")
    yield from _each("config", CONFIG, "config.Labels", {"escapes": ({ESC: ESC}, ""), "a null in it": ({"a": None}, "."), "twins": ({"A": "1", "a": "2"}, "")})
    for key in ("WorkingDir", "StopSignal"):
        yield from _each("config", CONFIG, f"config.{key}", {"escapes": (ESC, "")})
    yield from _each("config", CONFIG, "config.WorkingDir", {"a number": (1, "."), "a list": ([], "."), "up": ("../../..", "")})
    yield from _each("config", CONFIG, "history", {"null": (None, ""), "a text": ("x", "."), "a text in it": (["x"], "."), "a null in it": ([None], "."), "none": ([], ""), "too many": ([{"created_by": "x"}] * 3, ""), "only empty layers": ([{"empty_layer": True}], ""), "a text for true": ([{"empty_layer": "true"}], "."), "escapes": ([{"created_by": ESC}], ""), "no time": ([{"created": "x"}], ".")})
    yield from _each("config", CONFIG, "created", {"null": (None, ""), "a number": (1, "."), "no time": ("yesterday", "."), "a time without a zone": ("2026-01-01T00:00:00", "."), "no such day": ("2026-02-30T00:00:00Z", "."), "escapes": (ESC, "."), "a zone": ("2026-01-01T00:00:00.123456789+02:00", ""), "long ago": ("0001-01-01T00:00:00Z", ""), "nothing": ("", ".")})
    for key in ("Os", "ARCHITECTURE", "RootFS", "Config"):
        yield Case("config", f"a twin {key}", json.dumps({**CONFIG, key: CONFIG[key.lower()]}).encode(), "two spellings")
    yield Case("config", "a manifest", RAW_MANIFEST, ".")


def _users() -> Iterator[Case]:
    """Users are anybody's business: the text is passed on, and never used by us."""
    texts = ["", "0", "root", "1000:1000", "a:b", "65532", "2147483648", "4294967296", "1000:4294967296", "-1", "9" * 400, ESC, "a b", "../x", "a:b:c", "x" * 5000]
    yield from _each("config", CONFIG, "config.User", {**{repr(user[:20]): (user, "") for user in texts}, "a number": (0, "."), "null": (None, "."), "a list": ([], ".")})


def _names() -> Iterator[Case]:
    entry = NAMES["manifests"][0]
    yield from _each("names", NAMES, "manifests", {"null": (None, "has no 't'"), "none": (..., "has no 't'"), "empty": ([], "has no 't'"), "a text": ("x", "."), "a null in it": ([None], "."), "an object": ({}, ".")}, peer=False)
    yield from _each("names", NAMES, "manifests.0.annotations", {"a list": ([], "."), "a number in it": ({"a": 1}, "."), "escapes": ({**REF, ESC: ESC}, "")})
    yield from _each("names", NAMES, "manifests.0.mediaType", {"unknown": ("application/x", "has no 't'"), "a manifest's": (OCI_MANIFEST, "also has|says it is"), "none": (..., ".")}, peer=False)
    yield from _each("names", NAMES, "manifests", {"the same name twice": ([entry, entry], "")}, peer=False)
    yield from _each("names", NAMES, "layers", {"a list": ([], "also has")})
    yield from _each("names", NAMES, "Manifests", {"empty": ([], "two spellings")})


def _digests() -> Iterator[Case]:
    good = str(MANIFEST["config"]["digest"])
    text = good.removeprefix("sha256:")
    wide = "\uff10" * 64
    bad: dict[str, Any] = {
        "in capitals": good.upper(), "hex in capitals": f"sha256:{text.upper()}" if text.upper() != text else f"sha256:{'A' * 64}", "a digit short": good[:-1], "a digit more": good + "0", "no algorithm": text, "no hex": "sha256:", "nothing": "", "another algorithm": f"md5:{'0' * 32}",
        "sha384": f"sha384:{'0' * 96}", "sha512 of a wrong length": f"sha512:{text}", "a way out": "sha256:../../../../etc/passwd", "a way out of 64": "sha256:" + "../" * 21 + "x", "a slash": f"sha256/{text}", "a blank in front": f" {good}", "a blank behind": f"{good} ", "a line break": f"{good}\n",
        "NUL": f"{good}\0", "two colons": f"sha256::{text}", "a plus": f"sha256+b64:{text}", "escapes": ESC, "no hex digits": f"sha256:{'g' * 64}", "wide digits": f"sha256:{wide}", "a query": f"{good}?x", "null": None, "a number": 5, "a list": [good], "none": ...,
    }
    for path, role, value in (("config.digest", "manifest", MANIFEST), ("manifests.0.digest", "index", INDEX), ("manifests.0.digest", "names", NAMES)):
        yield from _each(role, value, path, {name: (new, ".") for name, new in bad.items()})
    yield from _each("manifest", MANIFEST, "config.digest", {"another's": (GONE, "no blob"), "the layer's": (Digest.of(LAYERS[0]), ".")})


def _sizes() -> Iterator[Case]:
    size = MANIFEST["layers"][0]["size"]
    bad: dict[str, Any] = {"-1": -1, "2^63": 2**63, "2^53 + 1": 2**53 + 1, "2^64": 2**64, "a fraction": size + 0.5, "a text": str(size), "null": None, "true": True, "a list": [size], "none": ..., "one more": size + 1, "one less": size - 1, "0": 0, "1e400": float(10**300)}
    for path, role, value in (("layers.0.size", "manifest", MANIFEST), ("config.size", "manifest", MANIFEST), ("manifests.0.size", "index", INDEX)):
        yield from _each(role, value, path, {name: (new, ".") for name, new in bad.items()})
    raw = json.dumps(changed(MANIFEST, "layers.0.size", "@")).encode()
    for text in (f"{size}.0", f"{size}e0", f"{size * 10}E-1"):
        yield Case("manifest", f"layers.0.size: {text}", raw.replace(b'"@"', text.encode()), ".")
    yield Case("manifest", "layers.0.size: -0", raw.replace(b'"@"', b"-0"), ".")


def _items() -> Iterator[Case]:
    item = ITEMS[0]
    bad: dict[str, Any] = {
        "nothing": None, "an object": item, "a text": "x", "an empty list": [], "a null in it": [None], "a list in it": [[item]], "an empty object in it": [{}], "no config": [{**item, "Config": None}], "a config not there": [{**item, "Config": "none"}], "a config outside": [{**item, "Config": "../c.json"}], "a config in the root": [{**item, "Config": "/c.json"}],
        "layers null": [{**item, "Layers": None}], "a layer null": [{**item, "Layers": [None]}], "a layer not there": [{**item, "Layers": ["none", "1.tar"]}], "a layer outside": [{**item, "Layers": ["../0.tar", "1.tar"]}], "too many layers": [{**item, "Layers": ["0.tar"] * 3}], "no layers": [{**item, "Layers": []}], "2,000 layers": [{**item, "Layers": ["0.tar"] * 2000}], "tags of numbers": [{**item, "RepoTags": [1]}], "a text for tags": [{**item, "RepoTags": "x"}], "the config for a layer": [{**item, "Layers": ["c.json", "1.tar"]}],
    }
    for name, value in bad.items():
        yield Case("archive", name, json.dumps(value).encode(), ".", peer=False)
    for name, value in {"no tags": [{**item, "RepoTags": None}], "tags of escapes": [{**item, "RepoTags": [ESC, "some/thing:t"]}], "a parent": [{**item, "Parent": "x"}], "sources": [{**item, "LayerSources": {"x": {}}}]}.items():
        yield Case("archive", name, json.dumps(value).encode(), peer=False)
    for name, text in {"a key twice": b'[{"Config":"c.json","Config":"d.json","Layers":["0.tar","1.tar"],"RepoTags":[]}]', "a twin": b'[{"Config":"c.json","config":"c.json","Layers":["0.tar","1.tar"],"RepoTags":[]}]', "NaN": b"[NaN]", "depth": b"[" * 100_000, "garbage behind": json.dumps(ITEMS).encode() + b"x"}.items():
        yield Case("archive", name, text, ".", peer=False)


def _tokens() -> Iterator[Case]:
    no = "has no token|not a token"
    odd: dict[str, Any] = {"null": None, "a number": 1, "a list": ["x"], "an object": {}, "nothing": "", "a line break": "a\nb", "a header": "a\r\nX: y", "NUL": "a\0", "a blank": "a b", "escapes": ESC, "not ASCII": "\u00e9", "true": True, "none": ...}
    for name, new in odd.items():
        yield Case("token", f"token: {name}", json.dumps(changed(WHOLE["token"], "token", new)).encode(), no)
    lives: dict[str, Any] = {"-1": -1, "0": 0, "a text": "60", "null": None, "2^62": 2**62, "a fraction": 0.5, "true": True, "a list": []}
    for name, new in lives.items():
        yield Case("token", f"expires_in: {name}", json.dumps(changed(WHOLE["token"], "expires_in", new)).encode())
    yield Case("token", "access_token", b'{"access_token":"abc"}')
    yield Case("token", "65 KiB", json.dumps({"token": "x" * 66_000}).encode(), ".")


def _tags() -> Iterator[Case]:
    yield from _each("tags", WHOLE["tags"], "tags", {"null": (None, ""), "none": (..., ""), "empty": ([], ""), "a text": ("x", "."), "a number in it": ([1], "."), "a null in it": ([None], "."), "escapes": ([ESC], "is not a tag"), "a way out": (["../x"], "is not a tag"), "nothing": ([""], "is not a tag"), "too long": (["x" * 129], "is not a tag"), "50,000": ([f"t{n}" for n in range(50_000)], ""), "twice": (["t", "t"], ""), "a line break": (["a\nb"], "is not a tag")})


def _auths() -> Iterator[Case]:
    """Yield credentials for the host ``@``, which is put in when it is known."""
    for name, entry in {"no base64": {"auth": "!"}, "no colon": {"auth": base64.b64encode(b"x").decode()}, "not UTF-8": {"auth": base64.b64encode(b"\xff:\xff").decode()}, "a line break": {"auth": base64.b64encode(b"u:p\nX: y").decode()}, "escapes": {"username": ESC, "password": "s3cret"}, "a number": {"auth": 5}, "a token of escapes": {"registrytoken": ESC}}.items():
        yield Case("auth", name, json.dumps({"auths": {"@": entry}}).encode(), ".")
    for name, helper in {"a path": "../../bin/sh", "a blank": "a b", "a command": "x;id", "a number": 5, "none": "layersmith-no-such-helper"}.items():
        yield Case("auth", f"a helper that is {name}", json.dumps({"credHelpers": {"@": helper}}).encode(), ".")
    for name, value in {"auths a list": {"auths": []}, "auths null": {"auths": None}, "an entry null": {"auths": {"@": None}}, "an entry empty": {"auths": {"@": {}}}, "odd keys": {"auths": {"": {}, "://": {}, ESC: {}}}}.items():
        yield Case("auth", name, json.dumps(value).encode())


def _errors() -> Iterator[Case]:
    """Yield bodies of errors: they only add to a message, which is an error in any case."""
    one = {"code": "X", "message": "y"}
    bodies: dict[str, Any] = {"as it should be": {"errors": [one]}, "escapes": {"errors": [{"code": ESC, "message": ESC * 500}]}, "no list": {"errors": one}, "a null in it": {"errors": [None]}, "numbers": {"errors": [{"code": 1, "message": [2]}]}, "many": {"errors": [one] * 1000}, "a text": "x", "a list": [one], "line breaks": {"errors": [{"code": "a\nb", "message": "c\r\nlayersmith: error: d\n"}]}}
    for name, body in bodies.items():
        yield Case("error", name, json.dumps(body).encode(), "the registry answers 400")
    for name, raw in {"nothing": b"", "garbage": b"\xff\xfe\0", "HTML": b"<html><body>\x1b[31m</body></html>", "depth": b"[" * 50_000, "too large": b" " * 100_000, "NaN": b'{"errors":NaN}'}.items():
        yield Case("error", name, raw, "the registry answers 400")


# fmt: on
