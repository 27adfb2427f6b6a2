"""How much of the parsers a set of inputs reaches, in branches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import coverage

import layersmith

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_SOURCE = Path(layersmith.__file__).parent


def branches(
    run: Callable[[], object], modules: Iterable[str], scratch: Path
) -> dict[str, tuple[int, int]]:
    """Return how many branches `run` took of each of `modules`, and how many there are."""
    files = {str(_SOURCE / f"{name.replace('.', '/')}.py"): name for name in modules}
    measure = coverage.Coverage(branch=True, data_file=None, config_file=False, include=list(files))
    with measure.collect():
        run()
    report = scratch / "coverage.json"
    measure.json_report(outfile=str(report))
    found = json.loads(report.read_text())["files"]
    return {
        files[str(Path(path).resolve())]: (
            about["summary"]["covered_branches"],
            about["summary"]["num_branches"],
        )
        for path, about in found.items()
    }
