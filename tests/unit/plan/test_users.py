"""Users: appended to what the base has, by numbers, with a home of their own."""

from __future__ import annotations

import pytest
from tests.build.tree import root, tree

from layersmith.errors import RecipeError
from layersmith.plan.users import PlannedUser, plan_user
from layersmith.recipe.recipe import User
from layersmith.rootfs.entries import Directory, File, Meta
from layersmith.rootfs.tree import MemoryContents, Root

PASSWD = (
    b"root:x:0:0:root:/root:/sbin/nologin\n"
    b"nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n"
    b"nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"
)
GROUP = b"root:x:0:\nnobody:x:65534:\ntty:x:5:\nstaff:x:50:\nnonroot:x:65532:\n"
BASE = root({"etc/passwd": PASSWD, "etc/group": GROUP, "home/nonroot/": None})
MONTY = User("monty", 1000, 1000)


def content(planned: PlannedUser, path: str) -> bytes:
    entry = planned.entries[path]
    assert isinstance(entry, File)
    assert isinstance(entry.content, bytes)
    return entry.content


def test_a_user_is_appended_and_every_line_of_the_base_stays() -> None:
    planned = plan_user(BASE, MONTY, 0)
    line = b"monty:x:1000:1000:monty:/home/monty:/sbin/nologin\n"
    assert content(planned, "etc/passwd") == PASSWD + line
    assert content(planned, "etc/group") == GROUP + b"monty:x:1000:\n"
    assert set(planned.entries) == {"etc/passwd", "etc/group", "home/monty"}


def test_the_home_directory_is_there_and_the_users_own() -> None:
    planned = plan_user(BASE, User("me", 1001, 1002), 0)
    assert planned.home == "/home/me"
    assert planned.entries["home/me"] == Directory(Meta(0o700, 1001, 1002), {})


def test_where_passwords_are_kept_apart_the_user_has_none() -> None:
    shadow = File(Meta(0o640, 0, 42), b"root:*:1:0:99999:7:::\n")
    groups = File(Meta(0o640, 0, 42), b"root:*::\n")
    base = root({"etc/passwd": PASSWD, "etc/shadow": shadow, "etc/gshadow": groups})
    planned = plan_user(base, MONTY, 86400 * 20000 + 5, "/bin/sh")
    assert content(planned, "etc/shadow") == b"root:*:1:0:99999:7:::\nmonty:!:20000:0:99999:7:::\n"
    assert content(planned, "etc/gshadow") == b"root:*::\nmonty:!::\n"
    assert planned.entries["etc/shadow"].meta == Meta(0o640, 0, 42)
    assert content(planned, "etc/passwd").endswith(b":/home/monty:/bin/sh\n")
    joined = plan_user(base, User("monty", 1000, 65532), 0)
    assert "etc/gshadow" in joined.entries


def test_the_config_names_numbers() -> None:
    assert plan_user(BASE, MONTY, 0).config == "1000:1000"
    assert plan_user(BASE, User("nonroot"), 0).config == "65532:65532"


def test_a_user_of_the_base_needs_nothing() -> None:
    planned = plan_user(BASE, User("nonroot"), 0)
    assert (planned.uid, planned.gid, planned.home) == (65532, 65532, "/home/nonroot")
    assert planned.entries == {}
    assert plan_user(BASE, User("nonroot", 65532, 65532), 0) == planned


def test_the_numbers_of_a_user_of_the_base_are_its_own() -> None:
    base = root({"etc/passwd": b"daemon:x:7:9:daemon:/var/empty:/sbin/nologin\n"})
    planned = plan_user(base, User("daemon"), 0)
    assert (planned.config, planned.home) == ("7:9", "/var/empty")


def test_a_group_that_has_the_number_is_joined() -> None:
    planned = plan_user(BASE, User("monty", 1000, 50), 0)
    assert "etc/group" not in planned.entries
    assert b"monty:x:1000:50:" in content(planned, "etc/passwd")


def test_a_group_of_the_name_and_number_is_joined() -> None:
    planned = plan_user(BASE, User("staff", 1000, 50), 0)
    assert "etc/group" not in planned.entries


@pytest.mark.parametrize(
    ("user", "why"),
    [
        (User("monty", 65532, 1000), "the base's user 'nonroot' has the number 65532 already"),
        (User("nonroot", 1000, 1000), "the base's user 'nonroot' is 65532:65532"),
        (User("nonroot", 65532, 1), "the base's user 'nonroot' is 65532:65532"),
        (User("tty", 1000, 1000), "the base's group 'tty' has the number 5"),
        (User("ghost"), "the base has no user 'ghost'"),
    ],
)
def test_a_name_or_number_of_somebody_else_is_refused(user: User, why: str) -> None:
    with pytest.raises(RecipeError, match=why) as caught:
        plan_user(BASE, user, 0)
    assert caught.value.hint


@pytest.mark.parametrize("home", [b"/home/\xff", b"/home/\x1b[31m"])
def test_a_home_that_no_config_has_words_for_is_refused(home: bytes) -> None:
    base = root({"etc/passwd": b"odd:x:7:7::" + home + b":/bin/sh\n"})
    for user in (User("odd", 7, 7), User("odd")):
        with pytest.raises(RecipeError, match="the base's user 'odd' has the home"):
            plan_user(base, user, 0)


def test_the_files_keep_their_mode() -> None:
    files = {
        "etc/passwd": File(Meta(0o640), PASSWD),
        "etc/group": File(Meta(0o600), GROUP),
    }
    planned = plan_user(Root(tree(files), MemoryContents()), MONTY, 0)
    assert planned.entries["etc/passwd"].meta == Meta(0o640)
    assert planned.entries["etc/group"].meta == Meta(0o600)


def test_a_base_without_any_user_gets_its_first() -> None:
    planned = plan_user(root({}), MONTY, 0)
    assert content(planned, "etc/passwd").count(b"\n") == 1
    assert content(planned, "etc/group") == b"monty:x:1000:\n"
    assert planned.entries["etc/passwd"].meta == Meta(0o644)


def test_a_last_line_without_an_end_is_ended_first() -> None:
    base = root({"etc/passwd": PASSWD[:-1], "etc/group": GROUP[:-1]})
    planned = plan_user(base, MONTY, 0)
    assert content(planned, "etc/passwd").startswith(PASSWD + b"monty:")
    assert content(planned, "etc/group").startswith(GROUP + b"monty:")


def test_lines_that_are_none_are_kept_and_mean_nothing() -> None:
    odd = (
        b"\xff\n# comment\nnonroot:x:abc:1::/:/\nmonty:x:1000\n\nx:x::::::\nme\x0bmonty:x:7:7:::\n"
    )
    base = root({"etc/passwd": odd, "etc/group": b"g:x:y:\nmonty:x:1000:\n"})
    planned = plan_user(base, MONTY, 0)
    assert content(planned, "etc/passwd").startswith(odd)
    assert "etc/group" not in planned.entries
    with pytest.raises(RecipeError, match="no user 'nonroot'"):
        plan_user(base, User("nonroot"), 0)


@pytest.mark.parametrize("there", [b"a file", "/elsewhere"])
def test_a_home_that_is_no_directory_in_the_base_is_refused(there: bytes | str) -> None:
    base = root({"etc/passwd": PASSWD, "home/monty": there})
    with pytest.raises(RecipeError, match="no directory"):
        plan_user(base, MONTY, 0)
