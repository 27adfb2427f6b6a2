"""Peers that take an image out of a registry, each as its users run it, and what they got."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fixtures import sandbox, tools
from fixtures.layout import REF_NAME
from tests.interop.registries import PASSWORD, USER, Served

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NEWER: Final = "trixie"  # the first Debian that has all of these
_NEWER: Final = ("skopeo", "oras", "cosign")
_TIMEOUT: Final = 120
_INDEX: Final = "application/vnd.oci.image.index.v1+json"
_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_REALM: Final = re.compile(
    r'Bearer realm="([^"]+)",service="([^"]+)",scope="([^"]+)"', re.IGNORECASE
)


class Failed(Exception):
    """A peer did not do what it was asked."""


@dataclass(frozen=True)
class Pull:
    """What to take, where it is, and a directory of one's own to put it."""

    served: Served
    repository: str
    tag: str
    directory: Path

    @property
    def reference(self) -> str:
        return f"{self.served.host}/{self.repository}:{self.tag}"

    @property
    def layout(self) -> Path:
        """Where those that write a layout do."""
        return self.directory / "layout"

    def run(self, *command: str) -> str:
        return said(*command, env=self.served.environment)

    def in_layout(self) -> str:
        """Return the digest of the layout's image: some list what is below it too."""
        manifests = json.loads((self.layout / "index.json").read_text())["manifests"]
        tagged = [m for m in manifests if m.get("annotations", {}).get(REF_NAME) == self.tag]
        digests = {str(m["digest"]) for m in tagged or manifests}
        if len(digests) != 1:
            raise Failed(f"the layout has {len(digests)} images")
        return digests.pop()


@dataclass(frozen=True)
class Puller:
    """A peer by name and version; `pull` gives the digest that it has found."""

    name: str
    version: str
    pull: Callable[[Pull], str]


def said(*command: str, env: dict[str, str] | None = None) -> str:
    """Run a peer and return its output; raises :class:`Failed` with its complaint."""
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, check=False, timeout=_TIMEOUT
    )
    if done.returncode:
        complaint = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Failed(complaint[-1][:300] if complaint else f"status {done.returncode}")
    return done.stdout


def pullers() -> list[Puller]:
    """Every peer that can pull here."""
    newer = {name: str(tools.find_newer(name, name, NEWER).path) for name in _NEWER}
    older = str(tools.find("skopeo", "skopeo").path)
    found = [_skopeo(program) for program in dict.fromkeys((older, newer["skopeo"]))]
    found += [_oras(newer["oras"]), _cosign(newer["cosign"]), _curl(), _oras_py()]
    if os.geteuid() == 0:  # else they need a user namespace with many ids
        found += [_containers("podman"), _containers("buildah")]
    return found


def _version(*command: str) -> str:
    return next(iter(re.findall(r"\d+(?:\.\d+)+", said(*command))), "?")


def _verified(served: Served) -> str:
    return "true" if served.ca else "false"


def _skopeo(program: str) -> Puller:
    def pull(what: Pull) -> str:
        what.run(
            program, "--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests",
            f"--src-tls-verify={_verified(what.served)}",
            f"--src-cert-dir={what.served.directory}",
            f"docker://{what.reference}", f"oci:{what.layout}:{what.tag}",
        )  # fmt: skip
        return what.in_layout()

    return Puller("skopeo", _version(program, "--version"), pull)


def _oras(program: str) -> Puller:
    def pull(what: Pull) -> str:
        ca = what.served.ca
        transport = ["--from-ca-file", str(ca)] if ca else ["--from-plain-http"]
        what.run(
            program, "copy", *transport,
            "--from-registry-config", str(what.served.directory / "config.json"),
            "--to-oci-layout", what.reference, f"{what.layout}:{what.tag}",
        )  # fmt: skip
        return what.in_layout()

    return Puller("oras", _version(program, "version"), pull)


def _cosign(program: str) -> Puller:
    def pull(what: Pull) -> str:
        insecure = [] if what.served.ca else ["--allow-http-registry"]
        what.run(program, "save", *insecure, "--dir", str(what.layout), what.reference)
        return what.in_layout()

    return Puller("cosign", tools.packaged_version("cosign", NEWER), pull)


