"""ld.so.conf: includes, loops, limits, and the one that we write."""

import pytest
from tests.build.tree import Spec, root

from layersmith.analysis.ldconf import MAX_DEPTH, MAX_FILES, conf_for, configured, directories_in
from layersmith.errors import ElfError
from layersmith.rootfs.tree import EMPTY, MemoryContents, Root

SYSTEM = ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib", "/usr/lib")
NOTHING = Root(EMPTY, MemoryContents())


def listed(conf: str, **files: Spec | None) -> tuple[str, ...]:
    return configured(root({"etc/ld.so.conf": conf.encode(), **files}))


def in_conf_d(**files: str) -> dict[str, Spec | None]:
    return {f"etc/ld.so.conf.d/{name}.conf": text.encode() for name, text in files.items()}


@pytest.mark.parametrize(
    ("line", "directories"),
    [
        ("/opt/x", ("/opt/x",)),
        ("  /opt/x/// \t", ("/opt/x",)),
        ("/opt/x # why", ("/opt/x",)),
        ("/opt/x#why", ("/opt/x",)),
        ("/opt/with space", ("/opt/with space",)),
        ("# /opt/x", ()),
        ("", ()),
        ("/", ()),
        ("opt/relative", ()),
        ("hwcap 0 nosegneg", ()),
        ("HWCAP\t1", ()),
        ("/opt/x\0/y", ("/opt/x",)),
        ("include", ()),
        ("include /etc/none.conf", ()),
        ("/a\n/b\n/a", ("/a", "/b")),
        ("/a\r\n/b", ("/a", "/b")),
    ],
)
def test_lines(line: str, directories: tuple[str, ...]) -> None:
    assert listed(line) == directories


def test_debians_configuration() -> None:
    files = in_conf_d(
        **{"x86_64-linux-gnu": "/lib/y\n/usr/lib/y\n", "libc": "# default\n/usr/local/lib\n"}
    )
    assert listed("include /etc/ld.so.conf.d/*.conf\n", **files) == (
        "/usr/local/lib",
        "/lib/y",
        "/usr/lib/y",
    )


def test_includes_stand_where_they_are_and_take_several_names() -> None:
    files = in_conf_d(a="/a", b="/b", c="/c")
    conf = "/first\ninclude ld.so.conf.d/[ab].conf\t/etc/ld.so.conf.d/c*\n/last"
    assert listed(conf, **files) == ("/first", "/a", "/b", "/c", "/last")


def test_a_relative_include_starts_at_the_including_file() -> None:
    files = {"etc/x/one.conf": b"include two.conf", "etc/x/two.conf": b"/two"}
    assert listed("include x/one.conf", **files) == ("/two",)


def test_hidden_names_need_a_dot() -> None:
    files = {"etc/d/.hidden.conf": b"/hidden"}
    assert listed("include /etc/d/*.conf", **files) == ()
    assert listed("include /etc/d/.*.conf", **files) == ("/hidden",)


def test_names_are_sorted_by_bytes() -> None:
    files = {f"etc/d/{name}.conf": f"/{name}".encode() for name in ("b", "B", "é", "a")}
    assert listed("include /etc/d/*.conf", **files) == ("/B", "/a", "/b", "/é")


def test_globs_stay_in_the_tree() -> None:
    files: dict[str, Spec | None] = {"etc/out": "../../../../..", "d/x.conf": b"/x"}
    assert listed("include /etc/out/d/*.conf", **files) == ("/x",)
    assert listed("include /../../d/*.conf", **files) == ("/x",)


def test_links_are_followed_and_loops_end() -> None:
    files: dict[str, Spec | None] = {
        "etc/ld.so.conf.d/a.conf": "../real",
        "etc/real": b"/real\ninclude /etc/ld.so.conf\ninclude /etc/real",
        "etc/ld.so.conf.d/loop.conf": "loop.conf",
        "etc/ld.so.conf.d/none.conf": "nowhere",
    }
    assert listed("include /etc/ld.so.conf.d/*.conf", **files) == ("/real",)


def test_two_files_that_include_each_other_and_all() -> None:
    """Without a memory of what was read, this is 2^n files."""
    text = "/{0}\n" + "include /etc/ld.so.conf.d/*.conf\n" * 2
    files = in_conf_d(**{f"f{n:02}": text.format(n) for n in range(6)})
    assert len(listed("include /etc/ld.so.conf.d/*.conf", **files)) == 6


def test_depth_is_bounded() -> None:
    def chain(length: int) -> dict[str, Spec | None]:
        return {f"etc/{n}": f"/{n}\ninclude /etc/{n + 1}".encode() for n in range(1, length)}

    assert len(listed("include /etc/1", **chain(MAX_DEPTH))) == MAX_DEPTH - 1
    with pytest.raises(ElfError, match="deeper"):
        listed("include /etc/1", **chain(MAX_DEPTH + 2))


def test_files_are_bounded() -> None:
    files = in_conf_d(**{str(n): f"/{n}" for n in range(MAX_FILES + 1)})
    with pytest.raises(ElfError, match=r"^etc/ld.so.conf: .*more than 1000"):
        listed("include /etc/ld.so.conf.d/*", **files)


def test_globs_are_bounded() -> None:
    """Each directory holds two ways to itself: 2^n names."""
    files: dict[str, Spec | None] = {"d/a": ".", "d/b": ".", "d/x.conf": b"/x"}
    with pytest.raises(ElfError, match="too much"):
        listed("include /d" + "/*" * 40, **files)
    with pytest.raises(ElfError, match="too much"):
        listed("include /d/*\n" * 15_000, **files)
    with pytest.raises(ElfError, match="too many"):
        listed("".join(f"include /e*{n}\n" for n in range(10_000)), **files)


def test_sizes_are_bounded() -> None:
    with pytest.raises(ElfError, match="larger"):
        listed("#" * (2 << 20))
    half = dict.fromkeys("ab", "#" * (150 << 10))
    with pytest.raises(ElfError, match=r"^etc/ld.so.conf.d/b.conf: larger .* includes and all"):
        listed("include /etc/ld.so.conf.d/*", **in_conf_d(**half))
    with pytest.raises(ElfError, match="more than"):
        listed("\n".join(f"/{n}" for n in range(20_000)))


def test_no_configuration() -> None:
    assert configured(NOTHING) == ()
    assert configured(root({"etc/ld.so.conf/": None})) == ()


def test_ours_for_a_base_without_one() -> None:
    conf = conf_for(NOTHING, SYSTEM, ["/opt/x/lib", "/usr/local/lib"])
    assert conf.decode().splitlines()[1:] == [
        "/usr/local/lib",
        "/usr/local/lib/x86_64-linux-gnu",
        "/lib/x86_64-linux-gnu",
        "/usr/lib/x86_64-linux-gnu",
        "/opt/x/lib",
    ]
    assert directories_in(NOTHING, conf)[0] == "/usr/local/lib"


def test_ours_for_a_base_of_another_kind() -> None:
    conf = conf_for(NOTHING, ("/lib64", "/usr/lib64"), [])
    assert directories_in(NOTHING, conf) == ("/usr/local/lib",)


def test_the_bases_own_is_kept() -> None:
    base = root({"etc/ld.so.conf": b"include /etc/x.conf", "etc/x.conf": b"/usr/local/lib\n"})
    assert conf_for(base, SYSTEM, ["/usr/local/lib"]) == b"include /etc/x.conf"
    assert conf_for(base, SYSTEM, ["/opt/x"]) == b"include /etc/x.conf\n/opt/x\n"
