"""layersmith: a daemonless assembler of OCI layers."""

from typing import Final

__all__ = ["__version__"]

__version__: Final = "0.1.0"
