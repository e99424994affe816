"""JSON Schemas of what people write, generated from the models: specs and settings.

Editors validate and explain a file while it is typed. A schema can say less than the loader does
(two contacts with one number, a list in another file), but never refuses what the loader takes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema

from reconciler.spec.config.settings_model import SettingsFile
from reconciler.spec.models import BatchSpec

if TYPE_CHECKING:
    from pydantic import BaseModel

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_MODELS: dict[str, tuple[type[BaseModel], str]] = {
    "batch.schema.json": (BatchSpec, "Call batch"),
    "reconciler.schema.json": (SettingsFile, "Reconciler settings"),
}


def schemas() -> dict[str, dict[str, Any]]:
    """Give the schemas by file name, ready to be written as JSON."""
    return {name: _schema(name, model, title) for name, (model, title) in _MODELS.items()}


def as_file(schema: dict[str, Any]) -> str:
    """Write a schema the way the committed files hold it."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _schema(name: str, model: type[BaseModel], title: str) -> dict[str, Any]:
    made = model.model_json_schema(mode="validation", schema_generator=_Plainly)
    body = _tidied(made)
    body.pop("description", None)
    return {
        "$schema": _DIALECT,
        "$id": name,
        "title": title,
        "description": _one_line(model.__doc__ or ""),
        **body,
    }


class _Plainly(GenerateJsonSchema):
    """Leaves out the titles that only repeat a field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the base's signature
        """Say no, always."""
        return False


def _tidied(schema: Any) -> Any:
    """Put every description on one line, and let an optional field be null, as YAML writes it."""
    if isinstance(schema, list):
        return [_tidied(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    tidy = {
        name: _tidied(value)
        for name, value in schema.items()
        # A class's name or a default of nothing would explain nothing to a person.
        if not (name == "title" and isinstance(value, str))
        and not (name == "default" and (value is None or isinstance(value, dict)))
    }
    if isinstance(tidy.get("description"), str):
        tidy["description"] = _one_line(tidy["description"])
    required = set(tidy.get("required", ()))
    if tidy.get("additionalProperties") is False:
        for name, field in tidy.get("properties", {}).items():
            if name not in required:
                tidy["properties"][name] = _or_null(field)
    return tidy


def _or_null(field: dict[str, Any]) -> dict[str, Any]:
    """Let a field be null too. What explains the field stays outside of the choice."""
    choices = field.get("anyOf")
    if choices is not None:
        return field if {"type": "null"} in choices else {**field, "anyOf": [*choices, _NULL]}
    explaining = {k: v for k, v in field.items() if k in {"description", "default", "examples"}}
    rest = {k: v for k, v in field.items() if k not in explaining}
    return {"anyOf": [rest, _NULL], **explaining}


def _one_line(text: str) -> str:
    return " ".join(text.split())


_NULL = {"type": "null"}
