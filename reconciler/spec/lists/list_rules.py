"""What `contacts: {file: …}` takes, field by field, and what it says: a list in a file of its own.

The model in `lists.list_model` is made of these, as those of a spec are of `spec.rules`. Imports no
pydantic: a list that is named without a mistake is read without it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from reconciler.spec.problems import quoted
from reconciler.spec.rules import choice, mapping, ruled
from reconciler.spec.yaml.scalars import at_least, fail, kind_of, text

if TYPE_CHECKING:
    from reconciler.spec.rules import Rules

LIST_FORMATS = (".csv", ".jsonl", ".parquet")
"""How contact lists are written, by the suffix of their files."""

SEALED = ".age"
"""The suffix of a list that is encrypted with age, after that of its format."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_PIN_HINT = "`reconciler pin` fills it in"


class ListFile(Struct, frozen=True, kw_only=True):
    """A contact list in a file of its own; see `lists.list_model.ContactsFile`."""

    file: str
    columns: dict[str, str] = field(default_factory=dict)
    other_columns: str = "keep"
    call_variables: dict[str, str] = field(default_factory=dict)
    sha256: str | None = None
    count: int | None = None


def list_file(written: dict[str, Any]) -> ListFile:
    """Read a `contacts` that is a mapping. Raises `Unfit`, `KeyError` for the model to explain."""
    values = ruled(written, _FIELDS)
    return ListFile(file=values.pop("file"), **values)


def other_columns(value: Any) -> str:
    """Take what becomes of columns that are not named."""
    return choice(value, ["keep", "drop"])


def columns(value: Any) -> dict[str, str]:
    """Take our names of columns, and their headers."""
    headers = {}
    for name, header in mapping(value).items():
        if not name.strip():
            fail("has an empty name on the left side", "write `phone_number: Mobile`")
        if not isinstance(header, str) or not header.strip():
            fail(
                f"gives {quoted(name)} {kind_of(header)} where a column's header is needed",
                f"write `{name}: Header`" if name.isidentifier() else "",
            )
        headers[str(name)] = str(header).strip()
    return headers


def call_variables(value: Any) -> dict[str, Any]:
    """Take the names of what is said to everybody; each value is for `said` to take."""
    for name in mapping(value):
        if not name.strip():
            fail("has an empty name on the left side", "write `company: Example`")
        if name == "phone_number":
            fail("gives all contacts one `phone_number`", "each contact has its own, in the list")
    if isinstance(value.get("callee_name"), str) and not value["callee_name"].strip():
        fail("has a blank `callee_name`", "write the name the agent greets everybody with")
    return dict(value)


def said(value: Any) -> str:
    """Take what one call variable says."""
    if not isinstance(value, str):
        hint = "a call variable is one text; put it in quotes if it has braces or brackets"
        fail(f"is {kind_of(value)} where text is needed", hint)
    return str(value)


def sha256(value: Any) -> str:
    """Take a SHA-256 in hexadecimal digits."""
    written = text(value).lower()
    if not _SHA256.fullmatch(written):
        fail(f"is {quoted(written)}, not 64 hexadecimal digits", _PIN_HINT)
    return written


count = at_least(1, "a list has at least one contact", _PIN_HINT)
"""Take how many contacts a list has."""


def _everybody(value: Any) -> dict[str, str]:
    return {str(name): said(each) for name, each in call_variables(value).items()}


_FIELDS: Rules = {
    "file": text,
    "columns": columns,
    "other_columns": other_columns,
    "call_variables": _everybody,
    "sha256": sha256,
    "count": count,
}
