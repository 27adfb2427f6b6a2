"""The same digests: any order of platforms, cold and warm, one platform alone, any clock."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.interop.conftest import TARGET, Assembled, layersmith

pytestmark = pytest.mark.interop


def digests(document: dict[str, object]) -> dict[str, str]:
    platforms = document["platforms"]
    assert isinstance(platforms, list)
    return {p["platform"]: p["digest"] for p in platforms}


def test_platforms_in_another_order_with_a_cold_cache(
    assembled: Assembled, mirrors: tuple[str, ...], tmp_path: Path
) -> None:
    done = layersmith(
        "assemble", TARGET, *mirrors, "--json", "--platform=linux/arm64", "--platform=linux/amd64",
        "--output", f"oci:{tmp_path}/out", "--cache-dir", f"{tmp_path}/cache",
        env={"TZ": "Asia/Tokyo", "LANG": "C", "PYTHONHASHSEED": "7"},
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.document["digest"] == assembled.digest
    assert digests(done.document) == digests(assembled.document)


def test_a_warm_cache(assembled: Assembled, mirrors: tuple[str, ...], tmp_path: Path) -> None:
    done = layersmith(
        "assemble", TARGET, *mirrors, "--json", "--output", f"oci:{tmp_path}/out",
        "--cache-dir", str(assembled.cache),
    )  # fmt: skip
    assert done.document["digest"] == assembled.digest


def test_one_platform_alone_has_the_same_image(
    assembled: Assembled, mirrors: tuple[str, ...], tmp_path: Path
) -> None:
    done = layersmith(
        "assemble", TARGET, *mirrors, "--json", "--platform=linux/arm64/v8",
        "--output", f"oci:{tmp_path}/out", "--cache-dir", str(assembled.cache),
    )  # fmt: skip
    assert done.code == 0, done.err
    expected = digests(assembled.document)
    assert digests(done.document) == {"linux/arm64": expected["linux/arm64"]}


def test_source_date_epoch_decides_every_time(
    assembled: Assembled, mirrors: tuple[str, ...], tmp_path: Path
) -> None:
    runs = [
        layersmith(
            "assemble", TARGET, *mirrors, "--json", "--platform=linux/amd64",
            "--output", f"oci:{tmp_path}/{number}", "--cache-dir", str(assembled.cache),
            env={"SOURCE_DATE_EPOCH": epoch},
        ).document["digest"]
        for number, epoch in enumerate(("1000000000", "1000000000", "1000000001"))
    ]  # fmt: skip
    assert runs[0] == runs[1] != runs[2]
