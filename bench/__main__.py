"""``python -m bench [race|app|growth|sizes|peers]``: figures, and never a test."""

from __future__ import annotations

import argparse
import sys

from bench import app, growth, peers, race, sizes


def main() -> int:
    """Do one of them; the race when none is named."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    choices = ("race", "app", "growth", "sizes", "peers")
    parser.add_argument("what", nargs="?", default="race", choices=choices)
    parser.add_argument("--full", action="store_true", help="growth: with 500,000 files of 4 GB")
    options = parser.parse_args()
    if options.what == "growth":
        return growth.main(full=options.full)
    things = {"race": race.main, "app": app.main, "sizes": sizes.main, "peers": peers.set_up}
    return things[options.what]()


if __name__ == "__main__":
    sys.exit(main())
