from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import orjson
from msgspec import Struct

from reconciler import __version__
from reconciler.model import Lifecycle
from reconciler.state.codec import decode, encode
from reconciler.state.document import RecordedBy, State
from reconciler.state.layout import FORMAT_VERSION

ROOT = Path(__file__).parents[2]


def test_files_of_every_format_are_read_for_ever(fixtures: list[Path]) -> None:
    """A file that some version wrote is read, and written again the same but for that version."""
    assert len(fixtures) >= 4
    for path in fixtures:
        data = path.read_bytes()
        written = orjson.loads(data)["tool_version"]
        again = encode(decode(data, where=path.name))
        mine = f'"tool_version": "{__version__}"'.encode()
        assert again.replace(mine, f'"tool_version": "{written}"'.encode()) == data, path.name


def test_the_fixtures_are_accepted_by_the_published_schema(fixtures: list[Path]) -> None:
    """Whoever checks a state file with the schema agrees with the tool."""
    schema = orjson.loads((ROOT / "schemas" / "state.schema.json").read_bytes())
    validator = jsonschema.validators.validator_for(schema)(schema)
    for path in fixtures:
        assert list(validator.iter_errors(orjson.loads(path.read_bytes()))) == [], path.name


def test_the_fixtures_have_every_field_and_every_word(fixtures: list[Path]) -> None:
    """A field or a word that is added later needs another file; these never change."""
    empty: set[str] = set()
    filled: set[str] = set()
    states = [decode(path.read_bytes(), where=path.name) for path in fixtures]
    for state in states:
        _walk(state, empty, filled)
    assert empty - filled == set()
    recorded_by = {r.recorded_by for state in states for _, _, r in state.requests()}
    assert recorded_by >= set(RecordedBy)
    lifecycles = {record.lifecycle for state in states for record in state.batches.values()}
    assert lifecycles == set(Lifecycle)


def _walk(value: Any, empty: set[str], filled: set[str]) -> None:
    """Note which fields of which records hold something, and which hold nothing."""
    if isinstance(value, State):
        _walk(value.batches, empty, filled)
    elif isinstance(value, Struct):
        for each in value.__struct_fields__:
            held = getattr(value, each)
            (empty if held in (None, (), "") else filled).add(f"{type(value)}.{each}")
            _walk(held, empty, filled)
    elif isinstance(value, dict):
        for each in value.values():
            _walk(each, empty, filled)
    elif isinstance(value, tuple):
        for each in value:
            _walk(each, empty, filled)


def test_the_format_is_still_the_first() -> None:
    """Another format needs a directory of fixtures of its own, and keeps reading these."""
    assert FORMAT_VERSION == 1
    assert orjson.loads(encode(State(lineage="a", serial=1)))["version"] == 1
