"""The builder image: pushed, pulled and run by others, made again, and its tools at work."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fixtures import build, registry, sandbox
from tests.build.wheels import requirements, wheel
from tests.fakes.package_index import serve_index
from tests.interop.conftest import ARCHITECTURES, Result, emulator, layersmith
from tests.interop.peers import need

pytestmark = pytest.mark.interop

TARGET = "builder:3.13-debian13"
TAG = "3.13-debian13"
LOOK = """
import json, os, pwd, site, sys
import demo
me = pwd.getpwuid(os.getuid())
print(json.dumps([demo.__file__, me.pw_name, me.pw_dir, me.pw_shell, site.ENABLE_USER_SITE]))
"""
DEMO = wheel(
    files={"demo/__init__.py": b"import sys\ndef main(): print(sys.executable)\n"},
    scripts={"demo": "demo:main"},
)
# What needs the image's own Python and a directory to write to.
AT_WORK = (
    "set -e; cd /tmp; virtualenv --quiet --no-periodic-update v; v/bin/python -c 'import pip'; "
    "uv venv --quiet --offline --no-cache u; u/bin/python -c 'print(6 * 7)'"
)


@dataclass(frozen=True)
class Pushed:
    """A builder image in the registry, and what was said of it."""

    repository: str
    digest: str
    folder: Path
    mirrors: tuple[str, ...]

    def run(self, *words: str, **env: str) -> Result:
        more = (*self.mirrors, "--cache-dir", f"{self.folder}/cache")
        return layersmith(*words, *more, env={"PIP_CONFIG_FILE": "/dev/null", **env})


@pytest.fixture(scope="module")
def pushed(
    served: registry.Registry, mirrors: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> Pushed:
    folder = tmp_path_factory.mktemp("builder")
    DEMO.write(folder / "wheels")
    (folder / "requirements.txt").write_text(requirements(DEMO))
    found = Pushed(f"{served.host}/team/builder", "", folder, mirrors)
    done = found.run(
        "assemble", TARGET, "--json", "--push", found.repository, "--provenance",
        "--documents", f"{folder}/docs", "--requirements", f"{folder}/requirements.txt",
        "--wheel-dir", f"{folder}/wheels",
    )  # fmt: skip
    assert done.code == 0, done.err
    return Pushed(found.repository, done.document["digest"], folder, mirrors)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_others_pull_and_run_it(pushed: Pushed, arch: str, tmp_path: Path) -> None:
    layout = _pulled(pushed.repository, tmp_path)
    index = json.loads((layout / "index.json").read_text())
    assert [each["digest"] for each in index["manifests"]] == [pushed.digest]
    bundle = sandbox.unpack(layout, TAG, arch, tmp_path / arch)

    # By the accounts alone: a runtime that sets no HOME has the tools too.
    look = ["/usr/local/bin/python3", "-c", LOOK]
    done = sandbox.run(bundle, look, emulator=emulator(arch))
    assert done.returncode == 0, done.stderr
    place = "/home/monty/.local/lib/python3.13/site-packages/demo/__init__.py"
    assert json.loads(done.stdout) == [place, "monty", "/home/monty", "/bin/sh", True]
    assert bundle.command == ["python3"]
    if emulator(arch) is None:
        # The kernel reads the first line of scripts; an emulator of one program does not.
        script = sandbox.run(bundle, ["demo"])
        assert script.stdout == "/usr/local/bin/python3.13\n", script.stderr


def test_it_is_made_again_from_what_it_says(pushed: Pushed) -> None:
    reference = f"{pushed.repository}:{TAG}"
    proof = f"{pushed.folder}/docs/builder-3.13-debian13.provenance.json"
    with serve_index(DEMO) as index:
        for words in ([reference], ["--provenance", proof], [reference, "--provenance", proof]):
            done = pushed.run("rebuild", *words, "--json", PIP_INDEX_URL=index.url)
            assert done.code == 0, done.err
            assert done.document["rebuilt"] == pushed.digest
    other = wheel(files={"demo/__init__.py": b"evil"})
    with serve_index(other) as index:
        cold = ("--cache-dir", f"{pushed.folder}/cold")
        done = layersmith(
            "rebuild", reference, *pushed.mirrors, *cold,
            env={"PIP_CONFIG_FILE": "/dev/null", "PIP_INDEX_URL": index.url},
        )  # fmt: skip
    assert done.code == 3, done.err
    assert "demo 1.0" in done.err


@pytest.fixture(scope="module")
def real(
    served: registry.Registry, mirrors: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """The image as it is made by default, its wheels from where this machine's pip finds them."""
    folder = tmp_path_factory.mktemp("real")
    options = (*mirrors, "--json", "--push", f"{served.host}/team/tools")
    done = layersmith("assemble", TARGET, *options, "--cache-dir", f"{folder}/cache")
    if done.code == 5 and os.environ.get("CI") != "true":
        pytest.skip(f"no package index can be reached: {done.err}")
    assert done.code == 0, done.err
    again = layersmith("assemble", TARGET, *options, "--cache-dir", f"{folder}/cache")
    assert again.document["digest"] == done.document["digest"]
    _pulled(f"{served.host}/team/tools", folder)
    return {"layout": folder / "pulled", **done.document}


