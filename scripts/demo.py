"""The whole way on this machine: a registry, two images in it, one assembled, pushed and run.

``make demo`` runs this with the project's environment. Nothing leaves the loopback
interface, but for Debian's packages the first time; nothing needs root.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from fixtures import registry, sandbox  # noqa: E402
from fixtures.apt import host_architecture  # noqa: E402
from fixtures.build import build  # noqa: E402

TARGET = "3.13-debian13"
PLACE = PROJECT / "build" / "demo"

# shown from inside the result: that it is complete, and that it is locked down
PROGRAM = """
import ctypes, curses, lzma, os, platform, readline, sqlite3, ssl, uuid, zoneinfo
db = sqlite3.connect(":memory:")
print("Python", platform.python_version(), "on", platform.machine(), "as uid", os.getuid())
print("SQLite", db.execute("select sqlite_version()").fetchone()[0], "-", ssl.OPENSSL_VERSION)
print(len(ssl.create_default_context().get_ca_certs()), "authorities,",
      len(zoneinfo.available_timezones()), "time zones")
print("shells:", [name for name in ("sh", "bash", "dash") if os.path.exists("/bin/" + name)])
"""


def main() -> int:
    """Run the demo; the exit code is that of the first step that failed."""
    shutil.rmtree(PLACE, ignore_errors=True)
    _say("Making the two inputs from Debian's packages (kept for the next time)")
    fixtures = build()
    with registry.serve() as running:
        _say(f"Starting a registry on {running.host} and seeding it")
        running.seed(fixtures.repositories())
        layout = PLACE / "python"
        code = _assemble(running, layout)
        if code:
            return code
        _say("What the registry has now")
        _show(running)
    return _run(layout)


def _assemble(running: registry.Registry, layout: Path) -> int:
    command = [str(Path(sys.executable).with_name("layersmith")), "assemble", TARGET]
    for upstream in ("docker.io", "gcr.io"):
        command += ["--mirror", f"{upstream}={running.host}"]
    command += ["--push", f"{running.host}/demo/python", "--output", f"oci:{_short(layout)}"]
    command += ["--cache-dir", _short(PLACE / "cache")]
    _say("$ " + " ".join(["layersmith", *command[1:]]))
    return subprocess.run(command, cwd=PROJECT, check=False).returncode


def _show(running: registry.Registry) -> None:
    import requests  # noqa: PLC0415 (beside what needs it)

    with requests.Session() as session:
        session.trust_env = False
        url = f"{running.url}/v2/demo/python/tags/list"
        for tag in sorted(session.get(url, timeout=10).json()["tags"]):
            print(f"  {running.host}/demo/python:{tag}")


def _run(layout: Path) -> int:
    architecture = host_architecture()
    _say(f"Running the {architecture} image: no root, no network, read-only, as uid 1000")
    if reason := sandbox.why_not():
        print(f"  left out: this host allows no sandbox to an ordinary user ({reason})")
        return 0
    bundle = sandbox.unpack(layout, TARGET, architecture, PLACE / "unpacked")
    done = sandbox.run(bundle, [*bundle.command, "-c", PROGRAM])
    print("".join(f"  {line}\n" for line in (done.stdout + done.stderr).splitlines()), end="")
    return done.returncode


def _say(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def _short(path: Path) -> str:
    return str(path.relative_to(PROJECT))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except RuntimeError as error:
        sys.exit(f"demo: {error}")
