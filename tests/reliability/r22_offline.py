"""Work between files asks no network: no call that could, and none missing where there is none."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.build.world import write_world
from tests.reliability.program import Home, run
from tests.reliability.scoreboard import Figure, Row, Run
from tests.reliability.traces import calls, strace

ROW: Final = Row("R22", "offline", "0 calls to a network, and all works without one")

NETWORK: Final = ("socket", "connect", "sendto", "sendmsg", "sendmmsg", "bind")
_LOCAL: Final = re.compile(r"\bAF_UNIX\b|sa_family=AF_UNIX|UNIX")
ALONE: Final = ("unshare", "--map-root-user", "--net")
TARGET: Final = ("assemble", "3.13-debian13", "--platform=linux/amd64")


def commands(base: str, builder: str, out: Path) -> dict[str, tuple[str, ...]]:
    """Return everything that can be done between files, in an order that works."""
    inputs = (f"--base={base}", f"--builder={builder}")
    tag = "3.13-debian13"
    return {
        "assemble": (*TARGET, *inputs, f"--output=oci:{out}/layout"),
        "assemble again": (*TARGET, *inputs, f"--output=oci:{out}/layout", "--json"),
        "assemble to an archive": (*TARGET, *inputs, f"--output=oci-archive:{out}/a.tar"),
        "plan": ("plan", *TARGET[1:], *inputs),
        "copy to an archive": ("copy", f"oci:{out}/layout:{tag}", f"oci-archive:{out}/b.tar"),
        "copy from an archive": ("copy", f"oci-archive:{out}/b.tar:{tag}", f"oci:{out}/c"),
        "copy with referrers": ("copy", f"oci:{out}/c:{tag}", f"oci:{out}/d", "--referrers"),
        "copy to docker-archive": (
            "copy", f"oci:{out}/layout:{tag}", f"docker-archive:{out}/e.tar",
            "--platform=linux/amd64",
        ),
        "copy from docker-archive": ("copy", f"docker-archive:{out}/e.tar", f"oci:{out}/f:x"),
        "inspect": ("inspect", f"oci:{out}/layout:{tag}"),
        "inspect an archive": ("inspect", f"oci-archive:{out}/b.tar:{tag}", "--json"),
        "digest": ("digest", f"oci:{out}/c:{tag}"),
        "cache info": ("cache", "info"),
        "cache verify": ("cache", "verify"),
        "cache prune": ("cache", "prune", "--max-size=0"),
    }  # fmt: skip


def of_network(trace: Path) -> list[str]:
    """Return the calls that had to do with a network."""
    return [
        f"{call.name}({call.text[:100]}"
        for call in calls(trace)
        if call.name in NETWORK and not _LOCAL.search(call.text)
    ]


def measure(run_: Run) -> Figure:
    misses: list[str] = []
    base, builder = write_world(run_.scratch / "world")
    probe = subprocess.run([*ALONE, "true"], check=False, capture_output=True)
    alone = ALONE if shutil.which("unshare") and probe.returncode == 0 else ()
    home = Home(run_.scratch / "user")
    total = 0
    everything = commands(base, builder, home.path / "out")
    for number, (name, arguments) in enumerate(everything.items()):
        trace = run_.scratch / f"trace-{number}"
        done = run(home, *arguments, prefix=(*alone, *strace(trace, *NETWORK)))
        if done.code:
            misses.append(f"{name}: status {done.code}: {done.err[-300:]}")
        found = of_network(trace)
        total += len(found)
        misses += [f"{name}: {call}" for call in found]
    # The measure itself can see a connection: a registry is asked for.
    trace = run_.scratch / "trace-registry"
    run(home, "digest", "127.0.0.1:1/a/b:1", prefix=(*alone, *strace(trace, *NETWORK)))
    if not any(call.startswith("connect(") for call in of_network(trace)):
        misses.append("the measure does not see a connection that is made")
    where = "in an empty network" if alone else "this machine's network at hand"
    return Figure(
        f"{len(everything)} commands, {total} calls to a network ({where})", tuple(misses)
    )
