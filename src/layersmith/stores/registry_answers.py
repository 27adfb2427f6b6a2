"""Answers that are not what was asked for, as errors that say what to do.

The body of an error (distribution-spec, "Error Codes") is the registry's own text:
it is read up to a bound, freed of control characters, and of anything secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from urllib3.exceptions import HTTPError

from layersmith.errors import (
    DocumentError,
    LayersmithError,
    MissingContent,
    NotFound,
    RegistryError,
    Unauthorized,
    one_line,
)
from layersmith.oci.strictjson import decode
from layersmith.stores.registry_urls import without_secrets

if TYPE_CHECKING:
    import requests

__all__ = ["bounded_body", "content_length", "discard", "error_of", "is_temporary", "read_whole"]

_TRANSIENT: Final = frozenset({408, 425, 429, 499})
_RECOVERABLE: Final = frozenset({"BLOB_UPLOAD_UNKNOWN", "MANIFEST_BLOB_UNKNOWN"})
_INCOMPLETE: Final = frozenset({"BLOB_UNKNOWN", "MANIFEST_BLOB_UNKNOWN", "MANIFEST_UNKNOWN"})
_TOO_MANY: Final = "the registry limits requests: wait, or log in if you have not"
_SHOWN: Final = 300


def is_temporary(status: int) -> bool:
    """Tell whether the same request may succeed later."""
    return status in _TRANSIENT or (status >= 500 and status not in (501, 505))


def read_whole(response: requests.Response, limit: int) -> bytes:
    """Read the body as it came, to its end or to one byte more than `limit`.

    Raises what `urllib3` and sockets raise, also for a body that is cut off: that
    shows only when one reads on.
    """
    pieces, left = [], limit + 1
    while left and (piece := response.raw.read(left, decode_content=False)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def bounded_body(response: requests.Response, limit: int) -> bytes:
    """Read a small body that matters little, and let go of the connection.

    One that is broken, encoded or larger reads as empty: it only adds to a message.
    """
    try:
        body = read_whole(response, limit)
    except (HTTPError, OSError):
        return b""
    finally:
        response.close()
    plain = response.headers.get("Content-Encoding", "identity") == "identity"
    return body if plain and len(body) <= limit else b""


def content_length(response: requests.Response) -> int | None:
    """Return the Content-Length, if there is a sensible one."""
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isdecimal() and len(text) < 19 else None


def discard(response: requests.Response, limit: int) -> None:
    """Finish with a small body, so that its connection can serve again."""
    bounded_body(response, limit)


def error_of(
    response: requests.Response,
    what: str,
    *,
    hint: str = "",
    limit: int = 64 * 1024,
    secrets: frozenset[str] = frozenset(),
    wait: float = 0.0,
    incomplete: bool = False,
) -> LayersmithError:
    """Return the error that `response` stands for; `what` says what was attempted.

    With `incomplete` it answers a manifest, and may mean what the manifest names.
    """
    status = response.status_code
    codes, text = _details(bounded_body(response, limit))
    code = codes[0] if codes else ""
    shown = one_line(without_secrets(text, secrets), _SHOWN)
    message = f"{what}: the registry answers {status}" + (f": {shown}" if shown else "")
    if incomplete and _INCOMPLETE.intersection(codes):
        return MissingContent(message, status=status, code=one_line(code, 60), hint=hint)
    if status == 404 and code not in _RECOVERABLE:
        return NotFound(message, hint=hint or "check the name and the tag")
    if status in (401, 403):
        return Unauthorized(message, hint=hint or "check the credentials and what they allow")
    return RegistryError(
        message,
        status=status,
        code=one_line(code, 60),
        temporary=is_temporary(status) or code in _RECOVERABLE,
        wait=wait,
        hint=hint or (_TOO_MANY if status == 429 else ""),
    )


def _details(body: bytes) -> tuple[list[str], str]:
    """Return the codes of up to three errors, and their codes and messages as a text."""
    try:
        value = decode(body, "error") if body else {}
    except DocumentError:
        return [], ""
    errors = value.get("errors") if isinstance(value, dict) else None
    found = [e for e in errors if isinstance(e, dict)][:3] if isinstance(errors, list) else []
    texts = [": ".join(filter(None, (_text(e, "code"), _text(e, "message")))) for e in found]
    return [_text(e, "code") for e in found], "; ".join(filter(None, texts))


def _text(error: dict[str, Any], key: str) -> str:
    value = error.get(key)
    return value if isinstance(value, str) else ""
