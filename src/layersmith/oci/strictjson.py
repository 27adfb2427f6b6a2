"""JSON read the strict way: one text has one meaning, or it is refused.

Refused here, before any schema is looked at: text that is not UTF-8, duplicate keys
(two parsers would read two values), NaN, Infinity and numbers too large for a float,
integers of more than 19 digits, nesting deeper than 64, lone surrogates, and anything
over the size cap.
"""

from __future__ import annotations

import json
from math import isinf
from threading import Lock
from typing import Any, Final, NoReturn, TypeVar

import msgspec

from layersmith.errors import DocumentError, LayersmithError, one_line

__all__ = ["MAX_DOCUMENT", "decode", "encode", "refuse_twins", "typed"]

MAX_DOCUMENT: Final = 4 * 1024 * 1024
_MAX_DIGITS = 19
_MAX_DEPTH = 64

T = TypeVar("T")


def decode(raw: bytes, what: str, *, limit: int = MAX_DOCUMENT) -> Any:
    """Return the JSON value of `raw`; `what` names the document in errors.

    Raises :class:`DocumentError`.
    """
    if len(raw) > limit:
        raise DocumentError(f"{what}: {len(raw)} bytes of JSON, at most {limit} are read")
    try:
        text = raw.decode("utf-8")
        value = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise DocumentError(f"{what}: not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise DocumentError(f"{what}: nested deeper than {_MAX_DEPTH}") from None
    except ValueError as error:
        raise DocumentError(f"{what}: {one_line(str(error), 200)}") from None
    _check_depth(value, what)
    if "\\u" in text:
        _check_surrogates(value, what)
    return value


# msgspec learns a type when it first meets it. Where two threads meet one at the same time, one
# of them may use what the other has not finished: a crash of the interpreter.
_LEARNING: Final = Lock()


def typed(value: Any, kind: type[T], what: str) -> T:
    """Convert a decoded JSON value to the msgspec type `kind`.

    Raises :class:`DocumentError` with the JSON path of the first fault.
    """
    try:
        with _LEARNING:
            return msgspec.convert(value, kind, dec_hook=_dec_hook)
    except msgspec.ValidationError as error:
        raise DocumentError(f"{what}: {one_line(str(error), 300)}") from None


def encode(value: Any) -> bytes:
    """Return `value` as compact UTF-8 JSON, keys in the order they have."""
    return msgspec.json.encode(value, enc_hook=_enc_hook)


def refuse_twins(value: Any, what: str, free: frozenset[str]) -> None:
    """Refuse an object with two keys that differ in case only, which Go takes for one.

    The objects under the keys `free` (in lower case) are maps: their keys are data.
    Raises :class:`DocumentError`.
    """
    todo = [value]
    while todo:
        here = todo.pop()
        if isinstance(here, dict):
            folded = {key.casefold(): key for key in here}
            if len(folded) != len(here):
                twin = next(key for key in here if folded[key.casefold()] != key)
                raise DocumentError(f"{what}: the key {one_line(twin, 60)!r} in two spellings")
            todo += [child for key, child in here.items() if key.casefold() not in free]
        elif isinstance(here, list):
            todo += here


def _dec_hook(kind: type[Any], value: Any) -> Any:
    if not isinstance(value, str):
        raise TypeError(f"Expected `str`, got `{type(value).__name__}`")
    try:
        return kind(value)
    except LayersmithError as error:
        raise ValueError(error.message) from None


def _enc_hook(value: Any) -> str:
    if isinstance(value, str):
        return str.__str__(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(k for k, _ in pairs if k in seen or seen.add(k))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return found


def _integer(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _fraction(text: str) -> float:
    value = float(text)
    if isinf(value):
        raise ValueError(f"the number {one_line(text, 30)} is too large")
    return value


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs,
    parse_int=_integer,
    parse_float=_fraction,
    parse_constant=_constant,
    strict=True,
)


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _check_depth(value: Any, what: str) -> None:
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return
    raise DocumentError(f"{what}: nested deeper than {_MAX_DEPTH}")


def _check_surrogates(value: Any, what: str) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise DocumentError(f"{what}: a lone surrogate in a string") from None
