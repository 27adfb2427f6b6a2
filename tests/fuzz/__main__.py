"""``python -m tests.fuzz [--seconds 60] [TARGET …]``: fuzzes targets, and lists the finds."""

import argparse

from tests.fuzz.campaign import fuzzed, set_up
from tests.fuzz.targets import TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("only", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if unknown := set(options.only) - TARGETS.keys():
        parser.error(f"there is no target {', '.join(sorted(unknown))}")
    set_up()
    done = fuzzed(options.only or list(TARGETS), options.seconds, seed=options.seed)
    for campaign in done:
        print(campaign)  # noqa: T201 - talks to whoever runs it
    return 1 if any(campaign.finds for campaign in done) else 0


if __name__ == "__main__":
    raise SystemExit(main())
