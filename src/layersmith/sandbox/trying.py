"""Tests in a cell, and their verdicts."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from layersmith.errors import LayersmithError, one_line
from layersmith.recipe.trials import Trial
from layersmith.sandbox.insides import stop_signal_of
from layersmith.sandbox.running import MAX_OUTPUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.recipe.trials import Http
    from layersmith.sandbox.cell import Cell
    from layersmith.sandbox.running import Ended

__all__ = ["DEFAULT", "Result", "results_of"]

# What is tried where a recipe has no tests.
DEFAULT: Final = Trial(imports=("*",))
_SECONDS: Final = 120.0
_PATIENCE: Final = 10  # an emulator's, to that of this machine's own processor
_MODULE: Final = 60.0
_STOPPING: Final = 5.0
_SHOWN: Final = 5
# The body and both outputs of a server, a little more than MAX_OUTPUT each, in base64.
_ANSWER: Final = 6 * MAX_OUTPUT


@dataclass(frozen=True, slots=True)
class Result:
    """A test's verdict: `message` says in one line what was seen, `details` the rest."""

    name: str
    passed: bool
    message: str
    seconds: float = 0.0
    details: tuple[str, ...] = ()
    stdout: str = ""
    stderr: str = ""


def results_of(cell: Cell, trial: Trial, name: str, timeout: float) -> Iterator[Result]:
    """Run a test; yield its result, or those of the default test.

    `timeout` is for tests that say none; 0 is the usual one, longer under an emulator.
    """
    seconds = trial.timeout or timeout or _SECONDS * (_PATIENCE if cell.way.is_slow else 1)
    try:
        if trial.imports:
            yield from _imports(cell, trial, name, seconds)
        elif trial.http is not None:
            yield _asked(cell, trial, trial.http, name, seconds)
        else:
            yield _ran(cell, trial, name, seconds)
    except LayersmithError as error:
        yield Result(name, passed=False, message=one_line(error.message))
    except (ValueError, TypeError):
        # Of the right form, but not what our program answers: something else did.
        yield Result(name, passed=False, message="the image's Python answered nonsense")


def _words(cell: Cell, trial: Trial) -> tuple[str, ...]:
    if trial.command:
        return trial.command
    return (*cell.entrypoint, *trial.args) if trial.args else cell.start


def _ran(cell: Cell, trial: Trial, name: str, seconds: float) -> Result:
    env = cell.environment(trial.env)
    ended = cell.run(
        _words(cell, trial),
        env,
        stdin=trial.stdin.encode(),
        writable=trial.writable,
        timeout=seconds,
    )
    out, err = (text.decode("utf-8", "replace") for text in (ended.stdout, ended.stderr))
    wrong = [*_ends(ended, trial.exit or 0, seconds), *_says(trial, out, err)]
    message = "; ".join(wrong) or _ending(ended.status)
    return Result(
        name, passed=not wrong, message=message, seconds=ended.seconds, stdout=out, stderr=err
    )


def _ends(ended: Ended, wanted: int, seconds: float) -> Iterator[str]:
    if ended.timed_out:
        yield f"not ended after {seconds:g} seconds"
    elif ended.status != wanted:
        last = f": {one_line(ended.error, 200)}" if ended.error else ""
        yield f"{_ending(ended.status)}, not exit code {wanted}{last}"
    if ended.cut:
        yield "its output is too long, and was cut"


def _ending(status: int) -> str:
    signal = status - 128
    return f"exit code {status}" + (f" (signal {signal})" if 0 < signal < 32 else "")


def _says(trial: Trial, out: str, err: str) -> Iterator[str]:
    if trial.stdout is not None and out != trial.stdout:
        yield f"stdout is {one_line(out, 80)!r}, not {one_line(trial.stdout, 80)!r}"
    for name, text, wanted in (
        ("stdout", out, trial.stdout_contains),
        ("stderr", err, trial.stderr_contains),
    ):
        if wanted not in text:
            yield f"{name} lacks {one_line(wanted, 80)!r}: it is {one_line(text, 80)!r}"
    if trial.stdout_matches and re.search(trial.stdout_matches, out) is None:
        yield f"stdout does not match {one_line(trial.stdout_matches, 80)!r}"


def _asked(cell: Cell, trial: Trial, http: Http, name: str, seconds: float) -> Result:
    """Start a server and ask it, both in the sandbox: the network ends there."""
    env = cell.environment(trial.env)
    asked: dict[str, Any] = {
        "argv": cell.words(_words(cell, trial), env),
        "port": http.port,
        "path": http.path,
        "seconds": seconds,
        "signal": stop_signal_of(cell.config),
        "patience": _STOPPING if trial.exit is None else seconds,
    }
    # The client stops the server before the sandbox ends: it has longer.
    ended, answer = _inside(cell, trial, "answers", asked, seconds + asked["patience"] + 30)
    out, err = (base64.b64decode(answer[key]).decode("utf-8", "replace") for key in _OUTPUTS)
    body = base64.b64decode(answer["body"]).decode("utf-8", "replace")
    wrong = [*_answers(answer, body, http), *_stopped(answer, trial.exit), *_says(trial, out, err)]
    message = "; ".join(wrong) or f"status {answer['status']}, {len(body)} characters"
    if wrong and not answer["status"] and err.strip():
        message += f": {one_line(err.strip().splitlines()[-1], 200)}"
    # How long a server takes to start is what people ask; what asks it takes time as well.
    took = answer["took"] if 0 < answer["took"] < ended.seconds else ended.seconds
    return Result(name, passed=not wrong, message=message, seconds=took, stdout=out, stderr=err)


