"""layersmith test with real sandboxes: what runs in them is shut off, bounded, and removed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.interop.conftest import ARCHITECTURES, TARGET, Assembled, Result, layersmith
from tests.interop.peers import need

pytestmark = pytest.mark.interop

RUNNERS = {"bubblewrap": "bwrap", "runc": "runc"}
NATIVE = {"x86_64": "linux/amd64", "aarch64": "linux/arm64"}[os.uname().machine]

# Run by the image's Python: who and where one is, and what one can do there.
LOOK = """
import json, os, socket, subprocess
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
def tried(act):
    try:
        act()
    except OSError as error:
        return error.strerror
    return "done"
def namespace():
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x10000000):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
CANARY = os.environ["CANARY"]
print(json.dumps({
    "ids": [os.getuid(), os.getgid(), os.getgroups()],
    "capabilities": [status[key].strip() for key in ("CapPrm", "CapEff", "CapInh", "CapAmb")],
    "privileges": status["NoNewPrivs"].strip(),
    "variables": sorted(os.environ),
    "interfaces": [name for _, name in socket.if_nameindex()],
    "processes": len([name for name in os.listdir("/proc") if name.isdecimal()]),
    "canary": [os.path.exists(CANARY), os.path.exists("/proc/1/root" + CANARY)],
    "root": tried(lambda: open("/x", "w")),
    "etc": tried(lambda: open("/etc/passwd", "a")),
    "dev": tried(lambda: open("/dev/x", "w")),
    "proc": tried(lambda: open("/proc/sys/kernel/hostname", "w")),
    "tmp": tried(lambda: open("/tmp/x", "w")),
    "namespace": tried(namespace),
    "mount": tried(lambda: subprocess.run(["/bin/mount"])),
    "devices": sorted(set(os.listdir("/dev")) - {"core", "fd", "stdin", "stdout", "stderr"}),
    "secret": tried(lambda: os.listdir("/root")),
    "name": socket.gethostname(),
}))
"""


@pytest.fixture(params=RUNNERS)
def runner(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    need(RUNNERS[name])
    if name != "bubblewrap" and os.geteuid() != 0:
        pytest.skip("without root, runtimes need ids to spare")
    return name


@pytest.fixture
def shelter() -> Iterator[Path]:
    """A temporary directory that others can enter, unlike pytest's."""
    path = Path("/tmp") / f"layersmith-shelter-{os.getpid()}-{time.monotonic_ns()}"
    path.mkdir(mode=0o755)
    yield path
    shutil.rmtree(path)


def run(assembled: Assembled, *arguments: str, platform: str = NATIVE, **more: Any) -> Result:
    options = ("--cache-dir", str(assembled.cache), "--quiet", "--platform", platform)
    return layersmith("test", f"oci:{assembled.layout}:{TARGET}", *options, *arguments, **more)


def outcome(done: Result) -> list[tuple[str, bool, str]]:
    assert done.out, done.err
    (platform,) = done.document["platforms"]
    return [(one["name"], one["passed"], one["message"]) for one in platform["tests"]]


def written(folder: Path, text: str) -> str:
    (folder / "tests.toml").write_text(text)
    return f"--file={folder}/tests.toml"


def test_an_assembled_image_passes_the_default_test(assembled: Assembled, runner: str) -> None:
    done = run(assembled, "--json", "--default", f"--runner={runner}")
    assert done.code == 0, done.out + done.err
    results = outcome(done)
    assert [name for name, _, _ in results] == [
        "imports", "certificates", "user", "read-only root",
    ]  # fmt: skip
    assert int(results[0][2].split()[0]) > 300
    assert done.document["runner"] == runner
    assert results[2][2] == "uid 1000, gid 1000"


