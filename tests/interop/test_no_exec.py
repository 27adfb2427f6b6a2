"""strace of a whole run: nothing is executed, and no file of an image appears anywhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.interop.conftest import TARGET, Assembled, layersmith
from tests.interop.peers import need

pytestmark = pytest.mark.interop

_CALLS = (
    "execve,execveat,openat,open,creat,rename,renameat,renameat2,mkdir,mkdirat,"
    "symlink,symlinkat,mknod,mknodat,link,linkat"
)
_EXEC = re.compile(r"\bexecve(?:at)?\(")
_CREATED = re.compile(r'(?:openat\(\w+, |creat\(|open\()"([^"]+)", [^)]*O_CREAT')
_RENAMED = re.compile(r'rename(?:at2?)?\(.*"([^"]+)"[^"]*\)\s+=\s+0')
_MADE = re.compile(r'(?:mkdir|mkdirat|symlink|symlinkat|mknod|link)\(.*"([^"]+)"[^"]*\)\s+=\s+0')


def test_nothing_is_executed_and_nothing_extracted(
    assembled: Assembled, mirrors: tuple[str, ...], tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    prefix = (
        need("strace"), "--follow-forks", "--quiet=all", "--string-limit=4096",
        f"--trace={_CALLS}",
        f"--output={trace}",
    )  # fmt: skip
    done = layersmith(
        "assemble", TARGET, *mirrors, "--json", "--output", f"oci:{tmp_path}/out",
        "--cache-dir", f"{tmp_path}/cache", prefix=prefix,
        env={"PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.document["digest"] == assembled.digest

    lines = trace.read_text(errors="replace").splitlines()
    assert sum(1 for line in lines if _EXEC.search(line)) == 1
    written = [
        match[1]
        for line in lines
        for pattern in (_CREATED, _RENAMED, _MADE)
        if " = -1 " not in line and (match := pattern.search(line))
    ]
    allowed = (f"{tmp_path}/cache", f"{tmp_path}/out", "/dev/null")
    assert [path for path in written if not path.startswith(allowed)] == []
    names = {Path(path).name for path in written}
    assert not names & {"python3.13", "libsqlite3.so.0", "passwd", "os.py", "monty"}
