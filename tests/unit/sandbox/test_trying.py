"""Verdicts: what a test looks at, and what it says of what it saw."""

from __future__ import annotations

import base64
import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.build.tree import root
from tests.unit.sandbox.cells import PROGRAM, Canned, cell

from layersmith.recipe.trials import Http, Trial
from layersmith.sandbox.emulation import Way
from layersmith.sandbox.task import EMULATOR
from layersmith.sandbox.trying import DEFAULT, Result, results_of

if TYPE_CHECKING:
    from layersmith.sandbox.cell import Cell


def tried(place: Cell, trial: Trial, timeout: float = 0.0) -> list[Result]:
    return list(results_of(place, trial, "t", timeout))


def one(tmp_path: Path, script: str, **trial: Any) -> Result:
    (result,) = tried(cell(tmp_path, Canned(script)), Trial(**trial))
    return result


@pytest.mark.parametrize(
    ("script", "trial"),
    [
        ("exit 0", {}),
        ("exit 3", {"exit": 3}),
        ("printf out; printf err >&2", {"stdout": "out", "stderr_contains": "rr"}),
        ("printf 'a\\nbc\\n'", {"stdout_contains": "b", "stdout_matches": r"(?m)^b.$"}),
        ("kill -9 $$", {"exit": 137}),
    ],
)
def test_what_is_as_it_should_be_passes(script: str, trial: dict[str, Any], tmp_path: Path) -> None:
    result = one(tmp_path, script, **trial)
    assert result.passed, result.message


@pytest.mark.parametrize(
    ("script", "trial", "why"),
    [
        ("exit 3", {}, "exit code 3, not exit code 0"),
        ("echo oh no >&2; exit 1", {}, "not exit code 0: oh no"),
        ("exit 0", {"exit": 1}, "exit code 0, not exit code 1"),
        ("kill -11 $$", {}, "exit code 139 (signal 11)"),
        ("printf x", {"stdout": "y"}, "stdout is 'x', not 'y'"),
        ("printf x", {"stdout": ""}, "stdout is 'x', not ''"),
        ("printf x", {"stdout_contains": "y"}, "stdout lacks 'y'"),
        ("printf x", {"stderr_contains": "x"}, "stderr lacks 'x'"),
        ("printf x", {"stdout_matches": "^y"}, "stdout does not match '^y'"),
        ("sleep 60", {"timeout": 0.3}, "not ended after 0.3 seconds"),
        ("head -c 2000000 /dev/zero", {}, "too long"),
        ("printf '\\033[31m'", {"stdout": ""}, "stdout is '�[31m'"),
    ],
)
def test_what_is_not_says_what_was_seen(
    script: str, trial: dict[str, Any], why: str, tmp_path: Path
) -> None:
    result = one(tmp_path, script, **trial)
    assert not result.passed
    assert why in result.message
    assert result.message.isprintable()


def test_a_fault_of_the_sandbox_is_never_an_expected_end(tmp_path: Path) -> None:
    (result,) = tried(cell(tmp_path, Canned("exit 1", faults="no")), Trial(exit=1))
    assert (result.passed, result.message) == (False, "it could not be started: no")


def test_what_is_run_is_the_images_own(tmp_path: Path) -> None:
    runner = Canned()
    place = cell(tmp_path, runner, Env=["A=1", "B=1"], WorkingDir="/work")
    tried(place, Trial(env={"B": "2"}))
    tried(place, Trial(args=("-V",)))
    tried(place, Trial(command=("serve", "x"), writable=("/work",)))
    first, second, third = runner.tasks
    assert first.argv == ("/usr/bin/python3", "-q")
    assert second.argv == ("/usr/bin/python3", "-V")
    assert third.argv == ("/usr/bin/serve", "x")
    assert third.writable == ("/work",)
    assert dict(first.env) == {"PATH": first.env["PATH"], "HOME": "/home/me", "A": "1", "B": "2"}
    assert first.workdir == "/work"
    assert first.ids == (5, 6)
    assert first.binds == {}


