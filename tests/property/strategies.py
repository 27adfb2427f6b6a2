"""What the laws are tried on: small trees, layers and documents, with odd names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from layersmith.rootfs.entries import Directory, Entry, File, Kind, Meta, Special, Symlink
from layersmith.rootfs.layer import Change, HardLink, Opaque, Whiteout, put

if TYPE_CHECKING:
    from collections.abc import Mapping

# Text of bytes that need not be UTF-8, as names of files are.
loose_text = st.one_of(
    st.text(st.characters(blacklist_characters="\0", codec="utf-8"), min_size=1, max_size=12),
    st.binary(min_size=1, max_size=12).map(
        lambda raw: raw.replace(b"\0", b"0").decode("utf-8", "surrogateescape")
    ),
)
names = st.one_of(
    st.sampled_from(["a", "b", "c", "lib", "n" * 120]),
    loose_text.map(lambda text: text.replace("/", "|")),
).filter(lambda name: name not in (".", "..") and not name.startswith(".wh."))
targets = st.one_of(
    st.sampled_from(["a", "../b", "/c/a", ".", "..", "/", "a/../../b", "t/" * 90]), loose_text
)
xattr_names = loose_text.map(lambda text: "user." + text.replace("=", "-"))

metas = st.builds(
    Meta,
    mode=st.integers(0, 0o7777),
    uid=st.one_of(st.integers(0, 70_000), st.integers(0, 2**32 - 2)),
    gid=st.one_of(st.integers(0, 70_000), st.integers(0, 2**32 - 2)),
    xattrs=st.dictionaries(xattr_names, st.binary(min_size=1, max_size=9), max_size=2).map(
        lambda found: tuple(sorted(found.items()))
    ),
)
files = st.builds(
    File, metas, st.one_of(st.binary(max_size=20), st.binary(min_size=500, max_size=1100))
)
symlinks = st.builds(Symlink, metas, targets)
specials = st.one_of(
    st.builds(Special, metas, st.just(Kind.FIFO)),
    st.builds(
        Special,
        metas,
        st.sampled_from([Kind.CHAR, Kind.BLOCK]),
        st.integers(0, 0o7777777),
        st.integers(0, 0o7777777),
    ),
)
leaves = st.one_of(files, symlinks, specials)
directories = st.recursive(
    st.builds(Directory, metas, st.dictionaries(names, leaves, max_size=3)),
    lambda below: st.builds(
        Directory, metas, st.dictionaries(names, st.one_of(leaves, below), max_size=4)
    ),
    max_leaves=8,
)


def listed(root: Directory, prefix: str = "") -> dict[str, Entry]:
    """Return canonical path -> entry of all below `root`, directories without children."""
    found: dict[str, Entry] = {}
    for name, entry in root.children.items():
        path = f"{prefix}{name}"
        if isinstance(entry, Directory):
            found[path] = Directory(entry.meta, {})
            found |= listed(entry, f"{path}/")
        else:
            found[path] = entry
    return found


# Changes that meet each other: few names, all kinds.
few_paths = st.lists(st.sampled_from(["a", "b", "l"]), min_size=1, max_size=3).map("/".join)
few_entries: st.SearchStrategy[Entry] = st.one_of(
    st.builds(File, st.just(Meta(0o644)), st.sampled_from([b"1", b"2"])),
    st.builds(Directory, st.sampled_from([Meta(0o755), Meta(0o700)]), st.just({})),
    st.builds(Symlink, st.just(Meta(0o777)), st.sampled_from(["a", "/b", "../l", "b/a"])),
)
puts = st.builds(put, few_paths, few_entries)
whiteouts = st.one_of(
    st.builds(Whiteout, few_paths), st.builds(Opaque, few_paths), st.just(Opaque(""))
)
changes: st.SearchStrategy[Change] = st.one_of(
    puts, puts, whiteouts, st.builds(HardLink, few_paths, few_paths)
)
layers = st.lists(changes, max_size=8)

# JSON of any shape, and the places in a value where one can be put.
json_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=True, allow_infinity=True),
        st.text(max_size=5),
        st.sampled_from(["", "sha256:x", "layers", "../..", "\x1b[0m"]),
    ),
    lambda below: st.one_of(
        st.lists(below, max_size=3),
        st.dictionaries(
            st.sampled_from(["mediaType", "layers", "Layers", "digest", "size", "x", "platform"]),
            below,
            max_size=3,
        ),
    ),
    max_leaves=6,
)


def places(value: object, where: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the paths of all values inside of a JSON value."""
    found = [where]
    pairs: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        pairs = list(value.items())
    elif isinstance(value, list):
        pairs = list(enumerate(value))
    for key, child in pairs:
        found += places(child, (*where, key))
    return found


def replaced(value: Any, where: tuple[str | int, ...], new: object) -> Any:
    """Return a JSON value with another one at a path."""
    if not where:
        return new
    head, *rest = where
    changed: Any = dict(value) if isinstance(value, dict) else list(value)
    changed[head] = replaced(value[head], tuple(rest), new)
    return changed


def mutations(value: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Return a strategy for `value` with something else somewhere in it."""
    return st.builds(replaced, st.just(value), st.sampled_from(places(value)), json_values)


@st.composite
def cut(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """Cut bytes into chunks, some of them empty."""
    ends = sorted(draw(st.lists(st.integers(0, len(data)), max_size=6)))
    starts = [0, *ends]
    return [data[a:b] for a, b in zip(starts, [*ends, len(data)], strict=True)]


@st.composite
def damaged(draw: st.DrawFn, good: bytes) -> bytes:
    """Change, insert, remove or repeat a few bytes."""
    data = bytearray(good)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from(["set", "insert", "delete", "cut", "repeat"]))
        if kind == "set" and at < len(data):
            data[at] = draw(st.integers(0, 255))
        elif kind == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=4))
        elif kind == "delete":
            del data[at : at + draw(st.integers(1, 600))]
        elif kind == "cut":
            del data[at:]
        else:
            data[at:at] = data[at : at + 512]
    return bytes(data)
