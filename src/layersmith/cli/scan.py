"""``layersmith scan``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from layersmith.cli.options import CacheDir, Json, Quiet, image_place, takes_network
from layersmith.cli.running import Running
from layersmith.cli.words import not_empty
from layersmith.errors import InvalidInput, one_line
from layersmith.userfiles import read_file

if TYPE_CHECKING:
    from datetime import date

    from layersmith.assemble.workshop import Workshop
    from layersmith.scan.ignoring import Ignore
    from layersmith.scan.report import Report
    from layersmith.scan.subjects import Subject
    from layersmith.stores.registry_options import RegistryOptions

__all__ = ["scan"]

_SBOM = "sbom:"
_LARGEST = 1 << 20

Ref = Annotated[
    str,
    typer.Argument(
        help="The image: a registry reference, oci:DIR or oci-archive:FILE, with :TAG or @DIGEST; "
        "the directory of a layout; or sbom:FILE, an SBOM that layersmith wrote.",
        metavar="REF|DIR|sbom:FILE",
    ),
]
Databases = Annotated[
    list[str],
    typer.Option(
        "--db",
        help="An OSV export: all.zip of an ecosystem, a directory of JSON files, one, JSON lines; "
        "or the https URL of one. Repeatable.",
        metavar="FILE|URL",
    ),
]
Platforms = Annotated[
    list[str] | None,
    typer.Option(
        "--platform",
        help="The image of this platform; repeatable. All by default.",
        metavar="OS/ARCH",
    ),
]
IgnoreFile = Annotated[
    Path | None,
    typer.Option(
        "--ignore-file",
        help="What is not to be acted on, with reasons (TOML): [[ignore]] tables of id, package, "
        "purl, reason, expires.",
        metavar="FILE",
    ),
]
FailOn = Annotated[
    str,
    typer.Option(
        callback=not_empty,
        help="Exit with 1 for anything of low, medium, high or critical severity and above, or of "
        "a severity that nobody says, and for packages that no database covers.",
        metavar="LEVEL",
    ),
]
MaxAge = Annotated[
    int | None,
    typer.Option(help="Exit with 1 if a database is older.", min=0, metavar="DAYS"),
]
AllowMalformed = Annotated[
    bool,
    typer.Option(
        "--allow-malformed",
        help="Do without entries of a database that cannot be read (exit 7 otherwise).",
    ),
]
AllowUncovered = Annotated[
    bool,
    typer.Option("--allow-uncovered", help="Let --fail-on pass packages that no database covers."),
]
FormatOption = Annotated[
    str, typer.Option("--format", help="table, json or sarif (2.1.0).", metavar="NAME")
]


@takes_network
def scan(
    network: RegistryOptions,
    ref: Ref,
    db: Databases,
    platform: Platforms = None,
    fail_on: FailOn = "",
    ignore_file: IgnoreFile = None,
    max_age: MaxAge = None,
    allow_malformed: AllowMalformed = False,
    allow_uncovered: AllowUncovered = False,
    form: FormatOption = "table",
    json: Json = False,
    cache_dir: CacheDir = None,
    quiet: Quiet = False,
) -> None:
    """Find known vulnerabilities of what is in an image, by databases of the OSV project.

    Debian packages are looked up by their source package in Debian's order of versions, Python
    distributions by PEP 440. CPython is in no ecosystem: it is judged by entries that name its
    releases, where a database has any, and said not to be where none has. Without network if
    image and databases are files. Says how old a database is, by SOURCE_DATE_EPOCH or the clock.

    Examples:

    ```
    layersmith scan registry.example/team/python:3.13 --db Debian.zip --db PyPI.zip --fail-on high
    layersmith scan oci:dist/3.13-debian13 --db https://osv.example/Debian/all.zip --max-age 3
    layersmith scan sbom:python.spdx.json --db osv/ --ignore-file ignore.toml --format sarif
    ```
    """
    from layersmith.assemble.scanning import exports, report
    from layersmith.scan.severity import THRESHOLDS
    from layersmith.scan.verdict import decide, warnings

    if fail_on and fail_on not in THRESHOLDS:
        raise InvalidInput(
            f"{one_line(fail_on, 40)!r} is no severity", hint=f"one of: {', '.join(THRESHOLDS)}"
        )
    if form not in _FORMS or (json and form == "sarif"):
        raise InvalidInput(
            "--json beside --format sarif" if form in _FORMS else
            f"{one_line(form, 40)!r} is no format", hint=f"one of: {', '.join(_FORMS)}"
        )  # fmt: skip
    ignores = _ignores(ignore_file)
    with Running(cache_dir, json, quiet).workshop(network) as workshop:
        opened = exports(workshop, network, db)
        found = _packages(workshop, ref, platform or [])
        done = report(ref, found, opened, ignores, _today())
    typer.echo(_written(done, "json" if json else form))
    for warning in warnings(done):
        typer.echo(f"layersmith: warning: {one_line(warning)}", err=True)
    threshold = THRESHOLDS.get(fail_on)
    decide(done, threshold, max_age, covered=not allow_uncovered, sound=not allow_malformed)


def _packages(workshop: Workshop, ref: str, platforms: list[str]) -> list[Subject]:
    from layersmith.assemble.rebuilding import published
    from layersmith.assemble.scanning import of_image, of_sbom
    from layersmith.oci.documents import Platform
    from layersmith.stores.cache import CachedSource

    if Path(ref).is_file():
        raise InvalidInput(
            f"{one_line(ref, 200)} is a file",
            hint="write sbom:FILE, oci-archive:FILE, or HOST/NAME",
        )
    if ref.startswith(_SBOM):
        if platforms:
            raise InvalidInput("--platform beside an SBOM", hint="an SBOM is of one platform")
        return of_sbom(Path(ref.removeprefix(_SBOM)))
    wanted = {Platform.parse(text).key: text for text in platforms}
    place = image_place(ref)
    source = CachedSource(place.source(workshop.registries), workshop.cache)
    image = published(str(place), source, place.identifier)
    chosen = [one for one in image.images if not wanted or one.platform.key in wanted]
    if missing := wanted.keys() - {one.platform.key for one in chosen}:
        raise image.lacks(wanted[min(missing)])
    return of_image(workshop, source, place, image, chosen)


def _ignores(path: Path | None) -> tuple[Ignore, ...]:
    from layersmith.scan.ignoring import parse_ignores

    if path is None:
        return ()
    try:
        raw = read_file(path, _LARGEST)
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be read: {error.strerror}", hint="--ignore-file takes a TOML file"
        ) from None
    if len(raw) > _LARGEST:
        raise InvalidInput(f"{path}: larger than {_LARGEST >> 20} MiB: no ignore file")
    return parse_ignores(raw, str(path))


def _today() -> date:
    """Return the day of SOURCE_DATE_EPOCH, else the clock's: only a scan may ask for it."""
    import time
    from datetime import UTC, datetime

    from layersmith.assemble.reading import said_epoch

    said = said_epoch()
    return datetime.fromtimestamp(time.time() if said is None else said, UTC).date()


def _table(done: Report) -> str:
    from layersmith.cli.render_scan import scan_text

    return scan_text(done)


def _json(done: Report) -> str:
    from json import dumps

    from layersmith.scan.report import document

    return dumps(document(done), indent=2)


def _sarif(done: Report) -> str:
    from json import dumps

    from layersmith.scan.sarif import sarif

    return dumps(sarif(done), indent=2)


_FORMS = {"table": _table, "json": _json, "sarif": _sarif}


def _written(done: Report, form: str) -> str:
    return _FORMS[form](done)