def test_a_foreign_program_is_started_by_an_emulator_of_the_host(tmp_path: Path) -> None:
    runner = Canned()
    emulator = Path("/usr/bin/qemu-aarch64-static")
    tried(cell(tmp_path, runner, Way("qemu", emulator)), Trial())
    tried(cell(tmp_path, runner, Way("qemu, by binfmt_misc")), Trial())
    assert runner.tasks[0].argv == (EMULATOR, "/usr/bin/python3", "-q")
    assert runner.tasks[0].binds == {EMULATOR: emulator}
    assert runner.tasks[1].argv == ("/usr/bin/python3", "-q")


@pytest.mark.parametrize(
    ("config", "trial", "why"),
    [
        ({}, Trial(command=("ls",)), "not in the image"),
        ({"Entrypoint": [], "Cmd": []}, Trial(), "starts nothing"),
        ({"WorkingDir": "/none"}, Trial(), "working directory /none is not there"),
        ({"Cmd": ["a\0b"]}, Trial(), "is no text for a command"),
        ({"Env": ["A=\ud800"]}, Trial(), "is no text for a command"),
        ({"Env": ["=A"]}, Trial(), "'' is no name of a variable"),
        ({"Cmd": ["x" * 3_000_000]}, Trial(), "could not be started: Argument list too long"),
    ],
)
def test_what_cannot_be_started_fails(
    config: dict[str, Any], trial: Trial, why: str, tmp_path: Path
) -> None:
    (result,) = tried(cell(tmp_path, Canned(), **config), trial)
    assert not result.passed
    assert why in result.message


# servers


def answer(
    status: int = 200, body: bytes = b"hello", why: str = "", err: bytes = b"", end: int = 0
) -> str:
    document = {
        "status": status,
        "body": base64.b64encode(body).decode(),
        "why": why,
        "stdout": base64.b64encode(b"started").decode(),
        "stderr": base64.b64encode(err).decode(),
        "end": end,
        "took": 0.001,
    }
    return f"sleep 0.01; printf %s {shlex.quote(json.dumps(document))}"


def test_a_server_is_asked_by_the_images_python(tmp_path: Path) -> None:
    runner = Canned(answer())
    http = Http(port=8000, contains="ell")
    (result,) = tried(
        cell(tmp_path, runner), Trial(command=("serve",), http=http, stdout_contains="start")
    )
    assert result.passed, result.message
    assert result.message == "status 200, 5 characters"
    assert result.seconds == 0.001
    assert runner.tasks[0].argv[:3] == ("/usr/bin/python3", "-I", "-B")


@pytest.mark.parametrize(
    ("wanted", "end", "why"),
    [
        (None, 143, ""),
        (None, -1, ""),
        (0, 0, ""),
        (143, 143, ""),
        (0, 143, "told to end, it ended with exit code 143 (signal 15), not 0"),
        (0, -1, "told to end, it did not end"),
    ],
)
def test_a_server_may_have_to_end_in_order(
    wanted: int | None, end: int, why: str, tmp_path: Path
) -> None:
    trial = Trial(command=("serve",), http=Http(port=8000), exit=wanted)
    (result,) = tried(cell(tmp_path, Canned(answer(end=end))), trial)
    assert result.passed == (not why)
    assert why in result.message


def test_one_that_never_answered_is_not_judged_by_its_end(tmp_path: Path) -> None:
    trial = Trial(command=("serve",), http=Http(port=8000), exit=0)
    (result,) = tried(cell(tmp_path, Canned(answer(0, why="Refused", end=3))), trial)
    assert result.message == "no answer on port 8000: Refused"


