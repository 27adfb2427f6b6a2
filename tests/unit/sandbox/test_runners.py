"""What each runner is told: nothing of this host but what a task names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from layersmith.errors import InvalidInput, SandboxUnavailable
from layersmith.sandbox import host
from layersmith.sandbox.bubblewrap import Bubblewrap
from layersmith.sandbox.oci_runtime import OciRuntime
from layersmith.sandbox.task import Ids, Task

NOBODY, SPARE = Ids(65534, 65534), Ids(65533, 65533)


def task(tmp_path: Path, *, network: bool = False) -> Task:
    return Task(
        root=tmp_path / "root",
        argv=("/usr/bin/python3", "--die", "a b"),
        env={"LD_PRELOAD": "/lib/evil.so", "A": "--bind"},
        ids=Ids(1000, 50),
        workdir="/app",
        network=network,
        writable=("/home/me",),
        binds={"/dev/emulator": Path("/usr/bin/qemu")},
    )


def pairs(words: tuple[str, ...], option: str, count: int) -> list[tuple[str, ...]]:
    end = words.index("--")
    return [words[at + 1 : at + 1 + count] for at in range(end) if words[at] == option]


def test_bubblewrap_shuts_everything_off(tmp_path: Path) -> None:
    launch = Bubblewrap(Path("/usr/bin/bwrap"), NOBODY).launch(task(tmp_path), tmp_path)
    words = launch.argv
    assert words[0] == "/usr/bin/bwrap"
    assert words[-4:] == ("--", "/usr/bin/python3", "--die", "a b")
    options = {
        "--unshare-all",
        "--unshare-user",
        "--die-with-parent",
        "--new-session",
        "--clearenv",
    }
    assert options <= set(words)
    assert "--disable-userns" in words
    assert "--share-net" not in words
    assert "--bind" not in words[: words.index("--clearenv")]
    assert pairs(words, "--cap-drop", 1) == [("ALL",)]
    assert pairs(words, "--uid", 1) + pairs(words, "--gid", 1) == [("1000",), ("50",)]
    assert pairs(words, "--ro-bind", 2) == [
        (f"{tmp_path}/root", "/"),
        ("/usr/bin/qemu", "/dev/emulator"),
    ]
    assert pairs(words, "--setenv", 2) == [("LD_PRELOAD", "/lib/evil.so"), ("A", "--bind")]
    assert [place for (place,) in pairs(words, "--tmpfs", 1)] == ["/dev/shm", "/tmp", "/home/me"]
    assert len(pairs(words, "--size", 1)) == 3
    assert pairs(words, "--remount-ro", 1) == [("/dev",)]
    assert launch.ids == NOBODY


def test_bubblewrap_shares_the_network_only_if_asked(tmp_path: Path) -> None:
    launch = Bubblewrap(Path("bwrap"), None).launch(task(tmp_path, network=True), tmp_path)
    assert "--share-net" in launch.argv


def test_an_old_bubblewrap_and_a_hidden_proc_are_said(tmp_path: Path) -> None:
    old = Bubblewrap(Path("bwrap"), None, modern=False, proc=False)
    words = old.launch(task(tmp_path), tmp_path).argv
    assert not {"--proc", "--disable-userns", "--size"} & set(words)
    assert "--unshare-all" in words
    assert "without /proc" in old.notes[0]
    assert Bubblewrap(Path("bwrap"), None).notes == ()


def test_a_fault_of_bubblewrap_is_not_the_programs(tmp_path: Path) -> None:
    runner = Bubblewrap(Path("bwrap"), None)
    assert runner.fault(1, b"x\nbwrap: execvp /x: No such file\n", tmp_path)
    assert not runner.fault(0, b"bwrap: x\n", tmp_path)
    assert not runner.fault(1, b"bwrap: x\nits own last word\n", tmp_path)


@pytest.mark.parametrize("name", ["runc", "crun"])
def test_a_runtimes_bundle_shuts_everything_off(name: str, tmp_path: Path) -> None:
    runner = OciRuntime(Path(f"/usr/bin/{name}"), name, NOBODY, NOBODY, SPARE)
    launch = runner.launch(task(tmp_path), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    process, linux = config["process"], config["linux"]
    assert config["root"] == {"path": f"{tmp_path}/root", "readonly": True}
    assert process["args"] == ["/usr/bin/python3", "--die", "a b"]
    assert process["env"] == ["LD_PRELOAD=/lib/evil.so", "A=--bind"]
    assert process["user"] == {"uid": 1000, "gid": 50}
    assert process["noNewPrivileges"] is True
    assert process["capabilities"] == {}
    kinds = {space["type"] for space in linux["namespaces"]}
    assert kinds == {"pid", "ipc", "uts", "mount", "user", "network"}
    assert linux["uidMappings"] == [
        {"containerID": 0, "hostID": 65533, "size": 1},
        {"containerID": 1000, "hostID": 65534, "size": 1},
    ]
    assert linux["gidMappings"][1] == {"containerID": 50, "hostID": 65534, "size": 1}
    sources = [mount["source"] for mount in config["mounts"] if mount["type"] == "bind"]
    assert sources == ["/usr/bin/qemu"]
    assert all("ro" in m["options"] for m in config["mounts"] if m["type"] == "bind")
    assert launch.argv[0] == launch.stop[0] == f"/usr/bin/{name}"
    assert launch.stop[-3:-1] == ("delete", "--force")
    assert launch.stop[-1] == launch.argv[-1]


def test_an_image_that_is_roots_has_one_user(tmp_path: Path) -> None:
    from dataclasses import replace

    asked = replace(task(tmp_path, network=True), ids=Ids(0, 0))
    OciRuntime(Path("runc"), "runc", NOBODY, NOBODY, SPARE).launch(asked, tmp_path)
    linux = json.loads((tmp_path / "config.json").read_text())["linux"]
    assert linux["uidMappings"] == [{"containerID": 0, "hostID": 65534, "size": 1}]
    assert {"type": "network"} not in linux["namespaces"]


def test_a_runtimes_own_errors_are_in_its_log(tmp_path: Path) -> None:
    runner = OciRuntime(Path("runc"), "runc", NOBODY, NOBODY, SPARE)
    assert not runner.fault(1, b"level=error", tmp_path)
    (tmp_path / "log").write_text('{"level": "warning", "msg": "w"}\n')
    assert not runner.fault(1, b"", tmp_path)
    (tmp_path / "log").write_text('{"level": "error", "msg": "exec failed"}\n')
    assert "exec failed" in runner.fault(1, b"", tmp_path)
    assert not runner.fault(0, b"", tmp_path)


# this host


@pytest.fixture
def reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_check_reachable", lambda _: None)


def test_a_host_without_a_sandbox_says_what_it_lacks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reachable: None
) -> None:
    monkeypatch.setattr(host, "RUNNERS", {"bubblewrap": "no-bwrap", "runc": "no-runc"})
    with pytest.raises(SandboxUnavailable) as caught:
        host.find_runner("", tmp_path)
    assert caught.value.exit_code == 12
    assert "no-bwrap is not installed; no-runc is not installed" in caught.value.message
    assert "install bubblewrap" in caught.value.hint


def test_a_runner_that_fails_is_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reachable: None
) -> None:
    # `false` takes any arguments, and makes no sandbox.
    monkeypatch.setattr(host, "RUNNERS", {"bubblewrap": "false"})
    with pytest.raises(SandboxUnavailable, match="false: it ended with 1"):
        host.find_runner("bubblewrap", tmp_path)


def test_an_unknown_runner_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is no runner"):
        host.find_runner("docker", tmp_path)


def test_root_needs_a_directory_that_others_can_enter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shut = tmp_path / "shut"
    (shut / "in").mkdir(parents=True)
    shut.chmod(0o700)
    monkeypatch.setattr(host, "owner_of_files", lambda: NOBODY)
    with pytest.raises(SandboxUnavailable, match="closed to others"):
        host.find_runner("", shut / "in")


def test_an_ordinary_user_needs_ids_to_spare_for_a_runtime(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    table = tmp_path / "subuid"
    monkeypatch.setattr("os.geteuid", lambda: 4242)
    assert host._first(str(table)) is None
    table.write_text("other:100:10\n4242:nonsense:1\n4242:500:0\n4242:300000:65536\n")
    assert host._first(str(table)) == 300000