def _containers(program: str) -> Puller:
    path = str(tools.find(program, program).path)
    as_json, key = ("--json", "digest") if program == "buildah" else ("--format=json", "Digest")

    def pull(what: Pull) -> str:
        root, run = what.directory / "root", what.directory / "run"
        storage = [path, "--root", str(root), "--runroot", str(run), "--storage-driver", "vfs"]
        what.run(
            *storage, "pull", "--quiet", f"--tls-verify={_verified(what.served)}",
            "--cert-dir", str(what.served.directory),
            "--authfile", str(what.served.directory / "config.json"),
            f"docker://{what.reference}",
        )  # fmt: skip
        (listed,) = json.loads(what.run(*storage, "images", as_json))
        return str(listed[key])

    return Puller(program, _version(path, "--version"), pull)


def _oras_py() -> Puller:
    script = str(Path(__file__).with_name("oras_py.py"))

    def pull(what: Pull) -> str:
        known = [USER, PASSWORD] if what.served.guarded else []
        backend = "token" if what.served.kind == "token" else "basic"
        scheme = "https" if what.served.ca else "http"
        return what.run(sys.executable, script, scheme, what.reference, backend, *known).strip()

    return Puller("oras-py", version("oras"), pull)


def _curl() -> Puller:
    """The API itself: the manifests and every blob below them, hashed here."""

    def pull(what: Pull) -> str:
        return _Curl(what).all_of(what.tag)

    return Puller("curl", _version("curl", "--version"), pull)


class _Curl:
    def __init__(self, what: Pull) -> None:
        self._what = what
        served = what.served
        self._base = f"{served.registry.url}/v2/{what.repository}"
        self._options = ["--silent", "--show-error", "--location", "--max-time", "60"]
        if served.ca:
            self._options += ["--cacert", str(served.ca)]
        if served.kind == "htpasswd":
            self._options += ["--user", f"{USER}:{PASSWORD}"]
        if served.kind == "token":
            self._options += ["--header", f"Authorization: Bearer {self._token()}"]

    def all_of(self, identifier: str) -> str:
        """Fetch a manifest and all below; return its digest."""
        raw = self._get(f"manifests/{identifier}")
        document: dict[str, Any] = json.loads(raw)
        for child in document.get("manifests", []):
            self._is(child["digest"], self.all_of(child["digest"]))
        for blob in (*document.get("layers", []), *filter(None, [document.get("config")])):
            self._is(blob["digest"], _digest(self._get(f"blobs/{blob['digest']}")))
        return _digest(raw)

    def _is(self, expected: str, got: str) -> None:
        if expected != got:
            raise Failed(f"{got} in place of {expected}")

    def _get(self, path: str) -> bytes:
        target = self._what.directory / "got"
        accept = f"Accept: {_INDEX}, {_MANIFEST}, */*"
        self._what.run(
            "curl", "--fail", *self._options, "--header", accept, "--output", str(target),
            f"{self._base}/{path}",
        )  # fmt: skip
        return target.read_bytes()

    def _token(self) -> str:
        """Answer the challenge, as nobody: anyone may pull."""
        headers = self._what.run("curl", *self._options, "--head", f"{self._base}/manifests/x")
        challenge = _REALM.search(headers)
        if challenge is None:
            raise Failed("no challenge")
        realm, service, scope = challenge.groups()
        answer = self._what.run(
            "curl", *self._options, "--get", "--data-urlencode", f"service={service}",
            "--data-urlencode", f"scope={scope}", realm,
        )  # fmt: skip
        return str(json.loads(answer)["token"])


def _digest(raw: bytes) -> str:
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


# Those that read what others have pulled


def judged(layout: Path, tag: str) -> None:
    """Let oci-image-tool validate a layout; raises :class:`Failed`."""
    judge = tools.find("oci-image-tool", "oci-image-tool")
    said(
        str(judge.path), "validate", "--type", "image", "--ref", f"name={tag}", str(layout),
        env=judge.environment(),
    )  # fmt: skip


def runs(layout: Path, tag: str, directory: Path, says: Sequence[str]) -> None:
    """Let umoci unpack a layout and bubblewrap run it.

    Raises :class:`Failed` if it does not say the first of `says`, asked with the rest.
    """
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    try:
        bundle = sandbox.unpack(layout, tag, architecture, directory)
        done = sandbox.run(bundle, [*bundle.command, *says[1:]])
    except sandbox.SandboxError as error:
        raise Failed(str(error)) from None
    if done.stdout != says[0]:
        raise Failed(f"it says {done.stdout!r}: {done.stderr.strip()[-200:]}")
