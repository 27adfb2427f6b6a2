"""Peers that sign and verify: cosign, and the policy of containers' tools; see Debian 13."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from fixtures import tools
from tests.build.fulcio import Sigstore, pem, public_pem

if TYPE_CHECKING:
    from pathlib import Path

NEWER: Final = "trixie"  # the first Debian with cosign, and whose skopeo reads its signatures
SIGNED: Final = "https://sigstore.dev/cosign/sign/v1"
_TIMEOUT: Final = 120
_UNLOGGED: Final = ("--insecure-ignore-tlog=true", "--allow-http-registry")


def complaint(*command: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run a peer and return why it refuses, nothing if it does not."""
    done = subprocess.run(
        command, env=env, cwd=cwd, capture_output=True, text=True, check=False, timeout=_TIMEOUT
    )
    return (done.stderr.strip() or "no word") if done.returncode else ""


class Cosign:
    """cosign in a home of its own; there is no log, and no network but loopback."""

    password: Final = "a password"

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._program = str(tools.find_newer("cosign", "cosign", NEWER).path)

    def sign(self, reference: str, key: str, name: str = "") -> None:
        """Sign as cosign 2 does, under the image's own name or another."""
        more = ["--sign-container-identity", name] if name else []
        self._do("sign", *self._writing(key), *more, reference)

    def new_key(self) -> tuple[str, Path]:
        """Make a pair of keys; returns the private one and the public one."""
        self._do("generate-key-pair")
        return str(self._directory / "cosign.key"), self._directory / "cosign.pub"

    def attest(
        self, reference: str, key: str, kind: str, predicate: Path, *, bundled: bool
    ) -> None:
        """Attest, below a tag or in a bundle."""
        more = ["--new-bundle-format"] if bundled else []
        about = ("--type", kind, "--predicate", str(predicate))
        self._do("attest", *self._writing(key), *about, *more, reference)

    def verify(self, reference: str, key: Path) -> str:
        """Return why a signature below the tag does not hold."""
        return self._ask("verify", "--key", str(key), *_UNLOGGED, reference)

    def verify_bundle(self, reference: str, key: Path) -> str:
        """Return why a signature in a bundle does not hold: it is an attestation for 2.5."""
        return self.verify_attestation(reference, key, SIGNED, bundled=True)

    def verify_attestation(self, reference: str, key: Path, kind: str, *, bundled: bool) -> str:
        """Return why an attestation does not hold."""
        more = ["--new-bundle-format", "--trusted-root", self._root] if bundled else []
        about = ("--key", str(key), "--type", kind, *more)
        return self._ask("verify-attestation", *about, *_UNLOGGED, reference)

    def verify_identity(
        self, reference: str, sigstore: Sigstore, who: tuple[str, str], *, bundled: bool
    ) -> str:
        """Return why what an identity has signed does not hold, if `sigstore` is believed."""
        root = self._directory / "trusted_root.json"
        root.write_bytes(sigstore.root())
        believed = {
            "SIGSTORE_ROOT_FILE": "".join(map(pem, sigstore.chain())),
            "SIGSTORE_REKOR_PUBLIC_KEY": public_pem(sigstore.log_key),
            "SIGSTORE_CT_LOG_PUBLIC_KEY_FILE": public_pem(sigstore.listing_key),
        }
        env = {}
        for name, text in believed.items():
            path = self._directory / f"{name}.pem"
            path.write_text(text)
            env[name] = str(path)
        identity, issuer = who
        about = ("--certificate-identity", identity, "--certificate-oidc-issuer", issuer)
        where = ("--allow-http-registry", "--offline=true")
        if bundled:
            more = ("--new-bundle-format", "--type", SIGNED, "--trusted-root", str(root))
            return self._ask("verify-attestation", *more, *about, *where, reference, env=env)
        return self._ask("verify", *about, *where, reference, env=env)

    @cached_property
    def _root(self) -> str:
        """Nobody to be trusted, so that cosign does not ask the network who is."""
        path = str(self._directory / "root.json")
        self._do("trusted-root", "create", "--out", path)
        return path

    def _writing(self, key: str) -> tuple[str, ...]:
        return ("--key", key, "--tlog-upload=false", "--yes", "--allow-http-registry")

    def _ask(self, *arguments: str, env: dict[str, str] | None = None) -> str:
        environment = {
            **os.environ,
            **(env or {}),
            "HOME": str(self._directory),
            "COSIGN_PASSWORD": self.password,
            "NO_PROXY": "*",
        }
        return complaint(self._program, *arguments, env=environment, cwd=self._directory)

    def _do(self, *arguments: str) -> None:
        why = self._ask(*arguments)
        assert not why, why


class Policy:
    """skopeo under a policy that takes nothing but what a key has signed for its repository."""

    def __init__(self, directory: Path, host: str) -> None:
        self._directory = directory
        self._host = host
        self._program = str(tools.find_newer("skopeo", "skopeo", NEWER).path)
        (directory / "registries.d").mkdir(parents=True)
        (directory / "registries.d" / "attachments.yaml").write_text(
            f"docker:\n  {host}:\n    use-sigstore-attachments: true\n"
        )

    def copies(self, reference: str, key: Path, *, every: bool = False, name: str = "out") -> str:
        """Return why a reference is not copied: one platform, or `every`."""
        accepted: dict[str, Any] = {
            "type": "sigstoreSigned",
            "keyPath": str(key),
            "signedIdentity": {"type": "matchRepository"},
        }
        policy = self._directory / f"{name}.json"
        transports = {"docker": {self._host: [accepted]}}
        policy.write_text(json.dumps({"default": [{"type": "reject"}], "transports": transports}))
        target = self._directory / name
        try:
            return complaint(
                self._program, "--policy", str(policy), "copy", "--quiet",
                "--registries.d", str(self._directory / "registries.d"),
                "--src-tls-verify=false", "--remove-signatures", *(["--all"] if every else []),
                f"docker://{reference}", f"dir:{target}",
            )  # fmt: skip
        finally:
            shutil.rmtree(target, ignore_errors=True)