_OUTPUTS: Final = ("stdout", "stderr")


def _answers(answer: dict[str, Any], body: str, http: Http) -> Iterator[str]:
    if not answer["status"]:
        yield f"no answer on port {http.port}: {one_line(str(answer['why']), 200)}"
        return
    if answer["status"] != http.status:
        yield f"status {answer['status']}, not {http.status}: {one_line(body, 80)!r}"
    if http.contains not in body:
        yield f"the answer lacks {one_line(http.contains, 80)!r}: {one_line(body, 80)!r}"


def _stopped(answer: dict[str, Any], wanted: int | None) -> Iterator[str]:
    """Judge how a server ended that answered, where the test says how it has to."""
    if wanted is None or not answer["status"] or answer["end"] == wanted:
        return
    end = answer["end"]
    how = "did not end" if end < 0 else f"ended with {_ending(end)}, not {wanted}"
    yield f"told to end, it {how}"


def _imports(cell: Cell, trial: Trial, name: str, seconds: float) -> Iterator[Result]:
    is_default = trial.imports == DEFAULT.imports and not trial.except_
    asked = {
        "imports": trial.imports,
        "except": trial.except_,
        "seconds": min(seconds, _MODULE * (_PATIENCE if cell.way.is_slow else 1)),
        "all": is_default,
        "known": sorted(cell.known),
    }
    ended, answer = _inside(cell, trial, "imports", asked, seconds)
    failed, noted, count = answer["failed"], answer["noted"], answer["imported"]
    message = f"{count} modules of Python {one_line(str(answer['version']), 40)}"
    if failed:
        first = "; ".join(f"{one} {why}" for one, why in list(failed.items())[:_SHOWN])
        message = f"{len(failed)} fail, {count} do not: {one_line(first, 500)}"
    elif not count + answer["known"]:
        message = "there is no such module"
    elif answer["known"]:
        message += f"; {answer['known']} are the same files as on a platform that was run"
    details = [f"fails: {one}: {why}" for one, why in failed.items()]
    details += [f"optional: {one}: {why}" for one, why in noted.items()]
    is_good = not failed and count + answer["known"] > 0
    yield Result(name, is_good, message, ended.seconds, tuple(details))
    if is_default:
        yield from _about(answer)


def _about(answer: dict[str, Any]) -> Iterator[Result]:
    trusted, (uid, gid), open_ = answer["certificates"], answer["user"], answer["writable"]
    has_some = isinstance(trusted, int) and trusted > 0
    said = f"{trusted} authorities" if isinstance(trusted, int) else str(trusted)
    yield Result("certificates", has_some, one_line(said))
    yield Result("user", uid != 0, f"uid {uid}, gid {gid}" + (": that is root" if not uid else ""))
    places = ", ".join(map(str, open_))
    yield Result("read-only root", not open_, one_line(f"can be changed: {places}") if open_ else
                 "nothing can be changed")  # fmt: skip


_KEYS: Final = {
    "answers": {
        "status": int,
        "body": str,
        "why": str,
        "stdout": str,
        "stderr": str,
        "end": int,
        "took": float,
    },
    "imports": {"version": str, "imported": int, "failed": dict, "noted": dict, "known": int},
}


def _inside(
    cell: Cell, trial: Trial, program: str, asked: dict[str, Any], seconds: float
) -> tuple[Ended, dict[str, Any]]:
    """Run one of the programs for the image's Python; return what it answered.

    Raises :class:`LayersmithError` where it does not answer: the image is not believed.
    """
    source = files("layersmith.sandbox.inside").joinpath(f"{program}.py").read_text("utf-8")
    env = cell.environment(trial.env)
    words = (cell.python(env), "-I", "-B", "-W", "ignore", "-c", source)
    ended = cell.run(
        words,
        env,
        stdin=json.dumps(asked).encode(),
        writable=trial.writable,
        timeout=seconds,
        most=_ANSWER,
    )
    if ended.timed_out:
        raise LayersmithError(f"not ended after {seconds:g} seconds")
    try:
        answer = json.loads(ended.stdout)
        wanted = {**_KEYS[program], **(_DEFAULT if asked.get("all") else {})}
        if all(isinstance(answer[key], kind) for key, kind in wanted.items()):
            return ended, answer
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise LayersmithError(
        f"the image's Python gave no answer: {_ending(ended.status)}: {one_line(ended.error, 300)}"
    )


_DEFAULT: Final[dict[str, Any]] = {"certificates": (int, str), "user": list, "writable": list}
