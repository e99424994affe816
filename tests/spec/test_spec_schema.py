"""The JSON Schemas: current, valid, and as strict as a schema can be without refusing the sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from reconciler.spec.schema import as_file, schemas

REPOSITORY = Path(__file__).parents[2]
HERE = Path(__file__).parent
BATCH = Draft202012Validator(schemas()["batch.schema.json"])
SETTINGS = Draft202012Validator(schemas()["reconciler.schema.json"])


def _plain(path: Path) -> Any:
    """Read a file the way an editor does: by another YAML reader, timestamps as text."""
    reader = YAML(typ="safe", pure=True)
    reader.constructor.yaml_constructors = {
        **reader.constructor.yaml_constructors,
        "tag:yaml.org,2002:timestamp": lambda _, node: str(node.value),
    }
    return reader.load(path.read_bytes())


@pytest.mark.parametrize("name", list(schemas()))
def test_the_committed_schemas_are_current(name: str) -> None:
    """`schemas/` holds what the models say now."""
    assert (REPOSITORY / "schemas" / name).read_text(encoding="utf-8") == as_file(schemas()[name])


@pytest.mark.parametrize("name", list(schemas()))
def test_the_schemas_are_schemas(name: str) -> None:
    """Each keeps to its own dialect, and has a title and descriptions for an editor to show."""
    schema = schemas()[name]
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == name
    assert schema["title"]
    assert schema["additionalProperties"] is False
    for field, described in schema["properties"].items():
        assert described.get("description"), field


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "batches").glob("**/*.yaml")), ids=lambda path: path.stem
)
def test_the_examples_validate(path: Path) -> None:
    """What we show people passes their editor's check."""
    BATCH.validate(_plain(path))


@pytest.mark.parametrize(
    "path", sorted((HERE / "sound").glob("**/*.yaml")), ids=lambda path: path.stem
)
def test_nothing_sound_is_refused(path: Path) -> None:
    """A schema never refuses what the loader takes."""
    BATCH.validate(_plain(path))


REFUSED = [
    "contact_fields",
    "contact_without_dash",
    "contacts_as_mapping",
    "contacts_as_text",
    "contacts_empty",
    "contacts_null",
    "contacts_scalar",
    "date_without_time",
    "lifecycle",
    "limits",
    "metadata",
    "missing",
    "nulls",
    "phones",
    "tool_fields",
    "unknown_fields",
    "wrong_shapes",
]


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_schema_can_tell_is_refused(name: str) -> None:
    """The mistakes of form in the corpus show in the editor already."""
    assert not BATCH.is_valid(_plain(HERE / "corpus" / "meaning" / f"{name}.yaml"))


@pytest.mark.parametrize(
    ("settings", "valid"),
    [
        ({}, True),
        ({"lease": "2m", "settle": 90, "verify_for": "1.5h", "state": "git"}, True),
        ({"lease": "2 weeks"}, False),
        ({"lease": -1}, False),
        ({"parallelism": 65}, False),
        ({"unknown": "maybe"}, False),
        ({"unknwon": "hold"}, False),
    ],
)
def test_settings(settings: dict[str, Any], *, valid: bool) -> None:
    """The settings' schema knows durations, ranges and choices."""
    assert SETTINGS.is_valid(settings) is valid
