"""Greet whoever is named, in a box."""

import os
import platform
import sys

from rich.console import Console
from rich.panel import Panel


def main() -> None:
    """Print the greeting, and as whom it was printed where."""
    console = Console(width=40)
    console.print(Panel(f"Hello, {' '.join(sys.argv[1:])}!"))
    print(f"uid {os.getuid()} on {platform.machine()}")
