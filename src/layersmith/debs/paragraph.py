"""One paragraph of control data, in which no field is said twice (Debian Policy, 5.1)."""

from __future__ import annotations

from layersmith.analysis.dpkg import fields
from layersmith.errors import LayerError, PackageError, one_line

__all__ = ["said_in"]


def said_in(paragraph: bytes, place: str) -> dict[str, str]:
    """Return what each field says; raises :class:`PackageError` for two of a name, and for none.

    Readers do not agree which of two counts, nor whether a line of blanks ends a paragraph:
    dpkg takes neither.
    """
    said: dict[str, str] = {}
    if any(line and not line.strip() for line in paragraph.split(b"\n")):
        raise PackageError("a line of blanks within a paragraph", place=place)
    try:
        for name, (value, _) in fields(paragraph, place):
            if name in said:
                raise PackageError(f"two fields {one_line(name, 60)}", place=place)
            said[name] = value
    except LayerError as error:
        raise PackageError(error.message) from None
    return said
