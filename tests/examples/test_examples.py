"""What is said of the examples is true of their files; what judges them notices what is wrong."""

import gzip
import io
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from tests.build.elf import elf
from tests.examples.building import EXAMPLES, names, recipe_of
from tests.examples.judging import code_of_others, foreign_files, traced, verdicts
from tests.interop.peers import need

from layersmith.apps.interpreter import Interpreter
from layersmith.assemble.lockfiles import read_locked
from layersmith.oci.digest import Digest
from layersmith.recipe.application import App
from layersmith.recipe.recipe import read_recipe

DOCUMENT = EXAMPLES.parent / "docs" / "examples.md"
NAMES = ("fastapi", "flask", "hello-world", "kubernetes", "pandas", "pubsub")


def test_there_are_six_with_tests() -> None:
    assert tuple(names()) == NAMES
    for name in NAMES:
        recipe = read_recipe(recipe_of(name))
        assert recipe.app is not None
        assert recipe.test
        assert all(trial.name for trial in recipe.test)


@pytest.mark.parametrize("name", NAMES)
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


@pytest.mark.parametrize("name", NAMES)
def test_the_document_shows_the_recipes_as_they_are(name: str) -> None:
    section = DOCUMENT.read_text().partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    recipe = recipe_of(name).read_text()
    whole, *tests = re.findall(r"```toml\n(.*?)\n```", section, re.DOTALL)
    assert recipe.partition("\n[[test]]")[0].endswith(f"\n{whole}\n")
    assert all(test in recipe for test in tests)


def test_a_report_is_judged() -> None:
    good = {"name": "a", "passed": True, "message": "fine", "seconds": 1.5}
    bad = {"name": "b", "passed": False, "message": "late", "seconds": 2.0}
    assert verdicts({"platforms": [{"tests": [good, bad]}]}) == (["b: late"], 3.5)
    assert verdicts({"platforms": [{"tests": []}]})[0] == ["it has no tests"]


def test_an_object_of_another_machine_is_noticed(tmp_path: Path) -> None:
    def put(raw: bytes) -> dict[str, str]:
        digest = Digest.of(raw)
        path = tmp_path / "blobs" / digest.replace(":", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
        return {"digest": digest}

    out = io.BytesIO()
    with gzip.open(out, "wb") as stream, tarfile.open(fileobj=stream, mode="w|") as tar:
        for name, content in (("a.so", elf(machine=62)), ("b.py", b"pass\n")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    manifest = json.dumps({"layers": [put(out.getvalue())]}).encode()
    children = [
        {**put(manifest), "platform": {"architecture": name}} for name in ("amd64", "arm64")
    ]
    top = put(json.dumps({"manifests": children}).encode())
    (tmp_path / "index.json").write_text(json.dumps({"manifests": [top]}))
    assert foreign_files(tmp_path) == (["arm64 has a.so, of machine 62"], 1)


def test_code_that_runs_is_noticed(tmp_path: Path) -> None:
    need("strace")
    module, trace = tmp_path / "strange.py", tmp_path / "trace"
    module.write_text("import subprocess\nsubprocess.run(['true'])\n")
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import strange"
    for code, wanted in (("pass", 0), (script, 2)):
        subprocess.run([*traced(trace), sys.executable, "-c", code], check=True)
        found = code_of_others(trace)
        assert len({line.partition(":")[0].partition("(")[0] for line in found}) == wanted, found
