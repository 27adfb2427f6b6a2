"""What layersmith is doing when a disk fails or a kill comes."""

from dataclasses import dataclass
from typing import Final

__all__ = ["ASSEMBLE", "JOBS", "WARM", "Job"]

TARGET: Final = "3.13-debian13"


@dataclass(frozen=True)
class Job:
    """A command: its words (with ``{cell}`` and ``{inputs}``), its cache, and its output."""

    name: str
    words: str
    cache: str = "empty"
    output: str = ""  # a place below the cell

    @property
    def makes_image(self) -> bool:
        return bool(self.output)

    @property
    def good_ends(self) -> tuple[int, ...]:
        """How it ends when nothing is in its way: 6 says that it found damage."""
        return (0, 6) if self.cache == "damaged" else (0,)


ASSEMBLE = (
    f"assemble {TARGET} --platform linux/amd64 --base oci:{{inputs}}/base:t "
    "--builder oci:{inputs}/builder:t --cache-dir {cell}/cache --quiet --json --output "
)
JOBS: Final = (
    Job("assemble to a layout", ASSEMBLE + "oci:{cell}/out:t", output="oci:out:t"),
    Job("assemble to an archive", ASSEMBLE + "oci-archive:{cell}/out.tar:t", output="tar:out.tar"),
    Job("assemble warm", ASSEMBLE + "oci:{cell}/out:t", cache="full", output="oci:out:t"),
    Job(
        "copy to a layout",
        "copy oci:{inputs}/image:t oci:{cell}/out:t --quiet --json",
        output="oci:out:t",
    ),
    Job(
        "copy to an archive",
        "copy oci:{inputs}/image:t oci-archive:{cell}/out.tar:t --quiet --json",
        output="tar:out.tar",
    ),
    Job(
        "copy to a docker-archive",
        "copy oci:{inputs}/image:t docker-archive:{cell}/docker.tar:t --quiet --json "
        "--platform linux/amd64",
        output="docker:docker.tar",
    ),
    Job(
        "copy a compressed archive",
        "copy oci-archive:{inputs}/image.tar.gz:t oci:{cell}/out:t --quiet --json",
        output="oci:out:t",
    ),
    Job("cache prune", "cache prune --cache-dir {cell}/cache --max-size 100kB", cache="full"),
    Job("cache verify", "cache verify --cache-dir {cell}/cache", cache="damaged"),
)
WARM: Final = JOBS[2]
