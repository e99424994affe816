"""docs/specs.md tells of every field and of errors as they are really worded."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconciler.spec.schema import schemas

PAGE = (Path(__file__).parents[2] / "docs" / "specs.md").read_text(encoding="utf-8")
SAID = (Path(__file__).parent / "corpus.txt").read_text(encoding="utf-8")
ELSEWHERE = "".join(
    path.read_text(encoding="utf-8")
    for path in sorted((Path(__file__).parents[1] / "sources").glob("test_sources_*.py"))
)
"""What no file of a repository can cause is asserted in those tests."""


def _fields() -> list[str]:
    batch, settings = schemas().values()
    parts = [batch, settings, *batch["$defs"].values()]
    return sorted({name for part in parts for name in part.get("properties", {})})


def _errors() -> list[str]:
    section = PAGE.partition("## Errors")[2]
    rows = re.findall(r"^\| (`.*?) \| ", section, re.MULTILINE)
    return [
        (found[0] or found[1]).strip()
        for row in rows
        for found in re.findall(r"``(.+?)``(?!`)|(?<!`)`([^`]+)`", row)
    ]


@pytest.mark.parametrize("field", _fields())
def test_every_field_is_documented(field: str) -> None:
    """A field that a person may write stands on the page."""
    assert f"`{field}`" in PAGE


@pytest.mark.parametrize("error", _errors())
def test_every_documented_error_exists(error: str) -> None:
    """An error on the page is worded as the tool words it."""
    # What only a file system can hold, not a repository, is tested in test_spec_hostile.
    elsewhere = ("this symlink points at nothing", "this is a named pipe")
    assert error in SAID or error in elsewhere or error in ELSEWHERE


def test_the_page_lists_errors() -> None:
    """The check above really read the tables."""
    assert len(_errors()) > 50
