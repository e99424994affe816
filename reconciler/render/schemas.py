"""All JSON Schemas, as the texts of the files in `schemas/`."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from reconciler.render.documents import PlanDocument
from reconciler.render.status_documents import ExplainDocument, StatusDocument
from reconciler.render.structured import dumps
from reconciler.spec.schema import schemas
from reconciler.state import codec

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
    }
    return {name: dumps(documents[name]) for name in sorted(documents)}


def _generated(
    adapter: TypeAdapter[Any], name: str, title: str, description: str
) -> dict[str, Any]:
    return _headed(adapter.json_schema(mode="validation"), name, title, description)


def _headed(schema: dict[str, Any], name: str, title: str, description: str) -> dict[str, Any]:
    for key in ("title", "description"):
        schema.pop(key, None)
    head = {"$schema": _DIALECT, "$id": name, "title": title, "description": description}
    return {**head, **schema}
