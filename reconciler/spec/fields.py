"""What the fields of all models of files share: how they read their values, and their schemas."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema, model_validator

from reconciler.spec.yaml.scalars import fail, is_null, kind_of, text

# Editors see a bare `12345` as a number where the loader takes text, so schemas take both.
BARE = {"type": ["string", "number"], "minLength": 1}
PHRASE = {"type": ["string", "number", "boolean", "null"]}

Text = Annotated[str, BeforeValidator(text), WithJsonSchema(BARE)]
"""Text as written, of which there must be some."""


class Model(BaseModel):
    """What all models of files share: frozen, no unknown fields, a null is an absence."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _absent(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            fail(f"is {kind_of(value)} where a mapping is needed", "write `field: value` lines")
        return {
            name: inner
            for name, inner in value.items()
            if not is_null(inner) or name not in cls.model_fields or cls._needs(name)
        }

    @classmethod
    def _needs(cls, name: str) -> bool:
        return cls.model_fields[name].is_required()
