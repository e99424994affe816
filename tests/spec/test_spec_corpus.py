"""The corpus: hostile and merely human files, each with what is said about it.

`corpus/` holds files that must be refused, `corpus.txt` what is said, `sound/` files that look odd
and are right, `sound.json` what they mean. `UPDATE_CORPUS=1 pytest tests/spec/test_spec_corpus.py`
writes both expectations anew; read the difference before committing it.
"""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reconciler.model import Severity
from reconciler.render.diagnostics import as_text
from reconciler.spec.load import load_specs
from reconciler.spec.yaml.documents import read_document
from reconciler.spec.yaml.survey import survey

if TYPE_CHECKING:
    from reconciler.model import SpecSet

HERE = Path(__file__).parent
CORPUS, SOUND = HERE / "corpus", HERE / "sound"


@cache
def _corpus() -> SpecSet:
    """Read the corpus, once for all tests of a process."""
    return load_specs(CORPUS, shown="corpus")


def _expected(name: str, actual: str) -> str:
    path = HERE / name
    if os.environ.get("UPDATE_CORPUS"):
        path.write_text(actual, encoding="utf-8")
    return path.read_text(encoding="utf-8")


def test_everything_wrong_with_the_corpus_is_said_as_expected() -> None:
    """Each file of the corpus gets the recorded diagnostics: place, message and hint."""
    actual = as_text(_corpus().diagnostics)
    assert actual == _expected("corpus.txt", actual)


def test_what_looks_odd_but_is_sound_means_what_is_expected() -> None:
    """Sound files give no diagnostic, and exactly the recorded requests."""
    loaded = load_specs(SOUND, shown="sound")
    assert not loaded.diagnostics
    meaning = {
        spec.path: {
            "name": spec.name,
            "lifecycle": spec.lifecycle,
            "on_change": spec.on_change,
            "scheduled_start_at": spec.scheduled_start_at,
            **spec.requests[0].fields,
            "contacts": list(spec.requests[0].contacts),
        }
        for spec in loaded.specs
    }
    actual = json.dumps(meaning, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    assert actual == _expected("sound.json", actual)


def _broken() -> list[Path]:
    named = [*CORPUS.glob("broken/*"), *CORPUS.glob("meaning/*"), *CORPUS.glob("lists/*.yaml")]
    return sorted(named)


@pytest.mark.parametrize("path", _broken(), ids=lambda path: path.stem)
def test_no_broken_file_becomes_a_spec(path: Path) -> None:
    """None of the files that are wrong slips through as a spec."""
    paths = {spec.path for spec in _corpus().specs}
    assert path.relative_to(CORPUS).as_posix() not in paths


def test_no_message_shows_a_phone_number() -> None:
    """Whatever was wrong with a number, no more than its ends are shown."""
    for one in _corpus().diagnostics:
        for text in (one.message, one.field):
            assert not re.search(r"415.?555.?01", text.replace("+14155550123", "")), text


def test_every_diagnostic_says_where_and_what_to_do() -> None:
    """Nearly all errors carry a hint, and all but whole-file ones a line and a column."""
    diagnostics = _corpus().diagnostics
    errors = [one for one in diagnostics if one.severity is Severity.ERROR]
    assert sum(bool(one.hint) for one in errors) > 0.9 * len(errors)
    assert all(one.line and one.column for one in errors if one.field not in {"", "reconcile.name"})


@pytest.mark.parametrize("path", sorted(SOUND.glob("**/*.yaml")), ids=lambda path: path.stem)
def test_the_slow_pass_reads_what_the_fast_pass_reads(path: Path) -> None:
    """Both passes over a sound file give the same document, and the slow one no complaint."""
    data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    reading = read_document(data)
    document, problems = survey(data)
    assert not reading.surveyed
    assert problems == []
    assert document == reading.document
