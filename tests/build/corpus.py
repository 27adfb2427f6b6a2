"""All layers that were made to be misread; see the modules for what each is about."""

from __future__ import annotations

from tests.build import hostile, hostile_readers, hostile_stacks
from tests.build.hostile import Case
from tests.build.hostile_frames import FRAMES, Frame

__all__ = ["CASES", "FRAMES", "Case", "Frame"]

CASES: list[Case] = [*hostile.CASES, *hostile_readers.CASES, *hostile_stacks.CASES]
