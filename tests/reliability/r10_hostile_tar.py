"""R10: layers made to be misread, in every compression and place, judged by four readers.

What we accept, Go must accept and make the same tree of: paths, types, modes, owners, link
targets, contents, and which names are one file. GNU tar and libarchive read the archives
too: where they read other entries than Go and we do, the case must be in ``TOLERATED``.
"""

from __future__ import annotations

import random
import subprocess
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.build.corpus import CASES, FRAMES, Case
from tests.build.hostile_frames import INSIDE
from tests.build.mutants import damaged_blob, mutated, random_layers
from tests.build.stack import Blob, write_layout
from tests.build.tar import archive, directory, file
from tests.build.tree import described, tree
from tests.interop.tarpeers import (
    Listing,
    Seen,
    can_own,
    devices,
    gnu_listing,
    go_layers,
    go_tree,
    libarchive_listing,
    missing_peers,
    our_listing,
    same_entries,
    seen,
)
from tests.reliability.layer_reading import Reader, Watch, peak
from tests.reliability.real_images import read_real_images
from tests.reliability.scoreboard import Figure, Row, Run

from layersmith.errors import LayerError, LayersmithError
from layersmith.oci.digest import Digest
from layersmith.rootfs.tree import MemoryContents, Root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROW: Final = Row(
    "R10",
    "hostile-tar",
    "what we accept, Go accepts, and the tree is equal: 100 %; 0 escapes; RSS <= 256 MiB; <= 5 s",
)
COMPRESSIONS: Final = ("none", "gzip", "zstd")
BESIDE: Final = {
    compression: [
        Blob.of(archive(directory(f"zz-{n}"), file(f"zz-{n}/x", b"%d" % n)), compression)
        for n in (1, 2)
    ]
    for compression in COMPRESSIONS
}
PEERS: Final = ("umoci", "skopeo", "tar", "bsdtar")
# Other entries to one reader, and yet accepted: why.
TOLERATED: Final = {
    (
        "bsdtar",
        "an access list",
    ): "libarchive takes the mode from the list, all runtimes from the header",
}
MAX_MEMORY: Final = 256 << 20
MAX_SECONDS: Final = 5.0


def _placed(layers: Sequence[Blob], place: str, compression: str) -> list[Blob]:
    """Return an image with the case's layers first (lowest), in the middle, or last."""
    low, high = BESIDE[compression]
    if place == "first":
        return [*layers, low, high]
    return [low, *layers, high] if place == "middle" else [low, high, *layers]


PLACES: Final = ("first", "middle", "last")


@dataclass
class Tally:
    """What was seen so far."""

    counts: Counter[str] = field(default_factory=Counter)
    misses: list[str] = field(default_factory=list)
    accepted: dict[str, tuple[list[Blob], Root]] = field(default_factory=dict)


def measure(run: Run) -> Figure:
    """Read everything; let the others read what we accept."""
    if absent := missing_peers(PEERS):
        return Figure("not measured", (f"needs {', '.join(absent)}",))
    tally = Tally()
    watch, reader = Watch(run.scratch), Reader(run.scratch / "cache")
    with watch.looking():
        _read_cases(reader, tally)
        _read_frames(reader, tally)
        _read_mutants(reader, tally, run)
    memory = peak()
    tally.misses += [f"escape: {what}" for what in watch.escapes]
    if reader.slowest > MAX_SECONDS:
        tally.misses.append(f"one case took {reader.slowest:.1f} s")
    if memory > MAX_MEMORY:
        tally.misses.append(f"{memory >> 20} MiB of memory")
    real, wrong = read_real_images(run, Reader(run.scratch / "real"))
    tally.misses += wrong
    _ask_go(tally, run)
    _ask_archivers(tally)
    return Figure(_text(tally, reader, len(watch.escapes), memory, real), tuple(tally.misses))


# our own reading


def _read_cases(reader: Reader, tally: Tally) -> None:
    for case in CASES:
        for compression in COMPRESSIONS:
            layers = [Blob.of(tar, compression) for tar in case.layers]
            for place in PLACES:
                name = f"{case.name} ({compression}, {place})"
                _read_case(reader, tally, case, name, _placed(layers, place, compression))


