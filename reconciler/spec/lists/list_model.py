"""The shape of `contacts: {file: …}`: a list in a file of its own, here or elsewhere.

`sha256` and `count` pin the list, so that what was reviewed is what is called. They are of the file
as it lies there: of an encrypted list, of what is encrypted.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema

from reconciler.spec.fields import PHRASE, Model
from reconciler.spec.lists import list_rules as rules
from reconciler.spec.yaml.scalars import text


def _any_case(formats: list[str], after: list[str]) -> str:
    """Give a pattern for names that end in one of `formats`, perhaps with one of `after` behind."""

    def either(suffixes: list[str]) -> str:
        spelt = ("".join(f"[{char}{char.upper()}]" for char in suffix[1:]) for suffix in suffixes)
        return rf"\.({'|'.join(spelt)})"

    return f"{either(formats)}({either(after)})?$"


_ListPath = Annotated[
    str,
    BeforeValidator(text),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": _any_case([*rules.LIST_FORMATS], [rules.SEALED]),
            "examples": ["contacts/2026-05.csv", "s3://lists/renewals/2026-05.parquet"],
        }
    ),
]
_SHA256_SCHEMA = {
    # Sixty-four digits without a letter among them look like a number to an editor.
    "type": ["string", "number"],
    "pattern": "^[0-9a-fA-F]{64}$",
    "examples": ["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
}


class ContactsFile(Model):
    """A contact list in a file of its own. One that lies elsewhere must be pinned."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"file": {"pattern": "^[A-Za-z0-9]+://"}}, "required": ["file"]},
            "then": {
                "required": ["sha256", "count"],
                "properties": {
                    "sha256": {"not": {"type": "null"}},
                    "count": {"not": {"type": "null"}},
                },
            },
        }
    )

    file: _ListPath
    """A CSV, JSONL or Parquet file: its path relative to the batches root, with forward slashes,
    or where it lies elsewhere (`s3://…`, `gs://…`, `az://…`, `https://…`). With `.age` after its
    suffix it is encrypted."""
    columns: Annotated[
        dict[str, str],
        BeforeValidator(rules.columns),
        WithJsonSchema(
            {
                "type": "object",
                "additionalProperties": {"type": ["string", "number"], "minLength": 1},
                "examples": [{"phone_number": "Mobile"}],
            }
        ),
    ] = Field(default_factory=dict)
    """Our name for a column → its header in the file. Columns not named here keep their header."""
    other_columns: Annotated[Literal["keep", "drop"], BeforeValidator(rules.other_columns)] = "keep"
    """Whether columns that `columns` does not name become call variables (`keep`) or not."""
    call_variables: Annotated[
        dict[str, Annotated[str, BeforeValidator(rules.said)]],
        BeforeValidator(rules.call_variables),
        WithJsonSchema(
            {
                "type": "object",
                "additionalProperties": PHRASE,
                "propertyNames": {"not": {"const": "phone_number"}},
                "examples": [{"company": "Example Insurance"}],
            }
        ),
    ] = Field(default_factory=dict)
    """What the agent may say to everybody on the list. Every value is text exactly as written."""
    sha256: Annotated[str, BeforeValidator(rules.sha256), WithJsonSchema(_SHA256_SCHEMA)] | None = (
        None
    )
    """The SHA-256 of the file as it lies there. `reconciler pin` fills it in."""
    count: Annotated[int, Field(ge=1), BeforeValidator(rules.count)] | None = None
    """How many contacts the list has. `reconciler pin` fills it in."""

    def plain(self) -> rules.ListFile:
        """Give what was said as a plain value."""
        return rules.ListFile(**{name: getattr(self, name) for name in ContactsFile.model_fields})
