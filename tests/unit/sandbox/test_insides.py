"""What an image says of its user and programs, looked up in its tree alone."""

from __future__ import annotations

import pytest
from tests.build.tree import Literal, root

from layersmith.errors import InvalidInput, LayersmithError, UnsafePath
from layersmith.rootfs.entries import Directory, File, Meta
from layersmith.sandbox.insides import command_line, furnished, home_of, user_of
from layersmith.sandbox.task import EMULATOR, Ids, TaskError

PASSWD = (
    b"root:x:0:0:root:/root:/sbin/nologin\nme:x:1000:1001:me:/home/me:\nodd:x:y:1:::\nshort:x\n"
)
GROUP = b"root:x:0:\nstaff:x:50:me\nbad:x:z:\n"
ACCOUNTS: Literal = {"etc/passwd": PASSWD, "etc/group": GROUP}
PROGRAM = Meta(0o755)


@pytest.mark.parametrize(
    ("said", "ids"),
    [
        ("", Ids(0, 0)),
        ("0", Ids(0, 0)),
        ("1000", Ids(1000, 1001)),
        ("1000:7", Ids(1000, 7)),
        ("77", Ids(77, 0)),
        ("me", Ids(1000, 1001)),
        ("me:staff", Ids(1000, 50)),
        ("5:staff", Ids(5, 50)),
        ("me:0", Ids(1000, 0)),
    ],
)
def test_a_user_is_found_in_the_images_own_accounts(said: str, ids: Ids) -> None:
    assert user_of(root(ACCOUNTS), said) == ids


@pytest.mark.parametrize(
    "said", ["nobody-knows", "odd", "me:nobody", "me:bad", "4294967295", "9999999999", "-1", "x\ny"]
)
def test_a_user_whom_the_image_does_not_have_is_refused(said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        user_of(root(ACCOUNTS), said)
    assert caught.value.message.isprintable()


def test_an_image_without_accounts_has_numbers_only() -> None:
    assert user_of(root({}), "5:6") == Ids(5, 6)
    with pytest.raises(InvalidInput):
        user_of(root({}), "root")
    assert home_of(root({}), 5) == "/"


def test_a_home_is_the_accounts() -> None:
    assert home_of(root(ACCOUNTS), 1000) == "/home/me"


def test_every_sandbox_has_mount_points_and_hosts() -> None:
    shown = furnished(root({"etc/hosts": b"10.0.0.1 evil", "usr/x": b""}), (), network=False)
    assert isinstance(shown.tree.entry("proc"), Directory)
    assert isinstance(shown.tree.entry("dev"), Directory)
    assert isinstance(shown.tree.entry("tmp"), Directory)
    assert b"127.0.0.1\tlocalhost" in (shown.read("etc/hosts") or b"")
    assert shown.read("etc/resolv.conf") is None
    assert shown.tree.entry("usr/x") is not None


def test_settings_do_not_follow_an_images_links() -> None:
    shown = furnished(root({"etc/hosts": "/etc/passwd", "etc/passwd": b"p"}), (), network=True)
    assert shown.read("etc/passwd") == b"p"
    linked = furnished(root({"etc": "/usr", "usr/": None}), (), network=True)
    assert linked.tree.listing("usr") == {}


@pytest.mark.parametrize("name", ["proc", "dev", "tmp"])
def test_nothing_is_mounted_on_a_link(name: str) -> None:
    with pytest.raises(UnsafePath, match="no directory"):
        furnished(root({name: "/etc", "etc/": None}), (), network=False)


def test_a_directory_to_write_to_is_one_of_the_image() -> None:
    literal: Literal = {"home/me/": Directory(Meta(0o700), {}), "h": "home", "f": b""}
    shown = furnished(root(literal), ("/home/me",), network=False)
    made = shown.tree.entry("home/me")
    assert isinstance(made, Directory)
    assert made.meta.mode == 0o1777
    for wrong in ("/h/me", "/f", "/none"):
        with pytest.raises(TaskError, match="no directory"):
            furnished(root(literal), (wrong,), network=False)


BIN: Literal = {
    "usr/bin/python3": File(PROGRAM, b"\x7fELF..."),
    "usr/bin/data": b"no program",
    "usr/bin/python": "python3",
    "opt/tool": File(PROGRAM, b"#!/usr/bin/python3 -I\nprint()"),
    "opt/outer": File(PROGRAM, b"#!  /opt/tool\n"),
    "opt/lost": File(PROGRAM, b"#!/bin/sh\n"),
    "opt/loop": File(PROGRAM, b"#!/opt/loop\n"),
    "opt/empty": File(PROGRAM, b"#!\n"),
    "app/run": File(PROGRAM, b"\x7fELF"),
}
PATH = {"PATH": "relative::/none:/opt:/usr/bin"}


def line(*words: str, emulated: bool = False) -> tuple[str, ...]:
    return command_line(root(BIN), words, PATH, "/app", emulated=emulated)


def test_a_program_is_found_in_the_image() -> None:
    assert line("python", "-V") == ("/usr/bin/python", "-V")
    assert line("tool", "a") == ("/opt/tool", "a")
    assert line("/app/run") == ("/app/run",)
    assert line("./run", "x") == ("/app/./run", "x")


def test_an_emulator_is_told_what_the_kernel_would_find_out() -> None:
    assert line("python", "-V", emulated=True) == (EMULATOR, "/usr/bin/python", "-V")
    assert line("tool", "a", emulated=True) == (
        EMULATOR, "/usr/bin/python3", "-I", "/opt/tool", "a",
    )  # fmt: skip
    assert line("outer", "a", emulated=True) == (
        EMULATOR, "/usr/bin/python3", "-I", "/opt/tool", "/opt/outer", "a",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "emulated", "why"),
    [
        (("ls",), False, "not in the image"),
        (("",), False, "not in the image"),
        (("data",), False, "not executable"),
        (("/usr/bin",), False, "not executable"),
        (("/bin/sh",), False, "not in the image"),
        (("lost",), True, "'/bin/sh' is not in the image"),
        (("loop",), True, "scripts that start scripts"),
        (("empty",), True, "'' is not in the image"),
    ],
)
def test_a_program_that_is_not_there_is_named(
    words: tuple[str, ...], emulated: bool, why: str
) -> None:
    with pytest.raises(LayersmithError, match=why):
        line(*words, emulated=emulated)
