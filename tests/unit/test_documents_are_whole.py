"""What is read by people only is whole too: no merge was left half done in it."""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
MARK = re.compile(r"^(?:<{7}|={7}|>{7})(?: |$)", re.MULTILINE)


def test_no_document_has_both_sides_of_a_merge() -> None:
    texts = [*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md"), *PROJECT.glob("examples/*.md")]
    assert len(texts) > 10
    assert [text.name for text in texts if MARK.search(text.read_text())] == []
