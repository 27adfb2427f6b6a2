"""Random small roots full of odd libraries, to hold our rules against glibc's programs."""

import random
from dataclasses import dataclass
from pathlib import Path

from tests.build.elf import AARCH64, ARM, EXEC, I386, X86_64, elf

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
        for name in ("ld.so.conf", "ld.so.conf.d/b.conf", "ld.so.conf.d/a.conf", "ld.so.conf.d/.h.conf"):
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
