"""Where a registry may send us, and what of a URL may be shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layersmith.errors import RegistryError
from layersmith.stores.registry_urls import (
    Origin,
    check_realm,
    follow,
    redacted,
    without_secrets,
)

BASE = "https://r.example/v2/a/blobs/uploads/"
REGISTRY = Origin.of(BASE)
LOCAL = Origin.of("http://127.0.0.1:5000")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/v2/a/blobs/uploads/1?_state=a%2Bb&x=", "https://r.example/v2/a/blobs/uploads/1?_state=a%2Bb&x="),
        ("uploads/1", "https://r.example/v2/a/blobs/uploads/uploads/1"),
        ("?u=1", "https://r.example/v2/a/blobs/uploads/?u=1"),
        ("https://cdn.example/x?sig=%2f", "https://cdn.example/x?sig=%2f"),
        ("//cdn.example/x", "https://cdn.example/x"),
        ("https://r.example:8443/x", "https://r.example:8443/x"),
        ("https://10.1.2.3/x", "https://10.1.2.3/x"),
        ("/x#fragment", "https://r.example/x"),
        ("https:///x", "https://r.example/x"),
        # row 24: joined as text these led to another host
        ("@evil.io/x", "https://r.example/v2/a/blobs/uploads/@evil.io/x"),
        (".evil.io/x", "https://r.example/v2/a/blobs/uploads/.evil.io/x"),
    ],
)  # fmt: skip
def test_targets_are_joined(target: str, expected: str) -> None:
    assert follow(BASE, target, REGISTRY, "it") == expected


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("", "not a URL"),
        ("https://e.example/a b", "not a URL"),
        ("https://e.example/\r\nX: y", "not a URL"),
        ("https:\\\\e.example/x", "not a URL"),
        ("ftp://e.example/x", "not a URL"),
        ("file:///etc/passwd", "not a URL"),
        ("https://e.example:99999/x", "not a URL"),
        ("https://[::1/x", "not a URL"),
        ("https://user@e.example/x", "user information"),
        ("https://r.example@evil.io/x", "user information"),
        ("https://e_x.example/x", "malformed host"),
        ("http://r.example/x", "leaves TLS"),
        ("http://cdn.example/x", "leaves TLS"),
        ("https://169.254.169.254/latest", "no registry's"),
        ("https://[fe80::1]/x", "no registry's"),
        ("https://0.0.0.0/x", "no registry's"),
        ("https://[::ffff:169.254.169.254]/x", "no registry's"),
        ("https://127.0.0.1/x", "this machine"),
        ("https://localhost/x", "this machine"),
        ("https://x.localhost/x", "this machine"),
        ("https://[::1]/x", "this machine"),
        ("https://2852039166/x", "in a number"),
        ("https://0x7f.1/x", "in a number"),
        ("https://127.1/x", "in a number"),
    ],
)
def test_forbidden_targets(target: str, reason: str) -> None:
    with pytest.raises(RegistryError, match=reason):
        follow(BASE, target, REGISTRY, "it")


def test_a_local_registry_may_lead_to_our_machine() -> None:
    for target in ("http://127.0.0.1:6000/x", "http://localhost/x", "https://cdn.example/x"):
        assert follow("http://127.0.0.1:5000/", target, LOCAL, "it") == target


@pytest.mark.parametrize(
    "realm",
    [
        "https://auth.example/token",
        "https://r.example:8443/token?x=1",
        "https://8.8.8.8/token",
    ],
)
def test_realms(realm: str) -> None:
    assert check_realm(realm, REGISTRY) == realm


@pytest.mark.parametrize(
    "realm",
    [
        "http://auth.example/token",
        "https://10.0.0.1/token",
        "https://192.168.1.1/token",
        "https://[fd00::1]/token",
        "https://169.254.169.254/token",
        "https://127.0.0.1/token",
        "https://u:p@auth.example/token",
        "//auth.example/token",
        "token",
        "",
    ],
)
def test_forbidden_realms(realm: str) -> None:
    with pytest.raises(RegistryError, match="token server") as caught:
        check_realm(realm, REGISTRY)
    assert "u:p" not in str(caught.value)


def test_a_private_registry_may_be_its_own_token_server() -> None:
    registry = Origin.of("https://10.0.0.1")
    assert check_realm("https://10.0.0.1:8443/token", registry)
    assert check_realm("http://localhost:5001/token", LOCAL)
    with pytest.raises(RegistryError):
        check_realm("https://10.0.0.2/token", registry)
    with pytest.raises(RegistryError, match="without TLS"):
        check_realm("http://auth.example/token", LOCAL)
    assert check_realm("https://auth.example/token", LOCAL)
    assert check_realm("http://auth.example/token", Origin.of("http://r.example"))


def test_origins_are_scheme_host_and_port() -> None:
    assert Origin.of("https://H.example/x") == Origin.of("https://h.example:443/y")
    assert len({Origin.of(f"{s}://h{p}") for s in ("http", "https") for p in ("", ":8443")}) == 4
    assert str(Origin.of("https://[2001:db8::1]:5000/")) == "https://[2001:db8::1]:5000"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see https://h/x?sig=abc&y", "see https://h/x?…"),
        ("at https://user:pass@h/x#f.", "at https://h/x?…"),
        ('"http://a:b@c/d", then', '"http://c/d", then'),
        ("https://h/x", "https://h/x"),
        ("no url ? here", "no url ? here"),
    ],
)
def test_urls_are_shown_without_secrets(text: str, expected: str) -> None:
    assert redacted(text) == expected


def test_a_peers_text_does_not_give_our_secrets_back() -> None:
    text = "you sent Basic dXNlcjpwYXNz and https://h/?t=x"
    assert (
        without_secrets(text, frozenset({"dXNlcjpwYXNz"})) == "you sent Basic *** and https://h/?…"
    )


def test_a_long_hostile_text_is_redacted_in_no_time() -> None:
    for text in ("x" * 300_000, "http://" * 50_000, "a:" * 100_000, "://@" * 50_000):
        redacted(text)


@given(st.text(alphabet=st.sampled_from("htps:/@?#.%[]\\ 01ae\n\x00é-")))
def test_no_target_breaks_the_check(target: str) -> None:
    try:
        url = follow(BASE, target, REGISTRY, "it")
    except RegistryError:
        return
    assert Origin.of(url).scheme == "https"
    assert "@" not in url.split("/")[2]
