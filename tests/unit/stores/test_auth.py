"""Challenges, scopes and token requests: text in, values out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layersmith.errors import RegistryError
from layersmith.stores.auth import (
    TokenService,
    parse_challenges,
    parse_scopes,
    repository_scopes,
    scope_texts,
)
from layersmith.stores.registry_urls import Origin

HUB = (
    'Bearer realm="https://auth.example/token",service="registry.example",'
    'scope="repository:library/python:pull,push"'
)


def _one(header: str) -> tuple[str, dict[str, str]]:
    (challenge,) = parse_challenges(header)
    return challenge.scheme, dict(challenge.parameters)


def test_a_usual_challenge() -> None:
    assert _one(HUB) == (
        "bearer",
        {
            "realm": "https://auth.example/token",
            "service": "registry.example",
            "scope": "repository:library/python:pull,push",
        },
    )


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        ("Basic", ["basic"]),
        ('Basic realm="a"', ["basic"]),
        ('Basic realm="a", Bearer realm="b"', ["basic", "bearer"]),
        ('Bearer realm="b",Basic realm="a"', ["bearer", "basic"]),
        ("Negotiate, Basic realm=a", ["negotiate", "basic"]),
        ("Negotiate YWJj==, Basic realm=a", ["negotiate", "basic"]),
        (" , ,Basic realm=a , ", ["basic"]),
        ('Basic realm="a" Bearer', []),
        ('Basic realm="a', ["basic"]),
        ('=, Basic realm="a"', []),
    ],
)
def test_several_challenges_in_one_value(header: str, expected: list[str]) -> None:
    schemes = [challenge.scheme for challenge in parse_challenges(header)]
    assert schemes == expected or (not expected and len(schemes) <= 1)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ('realm="a, b=c"', "a, b=c"),
        (r'realm="say \"hi\" \\ there"', r'say "hi" \ there'),
        ("realm=plain", "plain"),
        ("realm = spaced", "spaced"),
        ('REALM="x"', "x"),
        ('realm=""', ""),
        ("realm=https://h/t?a=b", "https://h/t?a=b"),
    ],
)
def test_values_are_quoted_or_not(parameter: str, value: str) -> None:
    assert _one(f"Bearer {parameter}, service=s") == ("bearer", {"realm": value, "service": "s"})


def test_a_parameter_given_twice_makes_the_challenge_void() -> None:
    header = 'Bearer realm="https://good/", realm="https://evil/", Basic realm="x"'
    assert [c.scheme for c in parse_challenges(header)] == ["basic"]


@given(st.text())
def test_no_header_breaks_the_parser(header: str) -> None:
    for challenge in parse_challenges(header):
        assert challenge.scheme == challenge.scheme.lower()


def test_a_long_hostile_header_is_read_in_no_time() -> None:
    assert parse_challenges('Bearer realm="' + "\\" * 1_000_000)
    assert parse_challenges("a=" * 500_000) == ()
    assert len(parse_challenges("a," * 500_000)) <= 8192


def test_scopes_are_sets_of_rights() -> None:
    pull = repository_scopes("a/b", "pull")
    push = repository_scopes("a/b", "push", "pull")
    assert pull < push
    assert parse_scopes("repository:a/b:pull,push") == push
    assert scope_texts(push | repository_scopes("c", "pull")) == [
        "repository:a/b:pull,push",
        "repository:c:pull",
    ]
    assert parse_scopes("registry:catalog:* nonsense  :: x:y:") == {
        ("registry:catalog", "*"),
    }


def test_the_token_request_names_service_and_scopes() -> None:
    (challenge,) = parse_challenges(HUB)
    service = TokenService.of(challenge, Origin.of("https://registry.example"))
    url = service.url(repository_scopes("library/python", "pull") | repository_scopes("b", "pull"))
    assert url == (
        "https://auth.example/token?service=registry.example"
        "&scope=repository:b:pull&scope=repository:library/python:pull"
    )
    assert service._replace(service="").url(frozenset()) == "https://auth.example/token"
    assert service._replace(realm="https://a/t?x=1", service="a b&c").url(frozenset()) == (
        "https://a/t?x=1&service=a%20b%26c"
    )


@pytest.mark.parametrize("realm", ["", "registry", "/token", "ftp://h/t", "javascript://h/t"])
def test_a_realm_must_be_a_url(realm: str) -> None:
    (challenge,) = parse_challenges(f'Bearer realm="{realm}"')
    with pytest.raises(RegistryError):
        TokenService.of(challenge, Origin.of("https://registry.example"))