@pytest.mark.parametrize(
    ("text", "number"), [("", 15), ("SIGINT", 2), ("INT", 2), ("9", 9), ("SIGRTMIN+3", 37)]
)
def test_the_images_own_signal_stops_a_server(text: str, number: int, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    place = cell(tmp_path, Canned(f"cat >{asked}; {answer()}"), StopSignal=text)
    (result,) = tried(place, Trial(command=("serve",), http=Http(port=8000)))
    assert result.passed, result.message
    assert json.loads(asked.read_text())["signal"] == number


@pytest.mark.parametrize("text", ["SIGX", "SIG_IGN", "0", "65", "SIGRTMIN+99", "sigterm", "\x1b"])
def test_a_signal_that_is_none(text: str, tmp_path: Path) -> None:
    place = cell(tmp_path, Canned(answer()), StopSignal=text)
    (result,) = tried(place, Trial(command=("serve",), http=Http(port=8000)))
    assert not result.passed
    assert "the image's stop signal is" in result.message
    assert result.message.isprintable()


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (answer(500, b"oops"), "status 500, not 200: 'oops'"),
        (answer(body=b"x"), "the answer lacks 'hello'"),
        (answer(0, why="Refused", err=b"Traceback\nBoom"), "no answer on port 8000: Refused: Boom"),
        ("echo no Python >&2; exit 9", "gave no answer: exit code 9: no Python"),
        ("echo '{}'", "gave no answer"),
        ("echo '[]'", "gave no answer"),
        ("echo nonsense", "gave no answer"),
        (answer().replace("aGVsbG8=", "aGV"), "answered nonsense"),
    ],
)
def test_a_server_that_answers_otherwise_fails(script: str, why: str, tmp_path: Path) -> None:
    trial = Trial(command=("serve",), http=Http(port=8000, contains="hello"))
    (result,) = tried(cell(tmp_path, Canned(script)), trial)
    assert not result.passed
    assert why in result.message


def test_a_long_answer_is_not_cut(tmp_path: Path) -> None:
    long = "head -c 1200000 /dev/zero | tr '\\0' A"
    script = (
        'printf \'{"status": 200, "why": "", "end": 0, "took": 0.001, "stdout": "", "body": "\'; '
        f'{long}; printf \'", "stderr": "\'; {long}; printf \'"}}\''
    )
    trial = Trial(command=("serve",), http=Http(port=8000))
    (result,) = tried(cell(tmp_path, Canned(script)), trial)
    assert result.passed, result.message
    assert result.message == "status 200, 900000 characters"


# the default test


def told(**more: Any) -> str:
    document = {
        "version": "3.13.5",
        "imported": 7,
        "failed": {},
        "noted": {},
        "known": 0,
        "certificates": 140,
        "user": [5, 6],
        "writable": [],
        **more,
    }
    return f"printf %s {shlex.quote(json.dumps(document))}"


def test_the_default_test_looks_at_four_things(tmp_path: Path) -> None:
    results = tried(cell(tmp_path, Canned(told(noted={"a.b": "wants c"}))), DEFAULT)
    assert [(one.name, one.passed, one.message) for one in results] == [
        ("t", True, "7 modules of Python 3.13.5"),
        ("certificates", True, "140 authorities"),
        ("user", True, "uid 5, gid 6"),
        ("read-only root", True, "nothing can be changed"),
    ]
    assert results[0].details == ("optional: a.b: wants c",)


@pytest.mark.parametrize(
    ("more", "name", "why"),
    [
        ({"failed": {"_ssl": "ImportError: libssl.so.3"}}, "t", "1 fail, 7 do not: _ssl Import"),
        ({"imported": 0}, "t", "no such module"),
        ({"certificates": 0}, "certificates", "0 authorities"),
        ({"certificates": "No module named '_ssl'"}, "certificates", "No module named"),
        ({"user": [0, 0]}, "user", "that is root"),
        ({"writable": ["/etc"]}, "read-only root", "can be changed: /etc"),
    ],
)
def test_each_of_them_can_fail(more: dict[str, Any], name: str, why: str, tmp_path: Path) -> None:
    results = tried(cell(tmp_path, Canned(told(**more))), DEFAULT)
    assert [(one.name, why in one.message) for one in results if not one.passed] == [(name, True)]


@pytest.mark.parametrize(
    "more",
    [{"user": [5, 6, 7]}, {"user": 5}, {"user": None}, {"failed": []}, {"certificates": None}],
)
def test_an_answer_of_another_form_is_none(more: dict[str, Any], tmp_path: Path) -> None:
    *_, result = tried(cell(tmp_path, Canned(told(**more))), DEFAULT)
    assert not result.passed
    assert "no answer" in result.message or "answered nonsense" in result.message


def test_an_image_without_a_python_fails(tmp_path: Path) -> None:
    bare = root({"usr/bin/python3": b"no program", "usr/bin/serve": PROGRAM})
    place = replace(cell(tmp_path, Canned(told()), Entrypoint=["/usr/bin/serve"]), root=bare)
    (result,) = tried(place, DEFAULT)
    assert "has no Python" in result.message
