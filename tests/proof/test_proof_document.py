"""What is said of the proof in the documentation."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "docs" / "reliability.md"


def test_every_module_is_described() -> None:
    """The page lists each module of the proof but this one, and none that is not there."""
    described = set(re.findall(r"test_proof_\w+\.py", DOCUMENT.read_text("utf-8")))
    there = {path.name for path in HERE.glob("test_proof_*.py")} - {Path(__file__).name}
    assert described == there


def test_its_links_lead_somewhere() -> None:
    """Each page it refers to exists."""
    links = re.findall(r"\]\(([\w./-]+)\)", DOCUMENT.read_text("utf-8"))
    assert [link for link in links if not (DOCUMENT.parent / link).exists()] == []
