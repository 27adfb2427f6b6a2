"""The program from its entry, in this process: what every row does that cannot wait for another."""

from __future__ import annotations

import sys
from unittest.mock import patch

from layersmith.cli import app


def entered(*arguments: str) -> int:
    """Run one command; return the exit status, which for Python is that of a :class:`SystemExit`."""
    with patch.object(sys, "argv", ["layersmith", *arguments]):
        try:
            app.main()
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0
