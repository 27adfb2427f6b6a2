"""From an example's directory to its tests: layersmith, docker-registry, skopeo, layersmith."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fixtures import tools
from fixtures.registry import Registry

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PROGRAM = (sys.executable, "-m", "layersmith")
_LONGEST = 900.0  # seconds: the wheels of pandas come over a slow link
_EMULATED = 3600.0  # and what runs under an emulator takes its time
_FAILED, _NO_SANDBOX = 1, 12


class ExampleError(RuntimeError):
    """An example was not built, moved or run as it has to be."""


class NoSandboxError(ExampleError):
    """This host cannot make the sandbox, or run the platform, that was asked for."""


def names() -> list[str]:
    """Return the names of all examples."""
    return sorted(recipe.parent.name for recipe in EXAMPLES.glob("*/layersmith.toml"))


def recipe_of(name: str) -> Path:
    """Return an example's recipe: how it is built, and its tests."""
    return EXAMPLES / name / "layersmith.toml"


@dataclass(frozen=True)
class Bench:
    """Where examples are built: a registry that has the inputs, and a place for what is made."""

    running: Registry
    place: Path

    def build(
        self, name: str, *more: str, cache: str = "cache", prefix: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        """Build an example for both platforms, push it, and return what layersmith says."""
        command = [*prefix, *PROGRAM, "app", "build", "--json", "--quiet"]
        command += ["--file", str(recipe_of(name))]
        for upstream in ("docker.io", "gcr.io"):
            command += ["--mirror", f"{upstream}={self.running.host}"]
        command += ["--push", self.reference(name), "--cache-dir", str(self.place / cache)]
        document: dict[str, Any] = json.loads(_run([*command, *more]))
        return document

    def reference(self, name: str) -> str:
        """Return where an example is pushed to."""
        return f"{self.running.host}/examples/{name}:1"

    def pull(self, name: str, digest: str) -> Path:
        """Copy an example's whole index with skopeo into a layout, tagged with its name."""
        layout = self.layout(name)
        shutil.rmtree(layout.parent, ignore_errors=True)
        layout.parent.mkdir(parents=True)
        skopeo = str(tools.find("skopeo", "skopeo").path)
        policy = [skopeo, "--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests"]
        source = f"docker://{self.reference(name)}"
        _run([*policy, "--src-tls-verify=false", source, f"oci:{layout}:{name}"])
        index = json.loads((layout / "index.json").read_text())
        if [each["digest"] for each in index["manifests"]] != [digest]:
            raise ExampleError(f"{name}: what skopeo pulled is not what was built")
        return layout

    def layout(self, name: str) -> Path:
        """Return where an example is pulled to."""
        return self.place / name / "pulled"

    def test(self, name: str, architecture: str, *more: str) -> dict[str, Any]:
        """Run tests of what was pulled, on one platform: the recipe's, or those that `more` says.

        Raises :class:`NoSandboxError` where this host cannot.
        """
        command = [*PROGRAM, "test", f"oci:{self.layout(name)}:{name}", "--json", "--quiet"]
        command += ["--platform", f"linux/{architecture}"]
        command += ["--cache-dir", str(self.place / "cache")]
        if "--" not in more:
            command += ["--file", str(recipe_of(name))]
        done = _done([*command, *more], _EMULATED)
        if done.returncode == _NO_SANDBOX:
            raise NoSandboxError(done.stderr.strip().partition("\n")[0])
        if done.returncode not in (0, _FAILED):
            raise ExampleError(f"layersmith test: {done.stderr.strip()}")
        document: dict[str, Any] = json.loads(done.stdout)
        return document


def _run(command: list[str]) -> str:
    done = _done(command, _LONGEST)
    if done.returncode:
        raise ExampleError(f"{Path(command[0]).name}: {done.stderr.strip()}")
    return done.stdout


def _done(command: list[str], timeout: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
