"""Random small roots full of odd libraries, to hold our rules against glibc's programs."""

import os
import random
from dataclasses import dataclass
from pathlib import Path

from tests.build.elf import AARCH64, ARM, EXEC, I386, X86_64, Wanted, elf

TRIPLETS = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
MACHINES = {"amd64": X86_64, "arm64": AARCH64}
HWCAPS = {"amd64": ["x86-64-v2", "x86-64-v3"], "arm64": ["sve", "v8"]}


@dataclass
class Planter:
    """Fills a directory at random, the same for the same seed."""

    root: Path
    arch: str
    rng: random.Random
    foreign: bool = True

    @property
    def directories(self) -> list[str]:
        triplet = TRIPLETS[self.arch]
        return [
            "usr/lib",
            f"usr/lib/{triplet}",
            "usr/local/lib",
            f"usr/local/lib/{triplet}",
            "opt/x/lib",
            "opt/y",
            "usr/lib64",
        ]

    def plant(self) -> None:
        """Make directories, a configuration, libraries and links of all kinds."""
        for directory in self.directories:
            (self.root / directory).mkdir(parents=True, exist_ok=True)
        if self.rng.random() < 0.8:
            (self.root / "lib").symlink_to("usr/lib")
        else:
            (self.root / "lib" / TRIPLETS[self.arch]).mkdir(parents=True)
        (self.root / "opt/again").symlink_to("x/lib")
        (self.root / "opt/loop").symlink_to("loop")
        self._configure()
        places = [*self.directories, "lib"]
        for directory in list(places):
            if self.rng.random() < 0.3:
                level = f"{directory}/glibc-hwcaps/{self.rng.choice(HWCAPS[self.arch])}"
                (self.root / level).mkdir(parents=True, exist_ok=True)
                if self.rng.random() < 0.8:
                    places.append(level)
        for _ in range(self.rng.randint(3, 40)):
            self._file(self.rng.choice(places))
        for _ in range(self.rng.randint(0, 20)):
            self._link(self.rng.choice(places))

    def _configure(self) -> None:
        etc = self.root / "etc"
        (etc / "ld.so.conf.d").mkdir(parents=True, exist_ok=True)
        lines = [
            "/usr/local/lib",
            f"  /usr/local/lib/{TRIPLETS[self.arch]}/  # comment",
            "/opt/again",
            "/opt/x/lib",
            "/opt/y///",
            "/opt/loop",
            "/opt/none",
            "hwcap 0 nosegneg",
            "include /etc/ld.so.conf.d/*.conf",
            "include\t/etc/ld.so.conf.d/b*   /etc/none/*",
            "# all a comment",
            "",
            "/usr/lib",
        ]
        if self.rng.random() < 0.15:
            return
        for name in (
            "ld.so.conf",
            "ld.so.conf.d/b.conf",
            "ld.so.conf.d/a.conf",
            "ld.so.conf.d/.h.conf",
        ):
            chosen = self.rng.sample(lines, self.rng.randint(0, 6))
            if "/" in name:
                chosen = [line for line in chosen if not line.startswith("include")]
            (etc / name).write_text("\n".join(chosen) + "\n")

    def _name(self) -> str:
        stem = self.rng.choice(["liba", "libb", "libc", "ld-x", "ld", "foo", "libé"])
        tail = self.rng.choice(
            [".so", ".so.1", ".so.1.2", ".so.1.10", ".so.2", ".so.10", "-1.so", ".so.1.2.dpkg-new"]
        )
        return stem + tail

    def _soname(self, name: str) -> str | None:
        kind = self.rng.random()
        if kind < 0.15:
            return None
        if kind < 0.5:
            return name
        return name.rpartition(".")[0] if kind < 0.75 else self._name()

    def _file(self, directory: str) -> None:
        name, kind = self._name(), self.rng.random()
        path = self.root / directory / name
        if path.exists() or path.is_symlink():
            return
        machine = MACHINES[self.arch]
        if kind < 0.05:
            path.write_text("/* GNU ld script */ GROUP ( libc.so.6 )")
        elif kind < 0.1 and self.foreign:
            # A soname of its own: for objects of two machines with one, ldconfig's choice
            # depends on the order in which the file system lists them.
            machine = self.rng.choice([I386, ARM])
            path.write_bytes(elf(bits=32, machine=machine, soname=f"{name}.32", flags=0x5000400))
        elif kind < 0.14:
            path.write_bytes(elf(machine=AARCH64 if machine == X86_64 else X86_64, soname=name))
        elif kind < 0.17:
            path.write_bytes(elf(machine=machine, type=EXEC, soname=name))
        elif kind < 0.2:
            path.write_bytes(elf(machine=machine, dynamic=False))
        else:
            isa = self.rng.choice([None, 1, 2, 6])
            path.write_bytes(elf(machine=machine, soname=self._soname(name), isa=isa))

    def _link(self, directory: str) -> None:
        path = self.root / directory / self._name()
        if path.exists() or path.is_symlink():
            return
        files = sorted(p.name for p in path.parent.iterdir() if not p.is_dir())
        kind = self.rng.random()
        if kind < 0.6 and files:
            path.symlink_to(self.rng.choice(files))
        elif kind < 0.9:
            path.symlink_to(f"/{self.rng.choice(self.directories)}/{self._name()}")
        else:
            path.symlink_to("nowhere.so.1")


