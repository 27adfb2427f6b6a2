"""The tests of the examples notice what is wrong; what they are tested with is sound."""

import json
import subprocess

import msgspec
import pytest
from tests.examples.building import EXAMPLES, names
from tests.examples.trials import Trial, trials_of

from layersmith.apps.interpreter import Interpreter
from layersmith.assemble.lockfiles import read_locked
from layersmith.recipe.application import App


def ended(code: int = 0, out: str = "", err: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.CompletedProcess([], code, out, err)


def trial(**values: object) -> Trial:
    return msgspec.convert({"name": "one", **values}, Trial)


@pytest.mark.parametrize(
    ("asked", "good", "bad"),
    [
        ({}, ended(), ended(1)),
        ({"exit": 3}, ended(3), ended()),
        ({"stdout": "a\n"}, ended(out="a\n"), ended(out="a\nb\n")),
        ({"stdout-contains": "a"}, ended(out="bab"), ended(out="b")),
        ({"stdout-matches": "^a$"}, ended(out="a"), ended(out="ab")),
        ({"stderr-contains": "a"}, ended(err="bab"), ended(out="a")),
    ],
)
def test_an_end_is_judged(
    asked: dict[str, object],
    good: subprocess.CompletedProcess[str],
    bad: subprocess.CompletedProcess[str],
) -> None:
    assert trial(**asked).faults(good) == []
    assert trial(**asked).faults(bad) != []


@pytest.mark.parametrize(
    ("change", "faults"),
    [({}, 0), ({"status": 500}, 1), ({"body": "no"}, 1), ({"end": "killed"}, 1), ({"end": 3}, 1)],
)
def test_an_answer_is_judged(change: dict[str, object], faults: int) -> None:
    asked = trial(http={"port": 8000, "contains": "hello"})
    answer = {"status": 200, "body": "hello", "end": 0, **change}
    assert len(asked.faults(ended(out=json.dumps(answer)))) == faults
    assert asked.faults(ended(1, err="the server ended")) != []


def test_there_are_six_with_tests() -> None:
    assert names() == ["fastapi", "flask", "hello-world", "kubernetes", "pandas", "pubsub"]
    assert all(trials_of(EXAMPLES / name) for name in names())


@pytest.mark.parametrize(
    "name", ["fastapi", "flask", "hello-world", "kubernetes", "pandas", "pubsub"]
)
def test_locks_have_hashes_and_name_no_index(name: str) -> None:
    text = (EXAMPLES / name / "requirements.txt").read_text()
    assert "://" not in text
    locked, *_ = read_locked(App(lock="requirements.txt"), EXAMPLES / name)
    pins = [
        locked.pins(Interpreter("3.13.5", machine, (2, 41)), (), ())
        for machine in ("x86_64", "aarch64")
    ]
    assert pins[0] == pins[1]
    assert all(pin.hashes for pin in pins[0])
