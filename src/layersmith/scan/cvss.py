"""The base score of a CVSS v3 vector (FIRST: CVSS v3.1 specification, sections 6 and 7.1).

Version 3.0 has the same formula and vector; its rounding is only defined well in 3.1.
"""

from __future__ import annotations

from typing import Final

__all__ = ["base_score"]

_PREFIXES: Final = ("CVSS:3.0/", "CVSS:3.1/")
_LONGEST: Final = 400
_IMPACT: Final = {"H": 0.56, "L": 0.22, "N": 0.0}
_WEIGHTS: Final = {
    "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
    "AC": {"L": 0.77, "H": 0.44},
    "PR": {"N": 0.85, "L": 0.62, "H": 0.27},
    "UI": {"N": 0.85, "R": 0.62},
    "S": {"U": 0.0, "C": 0.0},
    "C": _IMPACT,
    "I": _IMPACT,
    "A": _IMPACT,
}
_CHANGED: Final = {"N": 0.85, "L": 0.68, "H": 0.5}  # privileges required, where the scope changes
# Temporal and environmental metrics may be there too; they do not touch the base score.
_OTHERS: Final = frozenset(
    ("E", "RL", "RC", "CR", "IR", "AR", "MAV", "MAC", "MPR", "MUI", "MS", "MC", "MI", "MA")
)


def base_score(vector: str) -> float | None:
    """Return the score, 0.0 to 10.0, or None for what is no CVSS v3 vector."""
    metrics = _metrics(vector)
    if metrics is None:
        return None
    weight = {name: _WEIGHTS[name][metrics[name]] for name in _WEIGHTS}
    is_changed = metrics["S"] == "C"
    privileges = _CHANGED[metrics["PR"]] if is_changed else weight["PR"]
    exploitability = 8.22 * weight["AV"] * weight["AC"] * privileges * weight["UI"]
    sub_score = 1 - (1 - weight["C"]) * (1 - weight["I"]) * (1 - weight["A"])
    if is_changed:
        impact = 7.52 * (sub_score - 0.029) - 3.25 * (sub_score - 0.02) ** 15
    else:
        impact = 6.42 * sub_score
    if impact <= 0:
        return 0.0
    return _round_up(min((1.08 if is_changed else 1.0) * (impact + exploitability), 10.0))


def _metrics(vector: str) -> dict[str, str] | None:
    """Return the metrics of a vector that has each base metric once, and none that is unknown."""
    if not vector.startswith(_PREFIXES) or len(vector) > _LONGEST:
        return None
    found: dict[str, str] = {}
    for part in vector.split("/")[1:]:
        name, _, value = part.partition(":")
        known = value in _WEIGHTS[name] if name in _WEIGHTS else name in _OTHERS
        if not known or name in found:
            return None
        found[name] = value
    return found if found.keys() >= _WEIGHTS.keys() else None


def _round_up(value: float) -> float:
    """Round up to one decimal (specification, appendix A: free of what floats add)."""
    whole = round(value * 100_000)
    return whole / 100_000 if whole % 10_000 == 0 else (whole // 10_000 + 1) / 10