def _read_case(reader: Reader, tally: Tally, case: Case, name: str, blobs: list[Blob]) -> None:
    tally.counts["cases"] += 1
    root = _read(reader, tally, name, blobs, case.error)
    if root is None or case.tree is None:
        return
    wanted = described(Root(tree(case.tree), MemoryContents()))
    found = described(root)
    beside = {path for path in found if path.startswith("zz-")}
    if {path: what for path, what in found.items() if path not in beside} != wanted:
        tally.misses.append(f"{name}: not the one right tree")
    elif name.endswith("(none, last)") and described(reader.read(blobs)) != found:
        tally.misses.append(f"{name}: another tree from the cache")


def _read_frames(reader: Reader, tally: Tally) -> None:
    for frame in FRAMES:
        blob = Blob(frame.blob, frame.compression, frame.tar or INSIDE)
        for place in PLACES:
            name = f"{frame.name} ({place})"
            tally.counts["cases"] += 1
            reader.forget([blob])
            error = LayerError if frame.tar is None else None
            _read(reader, tally, name, _placed([blob], place, "gzip"), error)


def _read(
    reader: Reader, tally: Tally, name: str, blobs: list[Blob], error: type[LayersmithError] | None
) -> Root | None:
    """Read a stack that is to be accepted, or refused with `error`."""
    try:
        root = reader.read(blobs)
    except LayersmithError as refused:
        tally.counts["refused"] += 1
        if error is None or not isinstance(refused, error):
            tally.misses.append(f"{name}: {type(refused).__name__}: {refused}")
        elif not str(refused).isprintable():
            tally.misses.append(f"{name}: its error is not one line")
        return None
    if error is not None:
        tally.misses.append(f"{name}: accepted, to be refused")
        return None
    tally.counts["accepted"] += 1
    tally.accepted[name] = (blobs, root)
    return root


def _read_mutants(reader: Reader, tally: Tally, run: Run) -> None:
    """Mutants have no right reading of their own: what is accepted, the others judge."""
    for name, blobs in _mutants(run):
        tally.counts["mutants"] += 1
        try:
            tally.accepted[name] = (blobs, reader.read(blobs))
        except LayersmithError:
            tally.counts["mutants refused"] += 1


def _mutants(run: Run) -> Iterator[tuple[str, list[Blob]]]:
    for number in range(run.pick(200, 2000)):
        rng = random.Random(f"{run.seed} {number}")
        compression = rng.choice(("none", "gzip"))
        yield f"mutant {number}", [Blob.of(mutated(rng), compression)]
        yield f"random {number}", [Blob.of(tar, compression) for tar in random_layers(rng)]
    for number in range(run.pick(100, 1000)):
        rng = random.Random(f"{run.seed} blob {number}")
        frame = rng.choice([frame for frame in FRAMES if frame.tar is not None])
        data = damaged_blob(rng, frame.blob)
        yield f"damaged {number} ({frame.name})", [Blob(data, frame.compression, frame.tar or b"")]


# the others


def _ask_go(tally: Tally, run: Run) -> None:
    """Let umoci unpack, and skopeo inflate, what we accept: all of it, or one place of each."""
    chosen = {name: made for name, made in tally.accepted.items() if run.full or _is_sampled(name)}
    plain = {n: m for n, m in chosen.items() if all(b.compression != "zstd" for b in m[0])}
    tags = {f"t{number}": name for number, name in enumerate(chosen)}
    layout = run.scratch / "layout"
    write_layout(layout, {tag: chosen[name][0] for tag, name in tags.items()})
    owned = can_own(run.scratch)
    tally.counts["owners"] = int(owned)

    def unpacked(tag: str) -> str:
        folder = Path(tempfile.mkdtemp(prefix="go-", dir=run.scratch)) / "bundle"
        return _judged(
            chosen[tags[tag]][1],
            lambda: go_tree("umoci", layout, tag, folder, rootless=not owned),
            owned=owned,
        )

    def inflated(tag: str) -> str:
        folder = Path(tempfile.mkdtemp(prefix="go-", dir=run.scratch)) / "dir"
        blobs = chosen[tags[tag]][0]
        wanted = [Digest.of(blob.tar) for blob in blobs]
        return _same_layers(wanted, lambda: go_layers("skopeo", layout, tag, folder))

    by_umoci = [tag for tag, name in tags.items() if name in plain]
    by_skopeo = [tag for tag, name in tags.items() if name not in plain or _is_frame(name)]
    for peer, judge, asked in (("umoci", unpacked, by_umoci), ("skopeo", inflated, by_skopeo)):
        with ThreadPoolExecutor(2) as pool:
            for tag, verdict in zip(asked, pool.map(judge, asked), strict=True):
                tally.counts[peer] += 1
                if verdict:
                    tally.misses.append(f"{tags[tag]}: {peer} {verdict}")


