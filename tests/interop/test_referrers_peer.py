"""What cosign and oras put beside an image is found by them where we have copied it."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest
import requests
from fixtures import registry, tools
from tests.interop import tiny
from tests.interop.conftest import layersmith

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.interop
NEWER = "trixie"  # the first Debian with cosign and oras


def said(program: str, *arguments: str, directory: Path) -> str:
    done = subprocess.run(
        [tools.find_newer(program, program, NEWER).path, *arguments], cwd=directory,
        env={**os.environ, "COSIGN_PASSWORD": "", "HOME": str(directory), "NO_PROXY": "*"},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def signed(reference: str, directory: Path) -> None:
    said("cosign", "generate-key-pair", directory=directory)
    said(
        "cosign", "sign", "--key", "cosign.key", "--tlog-upload=false", "--yes",
        "--allow-http-registry", reference, directory=directory,
    )  # fmt: skip


def verified(reference: str, directory: Path) -> str:
    """Let cosign verify; return the digest that was signed."""
    found = said(
        "cosign", "verify", "--key", "cosign.pub", "--insecure-ignore-tlog=true",
        "--allow-http-registry", "--output=json", reference, directory=directory,
    )  # fmt: skip
    return str(json.loads(found)[0]["critical"]["image"]["docker-manifest-digest"])


def attached(reference: str, text: str, directory: Path) -> str:
    (directory / "note.txt").write_text(text)
    shown = said(
        "oras", "attach", "--plain-http", "--artifact-type", "application/x-note",
        "--format", "json", reference, "note.txt:text/plain", directory=directory,
    )  # fmt: skip
    return str(json.loads(shown)["digest"])


def discovered(reference: str, directory: Path) -> set[str]:
    found = said(
        "oras", "discover", "--plain-http", "--format", "json", reference, directory=directory
    )
    return {str(one["digest"]) for one in json.loads(found)["manifests"]}


def test_signatures_and_notes_are_found_where_they_were_copied(tmp_path: Path) -> None:
    digest = str(tiny.image(tmp_path / "tiny").digest)
    with registry.serve() as one, registry.serve() as two:
        here, there = f"{one.host}/team/tiny", f"{two.host}/other/tiny"
        assert layersmith("copy", f"oci:{tmp_path}/tiny:1", here, "-q").code == 0
        # This registry has no referrers API: clients keep the list under a tag.
        assert (
            requests.get(f"{one.url}/v2/team/tiny/referrers/{digest}", timeout=9).status_code == 404
        )
        signed(f"{here}@{digest}", tmp_path)
        first = attached(f"{here}:1", "first", tmp_path)

        steps = (
            (f"{here}:1", f"oci-archive:{tmp_path}/a.tar"),
            (f"oci-archive:{tmp_path}/a.tar", there),
        )
        for source, target in steps:
            done = layersmith("copy", source, target, "--referrers", "-q")
            assert done.code == 0, done.err
        assert verified(f"{there}:1", tmp_path) == digest
        assert discovered(f"{there}:1", tmp_path) == {first}

        theirs = attached(f"{there}:1", "theirs", tmp_path)
        second = attached(f"{here}:1", "second", tmp_path)
        assert layersmith("copy", f"{here}:1", there, "--referrers", "-q").code == 0
        assert discovered(f"{there}:1", tmp_path) == {first, second, theirs}
