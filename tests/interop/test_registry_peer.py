"""Against Debian's docker-registry: plain, with passwords, with a real token protocol."""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from tests.interop.peers import need

from layersmith.errors import NotFound, Unauthorized
from layersmith.oci.content import held, read_document
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Descriptor
from layersmith.oci.reference import Reference
from layersmith.oci.strictjson import encode
from layersmith.stores.registry import Registries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from layersmith.stores.registry_repository import RegistryRepository

pytestmark = pytest.mark.interop

USER, PASSWORD = "canary-user", "canary-s3cret"
BCRYPT = "$2b$05$abcdefghijklmnopqrstuugkUvwbKFxld9r27/VoIxI9WNyqIxj06"
LAYERS = [bytes([n]) * (1 << 20) for n in range(6)]


def descriptor(data: bytes, media_type: str) -> Descriptor:
    return Descriptor(media_type=media_type, digest=Digest.of(data), size=len(data))


# the peers


@contextmanager
def docker_registry(directory: Path, **sections: Any) -> Iterator[str]:
    """Run one on a free port; its configuration is JSON, which is YAML too."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    config = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(directory / "data")}},
        "http": {"addr": host, "secret": "test"},
        **sections,
    }
    (directory / "registry.yml").write_text(json.dumps(config))
    command = [need("docker-registry"), "serve", str(directory / "registry.yml")]
    plain = {k: v for k, v in os.environ.items() if not k.startswith("REGISTRY_")}  # it reads them
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=plain)
    try:
        _wait(host, process, directory / "log")
        yield host
    finally:
        process.terminate()
        process.wait()


def _wait(host: str, process: subprocess.Popen[bytes], log: Path) -> None:
    name, _, port = host.partition(":")
    for _ in range(200):
        assert process.poll() is None, log.read_text()
        try:
            socket.create_connection((name, int(port))).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(log.read_text())


@contextmanager
def token_server(directory: Path) -> Iterator[dict[str, Any]]:
    """Serve tokens that docker-registry accepts; yield its ``auth.token`` section."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tokens")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    bundle = directory / "tokens.pem"
    bundle.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    chain = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()
    with ThreadingHTTPServer(("127.0.0.1", 0), _TokenHandler) as server:
        server.block_on_close = False
        server.daemon_threads = True
        vars(server).update(key=key, chain=chain, asked=[])
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield {
            "realm": f"http://127.0.0.1:{server.server_address[1]}/token",
            "service": "test registry",
            "issuer": "tokens",
            "rootcertbundle": str(bundle),
        }
        server.shutdown()


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class _TokenHandler(BaseHTTPRequestHandler):
    """Grants pulling to everybody and pushing to the one user, as a signed JWT."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        given = self.headers.get("Authorization", "")
        if given and given != f"Basic {expected}":
            self._send(401, {"errors": [{"code": "UNAUTHORIZED", "message": "wrong password"}]})
            return
        query = parse_qs(urlsplit(self.path).query)
        access = []
        for scope in query.get("scope", []):
            kind, name, actions = scope.split(":")
            granted = [a for a in actions.split(",") if a == "pull" or given]
            access.append({"type": kind, "name": name, "actions": granted})
        now = int(time.time())
        claims = {
            "iss": "tokens", "sub": "x", "aud": query["service"][0], "jti": "1",
            "nbf": now - 9, "iat": now, "exp": now + 300, "access": access,
        }  # fmt: skip
        self._send(200, {"token": self._sign(claims), "expires_in": 300})

    def _sign(self, claims: dict[str, Any]) -> str:
        server = vars(self.server)
        header = {"typ": "JWT", "alg": "ES256", "x5c": [server["chain"]]}
        text = ".".join(_b64(json.dumps(part).encode()) for part in (header, claims))
        r, s = utils.decode_dss_signature(
            server["key"].sign(text.encode(), ec.ECDSA(hashes.SHA256()))
        )
        return f"{text}.{_b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def _send(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@dataclass
class Peer:
    """A running registry, and whether it wants to know who we are."""

    host: str
    guarded: bool


@pytest.fixture(params=["plain", "htpasswd", "token"])
def peer(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Peer]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "config.json"))
    if request.param == "plain":
        with docker_registry(tmp_path) as host:
            yield Peer(host, guarded=False)
    elif request.param == "htpasswd":
        (tmp_path / "htpasswd").write_text(f"{USER}:{BCRYPT}\n")
        auth: dict[str, Any] = {"htpasswd": {"realm": "r", "path": str(tmp_path / "htpasswd")}}
        with docker_registry(tmp_path, auth=auth) as host:
            log_in(tmp_path, host)
            yield Peer(host, guarded=True)
    else:
        with (
            token_server(tmp_path) as section,
            docker_registry(tmp_path, auth={"token": section}) as host,
        ):
            log_in(tmp_path, host)
            yield Peer(host, guarded=True)


def log_in(directory: Path, host: str, password: str = PASSWORD) -> None:
    encoded = base64.b64encode(f"{USER}:{password}".encode()).decode()
    config = {"auths": {host: {"auth": encoded}}}
    (directory / "config.json").write_text(json.dumps(config))


# what we do with them


def push_image(repository: RegistryRepository, origin: Reference | None = None) -> Descriptor:
    """Push an index over one image as the pipeline does; blobs side by side."""
    layers = [descriptor(data, OCI_LAYER) for data in LAYERS]
    config = encode({"architecture": "amd64", "os": "linux",
                     "rootfs": {"type": "layers", "diff_ids": [d.digest for d in layers]}})  # fmt: skip
    manifest = encode({"schemaVersion": 2, "mediaType": OCI_MANIFEST,
                       "config": descriptor(config, OCI_CONFIG), "layers": layers})  # fmt: skip
    entry = descriptor(manifest, OCI_MANIFEST)
    index = encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
        {"mediaType": entry.media_type, "digest": entry.digest, "size": entry.size,
         "platform": {"os": "linux", "architecture": "amd64"}}]})  # fmt: skip

    def bring(data: bytes) -> bool:
        blob = descriptor(data, OCI_LAYER)
        if origin and repository.mount(blob, origin):
            return True
        assert not repository.has(blob)
        repository.put(blob, held(data))
        assert repository.has(blob)
        return False

    with ThreadPoolExecutor(6) as pool:
        mounted = list(pool.map(bring, LAYERS))
    assert all(mounted) == bool(origin)
    repository.put(descriptor(config, OCI_CONFIG), held(config))
    repository.put(entry, held(manifest))
    top = descriptor(index, OCI_INDEX)
    repository.put(top, held(index))
    repository.tag("1", top)
    return top


def test_an_image_goes_there_and_back(peer: Peer) -> None:
    with Registries() as registries:
        first = Reference.parse(f"{peer.host}/team/one:1")
        repository = registries.repository(first)
        assert not repository.stands_for("1", descriptor(b"", OCI_INDEX))
        top = push_image(repository)
        assert repository.stands_for("1", top)
        second = registries.repository(Reference.parse(f"{peer.host}/other/two:1"))
        assert push_image(second, first) == top
    with Registries() as registries:
        repository = registries.repository(Reference.parse(f"{peer.host}/other/two:1"))
        assert repository.resolve("1") == top
        assert repository.resolve(top.digest) == top
        assert Digest.of(read_document(repository, top)) == top.digest
        for data in LAYERS:
            assert read_document(repository, descriptor(data, OCI_LAYER)) == data
        with pytest.raises(NotFound):
            repository.resolve("none")


def test_a_blob_goes_up_in_chunks_and_comes_down_in_parts(peer: Peer) -> None:
    data = b"".join(LAYERS)
    with Registries() as registries:
        repository = registries.repository(Reference.parse(f"{peer.host}/team/one:1"))
        repository._habits.chunk = 1 << 20
        repository.put(descriptor(data, OCI_LAYER), held(data))
        assert repository.has(descriptor(data, OCI_LAYER))
        with repository.open(descriptor(data, OCI_LAYER)) as stream:
            start = stream.read(1000)
            stream._stream._response.raw.shutdown()  # type: ignore[attr-defined] # a cut
            rest = b"".join(iter(lambda: stream.read(1 << 20), b""))
    assert start + rest == data


def test_an_upload_session_that_is_gone(tmp_path: Path) -> None:
    data = LAYERS[1]
    blob = descriptor(data, OCI_LAYER)
    with docker_registry(tmp_path) as host, Registries() as registries:
        repository = registries.repository(Reference.parse(f"{host}/team/one:1"))
        assert not repository.mount(blob, Reference.parse(f"{host}/team/other:1"))
        shutil.rmtree(tmp_path / "data" / "docker/registry/v2/repositories/team/one/_uploads")
        repository.put(blob, held(data))
        assert repository.has(blob)


def test_skopeo_reads_what_we_wrote(peer: Peer, tmp_path: Path) -> None:
    with Registries() as registries:
        top = push_image(registries.repository(Reference.parse(f"{peer.host}/team/one:1")))
    target = tmp_path / "layout"
    subprocess.run(
        [need("skopeo"), "--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests",
         "--src-tls-verify=false", f"docker://{peer.host}/team/one:1", f"oci:{target}:1"],
        check=True, capture_output=True,
    )  # fmt: skip
    (entry,) = json.loads((target / "index.json").read_text())["manifests"]
    assert entry["digest"] == top.digest
    for data in LAYERS:
        assert (target / "blobs" / "sha256" / Digest.of(data).encoded).read_bytes() == data


def test_who_we_are_matters(peer: Peer, tmp_path: Path) -> None:
    if not peer.guarded:
        pytest.skip("an open registry")
    reference = Reference.parse(f"{peer.host}/team/one:1")
    for password in ("wr0ng", None):
        (tmp_path / "config.json").unlink()
        if password:
            log_in(tmp_path, peer.host, password)
        else:
            (tmp_path / "config.json").write_text("{}")
        began = time.monotonic()
        with Registries() as registries, pytest.raises(Unauthorized) as caught:
            registries.repository(reference).put(descriptor(b"x", OCI_LAYER), held(b"x"))
        assert time.monotonic() - began < 2
        assert "wr0ng" not in f"{caught.value} {caught.value.hint}"
        assert caught.value.hint
