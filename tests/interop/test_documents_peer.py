"""What is attached, by others: oras finds it, cosign takes it, dpkg agrees with it."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.build.sboms import faults
from tests.interop.conftest import ARCHITECTURES, TARGET, layersmith
from tests.interop.dpkg_peer import Admin
from tests.interop.test_referrers_peer import said

if TYPE_CHECKING:
    from collections.abc import Callable

    from fixtures import registry
    from tests.interop.conftest import Assembled

pytestmark = pytest.mark.interop
SPDX, CYCLONEDX = "application/spdx+json", "application/vnd.cyclonedx+json"
PROVENANCE = "application/vnd.in-toto+json"


@dataclass(frozen=True)
class Told:
    """An image with everything attached, in the registry, and the documents as files."""

    document: dict[str, Any]
    repository: str
    folder: Path

    def raw(self, arch: str, suffix: str) -> bytes:
        return (self.folder / f"{TARGET}-linux-{arch}.{suffix}").read_bytes()

    def digest(self, arch: str) -> str:
        found = (p["digest"] for p in self.document["platforms"] if p["platform"].endswith(arch))
        return str(next(found))


@pytest.fixture(scope="module")
def told(
    served: registry.Registry,
    assembled: Assembled,
    mirrors: tuple[str, ...],
    tmp_path_factory: pytest.TempPathFactory,
) -> Told:
    folder = tmp_path_factory.mktemp("documents")
    repository = f"{served.host}/told/python"
    done = layersmith(
        "assemble", TARGET, *mirrors, "--json", "--push", repository, "--sbom-format=spdx-json",
        "--sbom-format=cyclonedx-json", "--provenance", "--documents", str(folder),
        "--cache-dir", str(assembled.cache),
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.document["digest"] == assembled.digest
    return Told(done.document, repository, folder)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_oras_finds_what_is_about_a_platform(told: Told, arch: str, tmp_path: Path) -> None:
    shown = said(
        "oras", "discover", "--plain-http", "--format", "json",
        f"{told.repository}@{told.digest(arch)}", directory=tmp_path,
    )  # fmt: skip
    found = {one["artifactType"]: one["digest"] for one in json.loads(shown)["manifests"]}
    assert found.keys() == {SPDX, CYCLONEDX, PROVENANCE}
    said(
        "oras", "pull", "--plain-http", "-o", "got", f"{told.repository}@{found[SPDX]}",
        directory=tmp_path,
    )  # fmt: skip
    assert (tmp_path / "got/sbom.spdx.json").read_bytes() == told.raw(arch, "spdx.json")


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_schemas_and_dpkg_agree(
    told: Told, rootfs: Callable[[str, str], Path], arch: str, tmp_path: Path
) -> None:
    root = rootfs("result", arch)
    packages = Admin.of(root, tmp_path / "admin").packages()
    listed = {name: f"{version} {one}" for name, (version, one) in packages.items()}
    for suffix in ("spdx.json", "cdx.json"):
        raw = told.raw(arch, suffix)
        assert faults(raw) == []
        document = json.loads(raw)
        found = [*document.get("packages", []), *document.get("components", [])]
        debian = {}
        for one in found:
            references = [r["referenceLocator"] for r in one.get("externalRefs", [])]
            for reference in [*references, one.get("purl", "")]:
                if reference.startswith("pkg:deb/debian/"):
                    architecture = reference.split("arch=")[1].split("&")[0]
                    debian[one["name"]] = (
                        f"{one.get('versionInfo', one.get('version'))} {architecture}"
                    )
                    assert reference.endswith("&distro=debian-13")
        assert debian == listed
    files = {one["fileName"] for one in json.loads(told.raw(arch, "spdx.json"))["files"]}
    there = {
        f"./{p.relative_to(root)}" for p in root.rglob("*") if p.is_file() and not p.is_symlink()
    }
    # (umoci and the sandbox make directories, no files)
    assert files == there


def test_it_is_the_same_for_whoever_asks(told: Told, tmp_path: Path) -> None:
    for name, suffix in (("spdx-json", "spdx.json"), ("cyclonedx-json", "cdx.json")):
        done = layersmith(
            "sbom", f"{told.repository}:{TARGET}", "--platform=linux/arm64", "--format", name,
            "--cache-dir", str(tmp_path / "cache"), "-q", env={"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "3"},
        )  # fmt: skip
        assert done.code == 0, done.err
        assert done.out.encode() == told.raw("arm64", suffix)


@pytest.mark.parametrize(
    ("kind", "predicate_type"),
    [
        ("slsaprovenance1", "https://slsa.dev/provenance/v1"),
        ("spdxjson", "https://spdx.dev/Document"),
        ("cyclonedx", "https://cyclonedx.org/bom"),
    ],
)
def test_cosign_takes_our_documents_for_what_they_are(
    told: Told, kind: str, predicate_type: str, tmp_path: Path
) -> None:
    statement = json.loads((told.folder / f"{TARGET}.provenance.json").read_bytes())
    predicate = {
        "slsaprovenance1": json.dumps(statement["predicate"]).encode(),
        "spdxjson": told.raw("amd64", "spdx.json"),
        "cyclonedx": told.raw("amd64", "cdx.json"),
    }[kind]
    (tmp_path / "predicate.json").write_bytes(predicate)
    reference = f"{told.repository}@{told.digest('amd64')}"
    said("cosign", "generate-key-pair", directory=tmp_path)
    said(
        "cosign", "attest", "--key", "cosign.key", "--tlog-upload=false", "--yes",
        "--allow-http-registry", "--type", kind, "--predicate", "predicate.json", reference,
        directory=tmp_path,
    )  # fmt: skip
    shown = said(
        "cosign", "verify-attestation", "--key", "cosign.pub", "--insecure-ignore-tlog=true",
        "--allow-http-registry", "--type", kind, reference, directory=tmp_path,
    )  # fmt: skip
    payload = json.loads(base64.b64decode(json.loads(shown.splitlines()[-1])["payload"]))
    assert payload["predicateType"] == predicate_type
    if kind == "slsaprovenance1":
        # cosign reads it into SLSA's own form and writes it again: nothing of ours was lost.
        ours, theirs = (
            p["buildDefinition"] for p in (statement["predicate"], payload["predicate"])
        )
        assert theirs == ours
        assert (
            payload["predicate"]["runDetails"]["builder"]
            == (statement["predicate"]["runDetails"]["builder"])
        )
