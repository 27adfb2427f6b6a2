"""registries.conf: whose word counts, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from layersmith.errors import InvalidInput
from layersmith.oci.reference import Reference
from layersmith.stores import registries_conf
from layersmith.stores.registries_conf import Location, Rule, read_rules, rule_for


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CONTAINERS_REGISTRIES_CONF", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(registries_conf, "_SYSTEM", tmp_path / "etc")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def found(name: str) -> Rule | None:
    return rule_for(read_rules(), Reference.parse(name))


def test_nothing_is_said(home: Path) -> None:
    assert read_rules() == ()


def test_everything_that_can_be_said(home: Path) -> None:
    write(
        home / "etc/registries.conf",
        """
        unqualified-search-registries = ["docker.io"]
        short-name-mode = "enforcing"
        [[registry]]
        prefix = "docker.io/library"
        location = "mirror.example/hub/"
        [[registry.mirror]]
        location = "a.example:5000"
        insecure = true
        [[registry.mirror]]
        location = "b.example/x"
        pull-from-mirror = "tag-only"
        [[registry]]
        location = "quay.io"
        mirror-by-digest-only = true
        [[registry.mirror]]
        location = "q.example"
    """,
    )
    rule = found("python:3")
    assert rule == Rule(
        "docker.io/library",
        Location("mirror.example/hub"),
        (Location("a.example:5000", insecure=True), Location("b.example/x", digests=False)),
        blocked=False,
    )
    assert found("team/app") is None
    quay = found("quay.io/a/b")
    assert quay
    assert quay.location == Location("quay.io")
    assert quay.mirrors == (Location("q.example", tags=False),)


def test_the_longest_prefix_decides(home: Path) -> None:
    write(home / "etc/registries.conf", "".join(
        f'[[registry]]\nprefix = "{prefix}"\nlocation = "{number}.example"\n'
        for number, prefix in enumerate(["h.example", "h.example/a", "h.example/a/b", "*.example"])))  # fmt: skip
    for name, number in (("h.example/x", 0), ("h.example/a", 1), ("h.example/a/b/c", 2),
                         ("h.example/ab", 0), ("other.example/x", 3)):  # fmt: skip
        rule = found(name)
        assert rule
        assert rule.location.text == f"{number}.example"
    assert found("example.com/x") is None


def test_the_user_takes_the_systems_place_and_drop_ins_come_on_top(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def say(path: str, location: str, prefix: str = "h.example") -> None:
        write(home / path, f'[[registry]]\nprefix = "{prefix}"\nlocation = "{location}"\n')

    def place(name: str = "h.example/x") -> str:
        rule = found(name)
        return rule.location.text if rule else ""

    say("etc/registries.conf", "system.example")
    assert place() == "system.example"
    say(".config/containers/registries.conf", "user.example")
    assert place() == "user.example"
    say("etc/registries.conf.d/10-a.conf", "drop.example")
    assert place() == "drop.example"
    say("etc/registries.conf.d/20-b.conf", "later.example")
    assert place() == "later.example"
    say(".config/containers/registries.conf.d/00.conf", "mine.example")
    assert place() == "mine.example"
    say("named.conf", "named.example")
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(home / "named.conf"))
    assert place() == "named.example"


def test_what_is_blocked_is_not_asked(home: Path) -> None:
    write(home / "etc/registries.conf", '[[registry]]\nlocation = "h.example"\nblocked = true\n')
    with pytest.raises(InvalidInput, match="blocked"):
        found("h.example/x")


@pytest.mark.parametrize(
    "text",
    ["x", "registry = 1", "[registry]\n", "[[registry]]\n", "[[registry]]\nprefix = 1\nlocation = 2",
     '[[registry]]\nlocation = "h"\nmirror = "x"', '[[registry]]\nlocation = "h"\nmirror = [1]',
     '[[registry]]\nlocation = "h"\n[[registry.mirror]]\n',
     '[[registry]]\nlocation = "h"\n[[registry.mirror]]\nlocation="m"\npull-from-mirror = "x"',
     "a = " + "[" * 5000],
)  # fmt: skip
def test_what_cannot_be_understood_names_its_file(home: Path, text: str) -> None:
    write(home / "etc/registries.conf", text)
    with pytest.raises(InvalidInput, match=r"registries\.conf"):
        read_rules()


def test_a_file_that_cannot_be_read_is_an_error(home: Path) -> None:
    (home / "etc/registries.conf").mkdir(parents=True)
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_rules()


def test_version_one_says_nothing(home: Path) -> None:
    write(home / "etc/registries.conf", "[registries.search]\nregistries = ['docker.io']\n")
    assert read_rules() == ()
