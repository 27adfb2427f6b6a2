"""The options that say what is delivered beside images: SBOMs, provenance, signatures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from layersmith.cli.documents import write_attached
from layersmith.cli.gathering import Gathered
from layersmith.cli.sign import signer
from layersmith.cli.words import not_empty
from layersmith.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layersmith.assemble.outcome import Attached
    from layersmith.assemble.publishing import Beside, Signing
    from layersmith.stores.cache import Cache

__all__ = ["BesideWish", "BesideWished"]

Sbom = Annotated[
    bool,
    typer.Option(
        "--sbom", help="Attach an SBOM to every platform's image: SPDX, or see --sbom-format."
    ),
]
SbomFormat = Annotated[
    list[str] | None,
    typer.Option(help="spdx-json or cyclonedx-json; repeatable. Implies --sbom.", metavar="NAME"),
]
Provenance = Annotated[
    bool,
    typer.Option(
        "--provenance", help="Attach how it was made (in-toto, SLSA v1) to index and images."
    ),
]
Documents = Annotated[
    Path | None,
    typer.Option(help="Write what is attached into a directory too.", metavar="DIR"),
]
Sign = Annotated[
    str,
    typer.Option(
        "--sign",
        callback=not_empty,
        help="Sign the index and every platform with this private key (FILE or env://NAME), "
        "and attest SBOMs and provenance if there are any, before the tags are written.",
        metavar="KEY",
    ),
]
SignCarrier = Annotated[
    str, typer.Option("--sign-carrier", help="referrer, tag or both.", metavar="CARRIER")
]
SignAs = Annotated[
    str,
    typer.Option(
        "--sign-as",
        callback=not_empty,
        help="Sign as this repository's; a layout has none of its own.",
        metavar="NAME",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class BesideWish:
    """What was typed; keys are read when it is asked who signs."""

    formats: tuple[str, ...]
    provenance: bool
    documents: Path | None
    sign: str
    carrier: str
    sign_as: str

    @property
    def beside(self) -> Beside:
        """What is to be attached; raises :class:`RecipeError` for documents of nothing."""
        from layersmith.assemble.publishing import PLAIN, Beside

        found = Beside(self.formats, self.provenance)
        if self.documents is not None and found == PLAIN:
            raise RecipeError("--documents, but there is none", hint="add --sbom or --provenance")
        return found

    def signing(self) -> Signing | None:
        """Return who signs; raises :class:`InvalidKey` or :class:`InvalidInput`."""
        from layersmith.assemble.publishing import Signing

        return Signing(signer(self.sign, self.carrier), self.sign_as) if self.sign else None

    def write(self, cache: Cache, attached: Sequence[Attached], stem: str) -> None:
        """Write what was attached into a directory, if that is wished."""
        if self.documents is not None:
            write_attached(cache, attached, stem, self.documents)


def _beside(
    sbom: Sbom = False,
    sbom_format: SbomFormat = None,
    provenance: Provenance = False,
    documents: Documents = None,
    sign: Sign = "",
    sign_carrier: SignCarrier = "referrer",
    sign_as: SignAs = "",
) -> BesideWish:
    return BesideWish(
        formats=tuple(sbom_format or (["spdx-json"] if sbom else ())),
        provenance=provenance,
        documents=documents,
        sign=sign,
        carrier=sign_carrier,
        sign_as=sign_as,
    )


BesideWished: TypeAlias = Annotated[BesideWish, Gathered(_beside)]
