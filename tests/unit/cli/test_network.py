"""Mirrors as they are typed: their registries' names, and mistakes that show at once."""

from __future__ import annotations

import pytest

from layersmith.cli.network import network_of
from layersmith.errors import InvalidInput


@pytest.mark.parametrize(
    "name", ["docker.io", "index.docker.io", "registry-1.docker.io", "Docker.IO"]
)
def test_docker_hub_has_several_names(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYERSMITH_MIRRORS", "index.docker.io=below.example QUAY.io=q.example")
    options = network_of({name: "m.example"}, (), None, ())
    assert options.mirrors == {"docker.io": "m.example", "quay.io": "q.example"}


@pytest.mark.parametrize(
    "pair",
    [
        ("quay.io", "https://u:secret@m.example"),
        ("quay.io", "m.example,u:secret@m.example"),
        ("u:secret@quay.io", "m.example"),
    ],
)
def test_a_bad_mirror_shows_at_once_and_without_its_password(pair: tuple[str, str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        network_of(dict([pair]), (), None, ())
    assert "secret" not in str(caught.value)
    assert "***@" in str(caught.value)
