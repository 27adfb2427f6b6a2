"""What a fuzzer tries first: each target over its seeds and some hundred mutants of them."""

from __future__ import annotations

from random import Random

import pytest
from tests.fuzz.mutations import inputs
from tests.fuzz.targets import TARGETS

MUTANTS = 200


@pytest.mark.parametrize("name", TARGETS)
def test_only_our_errors_and_what_is_accepted_is_sound(name: str) -> None:
    target = TARGETS[name]
    assert target.corpus()
    for data in inputs(target, Random(20), MUTANTS):
        try:
            target(data)
        except Exception as error:
            error.add_note(f"the input was {data!r}")
            raise