def test_what_runs_is_shut_off(assembled: Assembled, runner: str, shelter: Path) -> None:
    canary = shelter / "canary"
    canary.write_text("host")
    text = f'[[test]]\nargs = ["-c", {json.dumps(LOOK)}]\nenv = {{CANARY = "{canary}"}}\n'
    done = run(
        assembled, "--json", f"--runner={runner}", written(shelter, text),
        env={"LAYERSMITH_PASSWORD": "secret", "TMPDIR": str(shelter)},
    )  # fmt: skip
    assert done.code == 0, done.out + done.err
    seen = json.loads(done.document["platforms"][0]["tests"][0]["stdout"])
    assert seen["ids"][:2] == [1000, 1000]
    assert set(seen["ids"][2]) <= {1000}
    assert set(seen["capabilities"]) == {"0" * 16}
    assert seen["privileges"] == "1"
    assert set(seen["variables"]) - {"PWD"} == {
        "CANARY", "HOME", "LANG", "LC_ALL", "PATH", "PYTHONDONTWRITEBYTECODE",
        "PYTHONFAULTHANDLER", "SSL_CERT_FILE",
    }  # fmt: skip
    assert seen["interfaces"] == ["lo"]
    assert seen["processes"] <= 2
    assert seen["canary"] == [False, False]
    assert seen["root"] == "Read-only file system"
    for place in ("etc", "dev", "proc"):
        assert seen[place] in ("Read-only file system", "Permission denied"), place
    assert seen["tmp"] == "done"
    assert seen["mount"] == "No such file or directory"
    assert seen["secret"] == "Permission denied"  # /root is 0700 in the image
    assert seen["devices"] == sorted(
        ["full", "null", "ptmx", "pts", "random", "shm", "tty", "urandom", "zero"]
        + (["mqueue"] if "mqueue" in seen["devices"] else [])
    )
    assert seen["name"] == "layersmith"
    if runner == "bubblewrap":
        assert seen["namespace"] != "done"


def test_tests_of_a_recipe(assembled: Assembled, runner: str, tmp_path: Path) -> None:
    text = """
[[test]]
name = "arguments"
args = ["-c", "import sys; print(sys.stdin.read()[::-1]); sys.exit(3)"]
stdin = "abc"
stdout = "cba\\n"
exit = 3

[[test]]
name = "server"
command = ["python", "-m", "http.server", "8000", "--directory", "/etc"]
http = {port = 8000, path = "/os-release", contains = "Debian"}
exit = 143

[[test]]
name = "ends otherwise"
command = ["python", "-m", "http.server", "8000"]
http = {port = 8000}
exit = 0

[[test]]
name = "not found"
command = ["python", "-m", "http.server", "8000"]
http = {port = 8000, path = "/no/such/file"}

[[test]]
name = "never listens"
command = ["python", "-c", "import sys; sys.exit('lost')"]
http = {port = 8000}

[[test]]
name = "writes"
writable = ["/home/monty"]
command = ["python", "-c", "open('/home/monty/x', 'w')"]

[[test]]
name = "another user"
user = "7:8"
command = ["python", "-c", "import os; print(os.getuid(), os.getgid())"]
stdout = "7 8\\n"

[[test]]
name = "endless"
command = ["python", "-c", "while True: print('x' * 1000)"]
timeout = 1

[[test]]
name = "crash"
command = ["python", "-X", "faulthandler=0", "-c", "import ctypes; ctypes.string_at(0)"]

[[test]]
name = "no shell"
command = ["sh"]

[[test]]
name = "not here"
platforms = ["linux/s390x"]

[[test]]
imports = ["json*"]
"""
    done = run(
        assembled, "--json", f"--runner={runner}", written(tmp_path, text),
        f"--junit={tmp_path}/junit.xml",
    )  # fmt: skip
    assert done.code == 1, done.err
    found = {name: (passed, message) for name, passed, message in outcome(done)}
    assert {name for name, (passed, _) in found.items() if passed} == {
        "arguments", "server", "writes", "another user", "imports 12",
    }  # fmt: skip
    assert found["not found"][1].startswith("status 404, not 200")
    assert "it ended with 1 before it answered: lost" in found["never listens"][1]
    stopped = "told to end, it ended with exit code 143 (signal 15), not 0"
    assert found["ends otherwise"][1] == stopped
    assert "not ended after 1 seconds" in found["endless"][1]
    assert "exit code 139 (signal 11)" in found["crash"][1]
    assert "'sh' is not in the image" in found["no shell"][1]
    assert "not here" not in found
    assert (tmp_path / "junit.xml").read_text().count("<failure") == 6
    assert "6 of 11 tests failed" in done.err


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_both_platforms_run(assembled: Assembled, arch: str, tmp_path: Path) -> None:
    if f"linux/{arch}" != NATIVE:
        need({"arm64": "qemu-aarch64-static", "amd64": "qemu-x86_64-static"}[arch])
    machine = {"amd64": "x86_64", "arm64": "aarch64"}[arch]
    text = f"""
[[test]]
command = ["python", "-c", "import os; print(os.uname().machine)"]
stdout = "{machine}\\n"

[[test]]
imports = ["_ssl", "_sqlite3", "_ctypes", "zlib"]
"""
    done = run(assembled, "--json", written(tmp_path, text), platform=f"linux/{arch}")
    assert done.code == 0, done.out + done.err
    (platform,) = done.document["platforms"]
    assert bool(platform["emulator"]) is (f"linux/{arch}" != NATIVE)