def _is_frame(name: str) -> bool:
    return name.startswith("damaged") or name.rpartition(" (")[0] in _FRAMED


_FRAMED: Final = frozenset(frame.name for frame in FRAMES)


def _is_sampled(name: str) -> bool:
    """Tell whether CI asks Go: of each case one place, of each compression a part."""
    case, _, where = name.rpartition(" (")
    if not where.endswith(("first)", "middle)", "last)")):
        return True
    turn = Digest.of(case.encode()).encoded[0]
    place = PLACES[int(turn, 16) % 3]
    if case in _FRAMED:
        return where == f"{place})"
    compression = "zstd" if turn == "0" else ("none", "gzip")[int(turn, 16) % 2]
    return where == f"{compression}, {place})"


def _judged(root: Root, theirs: Callable[[], Seen], *, owned: bool) -> str:
    """Return what is wrong with Go's reading, or nothing."""
    ours = seen(root)
    try:
        other = theirs()
    except subprocess.CalledProcessError as error:
        return f"refuses: {error.stderr.strip()[-200:]}"
    except subprocess.TimeoutExpired:
        return "does not end"
    if not owned:  # only root makes devices
        absent = devices(root)
        ours, other = ours.without(absent), other.without(absent)
    if other.paths != ours.paths:
        differ = {p for p in other.paths | ours.paths if other.paths.get(p) != ours.paths.get(p)}
        return f"makes another tree, at {sorted(differ)[:3]}"
    if other.inodes != ours.inodes:
        return "makes other hard links"
    if owned and other.owners != ours.owners:
        return "makes other owners"
    return ""


def _same_layers(wanted: list[Digest], theirs: Callable[[], list[str]]) -> str:
    try:
        return "" if theirs() == wanted else "inflates to other bytes"
    except subprocess.CalledProcessError as error:
        return f"refuses: {error.stderr.strip()[-200:]}"


def _ask_archivers(tally: Tally) -> None:
    """Let GNU tar and libarchive list every archive of a case that we accept."""
    with ThreadPoolExecutor(2) as pool:
        asked = [
            (program, case, tar)
            for case in CASES
            if case.is_accepted
            for tar in case.layers
            for program in ("tar", "bsdtar")
        ]
        verdicts = pool.map(lambda each: _listed(each[0], each[2]), asked)
        for (program, case, _), verdict in zip(asked, verdicts, strict=True):
            kind = "same" if not verdict else verdict if verdict == "refuses" else "differs"
            tally.counts[f"{program} {kind}"] += 1
            if kind == "differs" and (program, case.name) not in TOLERATED:
                tally.misses.append(f"{case.name}: {program} reads {verdict[:200]}")


def _listed(program: str, tar: bytes) -> str:
    ours: Listing = our_listing(tar)
    try:
        read = gnu_listing if program == "tar" else libarchive_listing
        return same_entries(ours, read(program, tar))
    except subprocess.CalledProcessError:
        return "refuses"


def _text(tally: Tally, reader: Reader, escapes: int, memory: int, real: str) -> str:
    counts = tally.counts
    archivers = "; ".join(
        f"{name} {counts[f'{program} same']} same, {counts[f'{program} differs']} other, "
        f"{counts[f'{program} refuses']} refused"
        for name, program in (("GNU tar", "tar"), ("libarchive", "bsdtar"))
    )
    owners = "with owners" if counts["owners"] else "without owners"
    return (
        f"{counts['cases']} cases ({len(CASES)} stacks of tars x 3 compressions x 3 places, "
        f"{len(FRAMES)} framings x 3): {counts['accepted']} accepted, {counts['refused']} refused; "
        f"{counts['mutants']} mutants, {counts['mutants refused']} refused; Go: umoci unpacked "
        f"{counts['umoci']} ({owners}), skopeo inflated {counts['skopeo']}; {archivers}; {real}; "
        f"escapes {escapes}; RSS {memory >> 20} MiB; slowest {reader.slowest:.2f} s"
    )
