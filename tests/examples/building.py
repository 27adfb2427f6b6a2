"""From an example's directory to an unpacked image: layersmith, docker-registry, skopeo, umoci."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fixtures import sandbox, tools
from fixtures.registry import Registry

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
_LONGEST = 900.0  # seconds: the wheels of pandas come over a slow link


class ExampleError(RuntimeError):
    """An example was not built, moved or run as it has to be."""


def names() -> list[str]:
    """Return the names of all examples."""
    return sorted(recipe.parent.name for recipe in EXAMPLES.glob("*/layersmith.toml"))


@dataclass(frozen=True)
class Bench:
    """Where examples are built: a registry that has the inputs, and a place for what is made."""

    running: Registry
    place: Path

    def build(self, name: str, *more: str, cache: str = "cache") -> dict[str, Any]:
        """Build an example for both platforms, push it, and return what layersmith says."""
        command = [sys.executable, "-m", "layersmith", "app", "build", "--json", "--quiet"]
        command += ["--file", str(EXAMPLES / name / "layersmith.toml")]
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
        layout = self.place / name / "pulled"
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

    def unpack(self, name: str, architecture: str) -> sandbox.Bundle:
        """Apply the layers of what was pulled, for bubblewrap."""
        layout = self.place / name / "pulled"
        return sandbox.unpack(layout, name, architecture, self.place / name / architecture)


def unpack_as_root(layout: Path, name: str, directory: Path) -> Path:
    """Apply the layers of this machine's platform with their true owners, for runc."""
    directory.mkdir()
    single, bundle = directory / "single", directory / "bundle"
    skopeo = [str(tools.find("skopeo", "skopeo").path), "--insecure-policy"]
    _run([*skopeo, "copy", "--quiet", f"oci:{layout}:{name}", f"oci:{single}:x"])
    umoci = str(tools.find("umoci", "umoci").path)
    _run([umoci, "unpack", "--image", f"{single}:x", str(bundle)])
    return bundle


def run_in_runc(
    bundle: Path, command: list[str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run a command as runc does: the image's user, a read-only root, an own /tmp."""
    path = bundle / "config.json"
    config = json.loads(path.read_text())
    config["process"].update(terminal=False, args=command)
    if config["process"]["user"] != {"uid": 1000, "gid": 1000}:
        raise ExampleError(f"its user is {config['process']['user']}")
    tmp = {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"]}
    others = [each for each in config["mounts"] if each["destination"] != "/tmp"]
    config["mounts"] = [*others, tmp]
    config["root"]["readonly"] = True
    path.write_text(json.dumps(config))
    runc = str(tools.find("runc", "runc").path)
    return subprocess.run(
        [runc, "run", "--bundle", str(bundle), f"layersmith-example-{os.getpid()}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )


def _run(command: list[str]) -> str:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=_LONGEST,
    )
    if done.returncode:
        raise ExampleError(f"{Path(command[0]).name}: {done.stderr.strip()}")
    return done.stdout