def test_an_ordinary_user_can(assembled: Assembled, shelter: Path) -> None:
    need("bwrap")
    if os.geteuid() != 0:
        pytest.skip("all tests here run unprivileged already")
    subprocess.run(["cp", "-r", assembled.layout, shelter / "layout"], check=True)
    subprocess.run(["chown", "-R", "65533:65533", shelter], check=True)
    user = (need("setpriv"), "--reuid=65533", "--regid=65533", "--clear-groups")
    done = layersmith(
        "test", f"oci:{shelter}/layout:{TARGET}", "--platform", NATIVE, "--cache-dir",
        f"{shelter}/cache", "--", "python", "-c", "import os; print(os.getuid())",
        prefix=user, env={"HOME": str(shelter), "TMPDIR": str(shelter)},
    )  # fmt: skip
    assert done.code == 0, done.out + done.err
    assert "stdout: 1000" in done.out
    assert sorted(path.name for path in shelter.iterdir()) == ["cache", "layout"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_it_nothing_goes_on(number: int, assembled: Assembled, shelter: Path) -> None:
    mark = f"marked-{time.monotonic_ns()}"
    command = [
        sys.executable, "-m", "layersmith", "test", f"oci:{assembled.layout}:{TARGET}",
        "--cache-dir", str(assembled.cache), "--platform", NATIVE, "--runner", "bubblewrap", "-q",
        "--", "python", "-c", f"import time; time.sleep(100); '{mark}'",
    ]  # fmt: skip
    env = {**os.environ, "TMPDIR": str(shelter)}
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE) as process:
        _until(lambda: any(line.startswith("/usr/local/bin/python") for line in _running(mark)))
        process.send_signal(number)
        assert process.wait(60) == (-9 if number == signal.SIGKILL else 130)
    _until(lambda: not _running(mark))
    if number != signal.SIGKILL:
        assert list(shelter.iterdir()) == []
        return
    (left,) = shelter.iterdir()
    done = run(assembled, "--", "python", "-V", env={"TMPDIR": str(shelter)})
    assert done.code == 0, done.err
    assert not left.exists()


