"""Which platforms a host can run, and why it cannot run the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.build.elf import elf

from layersmith.oci.documents import Platform
from layersmith.sandbox.emulation import Way, way_for

if TYPE_CHECKING:
    from pathlib import Path

ARM64 = Platform.parse("linux/arm64")


def way(platform: str, folder: Path, machine: str = "x86_64") -> Way:
    return way_for(Platform.parse(platform), machine, folder / "binfmt", str(folder))


@pytest.mark.parametrize(
    ("platform", "machine"),
    [("linux/amd64", "x86_64"), ("linux/386", "x86_64"), ("linux/arm64/v8", "aarch64")],
)
def test_a_host_runs_its_own(platform: str, machine: str, tmp_path: Path) -> None:
    assert way(platform, tmp_path, machine) == Way()


@pytest.mark.parametrize(
    ("platform", "why"),
    [
        ("windows/amd64", "Linux"),
        ("linux/mips64le", "no emulator of mips64le"),
        ("linux/arm64", "qemu-aarch64-static"),
        ("linux/riscv64", "qemu-riscv64-static"),
    ],
)
def test_what_cannot_be_run_says_why(platform: str, why: str, tmp_path: Path) -> None:
    assert why in way(platform, tmp_path).why_not


def test_an_emulator_is_a_static_program(tmp_path: Path) -> None:
    program = tmp_path / "qemu-aarch64-static"
    program.write_bytes(elf(interpreter="/lib64/ld-linux-x86-64.so.2"))
    program.chmod(0o755)
    assert way("linux/arm64", tmp_path).why_not
    program.write_bytes(b"#!/bin/sh\n")
    assert way("linux/arm64", tmp_path).why_not
    program.write_bytes(elf(dynamic=False))
    found = way("linux/arm64", tmp_path)
    assert found == Way("qemu-aarch64-static", program)
    assert found.is_slow


@pytest.mark.parametrize(
    ("state", "flags", "works"),
    [("enabled", "POCF", True), ("disabled", "F", False), ("enabled", "OC", False)],
)
def test_the_kernels_own_emulator_has_to_be_open_already(
    state: str, flags: str, works: bool, tmp_path: Path
) -> None:
    (tmp_path / "binfmt").mkdir()
    (tmp_path / "binfmt" / "qemu-aarch64").write_text(
        f"{state}\ninterpreter /usr/bin/qemu-aarch64-static\nflags: {flags}\noffset 0\nmagic 7f\n"
    )
    found = way("linux/arm64", tmp_path)
    assert bool(found.why_not) is not works
    assert found.program is None