def test_the_tools_work(real: dict[str, Any], images: build.Fixtures, tmp_path: Path) -> None:
    if emulator("amd64") is not None:
        pytest.skip("the image is of amd64")
    bundle = sandbox.unpack(real["layout"], TAG, "amd64", tmp_path / "amd64")
    for name in ("virtualenv", "poetry", "pipenv", "uv", "uvx", "pip"):
        done = sandbox.run(bundle, [name, "--version"])
        assert done.returncode == 0, f"{name}: {done.stderr}"
        assert name.removesuffix("x") in done.stdout.lower()
    done = sandbox.run(bundle, ["sh", "-c", AT_WORK])
    assert (done.returncode, done.stdout) == (0, "42\n"), done.stderr


def test_the_kernel_lets_its_user_run_them(real: dict[str, Any], tmp_path: Path) -> None:
    """With true owners: the user reads his home, and nobody else's files are his."""
    if os.geteuid() != 0 or emulator("amd64") is not None:
        pytest.skip("runc with true owners needs root, and the bundle is of amd64")
    single, bundle = tmp_path / "single", tmp_path / "bundle"
    skopeo = [need("skopeo"), "--insecure-policy", "--override-arch", "amd64", "copy", "--quiet"]
    subprocess.run([*skopeo, f"oci:{real['layout']}:{TAG}", f"oci:{single}:x"], check=True)
    subprocess.run([need("umoci"), "unpack", "--image", f"{single}:x", bundle], check=True)
    path = bundle / "config.json"
    config = json.loads(path.read_text())
    assert config["process"]["user"] == {"uid": 1000, "gid": 1000}
    assert config["process"]["cwd"] == "/home/monty"
    words = "poetry --version && pip uninstall --help >/dev/null && ls -ld . && ! cat /etc/shadow"
    config["process"] |= {"terminal": False, "args": ["sh", "-c", words]}
    config["root"]["readonly"] = True
    path.write_text(json.dumps(config))
    ran = subprocess.run(
        [need("runc"), "run", "--bundle", bundle, f"layersmith-builder-{os.getpid()}"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "drwx------" in ran.stdout
    assert "monty" in ran.stdout


def _pulled(repository: str, folder: Path) -> Path:
    """Copy the whole index by skopeo."""
    subprocess.run(
        [need("skopeo"), "--insecure-policy", "copy", "--quiet", "--all", "--src-tls-verify=false",
         f"docker://{repository}:{TAG}", f"oci:{folder}/pulled:{TAG}"],
        check=True,
    )  # fmt: skip
    return folder / "pulled"