@dataclass
class Web:
    """A root with a real loader and C library, and objects that need each other at random."""

    root: Path
    arch: str
    rng: random.Random

    @property
    def directories(self) -> list[str]:
        return [
            f"usr/lib/{TRIPLETS[self.arch]}",
            "usr/lib",
            "usr/local/lib",
            "opt/a",
            "opt/b",
            "opt/b/aarch64",
            f"opt/b/lib/{TRIPLETS[self.arch]}",
        ]

    def weave(self, glibc: Path) -> list[str]:
        """Make the root, with the loader and libc of `glibc`; return the objects' paths."""
        for directory in (*self.directories, "usr/lib64", "tmp", "proc", "dev", "etc"):
            (self.root / directory).mkdir(parents=True, exist_ok=True)
        (self.root / "lib").symlink_to("usr/lib")
        (self.root / "lib64").symlink_to("usr/lib64")
        (self.root / "opt/link").symlink_to("b")
        triplet = TRIPLETS[self.arch]
        loader = {"amd64": "ld-linux-x86-64.so.2", "arm64": "ld-linux-aarch64.so.1"}[self.arch]
        for name in (loader, "libc.so.6"):
            os.link(glibc / "usr/lib" / triplet / name, self.root / "usr/lib" / triplet / name)
        up = "usr/lib64" if self.arch == "amd64" else "usr/lib"
        (self.root / up / loader).symlink_to(f"/usr/lib/{triplet}/{loader}")
        (self.root / "etc/ld.so.conf").write_text(
            "\n".join(
                self.rng.sample(["/usr/local/lib", "/opt/link", "/opt/a"], self.rng.randint(0, 2))
            )
        )
        paths = [self._object() for _ in range(self.rng.randint(4, 14))]
        for _ in range(self.rng.randint(0, 6)):
            self._alias(self.rng.choice(paths))
        return sorted(set(paths))

    def _library(self) -> str:
        return f"lib{self.rng.choice('abcdef')}.so{self.rng.choice(['', '.1', '.2'])}"

    def _need(self) -> str:
        kind = self.rng.random()
        if kind < 0.1:
            return f"/{self.rng.choice(self.directories)}/{self._library()}"
        if kind < 0.2:
            return f"{self.rng.choice(['$ORIGIN', '${ORIGIN}/..'])}/{self._library()}"
        return "libc.so.6" if kind < 0.3 else self._library()

    def _search_path(self) -> str:
        elements = [
            "/opt/a",
            "/opt/link/",
            "$ORIGIN",
            "${ORIGIN}/../b",
            "$ORIGIN/../local/lib",
            "/opt/b/$LIB",
            "/opt/b/${PLATFORM}" if self.arch == "arm64" else "/opt/a",  # the CPU's on x86
            "$ORIGINAL",
            "/opt/$NONE",
            "/none",
            "",
        ]
        return ":".join(self.rng.sample(elements, self.rng.randint(0, 4)))

    def _object(self) -> str:
        path = f"{self.rng.choice(self.directories)}/{self._library()}"
        where, machine = self.root / path, MACHINES[self.arch]
        where.unlink(missing_ok=True)
        kind = self.rng.random()
        if kind < 0.04:
            where.write_bytes(elf(bits=32, machine=I386, soname=f"{where.name}.32"))
        elif kind < 0.08:
            where.write_bytes(elf(machine=AARCH64 if machine == X86_64 else X86_64))
        elif kind < 0.1:
            where.write_text("INPUT(-la)" * 100)
        else:
            needed = [self._need() for _ in range(self.rng.randint(0, 4))]
            versions: list[Wanted] = ["V_1", ("V_9", True)]
            wants = {n: versions for n in needed if "/" not in n and n != "libc.so.6"}
            search = self.rng.choice(["rpath", "runpath", "both", "none", "none"])
            where.write_bytes(
                elf(
                    machine=machine,
                    soname=self.rng.choice([None, where.name, self._library()]),
                    needed=needed,
                    rpath=self._search_path() if search in ("rpath", "both") else None,
                    runpath=self._search_path() if search in ("runpath", "both") else None,
                    flags_1=0x800 * (self.rng.random() < 0.1),
                    wants=wants if self.rng.random() < 0.3 else None,
                    versions=self.rng.choice([(), (), ("V_1",), ("V_1", "V_2"), ("V_0",)]),
                    pad=self.rng.randbytes(8),
                )
            )
        return path

    def _alias(self, path: str) -> None:
        where = self.root / self.rng.choice(self.directories) / self._library()
        if where.exists() or where.is_symlink():
            return
        if self.rng.random() < 0.5:
            where.symlink_to(f"/{path}")
        else:
            os.link(self.root / path, where)
