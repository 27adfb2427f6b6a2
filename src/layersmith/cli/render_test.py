"""What ``test`` says: a table for people, JSON for programs, JUnit's XML for CI."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

from layersmith.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from layersmith.assemble.testing import PlatformReport, Report
    from layersmith.sandbox.trying import Result

__all__ = ["report_json", "table", "write_junit"]

_WIDEST = 40
_SHOWN = 20


def table(report: Report, *, verbose: bool) -> str:
    """Return a line for each test; what failed, or was asked for, with its output."""
    names = [one.name for tested in report.tested for one in tested.results]
    width = min(_WIDEST, max(map(len, names), default=0))
    lines = [f"{report.name} in {report.runner}"]
    lines += [f"  note: {note}" for note in report.notes]
    for tested in report.tested:
        lines += ["", f"{tested.platform}{_how(tested)}"]
        for one in tested.results:
            verdict = "ok  " if one.passed else "FAIL"
            lines.append(f"  {verdict} {one_line(one.name):<{width}}  {one.message}{_time(one)}")
            lines += _more(one, verbose=verbose)
    skipped = sum(bool(tested.way.why_not) for tested in report.tested)
    missing = f", {skipped} platform{'s' * (skipped > 1)} not run" if skipped else ""
    lines += ["", f"{report.passed} passed, {report.failed} failed{missing}"]
    return "\n".join(lines)


def _how(tested: PlatformReport) -> str:
    if tested.way.why_not:
        return f": not run: {tested.way.why_not}"
    return f" by {tested.way.emulator}" if tested.way.emulator else ""


def _time(one: Result) -> str:
    return f"  ({one.seconds:.1f} s)" if one.seconds else ""


def _more(one: Result, *, verbose: bool) -> Iterator[str]:
    if one.passed and not verbose:
        return
    wrong = [line for line in one.details if line.startswith("fails")]
    yield from (f"       {one_line(line)}" for line in wrong[:_SHOWN])
    if len(wrong) > _SHOWN:
        yield f"       and {len(wrong) - _SHOWN} more: see --json"
    for name, text in (("stdout", one.stdout), ("stderr", one.stderr)):
        lines = text.splitlines()
        kept, longest = (lines, 1000) if verbose else (lines[-_SHOWN:], 200)
        yield from (f"       {name}: {one_line(line, longest)}" for line in kept)


def report_json(report: Report) -> str:
    """Return the one document of ``test --json``."""
    document = {
        "image": report.name,
        "digest": report.digest,
        "runner": report.runner,
        "notes": list(report.notes),
        "passed": report.passed,
        "failed": report.failed,
        "platforms": [_platform(tested) for tested in report.tested],
    }
    return json.dumps(document, indent=2)


def _platform(tested: PlatformReport) -> dict[str, Any]:
    return {
        "platform": str(tested.platform),
        "digest": tested.digest,
        "emulator": tested.way.emulator or None,
        "not_run": tested.way.why_not or None,
        "tests": [
            {
                "name": one.name,
                "passed": one.passed,
                "message": one.message,
                "seconds": round(one.seconds, 3),
                "details": list(one.details),
                "stdout": one.stdout,
                "stderr": one.stderr,
            }
            for one in tested.results
        ],
    }


def write_junit(report: Report, path: Path) -> None:
    """Write the results as JUnit's XML; raises :class:`OutputError`."""
    from layersmith.stores.files import write_whole

    text = "\n".join(['<?xml version="1.0" encoding="utf-8"?>', *_suites(report), ""])
    write_whole(path, text.encode())


def _suites(report: Report) -> Iterator[str]:
    yield f"<testsuites name={_attribute(report.name)}>"
    for tested in report.tested:
        count = len(tested.results) or int(bool(tested.way.why_not))
        failures = sum(not one.passed for one in tested.results)
        seconds = sum(one.seconds for one in tested.results)
        yield (
            f"  <testsuite name={_attribute(str(tested.platform))} "
            f'tests="{count}" failures="{failures}" errors="0" '
            f'skipped="{int(bool(tested.way.why_not))}" time="{seconds:.3f}">'
        )
        platform = _attribute(str(tested.platform))
        if tested.way.why_not:
            yield f'    <testcase classname={platform} name="(all)" time="0">'
            yield f"      <skipped message={_attribute(tested.way.why_not)}/>"
            yield "    </testcase>"
        for one in tested.results:
            yield from _case(one, platform)
        yield "  </testsuite>"
    yield "</testsuites>"


def _case(one: Result, platform: str) -> Iterator[str]:
    name = _attribute(one.name)
    yield f'    <testcase classname={platform} name={name} time="{one.seconds:.3f}">'
    if not one.passed:
        details = _text("\n".join(one.details))
        yield f"      <failure message={_attribute(one.message)}>{details}</failure>"
    for tag, text in (("system-out", one.stdout), ("system-err", one.stderr)):
        if text:
            yield f"      <{tag}>{_text(text)}</{tag}>"
    yield "    </testcase>"


def _attribute(text: str) -> str:
    return quoteattr(one_line(text))


def _text(text: str) -> str:
    """Return text as XML 1.0 can have it: no control characters, nor what is no character."""
    kept = (c if c in "\n\t" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return escape("".join(kept))