def _running(mark: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(mark.encode() in word for word in words):
            found.append(os.fsdecode(words[0]))
    return found


def _until(holds: Any) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


_STARTED = re.compile(r'(?P<pid>\d+) +execve(?:at)?\("(?P<path>[^"]*)", .*= 0$')
_CHILD = r"(?:\d+ /\* )?(?P<child>\d+)(?: in strace's PID NS \*/)?"
_FORKED = re.compile(rf"(?P<pid>\d+) +(?:v?fork|clone3?)\(.*\) += {_CHILD}$")
_RESUMED = re.compile(rf"(?P<pid>\d+) +<\.\.\. (?:v?fork|clone3?) resumed>.*\) += {_CHILD}$")
_AGAIN = re.compile(r"(?P<pid>\d+) +<\.\.\. execve(?:at)? resumed>.*= 0$")
_BEGUN = re.compile(r'(?P<pid>\d+) +execve(?:at)?\("(?P<path>[^"]*)".*<unfinished \.\.\.>$')


def started(trace: Path) -> tuple[list[str], list[str]]:
    """Return which programs were started by processes of the host, and by those in a sandbox."""
    parents: dict[str, str] = {}
    inside: set[str] = set()
    begun: dict[str, str] = {}
    calls: list[tuple[str, str]] = []
    for line in trace.read_text(errors="replace").splitlines():
        if match := _FORKED.match(line) or _RESUMED.match(line):
            parents[match["child"]] = match["pid"]
        elif match := _STARTED.match(line):
            calls.append((match["pid"], match["path"]))
        elif match := _BEGUN.match(line):
            begun[match["pid"]] = match["path"]
        elif match := _AGAIN.match(line):
            calls.append((match["pid"], begun.pop(match["pid"])))
    outer: list[str] = []
    inner: list[str] = []
    for pid, path in calls:
        ancestor: str | None = pid
        while ancestor is not None and ancestor not in inside:
            ancestor = parents.get(ancestor)
        (outer if ancestor is None else inner).append(path)
        if path.endswith("/bwrap"):
            inside.add(pid)
    return outer, inner


def test_the_host_starts_nothing_but_the_sandbox(assembled: Assembled, shelter: Path) -> None:
    bwrap = need("bwrap")
    trace = shelter / "trace"
    prefix = (
        need("strace"), "--follow-forks", "--pidns-translation", "--quiet=all", "--string-limit=300", f"--output={trace}",
        "--trace=execve,execveat,fork,vfork,clone,clone3",
    )  # fmt: skip
    text = """
[[test]]
command = ["python", "-c", "import subprocess, sys; subprocess.run([sys.executable, '-V'])"]

[[test]]
command = ["python", "-m", "http.server", "8000"]
http = {port = 8000}
"""
    done = run(
        assembled, "--json", "--runner=bubblewrap", written(shelter, text),
        prefix=prefix, env={"TMPDIR": str(shelter)},
    )  # fmt: skip
    assert done.code == 0, done.out + done.err
    outer, inner = started(trace)
    assert outer[0] == sys.executable
    assert set(outer[1:]) == {bwrap}
    assert len(outer) == 4  # the trial of the sandbox itself, and a sandbox for each test
    assert [path for path in inner if "true" not in path].count("/usr/local/bin/python") >= 3


def test_a_host_without_a_sandbox_runs_nothing(assembled: Assembled, shelter: Path) -> None:
    """Where the kernel makes no namespaces for anybody: what bubblewrap does to its own."""
    forbidden = (
        need("bwrap"), "--dev-bind", "/", "/", "--unshare-user", "--disable-userns", "--",
    )  # fmt: skip
    cache = shelter / "cache"
    done = layersmith(
        "test", f"oci:{assembled.layout}:{TARGET}", "--platform", NATIVE, "--cache-dir", str(cache),
        "--", "python", "-c", "print('unsafe')", prefix=forbidden, env={"TMPDIR": str(shelter)},
    )  # fmt: skip
    assert done.code == 12, done.out + done.err
    assert "this host cannot make a sandbox: bwrap: " in done.err
    assert "install bubblewrap" in done.err
    assert "unsafe" not in done.out
    assert not list(cache.rglob("tar"))  # no layer was even fetched
    assert [path.name for path in shelter.iterdir()] == ["cache"]
