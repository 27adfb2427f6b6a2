"""A package index on loopback: the simple API in both its forms, redirects and passwords."""

from __future__ import annotations

import base64
import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.fakes.web import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.build.wheels import Made

JSON = "application/vnd.pypi.simple.v1+json"


@dataclass
class PackageIndex:
    """What it has, how it answers, and what it was asked."""

    wheels: list[Made] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    user: str = ""
    html: bool = False
    hashed: bool = True
    damaged: bool = False
    cut: int = 0
    moved: str = ""
    requires: dict[str, str] = field(default_factory=dict)
    host: str = ""
    seen: list[tuple[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.host}/simple"

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.seen]

    def answer(self, path: str, authorization: str) -> tuple[int, dict[str, str], bytes]:
        self.seen.append((path, authorization))
        if self.user:
            wanted = "Basic " + base64.b64encode(self.user.encode()).decode()
            if authorization != wanted:
                return 401, {}, b"who are you?"
        if path.startswith("/files/"):
            return self._file(path.removeprefix("/files/").partition("?")[0])
        if self.moved:
            return 302, {"Location": self.moved + path}, b""
        name = path.removeprefix("/simple/").strip("/")
        found = [w for w in self.wheels if w.filename.split("-")[0].replace("_", "-") == name]
        others = [other for other in self.others if other.startswith(f"{name}-")]
        if not found and not others:
            return 404, {}, b"nothing"
        return self._page(name, found, others)

    def _file(self, filename: str) -> tuple[int, dict[str, str], bytes]:
        made = next((each for each in self.wheels if each.filename == filename), None)
        if made is None:
            return 404, {}, b""
        data = made.data[:-1] + bytes([made.data[-1] ^ 1]) if self.damaged else made.data
        if self.cut:
            self.cut -= 1
            return 200, {"Content-Length": str(len(data))}, data[: len(data) // 2]
        return 200, {}, data

    def _page(
        self, name: str, found: list[Made], others: list[str]
    ) -> tuple[int, dict[str, str], bytes]:
        if self.html:
            links = "".join(
                f'<a href="../../files/{w.filename}{self._fragment(w)}"'
                f' data-requires-python="{self.requires.get(w.filename, "").replace(">", "&gt;")}">'
                f"{w.filename}</a><br>\n"
                for w in found
            )
            links += "".join(f'<a href="/files/{other}">{other}</a>' for other in others)
            page = f"<!DOCTYPE html><html><body>{links}</body></html>"
            return 200, {"Content-Type": "text/html; charset=utf-8"}, page.encode()
        files: list[dict[str, Any]] = [
            {
                "filename": w.filename,
                "url": f"../../files/{w.filename}",
                "hashes": {"sha256": w.digest.encoded} if self.hashed else {},
                "requires-python": self.requires.get(w.filename),
            }
            for w in found
        ]
        files += [{"filename": other, "url": f"/files/{other}", "hashes": {}} for other in others]
        page_json = {"meta": {"api-version": "1.0"}, "name": name, "files": files}
        return 200, {"Content-Type": JSON}, json.dumps(page_json).encode()

    def _fragment(self, made: Made) -> str:
        return f"#sha256={made.digest.encoded}" if self.hashed else ""


@contextmanager
def serve_index(*wheels: Made, **how: Any) -> Iterator[PackageIndex]:
    """Serve an index until the block ends."""
    index = PackageIndex(list(wheels), **how)

    with serving(
        lambda path, headers: index.answer(path, headers.get("Authorization", ""))
    ) as host:
        index.host = host
        yield index
