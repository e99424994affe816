"""The shape of `contacts: {file: …}`: a list in a file of its own, here or elsewhere.

`sha256` and `count` pin the list, so that what was reviewed is what is called. They are of the file
as it lies there: of an encrypted list, of what is encrypted.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema

from reconciler.spec.fields import PHRASE, Model
from reconciler.spec.problems import quoted
from reconciler.spec.rules import choice, mapping
from reconciler.spec.yaml.scalars import at_least, fail, kind_of, text

LIST_FORMATS = (".csv", ".jsonl", ".parquet")
"""How contact lists are written, by the suffix of their files."""

SEALED = ".age"
"""The suffix of a list that is encrypted with age, after that of its format."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_PIN_HINT = "`reconciler pin` fills it in"


def _other_columns(value: Any) -> str:
    return choice(value, ["keep", "drop"])


def _columns(value: Any) -> dict[str, str]:
    columns = {}
    for name, header in mapping(value).items():
        if not name.strip():
            fail("has an empty name on the left side", "write `phone_number: Mobile`")
        if not isinstance(header, str) or not header.strip():
            fail(
                f"gives {quoted(name)} {kind_of(header)} where a column's header is needed",
                f"write `{name}: Header`" if name.isidentifier() else "",
            )
        columns[str(name)] = str(header).strip()
    return columns


def _call_variables(value: Any) -> dict[str, Any]:
    for name in mapping(value):
        if not name.strip():
            fail("has an empty name on the left side", "write `company: Example`")
        if name == "phone_number":
            fail("gives all contacts one `phone_number`", "each contact has its own, in the list")
    if isinstance(value.get("callee_name"), str) and not value["callee_name"].strip():
        fail("has a blank `callee_name`", "write the name the agent greets everybody with")
    return dict(value)


def _said(value: Any) -> str:
    if not isinstance(value, str):
        hint = "a call variable is one text; put it in quotes if it has braces or brackets"
        fail(f"is {kind_of(value)} where text is needed", hint)
    return str(value)


def _sha256(value: Any) -> str:
    written = text(value).lower()
    if not _SHA256.fullmatch(written):
        fail(f"is {quoted(written)}, not 64 hexadecimal digits", _PIN_HINT)
    return written


_count = at_least(1, "a list has at least one contact", _PIN_HINT)


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
            "pattern": _any_case([*LIST_FORMATS], [SEALED]),
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
        BeforeValidator(_columns),
        WithJsonSchema(
            {
                "type": "object",
                "additionalProperties": {"type": ["string", "number"], "minLength": 1},
                "examples": [{"phone_number": "Mobile"}],
            }
        ),
    ] = Field(default_factory=dict)
    """Our name for a column → its header in the file. Columns not named here keep their header."""
    other_columns: Annotated[Literal["keep", "drop"], BeforeValidator(_other_columns)] = "keep"
    """Whether columns that `columns` does not name become call variables (`keep`) or not."""
    call_variables: Annotated[
        dict[str, Annotated[str, BeforeValidator(_said)]],
        BeforeValidator(_call_variables),
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
    sha256: Annotated[str, BeforeValidator(_sha256), WithJsonSchema(_SHA256_SCHEMA)] | None = None
    """The SHA-256 of the file as it lies there. `reconciler pin` fills it in."""
    count: Annotated[int, Field(ge=1), BeforeValidator(_count)] | None = None
    """How many contacts the list has. `reconciler pin` fills it in."""
