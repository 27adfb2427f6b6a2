"""Package indexes and directories of wheels: which files a distribution has.

PyPA, "Simple repository API" (PEP 503, PEP 691): JSON where the index speaks it, HTML
elsewhere. What comes of it is a list of names and places; only a hash makes a file of it.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from layersmith.errors import DocumentError, InvalidDigest, NotFound, RegistryError, one_line
from layersmith.oci.digest import Digest
from layersmith.oci.strictjson import decode
from layersmith.stores.files import local_path
from layersmith.stores.registry_urls import Origin, follow, redacted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from layersmith.stores.web import Answer, Web

__all__ = ["Listed", "files_at", "files_in", "files_of"]

_JSON: Final = "application/vnd.pypi.simple.v1+json"
_ACCEPT: Final = f"{_JSON}, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"
_MOST: Final = 64 << 20
_FRAGMENT: Final = re.compile(r"(sha256|sha512)=([0-9a-fA-F]+)")


class Listed:
    """A file that an index lists."""

    __slots__ = ("filename", "hashes", "requires_python", "url")

    def __init__(
        self, filename: str, url: str, hashes: frozenset[Digest], requires_python: str = ""
    ) -> None:
        self.filename = filename
        self.url = url
        self.hashes = hashes
        self.requires_python = requires_python


def files_of(web: Web, index: str, name: str, folder: Path) -> list[Listed]:
    """Return the files that an index has of the normalized `name`; none if it is not there."""
    place = local_path(index, folder)
    if place is not None:
        return files_in(place / name)
    url = f"{web.known(index).rstrip('/')}/{name}/"
    return _page(web, url, f"{Origin.of(url)}: {name}")


def files_at(web: Web, place: str, folder: Path) -> list[Listed]:
    """Return the files that a ``find-links`` names: a page, a file or a directory."""
    path = local_path(place, folder)
    if path is None:
        url = web.known(place)
        return _page(web, url, f"{Origin.of(url)}: find-links")
    return files_in(path)


def files_in(path: Path) -> list[Listed]:
    """Return the wheels of a directory, or those that its index.html links to."""
    page = path / "index.html" if path.is_dir() else path
    if page.suffix in (".html", ".htm") and page.is_file():
        found = _html(page.read_text("utf-8", "replace"), page.absolute().as_uri())
        return list(_listed(found, page.absolute().as_uri(), None))
    if path.is_file():
        return [_local(path)]
    try:
        return [_local(each) for each in sorted(path.iterdir()) if each.suffix == ".whl"]
    except OSError:
        return []  # as pip does: configurations name places that are not everywhere


def _local(path: Path) -> Listed:
    return Listed(path.name, path.absolute().as_uri(), frozenset())


def _page(web: Web, url: str, what: str) -> list[Listed]:
    def take(answer: Answer) -> list[Listed]:
        raw = answer.whole(_MOST)
        origin = Origin.of(url)
        if answer.kind.endswith("json"):
            return list(_listed(_json(raw, what), answer.url, origin))
        found = _html(raw.decode("utf-8", "replace"), answer.url)
        return list(_listed(found, answer.url, origin))

    try:
        return web.get(url, _ACCEPT, take, what)
    except NotFound:
        return []


def _listed(
    found: Iterable[tuple[str, str, Mapping[str, str], str]], base: str, origin: Origin | None
) -> Iterator[Listed]:
    for filename, link, said, requires_python in found:
        try:
            url, fragment = urldefrag(link)
            name = filename or unquote(urlsplit(url).path.rpartition("/")[2])
        except ValueError:
            continue  # half an IPv6 address
        hashes = dict(said)
        if match := _FRAGMENT.fullmatch(fragment):
            hashes[match[1]] = match[2]
        if not name.endswith((".whl", ".tar.gz", ".zip")) or "/" in name:
            continue
        try:
            digests = frozenset(
                Digest(f"{a}:{v.lower()}") for a, v in hashes.items() if a in ("sha256", "sha512")
            )
            where = urljoin(base, url) if origin is None else follow(base, url, origin, "a link")
        except (InvalidDigest, RegistryError):
            continue  # nothing that could be wanted
        yield Listed(name, where, digests, requires_python)


def _json(raw: bytes, what: str) -> Iterator[tuple[str, str, Mapping[str, str], str]]:
    page = decode(raw, what, limit=_MOST)
    files = page.get("files") if isinstance(page, dict) else None
    if not isinstance(files, list):
        raise DocumentError(f"{one_line(what, 200)}: no list of files (PEP 691)")
    for file in files:
        if isinstance(file, dict) and isinstance(file.get("url"), str):
            hashes = file.get("hashes")
            kept = hashes if isinstance(hashes, dict) else {}
            said = {str(k): str(v) for k, v in kept.items()}
            filename, requires = file.get("filename") or "", file.get("requires-python") or ""
            yield str(filename), file["url"], said, str(requires)


class _Links(HTMLParser):
    """Collects the anchors of a page (PEP 503)."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self.base = base
        self.found: list[tuple[str, str, Mapping[str, str], str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "base" and said.get("href"):
            self.base = _joined(self.base, said["href"])
        elif tag == "a" and said.get("href"):
            link = _joined(self.base, said["href"])
            self.found.append(("", link, {}, said.get("data-requires-python", "")))


def _joined(base: str, link: str) -> str:
    try:
        return urljoin(base, link)
    except ValueError:  # half an IPv6 address
        return ""


def _html(text: str, base: str) -> list[tuple[str, str, Mapping[str, str], str]]:
    links = _Links(base)
    try:
        links.feed(text)
        links.close()
    except ValueError:  # a character reference of thousands of digits
        raise DocumentError(f"{redacted(base)}: no page of links (PEP 503)") from None
    return links.found
