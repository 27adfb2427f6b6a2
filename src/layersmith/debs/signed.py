"""What an archive signs, and whom it is believed: OpenPGP, in cleartext (RFC 9580, 7).

All of it that is cryptography is Sequoia's, through pysequoia (docs/adr/0006). What counts is
the text that it gives back as signed; that nothing stands around it is asked here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from layersmith.errors import InvalidInput, InvalidKey, Untrusted, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Keyring", "signed_text"]

_BEGIN: Final = b"-----BEGIN PGP SIGNED MESSAGE-----\n"
_SIGNATURE: Final = b"\n-----BEGIN PGP SIGNATURE-----\n"
_END: Final = b"\n-----END PGP SIGNATURE-----\n"
_HINT: Final = "name the keyring of this archive: --debian-keyring FILE"


class Keyring:
    """Certificates, of which any may vouch; raises :class:`InvalidKey` for what are none."""

    def __init__(self, rings: Sequence[tuple[str, bytes]]) -> None:
        library = _library()
        self._certificates: list[Any] = []
        for name, data in rings:
            try:
                self._certificates += library.Cert.split_bytes(data)
            except Exception:  # noqa: BLE001 - pysequoia raises what it likes
                raise InvalidKey(
                    f"{one_line(name, 200)} is no keyring of OpenPGP", hint=_HINT
                ) from None
        if not self._certificates:
            raise InvalidKey("a keyring without a certificate", hint=_HINT)

    def certificates(self, _: Sequence[str]) -> list[Any]:
        """Return all of them, whoever is asked for: the library looks for the right one."""
        return self._certificates


def signed_text(raw: bytes, keyring: Keyring, what: str) -> bytes:
    """Return the text that somebody of `keyring` has signed, of a document that is just that.

    Raises :class:`Untrusted`.
    """
    if (
        not raw.startswith(_BEGIN)
        or not raw.endswith(_END)
        or [raw.count(mark) for mark in (b"\n" + _BEGIN, _SIGNATURE, _END)] != [0, 1, 1]
    ):
        raise Untrusted(f"{what} is no signed text, or has more around it")
    try:
        found = _library().verify(bytes=raw, store=keyring.certificates)
    except Exception as error:  # noqa: BLE001 - pysequoia raises what it likes
        why = one_line(str(error).partition("\n")[0], 200)
        raise Untrusted(f"{what}: nobody of the keyring has signed it: {why}", hint=_HINT) from None
    if not found.valid_sigs or found.bytes is None:
        raise Untrusted(f"{what}: nobody of the keyring has signed it", hint=_HINT)
    return bytes(found.bytes)


def _library() -> Any:
    try:
        import pysequoia  # noqa: PLC0415 - an extra: few add packages
    except ImportError:
        raise InvalidInput(
            "pysequoia is not installed, which checks the signatures of Debian's archive",
            hint="pip install 'layersmith[debian]'",
        ) from None
    return pysequoia
