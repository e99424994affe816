"""`--format json` prints documents of published schemas."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import orjson
import pytest

from reconciler.render.schemas import all_schemas
from reconciler.render.structured import record_document
from reconciler.state.codec import decode

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Cli

SCHEMAS = {
    "plan": "plan",
    "apply --yes": "plan",
    "validate": "validate",
    "status": "status",
    "explain welcome": "explain",
    "state list": "state-list",
    "state show welcome": "state-show",
}
"""Every command that prints JSON of a promised shape, and the schema that promises it."""
FIXTURES = Path(__file__).parents[1] / "state" / "fixtures"


def conforms(document: Any, command: str) -> None:
    """Hold a document against the published schema of a command's."""
    schema = orjson.loads(all_schemas()[f"{SCHEMAS[command]}.schema.json"])
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert list(validator.iter_errors(document)) == []


@pytest.mark.parametrize("command", SCHEMAS)
def test_what_is_printed_has_its_schema(
    account: Cli, write: Callable[..., Path], command: str
) -> None:
    """A command that does its work prints what its schema promises, and every promised field."""
    write()
    account.prepare("apply", "--yes")
    assert account.run(*command.split(), "--format", "json") == 0
    conforms(account.json(), command)
    schema = orjson.loads(all_schemas()[f"{SCHEMAS[command]}.schema.json"])
    assert set(schema["required"]) <= set(account.json()) <= set(schema["properties"])


def test_every_recorded_state_has_the_schemas_of_state() -> None:
    """What `state show` prints of any state there ever was is as promised."""
    shown = 0
    for path in FIXTURES.rglob("*.json"):
        state = decode(path.read_bytes(), where=path.name)
        for name, record in state.batches.items():
            document = orjson.loads(orjson.dumps(record_document(name, record)))
            conforms(document, "state show welcome")
            shown += 1
    assert shown > 4
