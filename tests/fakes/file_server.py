"""A server of files on loopback: what an archive, or any folder of the web, is to who asks."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

from tests.fakes.web import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message


@dataclass
class FileServer:
    """What it has, by path without the first slash, and what it was asked.

    With `tag` this is the entity tag of all it has; with `status` every answer is that.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    url: str = ""
    asked: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    tag: str = ""
    status: int = 0

    def answer(self, path: str, headers: Message) -> tuple[int, dict[str, str], bytes]:
        """Note what is asked, and answer it."""
        name = unquote(path.lstrip("/"))
        self.asked.append(name)
        self.users += headers.get_all("Authorization", [])
        tagged = {"ETag": self.tag} if self.tag else {}
        if self.tag and headers.get("If-None-Match") == self.tag:
            return 304, tagged, b""
        body = self.files.get(name)
        return self.status or (404 if body is None else 200), tagged, body or b""


@contextmanager
def serve_files(files: dict[str, bytes]) -> Iterator[FileServer]:
    """Serve files until the block ends; they may change meanwhile."""
    served = FileServer(files)
    with serving(served.answer) as host:
        served.url = f"http://{host}"
        yield served
