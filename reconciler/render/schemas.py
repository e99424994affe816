"""All JSON Schemas, as the texts of the files in `schemas/`."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from reconciler.render.documents import (
    DiagnosticDocument,
    PlanDocument,
    StateListDocument,
    StopDocument,
    ValidationDocument,
)
from reconciler.render.status_documents import ExplainDocument, StatusDocument
from reconciler.render.structured import FORMAT_VERSION, dumps
from reconciler.spec.schema import schemas
from reconciler.state import codec
from reconciler.state.document import NameRecord

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def all_schemas() -> dict[str, str]:
    """Give each schema's text by its file name."""
    documents = {
        **schemas(),
        "state.schema.json": _headed(
            codec.schema(),
            "state.schema.json",
            "Recorded state",
            "Written by the reconciler only.",
        ),
        "plan.schema.json": _generated(
            TypeAdapter(PlanDocument),
            "plan.schema.json",
            "Plan or apply result",
            "What plan --format json and apply --format json print.",
        ),
        "status.schema.json": _generated(
            TypeAdapter(StatusDocument),
            "status.schema.json",
            "Where batches stand",
            "What status --format json prints.",
        ),
        "explain.schema.json": _generated(
            TypeAdapter(ExplainDocument),
            "explain.schema.json",
            "Why calls do not go out",
            "What explain --format json prints.",
        ),
        "validate.schema.json": _generated(
            TypeAdapter(ValidationDocument),
            "validate.schema.json",
            "What is wrong with specs and settings",
            "What validate --format json prints.",
        ),
        "state-list.schema.json": _generated(
            TypeAdapter(StateListDocument),
            "state-list.schema.json",
            "Recorded batches",
            "What state list --format json prints.",
        ),
        "stop.schema.json": _generated(
            TypeAdapter(StopDocument),
            "stop.schema.json",
            "Which calls were stopped by hand",
            "What stop --format json prints.",
        ),
        "state-show.schema.json": _headed(
            _open(_record_schema()),
            "state-show.schema.json",
            "Everything recorded under a name",
            "What state show --format json prints.",
        ),
    }
    return {name: dumps(documents[name]) for name in sorted(documents)}


def _record_schema() -> dict[str, Any]:
    """Give the schema of one name's record as `state show` prints it, from that of the state."""
    definitions: dict[str, Any] = codec.schema()["$defs"]
    record = definitions.pop(NameRecord.__name__)
    diagnostic = TypeAdapter(DiagnosticDocument).json_schema(mode="validation")
    return {
        "$defs": {**definitions, DiagnosticDocument.__name__: diagnostic},
        **record,
        "properties": {
            "format_version": {"const": FORMAT_VERSION, "type": "string"},
            "name": {"type": "string"},
            **record["properties"],
            "diagnostics": {
                "type": "array",
                "items": {"$ref": f"#/$defs/{DiagnosticDocument.__name__}"},
            },
        },
        "required": ["format_version", "name", *record["required"]],
    }


def _open(schema: Any) -> Any:
    """Allow further fields everywhere: what is printed may get more, unlike the state's format."""
    if isinstance(schema, list):
        return [_open(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = schema.get("additionalProperties") is False
    return {
        key: _open(value)
        for key, value in schema.items()
        if not (closed and key == "additionalProperties")
    }


def _generated(
    adapter: TypeAdapter[Any], name: str, title: str, description: str
) -> dict[str, Any]:
    return _headed(adapter.json_schema(mode="validation"), name, title, description)


def _headed(schema: dict[str, Any], name: str, title: str, description: str) -> dict[str, Any]:
    for key in ("title", "description"):
        schema.pop(key, None)
    head = {"$schema": _DIALECT, "$id": name, "title": title, "description": description}
    return {**head, **schema}
