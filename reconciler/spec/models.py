"""The shape of a spec: the API's fields at the top, the tool's own below `reconcile`.

These models validate what the YAML pass built (see `spec.yaml.builder` for `Plain`), and the
JSON Schema for editors is generated from them. What each field takes is in `reconciler.spec.rules`;
a spec without a mistake seldom comes here, see `reconciler.spec.check`. Contacts are described here
and checked in `reconciler.spec.contacts`, where a million of them do not cost a million model
instances.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema

from reconciler.model import Lifecycle, OnChange
from reconciler.spec import rules
from reconciler.spec.clearance import ClearanceFields
from reconciler.spec.fields import BARE, PHRASE, Model, Text
from reconciler.spec.lists.list_model import ContactsFile
from reconciler.spec.names import MAX_NAME
from reconciler.spec.schedule import PATTERN as SCHEDULE_PATTERN
from reconciler.spec.yaml.scalars import fail, kind_of

_NUMBER_SCHEMA = {
    # Without quotes the editor sees an integer; the loader sees what is written.
    "type": ["string", "integer"],
    "pattern": rules.E164,
    "minimum": 10**6,
    "maximum": 10**15,
    "examples": ["+919876543210"],
}
_VARIABLES_SCHEMA = {
    "type": "object",
    "required": ["callee_name"],
    "properties": {
        "callee_name": {
            **PHRASE,
            "pattern": r"\S",
            "description": "Whom the agent greets. Text exactly as written.",
        }
    },
    "additionalProperties": PHRASE,
    "examples": [{"callee_name": "Rajesh Sharma"}],
}

_Name = Annotated[
    str,
    BeforeValidator(rules.name),
    WithJsonSchema({**BARE, "maxLength": MAX_NAME, "examples": ["renewals/2026-05"]}),
]
_Campaign = Annotated[
    str,
    BeforeValidator(rules.campaign_id),
    WithJsonSchema({**BARE, "pattern": r"^\S+$", "examples": ["cmp_abc123"]}),
]
_Start = Annotated[
    str,
    BeforeValidator(rules.scheduled_start),
    WithJsonSchema(
        {"type": "string", "pattern": SCHEDULE_PATTERN, "examples": ["2026-05-12T09:00:00"]}
    ),
]
_FREE_KEYS = Field(json_schema_extra={"propertyNames": {"not": {"const": "reconciler"}}})


class Contact(Model):
    """One person to call."""

    phone_number: Annotated[str, WithJsonSchema(_NUMBER_SCHEMA)]
    """The number in E.164: `+`, country code, number, without spaces. Best written in quotes."""
    call_variables: Annotated[dict[str, Any], WithJsonSchema(_VARIABLES_SCHEMA)]
    """What the agent may say to this person. Every value is text exactly as written."""


def _contacts(value: Any) -> list[Any] | ContactsFile:
    if isinstance(value, dict):
        return ContactsFile.model_validate(value)
    if not isinstance(value, list):
        fail(
            f"is {kind_of(value)} where a list of contacts is needed",
            "write `- phone_number: …` lines, or `file: contacts/….csv`",
        )
    return value


class Split(Model):
    """How a list that is too long for one batch is cut into several."""

    max_contacts: Annotated[int, Field(ge=1), BeforeValidator(rules.max_contacts)]
    """Most contacts of one batch. Who is in which follows from the numbers alone."""


class Reconcile(ClearanceFields):
    """What is for this tool alone; nothing of it is sent."""

    name: _Name | None = None
    """The spec's identity. Default: its path below the batches root without the suffix."""
    lifecycle: Annotated[Lifecycle, BeforeValidator(rules.lifecycle)] = Lifecycle.ACTIVE
    """What the batch should be doing. Acted upon only when it changes here."""
    on_change: Annotated[OnChange, BeforeValidator(rules.on_change)] = OnChange.REMAINING
    """Whom a changed spec calls: those who still have to be called (`remaining`), all of them
    again (`everyone`), only new ones (`added`), or nobody: the plan fails (`forbid`)."""
    split: Split | None = None
    """Cut the list into several batches. Default: what `reconciler.yaml` says."""


class BatchSpec(Model):
    """One outbound call batch: the fields of the API's create call, and `reconcile`."""

    campaign_id: _Campaign
    """The campaign the batch belongs to."""
    contacts: Annotated[
        list[Any] | ContactsFile,
        PlainValidator(
            _contacts,
            json_schema_input_type=Annotated[list[Contact], Field(min_length=1)] | ContactsFile,
        ),
    ]
    """Whom to call: a list, or the file that holds it."""
    organization_id: Text | None = None
    """The organisation; default: the token's own."""
    scheduled_start: _Start | None = None
    """When calling begins. Without `Z` or offset: in the campaign's timezone. Absent: at once."""
    concurrency_limit: (
        Annotated[int, Field(ge=1), BeforeValidator(rules.concurrency_limit)] | None
    ) = None
    """Most calls at the same time; overrides the campaign's limit."""
    max_retries_override: (
        Annotated[int, Field(ge=0), BeforeValidator(rules.max_retries_override)] | None
    ) = None
    """Most retries of one contact; overrides the campaign's retry policy. 0: no retries."""
    call_context: Annotated[dict[str, Any], BeforeValidator(rules.mapping)] | None = None
    """Extra context passed to the telephony layer."""
    metadata: Annotated[dict[str, Any], BeforeValidator(rules.metadata), _FREE_KEYS] | None = None
    """Stored with the batch. The key `reconciler` is reserved."""
    reconcile: Reconcile = Reconcile()
    """For this tool alone: the spec's name, its lifecycle, and whom a change calls."""
