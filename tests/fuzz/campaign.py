"""Targets under atheris for a given time each, and what came of it."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.fuzz.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.fuzz.target import Target

PROJECT: Final = Path(__file__).parents[2]
PYTHON: Final = PROJECT / ".venv-fuzz" / "bin" / "python"
WHERE: Final = PROJECT / "build" / "fuzz"
_OPTIONS: Final = ("-timeout=20", "-rss_limit_mb=1024", "-print_final_stats=1")
_EXECUTED: Final = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_GRACE: Final = 120  # seconds for what comes before and after the fuzzing


@dataclass(frozen=True)
class Campaign:
    """What came of one target: inputs tried, and the files with those that are finds."""

    name: str
    executions: int
    finds: tuple[Path, ...]
    log: Path

    def __str__(self) -> str:
        finds = ", ".join(str(path) for path in self.finds)
        return f"{self.name}: {self.executions:,} executions, {finds or 'no find'}"


def set_up() -> None:
    """Make the environment that atheris is in, unless it is there."""
    subprocess.run(
        [sys.executable, "scripts/setup.py", "fuzz"], cwd=PROJECT, check=True, timeout=900
    )


def fuzzed(names: Sequence[str], seconds: int, *, seed: int = 1) -> list[Campaign]:
    """Fuzz targets for `seconds` each, as many at a time as there are processors."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda name: _fuzz(TARGETS[name], seconds, seed), names))


def corpus(name: str) -> Path:
    """Return where inputs are kept that once showed a fuzzer something new."""
    return WHERE / name / "corpus"


def _fuzz(target: Target, seconds: int, seed: int) -> Campaign:
    kept = corpus(target.name)
    kept.mkdir(parents=True, exist_ok=True)
    for data in target.corpus():
        (kept / hashlib.sha256(data).hexdigest()).write_bytes(data)
    words = kept.with_name("words")
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words))
    command = [
        str(PYTHON), "-m", "tests.fuzz.fuzzer", target.name, *_OPTIONS, f"-seed={seed}",
        f"-max_total_time={seconds}", f"-max_len={target.largest}", f"-dict={words}",
        f"-artifact_prefix={kept.parent}/", str(kept),
    ]  # fmt: skip
    log = kept.with_name("log")
    before = _finds(kept.parent)
    with log.open("wb") as out:
        try:
            done = subprocess.run(
                command, cwd=PROJECT, stdout=out, stderr=out, check=False, timeout=seconds + _GRACE
            )
        except subprocess.TimeoutExpired:
            return Campaign(target.name, 0, (log,), log)
    text = log.read_text(errors="replace")
    executed = _EXECUTED.search(text)
    finds = tuple(sorted(_finds(kept.parent) - before))
    failed = (log,) if done.returncode and not finds else ()
    return Campaign(target.name, int(executed[1]) if executed else 0, (*finds, *failed), log)


def _finds(folder: Path) -> set[Path]:
    """Return the inputs that libFuzzer left: crashes, and what took too long or too much."""
    return {path for kind in ("crash", "timeout", "oom") for path in folder.glob(f"{kind}-*")}


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)
